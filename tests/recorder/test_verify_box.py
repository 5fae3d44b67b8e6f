"""``tapdeck verify --all`` on boxes filled by the real cutter, the real library and a real clock."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from evidence_material import Box, bytes_of_second, flip, read
from library_box import never
from test_cutter import Office

from firmware.cli import root
from firmware.config import Home
from firmware.store.connection import open_store, write
from recorder.library.evidence.heartbeat import HeartbeatTask
from recorder.library.evidence.log import EvidenceLog, NewEntry
from recorder.library.evidence.proof import export
from recorder.library.evidence.public_key import public_key_path
from recorder.library.evidence.signing import device_of
from recorder.library.keeping.library import open_library
from recorder.library.storage import removal
from recorder.library.storage.conversion import convert
from recorder.library.storage.deletion import delete_recordings
from recorder.library.verification import everything as verification
from recorder.library.verification.check_logs import check_logs
from recorder.library.verification.everything import Summary, verify_box
from recorder.library.verification.findings import TEXTS, Finding
from recorder.library.verification.index import EvidenceIndex
from recorder.library.verification.verifier import tapdeck_verify


def findings(home: Home, **options: Any) -> list[Finding]:
    return list(verify_box(home, Summary(), **options))


def codes(found: list[Finding], least: str = "warning") -> list[str]:
    grave = ("error",) if least == "error" else ("error", "warning")
    return sorted(one.code for one in found if one.severity in grave)


@pytest.mark.parametrize(
    ("encrypted", "wanted"), [(False, {}), (False, {"wanted_format": "g711"}), (True, {}), (False, {"tracks": 2})]
)
def test_what_the_real_cutter_makes(home: Home, tmp_path: Path, encrypted: bool, wanted: dict[str, Any]) -> None:
    office = Office(home, law=True)
    if encrypted:
        office.encrypt()
    office.order(**wanted)
    office.cutter.work()
    office.cutter.close()
    assert codes(findings(home)) == []
    row = office.recording()
    calls = open_store(home.calls_db, readonly=True)
    audio = export(home, calls, row["id"], tmp_path / "out")[0]
    calls.conn.close()
    known = tapdeck_verify.Known(devices=list(verification.devices_of(home).values()))
    (result,) = tapdeck_verify.verify_all(tmp_path / "out", known)
    assert (result["verdict"], result["in_log"], result["file"]) == ("authentic", True, audio.name)
    stored = home.recordings / row["path"]
    flip(stored, stored.stat().st_size // 2)
    (found,) = [one for one in findings(home) if one.severity == "error"]
    assert found.code == "audio_damaged"
    assert "–" in found.text("en")
    assert "被改动" in found.text("zh")


def test_conversion_and_deletion_leave_nothing_unexplained(home: Home) -> None:
    office = Office(home)
    for name in ("kept", "converted", "deleted", "erased"):
        office.order(name)
    office.cutter.work()
    office.cutter.close()
    with open_library(home) as library:
        assert convert(library, "recording-of-converted", "opus")
        delete_recordings(library, ["recording-of-deleted"], "order", "1001", "asked")
        delete_recordings(library, ["recording-of-erased"], "erasure", "1001", "asked", remove_manifest=True)
    found = findings(home)
    assert codes(found) == []
    assert [one.code for one in found].count("tombstone") == 3
    for stone in home.recordings.rglob("*.tombstone.json"):
        stone.unlink()
    assert set(codes(findings(home))) >= {"audio_missing", "manifest_missing", "deleted_without_tombstone"}


def test_verdict_on_a_recording_that_was_deleted_lawfully(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(home, monkeypatch)
    audio = box.record("1", 1)
    stone = box.delete(audio)
    known = tapdeck_verify.Known(devices=[box.log.device])
    (result, _) = tapdeck_verify.verify_all(audio.parent, known)
    assert (result["verdict"], result["self_consistent"]) == ("deleted", True)
    stone.write_bytes(stone.read_bytes().replace(b"1001", b"1002"))
    assert tapdeck_verify.verify(audio.with_suffix(".json"), known)["verdict"] == "part_missing"


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(home, monkeypatch)
    made.run(1)
    return made


def test_fast_sees_sizes_only(box: Box) -> None:
    audio = box.record("1", 3)
    flip(audio, bytes_of_second(audio, 1)[0] + 9)
    assert codes(findings(box.home, at_ms=box.now_ms, fast=True)) == []
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["audio_damaged"]
    audio.write_bytes(audio.read_bytes()[:-1])
    assert codes(findings(box.home, at_ms=box.now_ms, fast=True)) == ["audio_size"]


def test_a_box_that_died_and_one_that_lost_its_power(box: Box) -> None:
    box.record("1", 1)
    assert codes(findings(box.home, at_ms=box.now_ms + 600_000)) == ["silent", "silent"]
    box.stop(orderly=False)
    box.now_ms += 60_000
    box.start()
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["start_without_stop", "start_without_stop"]


def test_a_box_that_hung(box: Box) -> None:
    box.now_ms += 600_000
    box.run(1)
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["gap", "gap"]


def test_a_tombstone_that_no_log_names_excuses_nothing(box: Box) -> None:
    audio = box.record("1", 1)
    signed = read(audio.with_suffix(".json"))
    stone = box.library.describe("tombstone", "stone") | {
        "of": signed.manifest["id"], "of_commitments": [signed.commitment()], "what": "audio and manifest",
        "deleted_at": "2027-01-15T08:00:00.000Z", "by": "1001", "rule": "order", "reason": "",
    }  # fmt: skip
    audio.with_suffix(".tombstone.json").write_bytes(msgspec.json.encode(box.library.sign(stone)))
    audio.unlink()
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["audio_missing", "manifest_not_in_log"]
    audio.with_suffix(".json").unlink()
    found = codes(findings(box.home, at_ms=box.now_ms))
    assert found == ["manifest_missing", "manifest_not_in_log", "row_without_manifest", "row_without_manifest"]


def test_a_call_whose_end_is_in_no_manifest_is_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its only recording was cut while it went on; nothing shows whether the store tells its end as it was."""
    sign = box.log.sign
    with monkeypatch.context() as patched:
        patched.setattr(box.log, "sign", lambda one: sign(one | {"call": one["call"] | {"state": "talking"}}))
        path = box.record("1", 1, audio_format="alaw")
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["end_not_in_evidence"]
    call = read(path.with_suffix(".json")).manifest["call"] | {"state": "ended"}
    signed = sign(box.log.describe("call", call["id"]) | {"call": call})
    manifest = path.with_name(f"ended_{call['id']}.json")
    manifest.write_bytes(msgspec.json.encode(signed))
    box.log.enter(call["id"], "call", box.now_ms, signed)
    assert codes(findings(box.home, at_ms=box.now_ms)) == []
    box.sql("UPDATE calls SET result = 'missed' WHERE id = ?", call["id"])
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["row_differs"]


