"""The last communication records of the customers on a card, as far as they are in the reader's scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.scope import RecordScope

LONGEST_CONTENT_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Note:
    """A communication record in short. ``at_ms``: Unix ms UTC."""

    id: str
    customer_id: str
    call_id: str | None
    at_ms: int
    method: str
    subject: str
    content: str
    result: str
    author: str


def last_notes(crm: sqlite_utils.Database, customer_ids: Sequence[str], scope: RecordScope, limit: int) -> list[Note]:
    """The newest records of these customers in scope, newest first."""
    if not customer_ids:
        return []
    condition, given = scope.sql("owner")
    marks = ",".join("?" * len(customer_ids))
    rows = crm.conn.execute(
        "SELECT id, customer_id, call_id, at_ms, method, subject, substr(content, 1, ?), result, author"
        f" FROM living_communications WHERE customer_id IN ({marks}) AND {condition}"
        " ORDER BY at_ms DESC, id DESC LIMIT ?",
        (LONGEST_CONTENT_CHARACTERS, *map(int, customer_ids), *given, limit),
    )
    return [Note(str(row[0]), str(row[1]), *row[2:]) for row in rows]
