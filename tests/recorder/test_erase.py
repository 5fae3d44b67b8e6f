"""A number is found on all floors, exported whole, and erased everywhere but where a hold protects it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import soundfile
from archive_box import START_MS, ArchiveBox
from click.testing import CliRunner
from erased_number import ASKED, NUMBER, OTHER, SALT, erase_it, traces

from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.erasure import OfficeEraser
from firmware.cli import root as tapdeck
from firmware.clock import now_ms, uuid7
from firmware.config import Home
from firmware.errors import BadInput, Refused, StoreError
from firmware.store import event_log
from firmware.store.connection import write
from recorder.cutting.manifest import recording_name
from recorder.library.archive.copying import ArchiveTask
from recorder.library.archive.office import add_place
from recorder.library.erasure import erase, erasers
from recorder.library.erasure.erase import Found, erase_number, find_all, number_sha256, subject_of
from recorder.library.erasure.erase_order import ask_erasure, erase_order
from recorder.library.evidence.log import EvidenceLog, read_entries, read_manifest
from recorder.library.keeping.alarms import raise_alarm
from recorder.library.keeping.library import LibraryThread
from recorder.library.keeping.task import Stores
from recorder.library.rebuilding.reconciliation import Finding, Pass, load_pass, save_pass
from recorder.library.storage import deletion_tasks, removal
from recorder.library.storage.deletion import delete_recordings
from recorder.numbers import Site


@pytest.fixture
def box(home: Home) -> Iterator[ArchiveBox]:
    one = ArchiveBox(home)
    yield one
    one.close()


def find(box: ArchiveBox, number: str = ASKED) -> list[Found]:
    return find_all(Stores(box.home, box.calls, box.crm), subject_of(box.crm, number))


def kinds(found: list[Found]) -> list[str]:
    return sorted(one.kind for one in found)


def customer(box: ArchiveBox, name: str, *numbers: str, note: str = "") -> str:
    phones = tuple(Phone("", number) for number in numbers)
    return add_customer(box.crm, {"name": name, "note": note}, phones, Actor(CONSOLE), Site()).id


def hold(box: ArchiveBox, kind: str, subject: str | None = None, **more: Any) -> str:
    row = {"id": f"hold-{kind}", "kind": kind, "subject": subject, "reason": "x", "set_by": "1", "set_ms": 1} | more
    with write(box.crm) as connection:
        connection.execute(
            f"INSERT INTO holds ({', '.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values())
        )
    return str(row["id"])


def test_everything_is_found_in_any_spelling(box: ArchiveBox) -> None:
    box.recording("+8613800138000")
    box.recording("013800138000", "outgoing")
    box.call(NUMBER, result="missed")
    box.recording(OTHER)
    mine = customer(box, "张三", "138 0013 8000")
    customer(box, "李四", OTHER, note="friend of 13800138000")
    found = find(box)
    history, text = "entry of a customer's history", "text of a customer"
    assert kinds(found) == ["call"] * 3 + ["customer", history] + ["recording"] * 2 + [text]
    assert next(one.id for one in found if one.kind == "customer") == mine
    assert find(box, "8613800138000") == find(box, NUMBER) == found
    assert kinds(find(box, OTHER)) == ["call", "customer", "recording"]
    assert find(box, "01088889999") == []
    with pytest.raises(BadInput):
        find(box, "nobody")


def test_nothing_is_left_of_it_and_everything_of_the_others(box: ArchiveBox, tmp_path: Path) -> None:
    disk = tmp_path / "second"
    disk.mkdir()
    add_place(box.calls, box.crm, "disk", f"file://{disk}", required=True, by="1000")
    first, second, other = box.recording(), box.recording(encrypted=True), box.recording(OTHER)
    call = box.call(NUMBER, result="missed")
    gone = box.recording()
    customer(box, "张三", NUMBER)
    both = customer(box, "李四", NUMBER, OTHER)
    hold(box, "number", NUMBER, released_by="2", released_ms=2)
    with box.library() as library:
        ArchiveTask().run(library, lambda: False)
        delete_recordings(library, [gone["id"]], "retention", "box", "")
        ArchiveTask().run(library, lambda: False)
    kept = {path: path.read_bytes() for root in (box.home.recordings, disk) for path in root.rglob(f"*{OTHER}*")}
    assert len(kept) == 5  # audio, manifest and waveform here, audio and manifest there
    assert traces(box, disk)
    certificate = erase_it(box)
    assert traces(box, disk) == []
    assert {path: path.read_bytes() for path in kept} == kept
    counts = {"archive copy": 3, "call": 4, "customer": 1, "hold": 1, "number of a customer": 1, "recording": 3}
    assert (certificate.found, certificate.erased, certificate.kept) == (counts, counts, [])
    assert find(box) == []
    for row in (first, second, gone):
        now = box.row(row["id"])
        assert (now["state"], now["path"], now["deleted_rule"]) == ("deleted", None, "erasure")
    assert box.row(other["id"])["state"] == "ready"
    assert [row["number"] for row in box.crm.query("SELECT number FROM customer_phones")] == [OTHER]
    assert [str(row["id"]) for row in box.crm.query("SELECT id FROM customers")] == [both]
    for row in (first, call):
        (now,) = box.calls.query("SELECT * FROM calls WHERE id = ?", [row.get("call_id") or row["id"]])
        assert (now["caller_number"], now["caller_name"], now["caller_id"]) == (None, None, None)
        assert (now["started_ms"], now["result"]) == (row["started_ms"], "answered" if row is first else "missed")
        stone = read_manifest(box.home.recordings / now["manifest"])
        assert stone is not None
        assert (stone.manifest["kind"], stone.manifest["rule"]) == ("tombstone", "erasure")
        assert stone.manifest["of"] == row["id"]
    assert len(list(box.home.recordings.rglob("*.tombstone.json"))) == 4


@pytest.mark.parametrize("held", [None, "call", "number"])
def test_a_number_that_was_shown_during_another_call(box: ArchiveBox, held: str | None) -> None:
    """Call waiting: the number stands in an event of somebody else's call, which stays as it is."""
    call = box.call(OTHER)
    heard = {"signalling": "fsk-bell202", "format": "mdmf", "number": "+8613800138000", "name": "张三"}
    with write(box.calls) as connection:
        event_log.append(connection, at_ms=1, kind="call_waiting", channel=1, call_id=call["id"],
                         data={**call, "waiting": heard})  # fmt: skip
    kept = hold(box, held, call["id"] if held == "call" else NUMBER) if held else None
    (found,) = [one for one in find(box) if one.kind == "call waiting"]
    assert found.kept == (f"hold {kept}" if held else None)
    certificate = erase_it(box)
    assert certificate.found == {"call waiting": 1, **({"hold": 1} if held == "number" else {})}
    (event,) = [row["data"] for row in box.calls.query("SELECT data FROM events WHERE kind = 'call_waiting'")]
    data = msgspec.json.decode(event)
    assert data["caller_number"] == OTHER
    assert data["waiting"] == (heard if held else None)
    assert bool(traces(box)) is bool(held)


