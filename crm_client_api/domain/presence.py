"""Who is logged in, and on which channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import sqlite_utils


@dataclass(frozen=True, slots=True)
class LogIn:
    """One session that stands. Times are Unix ms UTC."""

    address: str
    since_ms: int
    last_used_ms: int


def logged_in(crm: sqlite_utils.Database, at_ms: int, idle_logout_ms: int) -> dict[str, list[LogIn]]:
    """The sessions that stand, by staff number, oldest first."""
    rows = crm.conn.execute(
        "SELECT s.staff_no, s.address, s.created_ms, s.last_used_ms FROM sessions s"
        " JOIN operators o ON o.staff_no = s.staff_no AND o.deleted_ms IS NULL"
        " WHERE o.active = 1 AND s.last_used_ms >= ? ORDER BY s.created_ms, s.token_hash",
        (at_ms - idle_logout_ms,),
    )
    found: dict[str, list[LogIn]] = defaultdict(list)
    for staff_no, address, since_ms, last_used_ms in rows:
        found[staff_no].append(LogIn(address, since_ms, last_used_ms))
    return dict(found)


def logged_in_at(crm: sqlite_utils.Database, at_ms: int, idle_logout_ms: int) -> list[str]:
    """Whose sessions stood at a time, of the sessions that are written down still: for a time when nobody could log in
    or out, as the API was not there.
    """
    rows = crm.conn.execute(
        "SELECT DISTINCT staff_no FROM sessions WHERE created_ms <= ? AND last_used_ms >= ?",
        (at_ms, at_ms - idle_logout_ms),
    )
    return [row[0] for row in rows]


def sessions_ended(crm: sqlite_utils.Database, idle_logout_ms: int) -> dict[str, int]:
    """When each operator's last session ends by itself, also those of the past that are still written down."""
    rows = crm.conn.execute("SELECT staff_no, max(last_used_ms) FROM sessions GROUP BY staff_no")
    return {row[0]: row[1] + idle_logout_ms for row in rows}


def alone_on(crm: sqlite_utils.Database, present: Iterable[str]) -> dict[int, str]:
    """The channels that are associated with exactly one of those present, and who that is."""
    here: Mapping[str, None] = dict.fromkeys(present)
    rows = crm.conn.execute("SELECT staff_no, channels FROM operators WHERE deleted_ms IS NULL AND active = 1")
    found: dict[int, list[str]] = defaultdict(list)
    for staff_no, channels in rows:
        if staff_no in here:
            for channel in msgspec.json.decode(channels):
                found[channel].append(staff_no)
    return {channel: people[0] for channel, people in found.items() if len(people) == 1}
