"""Recordings are cut once, whole and exact, whatever happens between the order and the last rename."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import soundfile
from cut_office import ENCRYPTED, FROM, PLAIN, START_MS, TO, Office
from recorded_lines import CARD_ID, RATE_HZ, noise, noise_tape, put, rows

from firmware.config import Home
from firmware.errors import StoreBusy, StoreError
from recorder.cutting import cutter as cutter_module
from recorder.cutting import piece as piece_module
from recorder.cutting.cutter import STORAGE_FULL, Cutter
from recorder.cutting.thread import CuttingThread
from recorder.library.audio.names import manifest_file
from recorder.library.evidence import log_lines
from recorder.library.evidence.heads import HeadsFile, last_head
from recorder.library.evidence.log import canonical, read_manifest
from recorder.library.evidence.log_lines import LogLines
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter


@pytest.fixture
def office(home: Home) -> Office:
    return Office(home)


def test_a_recording_is_exact_and_carries_its_call(office: Office) -> None:
    office.order()
    assert office.cutter.work() == 2
    assert office.cutter.work() == 0
    office.check()
    assert office.files() == PLAIN
    row = office.recording()
    assert (row["format"], row["encrypted"]) == ("flac", 0)
    with soundfile.SoundFile(office.home.recordings / row["path"]) as flac:
        tags = json.loads(flac.comment)
    manifest = office.manifest().manifest
    assert tags["tapdeck_call"] == manifest["call"]
    assert tags["tapdeck_call"]["caller_name"] == "张三"
    assert tags["tapdeck_recording"]["id"] == row["id"]
    (call,) = rows(office.home, "SELECT manifest FROM calls")
    assert call["manifest"] == Path(row["path"]).with_suffix(".json").as_posix()


def test_a_manifest_says_what_the_document_lists(office: Office) -> None:
    office.order()
    office.cutter.work()
    manifest = office.manifest().manifest
    assert set(manifest) == {
        "manifest_version", "kind", "id", "simulated", "software", "device", "clock", "recording_kind", "channel",
        "segment", "started_ms", "started_at", "call", "audio", "stored", "tape", "gaps", "missing_samples", "pauses",
    }  # fmt: skip
    assert set(manifest["audio"]) == {
        "file", "format", "sample_rate_hz", "channels", "samples", "bytes", "sha256", "header", "seconds",
    }  # fmt: skip
    assert manifest["tape"] == {
        "card": CARD_ID, "port": 1, "epoch": office.tape.epoch, "from_sample": FROM, "to_sample": TO,
    }  # fmt: skip
    assert (manifest["kind"], manifest["recording_kind"], manifest["started_ms"]) == ("recording", "call", START_MS)
    assert (manifest["stored"], manifest["pauses"], manifest["gaps"], manifest["missing_samples"]) == (None, [], [], 0)
    assert b"." not in canonical(manifest["clock"]), "integers only"


class Killed(BaseException):
    """What kill -9 is to the process."""


STEPS = [
    (piece_module, "stage"), (piece_module, "sync"), (piece_module, "give_name"), (piece_module, "sync_names"),
    (LogLines, "append"), (HeadsFile, "write"), (Cutter, "_settle_recording"),
    (cutter_module, "_settle_call"),
]  # fmt: skip
STEPS_OF_A_RECORDING = {False: 14, True: 17}


def watched(patched: pytest.MonkeyPatch, kill_at: float) -> list[str]:
    """Note every step from now on, and kill at one: at n before it is done, at n + 0.5 after."""
    done: list[str] = []

    def wrap(place: Any, name: str) -> None:
        step = getattr(place, name)

        def stepped(*arguments: Any) -> Any:
            if len(done) == kill_at:
                raise Killed
            done.append(name)
            result = step(*arguments)
            if len(done) == kill_at + 0.5:
                raise Killed
            return result

        patched.setattr(place, name, stepped)

    for place, name in STEPS:
        wrap(place, name)
    if kill_at >= 0:
        patched.setattr(piece_module, "drop", lambda path: None)  # a killed process tidies nothing up
    return done


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_steps_of_a_recording_are_taken_in_order(
    office: Office, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    if encrypted:
        office.encrypt()
    office.order()
    done = watched(monkeypatch, -1)
    office.cutter.work()
    assert done == [
        *["stage"] * (4 if encrypted else 3), *["sync"] * (3 if encrypted else 2),
        *["give_name"] * (3 if encrypted else 2), "sync_names", "give_name", "sync_names",
        "append", "write", "_settle_recording", "_settle_call",
    ]  # fmt: skip
    assert len(done) == STEPS_OF_A_RECORDING[encrypted]


@pytest.mark.parametrize(
    ("encrypted", "at"),
    [(encrypted, half / 2) for encrypted in (False, True) for half in range(2 * STEPS_OF_A_RECORDING[encrypted])],
)
def test_killed_at_any_step_and_a_call_that_went_on_meanwhile(
    office: Office, monkeypatch: pytest.MonkeyPatch, encrypted: bool, at: float
) -> None:
    if encrypted:
        office.encrypt()
    office.order()
    with monkeypatch.context() as patched:
        watched(patched, at)
        with pytest.raises(Killed):
            office.cutter.work()
    office.write("UPDATE calls SET talk_ms = 77, caller_number = '10086'")
    office.new_cutter().work()
    office.check()
    assert office.files() == (ENCRYPTED if encrypted else PLAIN)
    assert rows(office.home, "SELECT manifest FROM calls")[0]["manifest"]


@pytest.mark.parametrize("at", [6.5, 7, 7.5, 8, 8.5, 9, 9.5, 10, 10.5, 11, 11.5, 12])
def test_a_finished_recording_is_never_made_again(office: Office, monkeypatch: pytest.MonkeyPatch, at: float) -> None:
    """The tape goes round between the kill and the next attempt: what is there is all there will ever be."""
    office.order()
    with monkeypatch.context() as patched:
        watched(patched, at)
        with pytest.raises(Killed):
            office.cutter.work()
    tape = TapeWriter(office.path, office.tape.geometry, CARD_ID)
    put(tape, noise(4, office.tape.geometry.slots * 800, seed=9), tape.end_sample)
    tape.close()
    office.new_cutter().work()
    office.check()
    assert office.files() == PLAIN


@pytest.mark.parametrize("at", [2.5, 5.5, 6.5])
def test_of_a_lost_recording_nothing_is_left_behind(office: Office, monkeypatch: pytest.MonkeyPatch, at: float) -> None:
    """Killed before anything of it was whole on the medium, and the tape went round."""
    office.order()
    with monkeypatch.context() as patched:
        watched(patched, at)
        with pytest.raises(Killed):
            office.cutter.work()
    for part in office.home.recordings.rglob("*.flac.part"):
        part.write_bytes(b"torn")
    tape = TapeWriter(office.path, office.tape.geometry, CARD_ID)
    put(tape, noise(4, office.tape.geometry.slots * 800, seed=9), tape.end_sample)
    tape.close()
    office.new_cutter().work()
    assert office.recording()["state"] == "lost"
    assert office.files() == [".json"], "the call's own"


@pytest.mark.parametrize("tape_is", ["gone", "written over", "written over in part"])
def test_audio_whose_manifest_is_damaged_gives_way_only_to_a_whole_one(
    office: Office, monkeypatch: pytest.MonkeyPatch, tape_is: str
) -> None:
    """What lies on the disk, key and all, is better than what the tape still holds."""
    office.encrypt()
    office.order()
    with monkeypatch.context() as patched:
        patched.setattr(LogLines, "append", refuse_all)
        office.cutter.work()
    (manifest,) = office.home.recordings.rglob("*recording-of-call-1.json")
    manifest.write_bytes(b"{")
    before = {path: path.read_bytes() for path in office.home.recordings.rglob("*") if path.is_file()}
    tape = TapeWriter(office.path, office.tape.geometry, CARD_ID)
    slots = office.tape.geometry.slots
    past = {"gone": 0, "written over": slots, "written over in part": slots - 40}[tape_is] * 800
    if past:
        put(tape, noise(4, past, seed=9), tape.end_sample)
    else:
        office.write("UPDATE recordings SET tape_epoch = 'gone'")
    tape.close()
    assert office.new_cutter().work() == 0
    assert office.recording()["state"] == "pending"
    assert {path: path.read_bytes() for path in before} == before
    failing = office.cutter.failing()
    assert failing is not None
    assert "its audio is there" in failing[1]


def test_a_damaged_manifest_is_made_anew_from_a_whole_tape(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.order()
    with monkeypatch.context() as patched:
        patched.setattr(LogLines, "append", refuse_all)
        office.cutter.work()
    (manifest,) = office.home.recordings.rglob("*recording-of-call-1.json")
    manifest.write_bytes(b"{")
    office.new_cutter().work()
    office.check()


def test_a_damaged_salt_is_made_anew(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not signed: a bit that flips there must not make a finished recording one that can never be entered."""
    for call in ("call-1", "call-2"):
        office.order(call)
    with monkeypatch.context() as patched:
        patched.setattr(LogLines, "append", refuse_all)
        office.cutter.work()
    (path,) = office.home.recordings.rglob("*_recording-of-call-1.json")
    signed = read_manifest(path)
    assert signed is not None
    path.write_bytes(canonical(msgspec.structs.replace(signed, salt="zz" + signed.salt[2:])))
    office.cutter._again_at.clear()
    assert office.cutter.work() == 4
    (entry,) = [entry for entry in office.entries() if entry.manifest_id == "recording-of-call-1"]
    found = read_manifest(path)
    assert found is not None
    assert found.commitment() == entry.commitment


