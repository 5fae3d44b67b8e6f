"""What can still be read of a store that is given up, and is nowhere else: channels, checkpoints, marks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_TABLES = (
    "cards",
    "channels",
    "order_marks",
    "order_results",
    "archive_copies",
    "archive_elsewhere",
)
_WORK_IN_HAND = {
    "calls": "state <> 'ended' OR manifest IS NULL",
    "recordings": "state = 'pending' OR (state = 'ready' AND deleted_rule IS NOT NULL)",
    "recorder_state": "1",
}
"""Only all of it together, or none: a checkpoint says that everything before it is in the store."""
_ALL = (*_TABLES, *_WORK_IN_HAND)


class _Unreadable(Exception):
    """The old store, not the new one."""


def salvage(path: Path | None, into: sqlite3.Connection) -> tuple[str, ...]:
    """Copy what can be read of the store at ``path``, which is left as it is; returns the tables with losses.

    Raises sqlite3.Error: the new store refuses.
    """
    if path is None:
        return _ALL
    try:
        old = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return _ALL
    with closing(old):
        old.row_factory = sqlite3.Row
        lost = [table for table in _TABLES if not _copy(old, into, table, "1")]
        into.execute("SAVEPOINT work_in_hand")
        hand = [table for table, condition in _WORK_IN_HAND.items() if not _copy(old, into, table, condition)]
        if hand:
            into.execute("ROLLBACK TO work_in_hand")
        into.execute("RELEASE work_in_hand")
    return (*lost, *hand)


def _copy(old: sqlite3.Connection, into: sqlite3.Connection, table: str, condition: str) -> bool:
    """False when the table could not be read to its end, or holds what no row can be."""
    columns = {row[1] for row in into.execute(f"PRAGMA table_info({table})")}
    complete = True
    try:
        for row in _rows(old, table, condition):
            names = [name for name in row.keys() if name in columns]  # noqa: SIM118 - a Row iterates over values
            insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            try:
                into.execute(f"{insert} ON CONFLICT DO NOTHING", [row[name] for name in names])
            except sqlite3.IntegrityError:
                complete = False
    except _Unreadable:
        return False
    return complete


def _rows(old: sqlite3.Connection, table: str, condition: str) -> Iterator[sqlite3.Row]:
    try:  # an index may be what is damaged
        yield from old.execute(f"SELECT * FROM {table} NOT INDEXED WHERE {condition}")
    except sqlite3.Error as error:
        raise _Unreadable from error