def test_the_certificate_is_signed_entered_and_tells_no_number(box: ArchiveBox) -> None:
    box.recording()
    certificate = erase_it(box)
    signed = read_manifest(box.home.root / certificate.file)
    assert signed is not None
    assert signed.is_genuine()
    assert signed.manifest["kind"] == "erasure"
    assert signed.manifest["number_sha256"] == number_sha256(SALT, "+8613800138000")
    assert SALT not in (box.home.root / certificate.file).read_text()
    assert number_sha256("11" * 16, "+8613800138000") != signed.manifest["number_sha256"]
    assert signed.manifest["by"] == "1000"
    entries = [entry for entry, _ in read_entries(box.home.evidence / "device" / "library.log")]
    assert [entry.kind for entry in entries] == ["log_begun", "tombstone", "erasure"]
    assert entries[-1].commitment == signed.commitment()


def held_call(box: ArchiveBox, row: dict[str, Any]) -> None:
    hold(box, "call", row["call_id"])


def held_number(box: ArchiveBox, row: dict[str, Any]) -> None:
    hold(box, "number", "0086 13800138000")


def held_customer(box: ArchiveBox, row: dict[str, Any]) -> None:
    hold(box, "customer", customer(box, "张三", NUMBER))


def held_period(box: ArchiveBox, row: dict[str, Any]) -> None:
    hold(box, "period", from_ms=row["started_ms"] - 1, to_ms=row["started_ms"] + 1, channel=1)


