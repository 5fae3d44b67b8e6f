"""A lawful deletion is final: whatever orders the recording again while the tape still has it, it stays deleted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cut_office import Office
from recorded_lines import CARD_ID, rows

from firmware.config import Home
from recorder.cutting import piece as piece_module
from recorder.cutting.cutter import Cutter
from recorder.library.evidence.log import EvidenceLog, canonical, read_manifest
from recorder.library.evidence.log_lines import LogLines
from recorder.library.keeping.library import open_library
from recorder.library.storage.deletion import delete_recordings
from recorder.library.storage.removal import make_tombstone
from recorder.library.verification.everything import Summary, verify_box


@pytest.fixture
def office(home: Home) -> Office:
    return Office(home)


def copy_store(source: Path, target: Path) -> None:
    """A store as it is, in the place of another: all that came after it is forgotten."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def delete(office: Office, *, remove_manifest: bool) -> None:
    with open_library(office.home) as library:
        done = delete_recordings(
            library, [office.recording()["id"]], "order", "8001", "wrong line", remove_manifest=remove_manifest
        )
    assert len(done.deleted) == 1


def content(office: Office) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in office.home.recordings.rglob("*") if path.is_file()}


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("remove_manifest", [False, True])
def test_a_store_that_forgot_the_deletion_brings_nothing_back(
    office: Office, tmp_path: Path, encrypted: bool, remove_manifest: bool
) -> None:
    if encrypted:
        office.encrypt()
    office.order()
    copy_store(office.home.calls_db, tmp_path / "before")
    office.cutter.work()
    office.cutter.close()
    delete(office, remove_manifest=remove_manifest)
    wanted = {name: office.recording()[name] for name in ("state", "deleted_ms", "deleted_rule", "deleted_by")}
    before = content(office)
    copy_store(tmp_path / "before", office.home.calls_db)
    assert office.recording()["state"] == "pending"
    office.cutter = Cutter(office.home, CARD_ID, office.tape, False)
    (stone,) = [path for path in before if path.name.endswith("tombstone.json")]
    part = stone.with_name(f"20270115T160000+0800_CH002_in_1_{office.recording()['id']}.flac.part")
    part.write_bytes(b"audio of an attempt before")
    office.cutter.work()
    again = content(office)
    assert {path: again[path] for path in before} == before
    assert all(path.name.endswith("_call-1.json") for path in again.keys() - before.keys()), "the call's own"
    assert not [path for path in again if path.suffix in (".flac", ".tde", ".part", ".peaks") or ".key." in path.name]
    row = office.recording()
    assert {name: row[name] for name in wanted} == wanted
    assert (row["path"] is None) == remove_manifest
    assert [entry.kind for entry in office.entries()].count("recording") == 1
    kinds = [event["kind"] for event in rows(office.home, "SELECT kind FROM events ORDER BY id")]
    assert kinds == ["call_ended", "recording_deleted"]
    office.cutter.close()
    found = [one for one in verify_box(office.home, Summary()) if one.severity == "error"]
    assert found == []


@pytest.mark.parametrize("kind", ["damaged", "another's", "of another recording"])
def test_a_tombstone_that_is_not_ours_neither_deletes_nor_is_passed_over(office: Office, kind: str) -> None:
    """Whoever may write files cannot make a recording that waits disappear without a word."""
    office.order()
    office.cutter.work()
    office.cutter.close()
    with open_library(office.home) as library:
        stone = make_tombstone(library.device_log, "another", [], "audio", "order", "8001", "", "2027-01-15T08:00:00Z")
        foreign = make_tombstone(
            library.log(simulated=True), office.recording()["id"], [], "audio", "order", "8001", "",
            "2027-01-15T08:00:00Z",
        )  # fmt: skip
    audio = office.home.recordings / office.recording()["path"]
    audio.unlink()
    office.write("UPDATE recordings SET state = 'pending'")
    file = audio.with_name(f"{audio.name.partition('.')[0]}.tombstone.json")
    file.write_bytes({"damaged": b"{", "another's": canonical(foreign), "of another recording": canonical(stone)}[kind])
    office.cutter = Cutter(office.home, CARD_ID, office.tape, False)
    office.cutter.work()
    failing = office.cutter.failing()
    assert office.recording()["state"] == ("ready" if kind == "of another recording" else "pending")
    assert (failing is None) == (kind == "of another recording")
    assert failing is None or "tombstone" in failing[1]
    assert file.exists()


def test_a_key_stays_while_its_audio_is_all_there_is(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is damaged, the tape whole: until another file is in its place, the audio can be decrypted."""
    office.encrypt()
    office.order()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(LogLines, "append", refuse)
        office.cutter.work()
    (manifest,) = office.home.recordings.rglob("*recording-of-call-1.json")
    manifest.write_bytes(b"{")
    before = content(office)
    with monkeypatch.context() as patched:
        patched.setattr(piece_module, "stage", refuse)
        office.new_cutter().work()
    assert content(office) == before
    office.new_cutter().work()
    office.check()


def test_only_our_own_key_signs_in_our_name(home: Home) -> None:
    with closing(EvidenceLog(home, "one", False)) as log, closing(EvidenceLog(home, "one", True)) as practice:
        manifest = log.describe("call", "x")
        assert log.is_own(log.sign(manifest))
        assert not log.is_own(practice.sign(manifest))
        signed = log.sign(manifest)
        signed.manifest["id"] = "y"
        assert not log.is_own(signed)


@pytest.mark.parametrize("of", ["recording", "call"])
def test_our_log_vouches_for_no_manifest_of_another_key(office: Office, of: str) -> None:
    """Put beside whole audio, before the recorder comes to it: what is signed in the end is our own word."""
    office.order()
    if of == "call":
        office.write("DELETE FROM recordings")
    with closing(EvidenceLog(office.home, "elsewhere", True)) as stranger:
        office.cutter.work()
        (path,) = office.home.recordings.rglob("*call-1.json")
        ours = read_manifest(path)
        assert ours is not None
        told = {**ours.manifest["call"], "caller_number": "110"}
        path.write_bytes(canonical(stranger.sign({**ours.manifest, "call": told, "device": stranger.device})))
    office.write("UPDATE recordings SET state = 'pending'")
    office.write("UPDATE calls SET manifest = NULL")
    office.new_cutter().work()
    again = read_manifest(path)
    assert again is not None
    assert again.public_key == ours.public_key
    assert again.manifest["call"]["caller_number"] == "13800138000"
    assert office.entries()[-1].commitment == again.commitment()
