"""Deleting: one way, with a tombstone, refused where something protects, and finished after any crash."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from library_box import DAY_MS, NOW_MS, Box, never, open_box

from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store, write
from recorder.library.audio.vault import encrypt_recording, key_path
from recorder.library.evidence.log import SignedManifest, canonical, read_entries, read_manifest
from recorder.library.keeping.task import Library
from recorder.library.rebuilding.reconciliation import Pass, save_pass
from recorder.library.storage import deletion_tasks, removal
from recorder.library.storage.deletion import delete_recordings
from recorder.library.storage.deletion_tasks import FinishTask, MarkedTask, OrdersTask
from recorder.library.storage.removal import finish_removals
from recorder.library.verification.everything import Summary, verify_box
from recorder.orders import add_order


@pytest.fixture
def box(home: Home) -> Iterator[Box]:
    with open_box(home) as made:
        yield made


def events(box: Box) -> list[dict[str, Any]]:
    return box.rows("SELECT * FROM events ORDER BY id")


def check_deleted(box: Box, recording_id: str, call_id: str | None = "c") -> None:
    """Everything that a deletion leaves, once."""
    row = box.row(recording_id)
    assert (row["state"], row["deleted_rule"], row["deleted_by"]) == ("deleted", "order", "8001")
    assert box.endings(recording_id) == ["json", "tombstone.json"]
    stone = box.tombstone(recording_id)
    (file,) = box.home.recordings.rglob(f"*{recording_id}.json")
    manifest = read_manifest(file)
    assert manifest is not None
    assert stone["of"] == recording_id
    assert stone["of_commitments"] == [manifest.commitment()]
    assert (stone["what"], stone["rule"], stone["by"], stone["reason"]) == ("audio", "order", "8001", "wrong line")
    assert stone["kind"] == "tombstone"
    (event,) = events(box)
    assert (event["kind"], event["channel"], event["call_id"]) == ("recording_deleted", 1, call_id)
    assert msgspec.json.decode(event["data"])["state"] == "deleted"
    entries = [entry for entry, _ in read_entries(box.library.device_log.path) if entry.kind == "tombstone"]
    assert [entry.manifest_id for entry in entries] == [stone["id"]]
    assert list((box.home.root / "removals").iterdir()) == []


def delete(library: Library, *ids: str, rule: str = "order", **more: Any) -> Any:
    return delete_recordings(library, ids, rule, "8001", "wrong line", **more)


def test_a_deletion_leaves_a_tombstone_and_the_call_record(box: Box) -> None:
    recording = box.recording(box.call("c"))
    assert delete(box.library, recording).deleted == (recording,)
    check_deleted(box, recording)
    assert delete(box.library, recording, "none").refused == {recording: "absent", "none": "absent"}
    check_deleted(box, recording)


class Killed(BaseException):
    """What kill -9 is to the process."""


STEPS = ["write_whole", "_move_files", "_change_rows", "_remove_files", "_tell"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_is_finished_at_the_next_start(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    with open_box(home) as box:
        recording = box.recording(box.call("c"))
        done = getattr(removal, step)

        def kill(*arguments: Any) -> None:
            if after:
                done(*arguments)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(removal, step, kill)
            with pytest.raises(Killed):
                delete(box.library, recording)
    with open_box(home) as box:
        FinishTask().run(box.library, never)
        if step == "write_whole" and not after:
            assert box.row(recording)["state"] == "ready"
            assert box.endings(recording) == ["flac", "json", "peaks"]
            delete(box.library, recording)
        check_deleted(box, recording)
        assert finish_removals(box.library) == 0


def test_killed_between_log_and_row(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_box(home) as box:
        recording = box.recording(box.call("c"))
        enter = box.library.device_log.enter_many

        def kill(entries: Any) -> None:
            enter(entries)
            raise Killed

        monkeypatch.setattr(box.library.device_log, "enter_many", kill)
        with pytest.raises(Killed):
            delete(box.library, recording)
    with open_box(home) as box:
        FinishTask().run(box.library, never)
        check_deleted(box, recording)


def test_a_full_disk_leaves_all_or_nothing(box: Box) -> None:
    recording = box.recording(box.call("c"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(StoreError):
            delete(box.library, recording)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert box.row(recording)["state"] == "ready"
    assert box.endings(recording) == ["flac", "json", "peaks"]
    delete(box.library, recording)
    check_deleted(box, recording)


def test_a_locked_store_is_waited_for(box: Box) -> None:
    recording = box.recording(box.call("c"))
    box.library.calls.conn.execute("PRAGMA busy_timeout = 10")
    other = open_store(box.home.calls_db)
    with write(other), pytest.raises(StoreError, match="locked"):
        delete(box.library, recording)
    other.conn.close()
    assert box.row(recording)["state"] == "ready"
    FinishTask().run(box.library, never)
    check_deleted(box, recording)


def test_with_the_manifest_nothing_names_the_number(box: Box) -> None:
    recording = box.recording(box.call("c"))
    delete(box.library, recording)
    first = box.tombstone(recording)
    assert delete(box.library, recording, rule="erasure", remove_manifest=True).deleted == (recording,)
    (left,) = [file for file in box.home.recordings.rglob("*") if file.is_file()]
    assert left.name == f"{recording}.tombstone.json"
    stone = box.tombstone(recording)
    assert (stone["what"], stone["rule"], stone["of"]) == ("audio and manifest", "erasure", recording)
    assert b"13800138000" not in left.read_bytes()
    entered = {entry.manifest_id: entry.commitment for entry, _ in read_entries(box.library.device_log.path)}
    assert first["of_commitments"][0] in stone["of_commitments"]
    assert entered[first["id"]] in stone["of_commitments"], "the tombstone that it takes with it is accounted for"


def test_the_key_of_an_encrypted_recording_is_destroyed(box: Box) -> None:
    recording = box.recording(box.call("c"))
    plain = box.home.recordings / box.row(recording)["path"]
    encrypted = encrypt_recording(box.home, recording, plain.read_bytes())
    audio = plain.with_name(f"{plain.name}.tde")
    audio.write_bytes(encrypted.content)
    key_path(audio).write_bytes(encrypted.key_file)
    plain.unlink()
    box.in_calls(
        "UPDATE recordings SET path = path || '.tde', encrypted = 1, sha256 = ? WHERE id = ?",
        hashlib.sha256(encrypted.content).hexdigest(), recording,
    )  # fmt: skip
    assert box.endings(recording) == ["flac.tde", "json", "key.json", "peaks"]
    delete(box.library, recording)
    check_deleted(box, recording)


def test_practice_has_its_own_log(box: Box) -> None:
    recording = box.recording(box.call("c"), simulated=1)
    delete(box.library, recording)
    assert box.tombstone(recording)["simulated"] is True
    assert [entry.kind for entry, _ in read_entries(box.library.device_log.path)] == ["log_begun"]


def test_a_missing_manifest_or_file_hinders_nothing(box: Box) -> None:
    recording = box.recording(box.call("c"))
    for file in box.home.recordings.rglob(f"*{recording}.*"):
        file.unlink()
    assert delete(box.library, recording).deleted == (recording,)
    stone = box.tombstone(recording)
    assert (stone["of"], stone["of_commitments"]) == (recording, [])


@pytest.mark.parametrize(
    ("states", "rule", "goes"),
    [
        ({}, "quota", False),
        ({"near": "verified"}, "quota", False),
        ({"near": "verified", "far": "failed"}, "retention", False),
        ({"near": "verified", "far": "waiting"}, "order", False),
        ({"near": "verified", "far": "verified"}, "order", True),
        ({"near": "verified", "far": "verified", "extra": "failed"}, "quota", True),
        ({}, "never_list", True),
        ({}, "erasure", True),
    ],
)
def test_what_a_required_archive_lacks_is_not_deleted(box: Box, states: dict[str, str], rule: str, goes: bool) -> None:
    box.archive("near")
    box.archive("far")
    box.archive("extra", required=False)
    recording = box.recording(box.call("c"))
    for target, state in states.items():
        box.archived(recording, target, state)
    outcome = delete(box.library, recording, rule=rule)
    assert outcome.deleted == ((recording,) if goes else ())
    assert outcome.refused == ({} if goes else {recording: "unarchived"})


def order(box: Box, **about: Any) -> int:
    with write(box._crm) as connection:
        return add_order(connection, at_ms=1, asked_by="8001", verb="delete", reason="wrong line", **about)


def results(box: Box) -> list[tuple[int, int, str]]:
    rows = box.rows("SELECT * FROM order_results ORDER BY order_id")
    return [(row["order_id"], row["ok"], row["message"]) for row in rows]


def test_orders_are_carried_out_once(box: Box) -> None:
    recording = box.recording(box.call("c"))
    first = order(box, recording_id=recording)
    for _ in range(2):
        OrdersTask().run(box.library, never)
        check_deleted(box, recording)
        assert results(box) == [(first, 1, "1 deleted")]


def test_an_order_that_a_crash_interrupted_is_carried_out_again(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = box.recording(box.call("c"))
    placed = order(box, call_id="c")
    with monkeypatch.context() as patched:
        patched.setattr(
            "recorder.library.storage.deletion_tasks.settle_order", lambda *a, **b: (_ for _ in ()).throw(Killed())
        )
        with pytest.raises(Killed):
            OrdersTask().run(box.library, never)
    OrdersTask().run(box.library, never)
    check_deleted(box, recording)
    assert results(box) == [(placed, 1, "1 deleted")]


def test_orders_that_cannot_be_carried_out_say_why_and_hold_up_nothing(box: Box) -> None:
    held = box.recording(box.call("held"))
    box.hold("call", "held")
    box.recording(box.call("two"))
    box.in_calls("UPDATE recordings SET state = 'pending' WHERE call_id = 'two'")
    box.recording(box.call("gone"))
    box.in_calls("UPDATE recordings SET state = 'lost' WHERE call_id = 'gone'")
    order(box, recording_id=held)
    order(box, call_id="two")
    order(box, call_id="gone")
    order(box, recording_id="none")
    order(box)
    with write(box._crm) as connection:
        add_order(connection, at_ms=1, asked_by="1", verb="sing")  # type: ignore[arg-type]
    last = box.recording(box.call("c"))
    order(box, call_id="c")
    OrdersTask().run(box.library, never)
    assert [(ok, message) for _, ok, message in results(box)] == [
        (0, "1 not deleted: a hold protects it"),
        (0, "the recording is not finished yet"),
        (0, "1 not deleted: it has no audio"),
        (0, "there is no such recording"),
        (0, "the order names neither recording nor call"),
        (0, "the library knows no order 'sing'"),
        (1, "1 deleted"),
    ]
    check_deleted(box, last)
    assert box.row(held)["state"] == "ready"


def test_orders_to_recorders_are_left_alone(box: Box) -> None:
    order(box, channel=1, call_id="c")
    OrdersTask().run(box.library, never)
    assert results(box) == []


def test_what_the_recorder_marked_goes_and_a_held_one_waits(box: Box) -> None:
    old = box.recording(box.call("old"), age_days=900, deleted_rule="never_list")
    held = box.recording(box.call("held"), age_days=800, deleted_rule="never_list")
    hold = box.hold("call", "held")
    task = MarkedTask()
    task.run(box.library, never)
    assert (box.row(old)["state"], box.row(held)["state"]) == ("deleted", "ready")
    assert box.tombstone(old)["rule"] == "never_list"
    assert box.tombstone(old)["by"] == "box"
    box.in_crm("UPDATE holds SET released_ms = 1 WHERE id = ?", hold)
    task.run(box.library, never)
    assert box.row(held)["state"] == "deleted"
    fresh = box.recording(box.call("new"), deleted_rule="never_list")
    task.run(box.library, never)
    assert box.row(fresh)["state"] == "deleted"


def test_tombstone_files_are_canonical(box: Box) -> None:
    recording = box.recording(box.call("c"))
    delete(box.library, recording)
    (file,) = box.home.recordings.rglob("*.tombstone.json")
    signed = msgspec.json.decode(file.read_bytes(), type=SignedManifest)
    assert file.read_bytes() == canonical(signed) + b"\n"


def interrupted(home: Home, monkeypatch: pytest.MonkeyPatch, step: str = "_change_rows") -> str:
    """A recording whose deletion was written down before a kill."""
    with open_box(home) as box, monkeypatch.context() as patched:
        recording = box.recording(box.call("c"))
        patched.setattr(removal, step, lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            delete(box.library, recording)
    return recording


def test_a_hold_that_was_set_after_the_kill_protects(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = interrupted(home, monkeypatch)
    with open_box(home) as box:
        box.hold("call", "c")
        FinishTask().run(box.library, never)
        assert box.row(recording)["state"] == "ready"
        assert box.endings(recording) == ["flac", "json", "peaks", "tombstone.json"]
        assert box.tombstone(recording)["what"] == "tombstone"
        assert finish_removals(box.library) == 0


@pytest.mark.parametrize("rule", ["order", "never_list"])
def test_a_hold_protects_what_is_still_there_although_the_row_is_changed(
    home: Home, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """Killed between the row and the files; a mark of the recorder stays one."""
    with open_box(home) as box, monkeypatch.context() as patched:
        recording = box.recording(box.call("c"))
        patched.setattr(removal, "_remove_files", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            delete(box.library, recording, rule=rule)
    with open_box(home) as box:
        before = box.row(recording)
        assert before["state"] == "deleted"
        hold = box.hold("call", "c")
        FinishTask().run(box.library, never)
        row = box.row(recording)
        mark = (rule, "8001") if rule == "never_list" else (None, None)
        assert (row["state"], row["deleted_ms"], row["deleted_rule"], row["deleted_by"]) == ("ready", None, *mark)
        assert box.endings(recording) == ["flac", "json", "peaks", "tombstone.json"]
        assert (box.tombstone(recording)["what"], box.tombstone(recording)["rule"]) == ("tombstone", "hold")
        assert events(box) == []
        assert finish_removals(box.library) == 0
        assert "manifest_missing" not in [one.code for one in verify_box(home, Summary())]
        box.in_crm("UPDATE holds SET released_ms = 1 WHERE id = ?", hold)
        MarkedTask().run(box.library, never)
        assert box.row(recording)["state"] == ("deleted" if rule == "never_list" else "ready")
        assert delete(box.library, recording, remove_manifest=True).refused == {}
        assert "manifest_missing" not in [one.code for one in verify_box(home, Summary())]


def test_a_hold_that_came_when_the_audio_was_gone_lets_the_deletion_end(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_box(home) as box, monkeypatch.context() as patched:
        recording = box.recording(box.call("c"))
        patched.setattr(removal, "_tell", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            delete(box.library, recording)
    with open_box(home) as box:
        box.hold("call", "c")
        FinishTask().run(box.library, never)
        check_deleted(box, recording)


def test_what_was_discarded_waits_for_no_archive(box: Box) -> None:
    """A marked recording is never archived."""
    box.archive("a")
    recording = box.recording(box.call("c"), deleted_rule="discarded", deleted_by="1001")
    MarkedTask().run(box.library, never)
    assert box.row(recording)["state"] == "deleted"
    assert box.tombstone(recording)["rule"] == "discarded"


def test_marked_recordings_are_found_by_an_index(box: Box) -> None:
    plan = box.rows(f"EXPLAIN QUERY PLAN {deletion_tasks.MARKED}")
    assert [row["detail"] for row in plan] == ["SCAN recordings USING INDEX recordings_marked"]


def test_what_cannot_be_finished_holds_up_nothing_else(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = interrupted(home, monkeypatch)
    broken = home.root / "removals" / "00000000.json"
    broken.write_bytes(b"torn")
    with open_box(home) as box:
        with pytest.raises(StoreError, match="00000000"):
            FinishTask().run(box.library, never)
        check_deleted_but(box, recording, broken.name)
        other = box.recording(box.call("d"), name="other")
        assert delete(box.library, other).deleted == (other,)


def check_deleted_but(box: Box, recording: str, left: str) -> None:
    assert box.row(recording)["state"] == "deleted"
    assert [file.name for file in (box.home.root / "removals").iterdir()] == [left]


def test_what_was_begun_is_finished_before_it_is_deleted_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = interrupted(home, monkeypatch)
    with open_box(home) as box:
        delete(box.library, recording)
        check_deleted(box, recording)


def test_a_mark_is_seen_although_the_clock_was_in_another_year(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    task = MarkedTask()
    with monkeypatch.context() as patched:
        patched.setattr(deletion_tasks, "now_ms", lambda: NOW_MS + 400 * DAY_MS)
        task.run(box.library, never)
    monkeypatch.setattr(deletion_tasks, "now_ms", lambda: NOW_MS)
    marked = box.recording(box.call("c"), deleted_rule="never_list")
    task.run(box.library, never)
    assert box.row(marked)["state"] == "deleted"
    old = box.recording(box.call("d"), age_days=30, deleted_rule="never_list")
    MarkedTask().run(box.library, never)
    assert box.row(old)["state"] == "deleted"


def test_while_a_rebuild_reads_back_the_past_orders_wait(box: Box) -> None:
    recording = box.recording(box.call("c"))
    placed = order(box, recording_id=recording)
    save_pass(box.library.calls, Pass(1, rebuilding=True))
    OrdersTask().run(box.library, never)
    assert results(box) == []
    save_pass(box.library.calls, Pass(1, rebuilding=True, phase="store"))
    OrdersTask().run(box.library, never)
    assert results(box) == [(placed, 1, "1 deleted")]
