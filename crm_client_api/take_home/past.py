"""What was taken home before, by stick, person and choice; on the box, for what stands on a stick is not trusted."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass, replace

import msgspec
import sqlite_utils

from crm_client_api.domain.calls import CallFilter
from crm_client_api.domain.sealed_numbers import sealed, sealed_numbers
from firmware.clock import now_ms


@dataclass(frozen=True, slots=True)
class Past:
    """The last one that was finished. ``until_ms``: all chosen calls that began before, without ``left_out``.

    ``bytes_a_s``: how fast that stick took it, check included.
    """

    until_ms: int
    left_out: tuple[str, ...]
    bytes_a_s: int


def known_rate(crm: sqlite_utils.Database, medium: str) -> int:
    """How many bytes a second this stick took last; 0: that is not known."""
    row = crm.conn.execute(
        "SELECT bytes_a_s FROM take_homes WHERE medium = ? AND bytes_a_s > 0 ORDER BY at_ms DESC LIMIT 1", (medium,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def read_past(crm: sqlite_utils.Database, medium: str, staff_no: str, chosen: CallFilter) -> Past | None:
    """What this person last took home of this choice on this stick; None: nothing yet."""
    row = _row_of(crm.conn, medium, staff_no, chosen)
    if row is None:
        return None
    return Past(row["until_ms"], msgspec.json.decode(row["left_out"], type=tuple[str, ...]), row["bytes_a_s"])


def note_past(connection: sqlite3.Connection, medium: str, staff_no: str, chosen: CallFilter, past: Past) -> None:
    """Remember it, inside the caller's transaction; one that reached less far changes nothing but the speed."""
    left_out = msgspec.json.encode(past.left_out).decode()
    row = _row_of(connection, medium, staff_no, chosen)
    if row is not None:
        connection.execute(
            "UPDATE take_homes SET bytes_a_s = ?1, at_ms = ?2, left_out = CASE WHEN ?3 >= until_ms THEN ?4 ELSE"
            " left_out END, until_ms = max(until_ms, ?3) WHERE rowid = ?5",
            (past.bytes_a_s, now_ms(), past.until_ms, left_out, row["rowid"]),
        )
        return
    salt = secrets.token_hex(16)
    numbers = sealed_numbers(salt, (*filter(None, (chosen.number,)), *(chosen.numbers or ())))
    connection.execute(
        "INSERT INTO take_homes (medium, staff_no, salt, choice, numbers, until_ms, left_out, bytes_a_s, at_ms)"
        " VALUES (?,?,?,?,?,?,?,?,?)",
        (
            medium, staff_no, salt, sealed(salt, _plain(chosen)), msgspec.json.encode(numbers).decode(),
            past.until_ms, left_out, past.bytes_a_s, now_ms(),
        ),
    )  # fmt: skip


def _row_of(connection: sqlite3.Connection, medium: str, staff_no: str, chosen: CallFilter) -> sqlite3.Row | None:
    plain = _plain(chosen)
    rows = connection.execute(
        "SELECT rowid, * FROM take_homes WHERE medium = ? AND staff_no = ? ORDER BY at_ms DESC", (medium, staff_no)
    ).fetchall()
    return next((row for row in rows if row["choice"] == sealed(row["salt"], plain)), None)


def _plain(chosen: CallFilter) -> str:
    """The same for the same choice, whatever its times: since the last of channel 1 is not since the last of all."""
    settled = replace(chosen, from_ms=None, to_ms=None, before=None, limit=0)
    return msgspec.json.encode(settled).decode()