@pytest.mark.parametrize("holding", [held_call, held_number, held_customer, held_period])
def test_what_a_hold_protects_stays_whole(box: ArchiveBox, holding: Any) -> None:
    held = box.recording()
    free = box.recording()
    all_of_it = holding in (held_number, held_customer)
    holding(box, held)
    before = {path: path.read_bytes() for path in box.home.recordings.rglob(f"*{held['id']}*")}
    certificate = erase_it(box)
    assert box.row(held["id"]) == {**box.row(held["id"]), **held}
    assert {path: path.read_bytes() for path in before} == before
    assert len(before) == 3
    assert box.row(free["id"])["state"] == ("ready" if all_of_it else "deleted")
    reasons = {(one["kind"], one["reason"]) for one in certificate.kept}
    name = f"hold hold-{holding.__name__.removeprefix('held_')}"
    assert {("call", name), ("recording", name)} <= reasons
    with write(box.crm) as connection:
        connection.execute("UPDATE holds SET released_ms = 3")
    erase_it(box)
    assert find(box) == []


def test_a_held_customer_keeps_every_number(box: ArchiveBox) -> None:
    one = customer(box, "张三", NUMBER, OTHER)
    hold(box, "customer", one)
    certificate = erase_it(box)
    assert certificate.kept == [{"kind": "number of a customer", "count": 1, "reason": "hold hold-customer"}]
    assert box.crm.conn.execute("SELECT count(*) FROM customer_phones").fetchone()[0] == 2


def test_calls_that_are_not_finished_wait(box: ArchiveBox) -> None:
    box.call(NUMBER, state="talking", ended_ms=None)
    box.recording(state="pending")
    certificate = erase_it(box)
    assert {one["reason"] for one in certificate.kept} == {"the call is not over", "the recorder has not finished it"}
    assert certificate.erased == {}


def test_a_recording_of_the_whole_line_is_shown_and_stays(box: ArchiveBox) -> None:
    call = box.recording()
    line = box.recording(OTHER)
    with write(box.calls) as connection:
        connection.execute(
            "UPDATE recordings SET call_id = NULL, kind = 'continuous', started_ms = ?, duration_ms = 86400000"
            " WHERE id = ?",
            (START_MS, line["id"]),
        )
    (shown,) = [one for one in find(box) if one.kind == "continuous recording"]
    assert shown.id == line["id"]
    erase_it(box)
    assert box.row(line["id"])["state"] == "ready"
    assert box.row(call["id"])["state"] == "deleted"


def test_a_recording_of_the_whole_line_is_shown_though_the_clock_was_set(box: ArchiveBox) -> None:
    """A day between their labels, and the same stretch of tape."""
    call, line, other = box.recording(), box.recording(OTHER), box.recording(OTHER)
    with write(box.calls) as connection:
        connection.execute(
            "UPDATE calls SET tape_epoch = 'e', from_sample = 5000, to_sample = 9000 WHERE id = ?", (call["call_id"],)
        )
        for row, first, last in ((line, 8999, 20_000), (other, 9000, 20_001)):
            connection.execute(
                "UPDATE recordings SET call_id = NULL, kind = 'continuous', started_ms = ?, from_sample = ?,"
                " to_sample = ? WHERE id = ?",
                (START_MS - 86_400_000, first, last, row["id"]),
            )
    assert [one.id for one in find(box) if one.kind == "continuous recording"] == [line["id"]]


def test_lists_and_what_can_never_change_are_named_and_left_to_people(box: ArchiveBox) -> None:
    customer(box, "李四", OTHER, note=f"call {NUMBER}")
    with write(box.crm) as connection:
        connection.execute(
            "INSERT INTO parameters VALUES ('channel', '3', 'never_record_numbers', ?, 0, '')", (f'"110 {NUMBER}"',)
        )
        connection.execute(
            "INSERT INTO audit (at_ms, actor, action, subject, address, data) VALUES (1, '1', 'hold.set', 'h', '', ?)",
            (f'["{NUMBER}"]',),
        )
    certificate = erase_it(box)
    assert sorted(one["kind"] for one in certificate.kept) == ["audit entry", "number list"]
    assert certificate.erased == {"entry of a customer's history": 1, "text of a customer": 1}