def test_a_log_that_was_damaged_and_set_aside_still_counts(box: Box) -> None:
    audio = box.record("1", 1)
    box.run(1)
    box.stop()
    heads = box.log.path.with_suffix(".heads")
    flip(heads, heads.stat().st_size - 40)
    box.now_ms += 1000
    box.start()
    box.record("2", 1)
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["head_damaged", "set_aside"]
    (aside,) = [path for path in box.log.path.parent.iterdir() if path.name.endswith(".set-aside")]
    flip(aside, 30)
    assert "set_aside_unnamed" in codes(findings(box.home, at_ms=box.now_ms))
    aside.unlink()
    assert {"set_aside_missing", "manifest_not_in_log"} <= set(codes(findings(box.home, at_ms=box.now_ms)))
    assert audio.is_file()


def test_a_recording_that_is_finished_while_the_box_is_verified(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any step of the check; whatever is there later must be neither too much nor missing."""
    box.record("1", 1)
    steps = [(verification, "check_logs"), (verification.FileCheck, "check_all"), (verification, "read_on"),
             (verification, "_compare"), (verification.Rows, "missing")]  # fmt: skip
    for place, name in steps:
        original = getattr(place, name)

        def late(*arguments: Any, _original: Any = original, _name: str = name, **more: Any) -> Any:
            box.record(_name, 1)
            return _original(*arguments, **more)

        with monkeypatch.context() as patched:
            patched.setattr(place, name, late)
            assert codes(findings(box.home, at_ms=box.now_ms)) == [], name


def test_a_log_that_grows_while_it_is_read(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries and heads are written after every line that the check reads."""
    for number in range(40):
        box.miss(str(number))
    original, late = EvidenceIndex.add, list(range(100))

    def add(index: EvidenceIndex, table: str, *values: Any) -> None:
        original(index, table, *values)
        if table == "entries" and late:
            box.miss(f"late {late.pop()}")

    monkeypatch.setattr(EvidenceIndex, "add", add)
    assert codes(findings(box.home, at_ms=box.now_ms)) == []
    assert not late


def test_a_recording_that_is_deleted_while_the_box_is_verified(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    original = verification.FileCheck._check_audio
    audio = box.record("1", 1)

    def check_audio(check: Any, path: Path, *arguments: Any) -> Any:
        if audio.exists():
            box.delete(audio)
        return original(check, path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(verification.FileCheck, "_check_audio", check_audio)
        assert codes(findings(box.home, at_ms=box.now_ms)) == []
    assert not audio.exists()
    assert codes(findings(box.home, at_ms=box.now_ms)) == []


def test_a_manifest_that_stays_after_its_audio_was_deleted_cannot_go_unseen(box: Box) -> None:
    audio = box.record("1", 1)
    box.delete(audio)
    assert codes(findings(box.home, at_ms=box.now_ms)) == []
    audio.with_suffix(".json").unlink()
    assert "manifest_missing" in codes(findings(box.home, at_ms=box.now_ms))


@pytest.mark.parametrize("change", ["call_id = 'another'", "state = 'lost'", "kind = 'manual'"])
def test_a_recording_that_is_given_to_another_call_or_hidden(box: Box, change: str) -> None:
    box.record("1", 1)
    box.sql(f"UPDATE recordings SET {change}")
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["row_differs"]


def test_a_call_that_is_made_a_fax(home: Home) -> None:
    office = Office(home)
    office.order("it")
    office.cutter.work()
    office.cutter.close()
    assert codes(findings(home)) == []
    with closing((db := open_store(home.calls_db)).conn), write(db) as connection:
        connection.execute("UPDATE calls SET machine = 'fax'")
    assert codes(findings(home)) == ["row_differs"]


def test_the_key_of_practice_signs_no_real_call(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    practice = Box(home, monkeypatch, simulated=True)
    practice.log.simulated = False
    practice.record("1", 1)
    assert "practice_mixed" in codes(findings(home, at_ms=practice.now_ms))


@pytest.mark.parametrize("before", ["convert", "convert, delete", "delete"])
def test_what_was_converted_or_deleted_before_it_was_erased(home: Home, before: str) -> None:
    office = Office(home)
    office.order("it")
    office.cutter.work()
    office.cutter.close()
    with open_library(home) as library:
        if "convert" in before:
            assert convert(library, "recording-of-it", "opus")
        if "delete" in before:
            delete_recordings(library, ["recording-of-it"], "order", "1001", "asked")
        assert codes(findings(home)) == []
        delete_recordings(library, ["recording-of-it"], "erasure", "1001", "asked", remove_manifest=True)
    assert codes(findings(home)) == []


def test_a_box_that_was_killed_between_manifest_and_log(box: Box) -> None:
    """Until its next start: nothing is wrong, and somebody must know it. What the store does not expect is wrong."""
    call = box.call_row("1", 5)
    path = box.home.recordings / "call.json"
    path.write_bytes(msgspec.json.encode(box.log.sign(box.log.describe("call", call["id"]) | {"call": call})))
    box.rows(calls=call | {"manifest": None})
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["manifest_not_yet"]
    box.sql("UPDATE calls SET manifest = 'call.json'")
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["manifest_not_in_log"]


@pytest.mark.parametrize("step", ["_move_files", "_change_rows", "_remove_files", "_tell"])
@pytest.mark.parametrize("job", ["convert", "delete", "erase"])
def test_a_keeper_that_was_killed_in_a_removal(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: str, job: str
) -> None:
    """At every step; before the next start and after it."""
    office = Office(home)
    office.order("it")
    office.cutter.work()
    office.cutter.close()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    name = "recording-of-it"
    with open_library(home) as library:
        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            patched.setattr(removal, step, killed)
            if job == "convert":
                convert(library, name, "opus")
            else:
                delete_recordings(library, [name], "erasure", "1001", "asked", remove_manifest=job == "erase")
        assert list((home.root / "removals").iterdir()), "it was not killed on the way"
        assert codes(findings(home), "error") == []
        removal.finish_removals(library)
    assert codes(findings(home)) == []


def test_a_recording_that_is_converted_while_the_box_is_verified(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(home)
    office.order("it")
    office.cutter.work()
    office.cutter.close()
    original = verification.FileCheck._check_folder
    with open_library(home) as library:

        def check_folder(check: Any, folder: Path, names: list[str]) -> Any:
            if any(name.endswith(".flac") for name in names):
                assert convert(library, "recording-of-it", "opus")
            return original(check, folder, names)

        with monkeypatch.context() as patched:
            patched.setattr(verification.FileCheck, "_check_folder", check_folder)
            assert codes(findings(home)) == []
        assert codes(findings(home)) == []


def test_the_published_key_is_the_boxs_own(box: Box) -> None:
    published = public_key_path(box.home, False)
    right = published.read_bytes()
    for wrong in (b"", b"x", bytes(40), right[:-5], b"A" * 43 + b"="):
        published.write_bytes(wrong)
        assert codes(findings(box.home, at_ms=box.now_ms)) == ["public_key_differs"]
    box.stop()
    box.start()
    assert published.read_bytes() == right
    assert box.log.problems == ["the published key was that of device " + device_of(bytes(32))]


def test_logs_that_changed_their_names(box: Box) -> None:
    box.record("1", 1)
    for end in (".log", ".heads", ".begun.json"):
        path = box.log.path.with_name(f"card-a{end}")
        path.rename(path.with_name(f"card-b{end}"))
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["head_of_another_log"]


def test_lost_logs_and_files_without_a_home(box: Box) -> None:
    audio = box.record("1", 1)
    shutil.copy(audio, audio.with_name("stray.flac"))
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["audio_without_manifest"]
    box.log.path.unlink()
    found = codes(findings(box.home, at_ms=box.now_ms))
    assert found == ["audio_without_manifest", "log_missing", "manifest_not_in_log", "manifest_not_in_log"]


def test_rows_that_nothing_stands_behind(box: Box) -> None:
    audio = box.record("1", 1)
    call = read(audio.with_suffix(".json")).manifest["call"]
    box.rows(calls=call | {"id": "fresh", "manifest": None})
    assert codes(findings(box.home, at_ms=box.now_ms)) == []
    assert codes(findings(box.home, at_ms=box.now_ms + 7_200_000), "error") == ["row_without_manifest"]
    box.sql("UPDATE calls SET manifest = 'none.json' WHERE id = 'fresh'")
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["row_without_manifest"]
    box.sql("DELETE FROM calls WHERE id = 'fresh'")
    box.sql("UPDATE recordings SET state = 'deleted'")
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["deleted_without_tombstone"]


def test_a_call_that_comes_late_into_the_log(box: Box) -> None:
    """What root writes into the store, the box signs; but not for a time long gone without being noticed."""
    box.now_ms -= 7_200_000
    call = box.call_row("1", 5)
    box.now_ms += 7_200_000
    signed = box.log.sign(box.log.describe("call", call["id"]) | {"call": call})
    path = box.home.recordings / "late.json"
    path.write_bytes(msgspec.json.encode(signed))
    box.log.enter(call["id"], "call", box.now_ms, signed)
    box.rows(calls=call | {"manifest": "late.json"})
    assert codes(findings(box.home, at_ms=box.now_ms)) == ["entered_late"]


def test_the_command(box: Box) -> None:
    audio = box.record("1", 6)
    home = ["--home", str(box.home.root)]

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(root, [*home, "verify", *arguments])

    assert run("--all").exit_code == 0
    assert run(str(audio)).exit_code == 0
    assert run().exit_code == 2
    assert run("--all", str(audio)).exit_code == 2
    flip(audio, bytes_of_second(audio, 3)[0] + 9)
    done = run("--all", "--lang", "zh")
    assert done.exit_code == 1
    assert "00:00:03–00:00:04 被改动" in done.output
    lines = [json.loads(line) for line in run("--all", "--json").output.splitlines()]
    (damaged,) = [line for line in lines if line.get("code") == "audio_damaged"]
    assert damaged["severity"] == "error"
    assert damaged["values"]["damage"][0]["kind"] == "altered"
    assert lines[-1]["summary"]["errors"] == 1
    done = run(str(audio))
    assert done.exit_code == 1
    assert "altered at 00:00:03" in done.output
    assert run("--all", "--key", "0" * 32).exit_code == 1
    assert run("--all", "--key", "nonsense").exit_code == 1


def test_every_finding_reads_in_both_languages() -> None:
    for code, (severity, en, zh) in TEXTS.items():
        assert severity in ("error", "warning", "note"), code
        fields = {part.split("}")[0] for part in en.split("{")[1:]}
        assert fields == {part.split("}")[0] for part in zh.split("{")[1:]}, code


def test_memory_does_not_grow_with_the_log(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the leaves, the same peak."""
    box = Box(home, monkeypatch)
    signed = box.log.sign(box.log.describe("call", "x"))

    def grow(count: int) -> None:
        box.log.enter_many([NewEntry(f"id-{number}", "call", box.now_ms, signed) for number in range(count)])

    def peak() -> int:
        index = EvidenceIndex()
        tracemalloc.start()
        for _ in check_logs(home, False, [box.log.device], [], box.now_ms, index):
            pass
        index.ready()
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        index.close()
        return highest

    grow(2000)
    small = peak()
    grow(20_000)
    assert peak() < small + 500_000


def test_the_keepers_own_loop_makes_an_honest_box(home: Home) -> None:
    with open_library(home) as library:
        HeartbeatTask().run(library, never)
    assert codes(findings(home)) == []
    log = EvidenceLog(home, "c", False)
    log.close()
    assert codes(findings(home)) == []
