"""Which job of the courier goes on with a hand-over, or takes it back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from firmware.errors import Refused


def note_job(connection: sqlite3.Connection, job_id: int, hand_overs: Iterable[int]) -> None:
    """Inside the transaction in which the rest is left to the job."""
    connection.executemany("UPDATE hand_overs SET job_id = ? WHERE id = ?", [(job_id, one) for one in hand_overs])


def job_of(connection: sqlite3.Connection, hand_overs: Sequence[int]) -> int | None:
    """The job that goes on with these hand-overs, None when there was no need of one, or there are none."""
    if not hand_overs:
        return None
    row = connection.execute("SELECT job_id FROM hand_overs WHERE id = ?", (hand_overs[0],)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def require_at_rest(connection: sqlite3.Connection, hand_over_id: int) -> None:
    """Raises Refused while a job works on it."""
    found = connection.execute(
        "SELECT 1 FROM hand_overs h JOIN jobs j ON j.id = h.job_id"
        " WHERE h.id = ? AND j.state IN ('waiting', 'running', 'needs_answer')",
        (hand_over_id,),
    ).fetchone()
    if found is not None:
        raise Refused("the box is still at work on this hand-over: wait, or have who asked for it cancel its job")
