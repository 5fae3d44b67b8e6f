"""The evidence tells how every call ended, also one that went on when its last recording was cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from cut_office import Office
from recorded_lines import rows

from firmware.config import Home
from recorder.library.evidence.log import read_manifest
from recorder.library.rebuilding.rebuild import rebuild
from recorder.library.verification.everything import Summary, verify_box

ENDED_MS = 1_800_000_090_000


@pytest.fixture
def office(home: Home) -> Office:
    """A call of which a segment was cut, and which was then discarded while it went on."""
    office = Office(home)
    office.order()
    office.write("UPDATE calls SET state = 'talking', ended_ms = NULL")
    office.cutter.work()
    office.write("UPDATE calls SET state = 'ended', ended_ms = ?, kept = 0, kept_reason = 'discarded'", ENDED_MS)
    assert office.cutter.work() == 1
    assert office.cutter.work() == 0
    return office


def found(home: Home) -> list[tuple[str, object]]:
    errors = (one for one in verify_box(home, Summary()) if one.severity == "error")
    return [(one.code, one.values.get("column")) for one in errors]


def test_its_end_is_in_a_manifest_of_its_own(office: Office) -> None:
    assert [entry.kind for entry in office.entries()] == ["recording", "call"]
    (call,) = rows(office.home, "SELECT manifest FROM calls")
    signed = read_manifest(office.home.recordings / call["manifest"])
    assert signed is not None
    assert signed.manifest["call"]["ended_ms"] == ENDED_MS
    assert found(office.home) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("ended_ms", ENDED_MS + 60_000), ("caller_number", "10086"), ("talk_ms", 7), ("result", "missed")],
)
def test_nobody_changes_it_undetected(office: Office, column: str, value: object) -> None:
    office.write(f"UPDATE calls SET {column} = ?", value)
    assert found(office.home) == [("row_differs", column)]


def test_nobody_removes_it_undetected(office: Office) -> None:
    (call,) = rows(office.home, "SELECT manifest FROM calls")
    Path(office.home.recordings / call["manifest"]).unlink()
    assert found(office.home)


def test_a_rebuilt_store_knows_it(office: Office) -> None:
    (before,) = rows(office.home, "SELECT * FROM calls")
    office.kill()
    rebuild(office.home, "test", lambda _: False)
    assert rows(office.home, "SELECT * FROM calls") == [before]
