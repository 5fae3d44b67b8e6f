"""Holds (保全): what they protect, as one pure function, and the holds that stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from recorder.library.keeping.office import Office
from recorder.library.storage.stock import StoredRecording

HoldKind = Literal["call", "number", "customer", "period"]
OFFICE_KINDS = frozenset({"number", "customer"})
"""Kinds that need the office: it knows which numbers are one, and whose they are."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that nobody released; one whose release was only asked for protects as before.

    ``call``: recordings in which the call ``subject`` can be heard. ``number``, ``customer``: those in which a call
    with one of ``numbers`` can be heard. ``period``: those that touch ``from_ms`` to ``to_ms`` (None: no such bound),
    on ``channel`` or on all.
    """

    id: str
    kind: HoldKind
    subject: str | None = None
    numbers: frozenset[str] = frozenset()
    from_ms: int | None = None
    to_ms: int | None = None
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What can be heard in a recording: its call, or all calls that ran meanwhile on the channel, and their numbers."""

    calls: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()


def holding(recording: StoredRecording, heard: Heard, holds: Iterable[Hold]) -> Hold | None:
    """The first hold that protects the recording, None when none does."""
    return next((hold for hold in holds if _protects(hold, recording, heard)), None)


def _protects(hold: Hold, recording: StoredRecording, heard: Heard) -> bool:
    if hold.kind == "call":
        return hold.subject in heard.calls
    if hold.kind in OFFICE_KINDS:
        return not hold.numbers.isdisjoint(heard.numbers)
    return (
        (hold.from_ms is None or recording.ended_ms >= hold.from_ms)
        and (hold.to_ms is None or recording.started_ms <= hold.to_ms)
        and (hold.channel is None or recording.channel == hold.channel)
    )


def read_holds(crm: sqlite_utils.Database, office: Office | None) -> Sequence[Hold]:
    """The holds that stand, oldest first. ``office`` may be None when ``needs_office`` says so."""
    found = []
    for row in crm.conn.execute("SELECT * FROM holds WHERE released_ms IS NULL ORDER BY set_ms, id"):
        numbers: frozenset[str] = frozenset()
        if row["kind"] in OFFICE_KINDS:
            assert office is not None
            numbers = office.held_numbers(row["id"], row["kind"], row["subject"])
        found.append(
            Hold(row["id"], row["kind"], row["subject"], numbers, row["from_ms"], row["to_ms"], row["channel"])
        )
    return tuple(found)


def needs_office(crm: sqlite_utils.Database) -> bool:
    """Whether a standing hold names numbers or customers."""
    query = "SELECT 1 FROM holds WHERE released_ms IS NULL AND kind IN ('number', 'customer')"
    return crm.conn.execute(query).fetchone() is not None
