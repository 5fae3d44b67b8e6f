"""Who was shown which call: they may open its card again, and are told when somebody takes it."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from firmware.store.connection import write

_HANDED_WITHIN_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A pop-up that was sent to somebody's client. ``at_ms``: Unix ms UTC."""

    call_id: str
    staff_no: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A call's pop-up at one operator. ``handed_by``: the colleague who passed it on, None when the rules showed it."""

    call_id: str
    staff_no: str
    shown_ms: int
    acknowledged_ms: int | None
    handed_by: str | None


def add_receipts(crm: sqlite_utils.Database, shown: Iterable[Shown]) -> None:
    """Note them, in the audit log too; what is known already stays as it is. Raises StoreError."""
    fresh: dict[str, list[str]] = defaultdict(list)
    with write(crm) as connection:
        for one in shown:
            done = connection.execute(
                "INSERT INTO popup_receipts (call_id, staff_no, shown_ms) VALUES (?,?,?) ON CONFLICT DO NOTHING",
                (one.call_id, one.staff_no, one.at_ms),
            )
            if done.rowcount:
                fresh[one.staff_no].append(one.call_id)
        for staff_no, calls in fresh.items():
            audit.note_read(connection, Actor(staff_no), "popup", calls)


def add_handed(connection: sqlite3.Connection, call_id: str, staff_no: str, by: str, at_ms: int) -> bool:
    """Note that a colleague was handed a pop-up; whether it is new to the colleague."""
    done = connection.execute(
        "INSERT INTO popup_receipts (call_id, staff_no, shown_ms, handed_by) VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
        (call_id, staff_no, at_ms, by),
    )
    return done.rowcount > 0


def acknowledge(connection: sqlite3.Connection, call_id: str, staff_no: str, at_ms: int) -> bool:
    """Note that somebody has seen the card; whether that is news."""
    done = connection.execute(
        "UPDATE popup_receipts SET acknowledged_ms = ? WHERE call_id = ? AND staff_no = ? AND acknowledged_ms IS NULL",
        (at_ms, call_id, staff_no),
    )
    return done.rowcount > 0


def receipts_of(crm: sqlite_utils.Database, call_id: str) -> dict[str, Receipt]:
    """Everybody who was shown a call, by staff number."""
    rows = crm.conn.execute(
        "SELECT call_id, staff_no, shown_ms, acknowledged_ms, handed_by FROM popup_receipts WHERE call_id = ?",
        (call_id,),
    )
    return {row["staff_no"]: Receipt(*row) for row in rows}


def handed_to(crm: sqlite_utils.Database, staff_no: str, at_ms: int) -> dict[str, str]:
    """The calls that were handed to somebody lately, and by whom."""
    rows = crm.conn.execute(
        "SELECT call_id, handed_by FROM popup_receipts WHERE staff_no = ? AND shown_ms >= ? AND handed_by IS NOT NULL",
        (staff_no, at_ms - _HANDED_WITHIN_MS),
    )
    return {row[0]: row[1] for row in rows}


def receipts_of_running(calls: sqlite_utils.Database, crm: sqlite_utils.Database, staff_no: str) -> dict[str, Receipt]:
    """Running calls that somebody was shown."""
    running = _running(calls)
    rows = crm.conn.execute(
        "SELECT call_id, staff_no, shown_ms, acknowledged_ms, handed_by FROM popup_receipts"
        f" WHERE call_id IN ({','.join('?' * len(running))}) AND staff_no = ?",
        (*running, staff_no),
    )
    return {row["call_id"]: Receipt(*row) for row in rows}


def handed_running(calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> list[tuple[str, str]]:
    """Running calls whose pop-up was handed on, each with the staff number of the one who has it now."""
    running = _running(calls)
    marks = ",".join("?" * len(running))
    found = crm.conn.execute(
        f"SELECT call_id, staff_no FROM popup_receipts WHERE call_id IN ({marks}) AND handed_by IS NOT NULL", running
    )
    return [(row[0], row[1]) for row in found]


def _running(calls: sqlite_utils.Database) -> list[str]:
    rows = calls.conn.execute("SELECT id FROM calls INDEXED BY calls_running WHERE state <> 'ended'")
    return [row[0] for row in rows]
