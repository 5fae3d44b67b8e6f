"""A folder of recordings that the disk refuses: passed over, told, looked at again; and nothing held goes meanwhile."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from archived_office import START_MS, ArchivedOffice
from library_box import DAY_MS, NOW_MS, Box, open_box
from recorded_lines import rows

from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.library.keeping.library import open_library
from recorder.library.rebuilding import reconcile
from recorder.library.rebuilding.rebuild import rebuild, recover
from recorder.library.rebuilding.reconcile import ReconcileTask
from recorder.library.rebuilding.reconciliation import load_pass, past_is_missing
from recorder.library.storage import retention_task
from recorder.library.storage.deletion_tasks import MarkedTask, OrdersTask
from recorder.library.storage.judge import Judge
from recorder.library.storage.quota_task import QuotaTask
from recorder.library.storage.retention_task import RetentionTask


@pytest.fixture
def office(home: Home) -> ArchivedOffice:
    made = ArchivedOffice(home)
    made.day()
    return made


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> Iterator[None]:
    """The disk fails wherever these are read (EIO), as on a bad block."""

    def fails(function: Any) -> Any:
        def called(path: Any = ".", *more: Any, **named: Any) -> Any:
            if isinstance(path, str | os.PathLike):
                name = Path(path)
                inside = any(folder in name.parents for folder in folders)
                if inside or (function is scandir and name in folders):
                    raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return function(path, *more, **named)

        return called

    scandir = os.scandir
    with monkeypatch.context() as patched:
        for place, name in ((os, "scandir"), (os, "stat"), (os, "lstat"), (io, "open"), (os, "open"), (os, "unlink")):
            patched.setattr(place, name, fails(getattr(place, name)))
        yield


def alarms(home: Home, code: str = "folder_unreadable") -> dict[str, Any]:
    standing = rows(home, "SELECT subject, data FROM alarms WHERE code = ? AND cleared_ms IS NULL", code)
    return {row["subject"]: json.loads(row["data"]) for row in standing}


LEVELS = ["", "2027", "2027/01", "2027/01/15", "2027/01/15/CH001"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_rebuild_passes_over_it_and_reads_it_later(
    office: ArchivedOffice, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    before = [row["id"] for row in office.recordings()]
    other = [row["id"] for row in office.recordings() if "/CH001/" not in row["path"]]
    office.lose_the_store()
    with refusing(monkeypatch, office.home.recordings / level if level else office.home.recordings):
        assert recover(office.home, "damaged")
        assert [row["id"] for row in office.recordings()] == (other if level.endswith("CH001") else [])
        with open_library(office.home) as library:
            assert not past_is_missing(library.calls)
    assert alarms(office.home) == {level or "recordings": {"error": "Input/output error"}}
    with open_library(office.home) as library:
        ReconcileTask().run(library, lambda: False)
        assert [row["id"] for row in office.recordings()] == (other if level.endswith("CH001") else [])
        done = load_pass(library.calls)
        assert done is not None
        monkeypatch.setattr(reconcile, "now_ms", lambda: done.began_ms + reconcile.AGAIN_MS)
        ReconcileTask().run(library, lambda: False)
    assert [row["id"] for row in office.recordings()] == before
    assert alarms(office.home) == {}


@pytest.mark.parametrize("level", LEVELS)
def test_the_daily_pass_goes_on_and_calls_nothing_lost(
    office: ArchivedOffice, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    before = office.recordings()
    with refusing(monkeypatch, office.home.recordings / level), open_library(office.home) as library:
        ReconcileTask().run(library, lambda: False)
        done = load_pass(library.calls)
        assert done is not None
        assert done.phase == "done"
        assert not done.missing, "the store knows what is in it"
    assert office.recordings() == before
    assert list(alarms(office.home)) == [level or "recordings"]
    assert alarms(office.home, "recording_missing") == {}


def test_a_manifest_that_cannot_be_read_hides_only_its_own_recording(
    office: ArchivedOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {row["id"] for row in office.recordings()}
    manifest = office.audio("long-0").with_suffix(".json")
    office.lose_the_store()
    open_file = io.open

    def fails(path: Any, *more: Any, **named: Any) -> Any:
        if path == manifest:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return open_file(path, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(io, "open", fails)
        rebuild(office.home, "asked for", lambda _: False)
    assert {row["id"] for row in office.recordings()} == before - {"rec-long-0"}
    assert list(alarms(office.home)) == [manifest.parent.relative_to(office.home.recordings).as_posix()]
    with open_library(office.home) as library:
        found = load_pass(library.calls)
        assert found is not None
        assert list(found.missing) == ["2027/01/15/CH001"]


def test_what_a_hold_may_mean_stays_while_it_is_not_known(
    office: ArchivedOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording around the clock holds calls whose manifests lie in a folder of another day."""
    crm = open_store(office.home.crm_db)
    set_value(crm, "system", "retention_days", 30)
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO holds (id, kind, subject, reason, set_by, set_ms) VALUES ('h', 'call', 'x', '', '', 1)"
        )
    crm.conn.close()
    office.lose_the_store()
    hidden = office.home.recordings / "2027/01/14/CH001"
    hidden.mkdir(parents=True)
    with refusing(monkeypatch, hidden):
        rebuild(office.home, "asked for", lambda _: False)
    with open_library(office.home) as library:
        judge = Judge(library.calls, library.crm)
        assert {one.protection for one in judge.all() if one.recording.channel == 1} == {"unread"}
        assert {one.protection for one in judge.all() if one.recording.channel == 2} == {None}
        monkeypatch.setattr(retention_task, "aged_now_ms", lambda _: START_MS + 400 * DAY_MS)
        RetentionTask().run(library, lambda: False)
        assert {row["state"] for row in office.recordings() if row["channel"] == 1} == {"ready"}
        assert {row["state"] for row in office.recordings() if row["channel"] == 2} == {"deleted"}


@pytest.fixture
def box(home: Home) -> Iterator[Box]:
    with open_box(home) as opened:
        yield opened


def test_rules_and_orders_go_on_beside_it(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever cannot be looked at stays, and holds up nobody."""
    hidden = [box.recording(age_days=20), box.recording(age_days=20, deleted_rule="never_list")]
    seen = [box.recording(age_days=11), box.recording(age_days=9), box.recording(age_days=8, deleted_rule="never_list")]
    for one in hidden:
        for file in box.home.recordings.rglob(f"*{one}.*"):
            place = box.home.recordings / "2026/12/31/CH001" / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            file.rename(place)
        box.in_calls("UPDATE recordings SET path = replace(path, '2027/01/15', '2026/12/31') WHERE id = ?", one)
    monkeypatch.setattr(retention_task, "aged_now_ms", lambda _: NOW_MS)
    box.set("retention_days", 10)
    with refusing(monkeypatch, box.home.recordings / "2026/12/31"):
        RetentionTask().run(box.library, lambda: False)
        QuotaTask().run(box.library, lambda: False)
        MarkedTask().run(box.library, lambda: False)
        for one in (hidden[0], seen[1]):
            box.in_crm("INSERT INTO orders (at_ms, asked_by, verb, recording_id) VALUES (1, '1001', 'delete', ?)", one)
        OrdersTask().run(box.library, lambda: False)
    assert box.ready() == hidden
    results = box.rows("SELECT ok, message FROM order_results ORDER BY order_id")
    assert [row["ok"] for row in results] == [0, 1]
    assert "cannot be read" in results[0]["message"]
    MarkedTask().run(box.library, lambda: False)
    assert box.ready() == hidden[:1]