@pytest.mark.parametrize(("entry", "is_it"), [("+8613800138000", True), ("013800138000,110", True), ("139*", False)])
def test_an_entry_of_a_list_is_found_in_any_spelling(box: ArchiveBox, entry: str, is_it: bool) -> None:
    with write(box.crm) as connection:
        connection.execute(
            "INSERT INTO parameters VALUES ('channel', '3', 'always_record_numbers', ?, 0, '')", (json.dumps(entry),)
        )
    assert ("number list" in kinds(find(box))) == is_it


def test_what_was_held_or_added_since_it_was_found_stays(box: ArchiveBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked at again in the transaction that erases it."""
    held, grown = customer(box, "张三", NUMBER), customer(box, "李四", NUMBER)
    found = OfficeEraser.find

    def meanwhile(self: OfficeEraser, stores: Stores, subject: Any) -> list[Found]:
        result = found(self, stores, subject)
        monkeypatch.undo()
        hold(box, "customer", held)
        with write(box.crm) as connection:
            connection.execute(
                "INSERT INTO customer_phones VALUES (?, 9, '', ?, ?, 'phone')", (grown, OTHER, "+86" + OTHER)
            )
        return result

    with box.library() as library:
        subject = subject_of(box.crm, ASKED)
        monkeypatch.setattr(OfficeEraser, "find", meanwhile)
        left = OfficeEraser().erase(library, subject, "1000")
    assert [(one.kind, one.id, one.kept) for one in left] == [("customer", held, "hold hold-customer")]
    phones = {(str(row["customer_id"]), row["number"]) for row in box.crm.query("SELECT * FROM customer_phones")}
    assert phones == {(held, NUMBER), (grown, OTHER)}


STEPS = [(erasers, "write_whole"), (erasers, "_remove_files"), (erasers, "_forget_events"), (erase, "_certify")]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=lambda one: getattr(one, "__name__", one))
def test_interrupted_anywhere_it_is_finished_the_next_time(
    box: ArchiveBox, monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    for _ in range(2):
        box.recording()
        box.call(NUMBER)
    customer(box, "张三", NUMBER)

    def fail(*_: Any, **__: Any) -> None:
        raise StoreError("the power went")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(StoreError):
        erase_it(box)
    monkeypatch.undo()
    erase_it(box)
    assert traces(box) == []
    calls = box.calls.conn.execute("SELECT count(*) FROM calls WHERE manifest LIKE '%.tombstone.json'").fetchone()
    assert calls[0] == 4


def test_recordings_whose_files_are_gone_or_lost(box: ArchiveBox) -> None:
    missing, lost = box.recording(), box.recording()
    (box.home.recordings / missing["path"]).unlink()
    with write(box.calls) as connection:
        connection.execute("UPDATE recordings SET state = 'lost' WHERE id = ?", (lost["id"],))
    erase_it(box)
    assert traces(box) == []


def tombstones(box: ArchiveBox) -> list[Any]:
    found = [read_manifest(path) for path in box.home.recordings.rglob("*.tombstone.json")]
    return [one.manifest["of"] for one in found if one is not None]


def test_every_manifest_that_goes_leaves_a_tombstone(box: ArchiveBox) -> None:
    lost, damaged = box.recording(), box.call(NUMBER)
    (box.home.recordings / damaged["manifest"]).write_bytes(b"{")
    with write(box.calls) as connection:
        connection.execute("UPDATE recordings SET state = 'lost' WHERE id = ?", (lost["id"],))
    erase_it(box)
    assert traces(box) == []
    assert {lost["id"], damaged["id"]} <= set(tombstones(box))


def test_alarms_and_findings_forget_the_names_of_files(box: ArchiveBox) -> None:
    row = box.recording()
    raise_alarm(box.calls, "recording_missing", "recordings", {"count": 1, "examples": [row["path"]]})
    save_pass(box.calls, Pass(1, phase="done", findings=[Finding("missing", row["path"])]))
    assert traces(box)
    erase_it(box)
    assert traces(box) == []
    assert row["id"] in box.calls.conn.execute("SELECT data FROM alarms").fetchone()[0]
    now = load_pass(box.calls)
    assert now is not None
    assert row["id"] in now.findings[0].path


def test_a_call_that_was_kept_only_after_its_end_has_two_manifests(box: ArchiveBox) -> None:
    """Its own, from when it had no recording, is named by no row any more."""
    row = box.recording()
    (call,) = box.calls.query("SELECT * FROM calls WHERE id = ?", [row["call_id"]])
    own = box.home.recordings / f"{recording_name(call, call)}.json"
    own.parent.mkdir(parents=True, exist_ok=True)
    (box.home.recordings / call["manifest"]).rename(own)
    described_by = str(Path(row["path"]).with_suffix(".json"))
    with write(box.calls) as connection:
        connection.execute("UPDATE calls SET manifest = ? WHERE id = ?", (described_by, call["id"]))
    erase_it(box)
    assert traces(box) == []
    assert sorted(tombstones(box)) == sorted([row["id"], call["id"]])


def test_a_call_whose_older_removal_cannot_be_finished_is_not_called_erased(box: ArchiveBox) -> None:
    """The removal names the files: done afterwards, it would write the number down again."""
    row = box.recording()
    with box.library() as library:
        carried = removal._finish
        removal._finish = lambda *_: None  # type: ignore[assignment]
        delete_recordings(library, [row["id"]], "retention", "box", "")
        removal._finish = carried
    (written,) = (box.home.root / "removals").iterdir()
    tombstone = box.home.recordings / json.loads(written.read_bytes())[0]["tombstone_file"]
    tombstone.mkdir()  # it cannot be written
    with box.library() as library, suppress(StoreError):
        erase_number(library, ASKED, "1000", SALT)
    assert find(box), "it is still known, and can be erased later"
    tombstone.rmdir()
    erase_it(box)
    assert traces(box) == []


def test_nothing_is_erased_while_the_store_is_made_anew(box: ArchiveBox) -> None:
    """What the rebuild has not found yet would stay, and the certificate would not say so."""
    row = box.recording()
    save_pass(box.calls, Pass(1, rebuilding=True, phase="store"))
    with box.library() as library, pytest.raises(Refused, match="being rebuilt"):
        erase_number(library, ASKED, "1000", SALT)
    with pytest.raises(Refused, match="being rebuilt"):
        find(box)
    with pytest.raises(Refused, match="being rebuilt"):
        tap(box, ASKED, "--yes")
    with write(box.crm) as connection:
        ask_erasure(connection, ASKED, "1000", SALT)
    with box.library() as library:
        deletion_tasks.OrdersTask().run(library, lambda: False)
    (result,) = box.calls.query("SELECT ok, message FROM order_results")
    assert (result["ok"], "being rebuilt" in result["message"]) == (0, True)
    assert [one["data"] for one in box.crm.query("SELECT data FROM orders")] == ["{}"], "the order forgets the number"
    assert box.row(row["id"])["state"] == "ready"
    save_pass(box.calls, Pass(1, rebuilding=True, phase="done"))
    erase_it(box)
    assert traces(box) == []


def tap(box: ArchiveBox, *arguments: str, typed: str = "") -> str:
    result = CliRunner().invoke(tapdeck, ["--home", str(box.home.root), "erase-number", *arguments], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return str(result.output)


def test_the_command_shows_exports_asks_and_erases(box: ArchiveBox, tmp_path: Path) -> None:
    plain, secret = box.recording(), box.recording(encrypted=True)
    box.call(NUMBER, result="missed")
    customer(box, "张三", NUMBER)
    said = tap(box, ASKED, typed="n\n")
    assert "3 × call; 2 × recording; 1 × customer" in said
    assert box.row(plain["id"])["state"] == "ready"
    folder = tmp_path / "export"
    said = tap(box, ASKED, "--export", str(folder), "--yes", "--by", "1000")
    assert "erased 已删除: 3 × call" in said
    assert traces(box) == []
    exported = json.loads((folder / "found.json").read_bytes())
    assert len(exported) == 6
    assert {one["about"]["name"] for one in exported if one["kind"] == "customer"} == {"张三"}
    for row in (plain, secret):
        audio = folder / Path(row["path"]).name.removesuffix(".tde")
        assert soundfile.info(audio).frames == 8000
        assert audio.with_suffix(".json").exists()
    assert len(list(folder.glob("*.json"))) == 4
    (certificate,) = (box.home.evidence / "device" / "erasures").iterdir()
    assert str(certificate) in said
    salt = said.rstrip().rpartition(" ")[2]
    said_hash = json.loads(certificate.read_bytes())["manifest"]["number_sha256"]
    assert said_hash == number_sha256(salt, "+8613800138000")
    assert "Nothing to erase" in tap(box, ASKED)
    with pytest.raises(BadInput, match="not empty"):
        tap(box, ASKED, "--export", str(folder))


def test_a_damaged_recording_is_exported_as_far_as_it_goes(box: ArchiveBox, tmp_path: Path) -> None:
    row = box.recording(encrypted=True)
    path = box.home.recordings / row["path"]
    path.with_name(path.name.replace(".flac.tde", ".key.json")).unlink()
    tap(box, ASKED, "--export", str(tmp_path / "export"), typed="n\n")
    (note,) = (tmp_path / "export").glob("*.unreadable.txt")
    assert "key of this recording is gone" in note.read_text()


def test_while_a_keeper_runs_it_does_the_erasing(box: ArchiveBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(deletion_tasks.HANDLERS, "erase", erase_order)  # type: ignore[arg-type]
    box.recording()
    keeper = LibraryThread(box.home, [deletion_tasks.OrdersTask])
    keeper.start()
    try:
        while not (box.home.evidence / "device" / "library.log").exists():
            time.sleep(0.005)
        said = tap(box, ASKED, "--yes", "--by", "1000")
    finally:
        keeper.stop()
    assert "erased 已删除: 1 × call" in said
    (order,) = box.crm.query("SELECT * FROM orders")
    assert (order["asked_by"], order["data"]) == ("1000", "{}")
    assert traces(box) == []


def test_an_order_is_carried_out_once_and_a_bad_one_is_refused(
    box: ArchiveBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(deletion_tasks.HANDLERS, "erase", erase_order)  # type: ignore[arg-type]
    with write(box.crm) as connection:
        ask_erasure(connection, ASKED, "1000", SALT)
        ask_erasure(connection, "nobody", "1000", SALT)
        connection.execute("INSERT INTO orders (at_ms, asked_by, verb, data) VALUES (0, '1', 'erase', '{\"x\": 1}')")
    query = "SELECT ok, message FROM order_results ORDER BY order_id"
    with box.library() as library:
        deletion_tasks.OrdersTask().run(library, lambda: False)
        results = [tuple(row) for row in box.calls.conn.execute(query)]
        with write(box.calls) as connection:
            connection.execute("UPDATE order_marks SET last_id = 0")  # a crash before the order was settled
            connection.execute("DELETE FROM order_results")
        deletion_tasks.OrdersTask().run(library, lambda: False)
    assert [ok for ok, _ in results] == [1, 0, 0]
    assert "not a telephone number" in results[1][1]
    again = [tuple(row) for row in box.calls.conn.execute(query)]
    assert [(ok, "dealt with already" in message) for ok, message in again] == [(0, True), (0, True), (0, False)]
    assert [row["data"] for row in box.crm.query("SELECT data FROM orders")] == ["{}", "{}", '{"x": 1}']
    assert len(list((box.home.evidence / "device" / "erasures").iterdir())) == 1


def test_the_store_file_forgets_too(box: ArchiveBox) -> None:
    """SQLite only marks freed space: the number must not be readable from the bytes of the file."""
    for _ in range(40):
        box.recording()
    box.recording(OTHER)
    erase_it(box)
    box.calls.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in box.home.root.glob("calls.db*"):
        assert NUMBER.encode() not in path.read_bytes()
    assert OTHER.encode() in (box.home.root / "calls.db").read_bytes()


def test_killed_again_and_again_it_ends_with_nothing_left(box: ArchiveBox) -> None:
    """The command itself, killed in the middle of its work."""
    for number in range(20):
        box.recording(encrypted=bool(number % 2))
        box.call(NUMBER)
    kept = box.recording(OTHER)
    command = [sys.executable, "-m", "firmware", "--home", str(box.home.root), "erase-number", ASKED, "--yes"]
    deleted = "SELECT count(*) FROM recordings WHERE state = 'deleted'"
    for least in (1, 3, 8, 14):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as erasing:
            while box.calls.conn.execute(deleted).fetchone()[0] < least and erasing.poll() is None:
                time.sleep(0.005)
            erasing.kill()
    half = box.home.root / "removals" / f"{uuid7(now_ms())}.json.part"  # as a kill while it is written down leaves it
    half.write_text(f"[{NUMBER}")
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    assert traces(box) == []
    assert box.row(kept["id"])["state"] == "ready"
    for simulated in (False, True):
        EvidenceLog(box.home, "library", simulated).close()  # both logs are sound
    assert not list((box.home.evidence / "device").glob("*.set-aside"))
