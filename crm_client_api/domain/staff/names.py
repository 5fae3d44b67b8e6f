"""What people are called."""

from __future__ import annotations

from collections.abc import Iterable

import sqlite_utils


def names_of(crm: sqlite_utils.Database, staff_nos: Iterable[str]) -> dict[str, str]:
    """Names by staff number, also of who has left; without those that were never given."""
    wanted = sorted(set(staff_nos))
    rows = crm.conn.execute(
        f"SELECT staff_no, name FROM staff WHERE staff_no IN ({','.join('?' * len(wanted))})", wanted
    )
    return {row[0]: row[1] for row in rows}
