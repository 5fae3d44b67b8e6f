"""The brake on guessing passwords: for a staff number, and for an address.

Failures from a desk (an address where this person has logged in lately, or the box itself) are counted apart from
those from anywhere else: who guesses from elsewhere makes others wait there, never at the desk. The box's own
address is never made to wait for what other people typed there.
"""

from __future__ import annotations

import ipaddress
import sqlite3
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.addresses import parse_address
from firmware.errors import BoxError
from firmware.parameters import get_value
from firmware.store.connection import write

FREE_FAILURES = 5
FREE_FAILURES_OF_AN_ADDRESS = 30
LONGEST_WAIT_MS = 300_000
_FORGET_FAILURES_MS = 3_600_000
_DESK_LASTS_MS = 30 * 86_400_000


class TooManyFailures(BoxError):
    """Too many wrong passwords: wait. ``wait_ms`` is how long."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"too many wrong passwords: wait {-(-wait_ms // 1000)} s")
        self.wait_ms = wait_ms


@dataclass(frozen=True, slots=True)
class _Counter:
    """One row of failures in a row. ``free``: how many nobody waits for."""

    kind: str
    key: str
    free: int


def wait_after(failures: int, free: int = FREE_FAILURES, longest_ms: int = LONGEST_WAIT_MS) -> int:
    """How long to wait after so many failures in a row, in ms."""
    return 0 if failures < free else min(1000 << min(failures - free, 20), longest_ms)


def count_try(
    crm: sqlite_utils.Database, staff_no: str, at_ms: int, address: str = "", *, inside: bool = False
) -> None:
    """Count a try as a failure until ``forget_failures``. Raises TooManyFailures while one has to wait.

    ``inside``: somebody who is logged in gives the password once more; who guesses there keeps nobody from logging in.
    """
    longest_ms = _number(crm, "login_longest_wait_s") * 1000
    with write(crm) as connection:
        connection.execute("DELETE FROM login_failures WHERE last_ms < ?", (at_ms - _FORGET_FAILURES_MS,))
        counters = _inside(crm, staff_no) if inside else _counters(crm, staff_no[:64], address, at_ms)
        for one in counters:
            row = connection.execute(
                "SELECT failures, last_ms FROM login_failures WHERE kind = ? AND key = ?", (one.kind, one.key)
            ).fetchone()
            if row is not None:
                # A clock that was set back must not make anybody wait for it to catch up.
                wait_ms = min(row["last_ms"], at_ms) + wait_after(row["failures"], one.free, longest_ms) - at_ms
                if wait_ms > 0:
                    raise TooManyFailures(wait_ms)
        connection.executemany(
            "INSERT INTO login_failures VALUES (?, ?, 1, ?) ON CONFLICT (kind, key)"
            " DO UPDATE SET failures = failures + 1, last_ms = excluded.last_ms",
            [(one.kind, one.key, at_ms) for one in counters],
        )


def forget_failures(connection: sqlite3.Connection, staff_no: str) -> None:
    """The password was right, or was reset. What is counted for addresses stays: it runs out within the hour."""
    connection.execute("DELETE FROM login_failures WHERE kind IN ('staff_no', 'inside') AND key = ?", (staff_no,))
    connection.execute("DELETE FROM login_failures WHERE kind = 'desk' AND key GLOB ?", (f"{_plain(staff_no)} *",))


def forgive_address(connection: sqlite3.Connection, staff_no: str, address: str, at_ms: int) -> None:
    """Somebody logged in from here: this is a desk of theirs now, and their own try is no guess of this address."""
    network = _network(address)
    connection.execute(
        "INSERT INTO login_desks VALUES (?, ?, ?) ON CONFLICT (staff_no, address) DO UPDATE SET last_ms = ?",
        (staff_no, network, at_ms, at_ms),
    )
    connection.execute("DELETE FROM login_desks WHERE last_ms < ?", (at_ms - _DESK_LASTS_MS,))
    connection.execute(
        "UPDATE login_failures SET failures = failures - 1 WHERE kind = 'address' AND key = ?", (network,)
    )


def _inside(crm: sqlite_utils.Database, staff_no: str) -> list[_Counter]:
    return [_Counter("inside", staff_no, _number(crm, "login_free_failures"))]


def _counters(crm: sqlite_utils.Database, staff_no: str, address: str, at_ms: int) -> list[_Counter]:
    free = _number(crm, "login_free_failures")
    network = _network(address)
    own = network == "box"
    at_desk = (
        own
        or crm.conn.execute(
            "SELECT 1 FROM login_desks WHERE staff_no = ? AND address = ? AND last_ms >= ?",
            (staff_no, network, at_ms - _DESK_LASTS_MS),
        ).fetchone()
    )
    person = _Counter("desk", f"{staff_no} {network}", free) if at_desk else _Counter("staff_no", staff_no, free)
    if own or not network:
        return [person]
    return [person, _Counter("address", network, _number(crm, "login_address_free_failures"))]


def _network(address: str) -> str:
    """What one machine can change of its own address does not make it another: IPv6 counts by its /64."""
    parsed = parse_address(address)
    if parsed is None:
        return address[:64]
    if parsed.is_loopback:
        return "box"
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def _plain(text: str) -> str:
    """A text in which GLOB finds nothing special."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _number(crm: sqlite_utils.Database, key: str) -> int:
    value = get_value(crm, "system", key)
    return value if isinstance(value, int) else 0
