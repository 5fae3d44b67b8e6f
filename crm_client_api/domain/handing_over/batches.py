"""Long work in many transactions, each of which holds the store for milliseconds."""

from __future__ import annotations

import sqlite3
import time
from typing import Protocol

import sqlite_utils

from firmware.store.connection import write

BATCH_S = 0.006
"""So long a transaction takes further steps; the last one may take a little longer."""
FEWEST_STEPS = 2
"""So many a transaction takes in any case: one customer goes over at once, however busy the machine is."""


class Work(Protocol):
    """Work that goes on in the next transaction where the last one ended, in whichever process that is."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""

    def look_ahead(self) -> None:
        """Read, before a transaction, what would hold it up."""

    def step(self) -> bool:
        """A little of the work, inside a transaction; whether this one can take more."""

    def end_batch(self, connection: sqlite3.Connection) -> None:
        """Write down, at the end of a transaction, how far the work is."""


def run_batch(crm: sqlite_utils.Database, work: Work) -> None:
    """Do as much as a transaction of its own takes."""
    if not work.ended:
        work.look_ahead()
        with write(crm) as connection:
            fill_batch(connection, work)


def fill_batch(connection: sqlite3.Connection, work: Work) -> None:
    """Do as much as the caller's transaction takes, of work that has not ended."""
    until, steps = time.monotonic() + BATCH_S, 1
    while work.step() and (steps < FEWEST_STEPS or time.monotonic() < until):
        steps += 1
    work.end_batch(connection)
