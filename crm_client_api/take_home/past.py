"""What was taken home before, by stick, person and choice; on the box, for what stands on a stick is not trusted."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, replace

import msgspec
import sqlite_utils

from crm_client_api.domain.calls import CallFilter
from firmware.clock import now_ms


@dataclass(frozen=True, slots=True)
class Past:
    """The last one that was finished. ``until_ms``: all chosen calls that began before, without ``left_out``.

    ``bytes_a_s``: how fast that stick took it, check included.
    """

    until_ms: int
    left_out: tuple[str, ...]
    bytes_a_s: int


def choice_key(chosen: CallFilter) -> str:
    """The same for the same choice, whatever its times: since the last of channel 1 is not since the last of all."""
    plain = replace(chosen, from_ms=None, to_ms=None, before=None, limit=0)
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()


def known_rate(crm: sqlite_utils.Database, medium: str) -> int:
    """How many bytes a second this stick took last; 0: that is not known."""
    row = crm.conn.execute(
        "SELECT bytes_a_s FROM take_homes WHERE medium = ? AND bytes_a_s > 0 ORDER BY at_ms DESC LIMIT 1", (medium,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def read_past(crm: sqlite_utils.Database, medium: str, staff_no: str, chosen: CallFilter) -> Past | None:
    """What this person last took home of this choice on this stick; None: nothing yet."""
    row = crm.conn.execute(
        "SELECT until_ms, left_out, bytes_a_s FROM take_homes WHERE medium = ? AND staff_no = ? AND choice = ?",
        (medium, staff_no, choice_key(chosen)),
    ).fetchone()
    return None if row is None else Past(row[0], msgspec.json.decode(row[1], type=tuple[str, ...]), row[2])


def note_past(connection: sqlite3.Connection, medium: str, staff_no: str, chosen: CallFilter, past: Past) -> None:
    """Remember it, inside the caller's transaction; one that reached less far changes nothing but the speed."""
    connection.execute(
        "INSERT INTO take_homes (medium, staff_no, choice, until_ms, left_out, bytes_a_s, at_ms)"
        " VALUES (?,?,?,?,?,?,?) ON CONFLICT (medium, staff_no, choice) DO UPDATE SET"
        " bytes_a_s = excluded.bytes_a_s, at_ms = excluded.at_ms,"
        " left_out = CASE WHEN excluded.until_ms >= until_ms THEN excluded.left_out ELSE left_out END,"
        " until_ms = max(until_ms, excluded.until_ms)",
        (
            medium, staff_no, choice_key(chosen), past.until_ms, msgspec.json.encode(past.left_out).decode(),
            past.bytes_a_s, now_ms(),
        ),
    )  # fmt: skip
