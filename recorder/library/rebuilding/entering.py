"""Puts what was found on the disk into the store: what is known there stays, and a hostile paper harms only itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import sqlite_utils

from firmware.store.connection import write
from recorder.library.archive.removing import expect_removal_anywhere
from recorder.library.keeping.number_keys import note_unkeyed, was_corrected
from recorder.library.rebuilding.gather import Finding, Found
from recorder.library.rebuilding.rows import STORE_LOST, Row
from recorder.library.rebuilding.shelf import Shelf
from recorder.library.storage.deletion import MUST_GO

_KEYED = (("caller_number", "caller_key"), ("dialled_number", "dialled_key"))
BATCH = 200
"""Rows a transaction: some 10 ms."""
_IDS_A_QUERY = 500
T = TypeVar("T")


def known_ids(calls: sqlite_utils.Database, shelf: Shelf) -> set[str]:
    """Of the ids that the names of a folder's files end with, those of a recording or call in the store."""
    known: set[str] = set()
    for ids in _batches((bundle.identifier for bundle in shelf.bundles), _IDS_A_QUERY):
        marks = ",".join("?" * len(ids))
        for table in ("recordings", "calls"):
            known |= {row[0] for row in calls.conn.execute(f"SELECT id FROM {table} WHERE id IN ({marks})", ids)}
    return known


def enter(calls: sqlite_utils.Database, found: Sequence[Found]) -> tuple[int, int, list[Finding]]:
    """Enter calls and recordings; returns how many of each, and what could not be. Raises StoreError."""
    new_calls = new_recordings = 0
    findings: list[Finding] = []
    for batch in _batches(found, BATCH):
        with write(calls) as connection:
            for one in batch:
                try:
                    if _has_twin(connection, one):
                        findings.append(Finding("duplicate", one.path))
                        continue
                    new_calls += _enter_call(connection, one.call)
                    entered = _enter_recording(connection, one.recording)
                except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, OverflowError):
                    findings.append(Finding("damaged", one.path))
                    continue
                new_recordings += entered
                if one.recording is not None and not entered:
                    findings.append(Finding("duplicate", one.path))
    return new_calls, new_recordings, findings


def _has_twin(connection: sqlite3.Connection, one: Found) -> bool:
    """Whether the store has the same call, or the same samples, under another id.

    A recorder that lost its last second in a power cut plays it again from the tape, and what was on the disk already
    is there twice.
    """
    row, table, names = (
        one.recording or {},
        "recordings",
        ["started_ms", "channel", "kind", "tape_epoch", "from_sample"],
    )
    if one.recording is None:
        row, table, names = one.call or {}, "calls", ["started_ms", "channel", "card_id", "direction"]
    found = connection.execute(
        f"SELECT 1 FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in names)} AND id <> ?",
        [row.get(name) for name in [*names, "id"]],
    )
    return found.fetchone() is not None


def _enter_call(connection: sqlite3.Connection, row: Row | None) -> int:
    """A later segment knows more of a call than an earlier one that was cut while the call was running."""
    if row is None:
        return 0
    entered = _insert(connection, "calls", row)
    if not entered:
        _complete_call(connection, row)
    if any(row.get(number) and not row.get(key) for number, key in _KEYED) or (entered and was_corrected(connection)):
        note_unkeyed(connection, row["id"])
    return entered


def _complete_call(connection: sqlite3.Connection, row: Row) -> None:
    names = [name for name in row if name != "id"]
    connection.execute(
        f"UPDATE calls SET {', '.join(f'{name} = ?' for name in names)}"
        " WHERE id = ? AND end_reason = ? AND (? <> end_reason OR ? > ended_ms)",
        (*(row[name] for name in names), row["id"], STORE_LOST, row.get("end_reason") or "", row.get("ended_ms")),
    )


def _enter_recording(connection: sqlite3.Connection, row: Row | None) -> int:
    """Of one that must not exist, an archive may still have a copy that the store knows nothing of."""
    entered = 0 if row is None else _insert(connection, "recordings", row)
    if row is not None and entered and row.get("deleted_rule") in MUST_GO and row.get("path"):
        expect_removal_anywhere(connection, row["id"], row["path"])
    return entered


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> int:
    """1, or 0 when there is such a row already. Raises sqlite3.IntegrityError: it is no possible row."""
    names = ", ".join(row)
    return connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))}) ON CONFLICT DO NOTHING",
        list(row.values()),
    ).rowcount


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