def refuse_all(*arguments: object) -> None:
    raise OSError(28, "No space left on device")


def test_one_piece_that_cannot_be_settled_does_not_hold_up_its_batch(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it is the store that refuses one row."""
    for number in range(1, 4):
        office.order(f"call-{number}")
    office.write(
        "CREATE TRIGGER never BEFORE UPDATE ON recordings WHEN new.call_id = 'call-2'"
        " BEGIN SELECT raise(ABORT, 'never'); END"
    )
    assert office.cutter.work() == 4
    states = {row["call_id"]: row["state"] for row in rows(office.home, "SELECT * FROM recordings")}
    assert states == {"call-1": "ready", "call-2": "pending", "call-3": "ready"}
    office.write("DROP TRIGGER never")
    office.cutter._again_at.clear()
    assert office.cutter.work() == 2
    assert sorted(entry.manifest_id for entry in office.entries()) == [f"recording-of-call-{n}" for n in (1, 2, 3)]


def test_a_thousand_impossible_orders_do_not_hold_up_a_possible_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are older, fail again and again, and are tried again as soon as their time has come."""
    monkeypatch.setattr(cutter_module, "RETRY_S", 0.0)
    monkeypatch.setattr(cutter_module, "MOST_AT_ONCE", 4)
    for number in range(9):
        office.order(f"call-{number}", from_sample=FROM - 100, tracks=99)
    office.order("call-9")
    for _ in range(4):
        office.cutter.work()
    states = {row["call_id"]: row["state"] for row in rows(office.home, "SELECT * FROM recordings")}
    assert states == {f"call-{n}": "pending" for n in range(9)} | {"call-9": "ready"}


def test_a_finished_recording_is_kept_while_its_evidence_cannot_be_entered(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    office.order()
    with monkeypatch.context() as patched:
        patched.setattr(LogLines, "append", refuse)
        assert office.cutter.work() == 0
    assert office.cutter.work() == 0, "it waits a while"
    tape = TapeWriter(office.path, office.tape.geometry, CARD_ID)
    put(tape, noise(4, office.tape.geometry.slots * 800, seed=9), tape.end_sample)
    tape.close()
    office.cutter._again_at.clear()
    assert office.cutter.work() == 2
    office.check()


@pytest.mark.parametrize("remembered", [0, 4096])
def test_a_store_that_lost_what_the_log_has_enters_nothing_twice(
    office: Office, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """A power cut may take the last transactions of the store; files and log are on the medium."""
    monkeypatch.setattr(log_lines, "_REMEMBERED", remembered)
    office.order()
    office.cutter.work()
    office.write("UPDATE recordings SET state = 'pending', path = NULL")
    office.write("UPDATE calls SET manifest = NULL")
    office.write("DELETE FROM events WHERE kind = 'recording_ready'")
    assert office.new_cutter().work() == 2
    office.check()


def test_a_recording_of_version_1_is_kept_and_gets_a_salt(office: Office) -> None:
    office.order()
    office.cutter.work()
    old = office.manifest()
    path = office.home.recordings / manifest_file(office.recording()["path"])
    path.write_bytes(canonical({"manifest": old.manifest, "public_key": old.public_key, "signature": old.signature}))
    for file in (office.home.evidence / "device").iterdir():
        file.unlink()
    office.write("UPDATE recordings SET state = 'pending', path = NULL")
    office.write("DELETE FROM events WHERE kind = 'recording_ready'")
    office.new_cutter().work()
    office.check()
    assert office.manifest().manifest == old.manifest
    assert len(office.manifest().salt) == 64


@contextmanager
def full_disk(size: int = 16_384) -> Iterator[None]:
    """No file may grow beyond 16 KB: the system refuses as on a full disk, in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_part_and_the_order_waits(office: Office) -> None:
    office.order()
    with full_disk():
        assert office.cutter.work() == 0
    assert office.recording()["state"] == "pending"
    assert office.files() == []
    assert office.new_cutter().work() == 2
    office.check()


def test_an_unwritable_folder_only_delays(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.order()
    shutil.rmtree(office.home.recordings)
    office.home.recordings.write_text("in the way")
    assert office.cutter.work() == 0
    assert office.recording()["state"] == "pending"
    office.home.recordings.unlink()
    assert office.cutter.work() == 0, "it waits a while"
    assert office.new_cutter().work() == 2
    office.check()


def fail_for(patched: pytest.MonkeyPatch, name: str, text: str) -> None:
    step: Callable[[Path], None] = getattr(piece_module, name)

    def failing(path: Path, *more: Any) -> None:
        if text in str(path):
            raise StoreError("input/output error")
        step(path, *more)

    patched.setattr(piece_module, name, failing)


@pytest.mark.parametrize("step", ["stage", "sync", "give_name"])
def test_one_impossible_order_does_not_hold_up_the_others(
    office: Office, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for number in range(1, 4):
        office.order(f"call-{number}")
    with monkeypatch.context() as patched:
        fail_for(patched, step, "call-2")
        assert office.cutter.work() == 4
    states = {row["call_id"]: row["state"] for row in rows(office.home, "SELECT * FROM recordings")}
    assert states == {"call-1": "ready", "call-2": "pending", "call-3": "ready"}
    assert office.files().count(".flac") == 2
    assert not [ending for ending in office.files() if ending.endswith(".part")]
    office.cutter._again_at.clear()
    assert office.cutter.work() == 2
    assert sorted(entry.manifest_id for entry in office.entries()) == [f"recording-of-call-{n}" for n in (1, 2, 3)]


def test_a_batch_has_one_entry_in_the_heads_and_one_transaction(office: Office) -> None:
    for number in range(5):
        office.order(f"call-{number}")
    heads = office.home.evidence / "device" / f"{CARD_ID}.heads"
    before = len(heads.read_bytes().splitlines())
    assert office.cutter.work() == 10
    assert len(heads.read_bytes().splitlines()) == before + 1
    head = last_head(heads)
    assert head is not None
    assert (head.head.reason, head.head.tree_size) == ("entry", 6)


def test_an_order_that_the_tape_has_not_come_to_waits(office: Office) -> None:
    office.order()
    office.order("call-2", to_sample=1 << 60)
    assert office.cutter.work() == 2
    states = {row["call_id"]: row["state"] for row in rows(office.home, "SELECT * FROM recordings")}
    assert states == {"call-1": "ready", "call-2": "pending"}


def test_what_is_not_on_the_medium_waits(office: Office) -> None:
    office.order()
    assert office.cutter.work(held_from=lambda: TO - 1) == 0
    assert office.cutter.work(held_from=lambda: TO) == 2
    office.check()


def test_nothing_is_stored_while_the_storage_is_full(office: Office) -> None:
    office.order()
    (office.home.run / STORAGE_FULL).touch()
    assert office.cutter.work() == 0
    assert office.files() == []
    assert office.cutter.oldest_pending_sample() == FROM
    (office.home.run / STORAGE_FULL).unlink()
    assert office.cutter.work() == 2
    office.check()


def test_what_the_tape_no_longer_holds_is_lost_and_the_call_gets_a_manifest(office: Office) -> None:
    office.path.unlink()
    noise_tape(office.path, 4, RATE_HZ)
    office.order()
    assert office.new_cutter().work() == 2
    row = office.recording()
    assert (row["state"], row["missing_samples"]) == ("lost", TO - FROM)
    assert office.files() == [".json"]
    assert [(entry.manifest_id, entry.kind) for entry in office.entries()] == [("call-1", "call")]


@pytest.mark.parametrize("at", [half / 2 for half in range(14)])
def test_a_call_without_a_recording_is_entered_once_whenever_killed(
    office: Office, monkeypatch: pytest.MonkeyPatch, at: float
) -> None:
    office.order()
    office.write("DELETE FROM recordings")
    with monkeypatch.context() as patched:
        watched(patched, at)
        with pytest.raises(Killed):
            office.cutter.work()
    office.new_cutter().work()
    (entry,) = office.entries()
    (path,) = office.home.recordings.rglob("*.json")
    signed = read_manifest(path)
    assert signed is not None
    assert signed.commitment() == entry.commitment
    assert (signed.manifest["kind"], signed.manifest["call"]["id"]) == ("call", "call-1")
    (call,) = rows(office.home, "SELECT manifest FROM calls")
    assert office.home.recordings / call["manifest"] == path
    assert office.files() == [".json"]


def test_whether_to_encrypt_stays_as_it_was_while_the_store_cannot_be_read(office: Office) -> None:
    office.encrypt()
    office.order()
    office.cutter.work()
    office.home.crm_db.write_bytes(b"damaged")
    office.order("call-2")
    office.cutter.work()
    assert office.files() == sorted(ENCRYPTED * 2)


def test_a_recording_that_was_withdrawn_meanwhile_is_still_the_keepers_to_delete(office: Office) -> None:
    office.order(deleted_rule="never_list")
    office.cutter.work()
    row = office.recording()
    assert (row["state"], row["deleted_rule"]) == ("ready", "never_list")


def test_a_damaged_log_raises_the_alarm_and_recording_goes_on(office: Office) -> None:
    office.cutter.close()
    log = office.home.evidence / "device" / f"{CARD_ID}.log"
    log.write_bytes(b"")
    office.order()
    office.cutter = Cutter(office.home, CARD_ID, TapeReader(office.path), False)
    office.cutter.work()
    office.check()
    (alarm,) = rows(office.home, "SELECT * FROM alarms WHERE cleared_ms IS NULL")
    assert (alarm["code"], alarm["subject"]) == ("evidence_damaged", CARD_ID)
    assert "0 lines" in json.loads(alarm["data"])["problem"]


def test_a_damaged_log_is_told_when_the_store_takes_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.cutter.close()
    log = office.home.evidence / "device" / f"{CARD_ID}.log"
    log.write_bytes(b"")

    def busy(*_: Any) -> None:
        raise StoreBusy("database is locked")

    with monkeypatch.context() as locked:
        locked.setattr(cutter_module, "raise_alarm", busy)
        with pytest.raises(StoreBusy):
            Cutter(office.home, CARD_ID, TapeReader(office.path), False)
    office.cutter = Cutter(office.home, CARD_ID, TapeReader(office.path), False)
    (alarm,) = rows(office.home, "SELECT * FROM alarms WHERE cleared_ms IS NULL")
    assert (alarm["code"], alarm["subject"]) == ("evidence_damaged", CARD_ID)
    assert "0 lines" in json.loads(alarm["data"])["problem"]


def open_below(folder: Path) -> list[str]:
    """Files below a folder that this process has open."""
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sorted(str(link) for link in links if link.is_relative_to(folder))


def test_a_cutter_that_cannot_begin_keeps_nothing_open(office: Office) -> None:
    office.cutter.close()
    (office.home.keys / "device.pem").write_text("damaged")
    before = open_below(office.home.root)
    for _ in range(3):
        with pytest.raises(StoreError):
            Cutter(office.home, CARD_ID, office.tape, False)
    assert open_below(office.home.root) == before == [str(office.path)]


def test_the_log_beats_while_nothing_happens(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = office.home.evidence / "device" / f"{CARD_ID}.heads"
    first = last_head(heads)
    assert first is not None
    monkeypatch.setattr(cutter_module, "now_ms", lambda: first.head.at_ms + 60_000)
    assert office.cutter.work() == 0
    assert office.cutter.work() == 0
    reasons = [json.loads(line)["head"]["reason"] for line in heads.read_bytes().splitlines()]
    assert reasons == ["start", "heartbeat"]


def test_the_thread_survives_what_keeps_it_from_cutting(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.cutting.thread.RETRY_S", 0.01)
    office.kill()
    key = office.home.keys / "device.pem"
    whole = key.read_bytes()
    key.write_text("damaged")
    office.order()
    thread = CuttingThread(office.home, CARD_ID, office.path, False, lambda: None)
    thread.start()
    key.write_bytes(whole)
    for _ in range(500):
        if rows(office.home, "SELECT manifest FROM calls")[0]["manifest"]:
            break
        thread.wake()
        thread._stopping.wait(0.02)
    thread.stop()
    office.check()
    head = last_head(office.home.evidence / "device" / f"{CARD_ID}.heads")
    assert head is not None
    assert head.head.reason == "stop"


@pytest.mark.parametrize("damage", ["key", "order"])
def test_an_alarm_stands_while_something_cannot_be_cut(
    office: Office, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """The tape waits, but not for ever."""
    for module in ("recorder.cutting.thread", "recorder.cutting.cutter"):
        monkeypatch.setattr(f"{module}.RETRY_S", 0.01)
    monkeypatch.setattr("recorder.cutting.thread.ALARM_AFTER_S", 0.05)
    office.kill()
    key = office.home.keys / "device.pem"
    whole = key.read_bytes()
    office.order(**({"tracks": 99} if damage == "order" else {}))
    if damage == "key":
        key.write_text("damaged")
    thread = CuttingThread(office.home, CARD_ID, office.path, False, lambda: None)
    thread.start()

    def wait_for(condition: str) -> None:
        while not rows(office.home, f"SELECT * FROM alarms WHERE code = 'cutting_waits' AND {condition}"):
            thread.wake()
            thread._stopping.wait(0.02)

    wait_for(f"subject = '{CARD_ID}' AND cleared_ms IS NULL AND data LIKE '%error%'")
    key.write_bytes(whole)
    office.write("UPDATE recordings SET tracks = 1")
    wait_for("cleared_ms IS NOT NULL")
    thread.stop()
    office.check()
