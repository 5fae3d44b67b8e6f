"""Drafts of one person become another's. Two may have a draft under the same key: the one that comes gets another key.

In the records of a hand-over a draft is named by its old and its new key, so that it can be given back exactly.
"""

from __future__ import annotations

import sqlite3

import msgspec

_KEPT_OF_A_KEY = 70
"""Of the 100 characters of a key (``domain.drafts``), so that the giver's number has room behind it."""


def give_drafts(connection: sqlite3.Connection, giver: str, receiver: str, hand_over: int, limit: int) -> int:
    """Move up to ``limit`` drafts inside the caller's write transaction; how many were there."""
    keys = [row[0] for row in connection.execute("SELECT key FROM drafts WHERE staff_no = ? LIMIT ?", (giver, limit))]
    for key in keys:
        new = _free_key(connection, receiver, key, giver)
        connection.execute(
            "UPDATE drafts SET staff_no = ?, key = ? WHERE staff_no = ? AND key = ?", (receiver, new, giver, key)
        )
        connection.execute(
            "INSERT INTO hand_over_records (hand_over_id, kind, record_id, old_owner) VALUES (?, 'draft', ?, ?)"
            " ON CONFLICT DO NOTHING",
            (hand_over, msgspec.json.encode([key, new]).decode(), giver),
        )
    return len(keys)


def return_draft(connection: sqlite3.Connection, record_id: str, holder: str, old_owner: str) -> bool:
    """Give a draft back; False when the holder has it no more, or the old owner began another under its key."""
    key, new = msgspec.json.decode(record_id, type=tuple[str, str])
    if _has(connection, old_owner, key):
        return False
    done = connection.execute(
        "UPDATE drafts SET staff_no = ?, key = ? WHERE staff_no = ? AND key = ?", (old_owner, key, holder, new)
    )
    return done.rowcount > 0


def _free_key(connection: sqlite3.Connection, receiver: str, key: str, giver: str) -> str:
    new, times = key, 1
    while _has(connection, receiver, new):
        new = f"{key[:_KEPT_OF_A_KEY]}.{giver}.{times}"
        times += 1
    return new


def _has(connection: sqlite3.Connection, staff_no: str, key: str) -> bool:
    found = connection.execute("SELECT 1 FROM drafts WHERE staff_no = ? AND key = ?", (staff_no, key)).fetchone()
    return found is not None
