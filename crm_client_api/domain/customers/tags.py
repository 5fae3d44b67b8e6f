"""The tags that customers in scope have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import sqlite_utils

from crm_client_api.domain.customers.search import Filter, exists
from crm_client_api.domain.scope import RecordScope

_MOST = 500


def tags_in_use(crm: sqlite_utils.Database, scope: RecordScope) -> list[str]:
    """Tags of living customers in scope, in order, at most 500."""
    return [tag for tag, _ in zip(_in_scope(crm, scope), range(_MOST), strict=False)]


def _in_scope(crm: sqlite_utils.Database, scope: RecordScope) -> Iterator[str]:
    return (tag for tag in _every(crm.conn) if exists(crm, Filter(tags=(tag,)), scope))


def _every(connection: sqlite3.Connection) -> Iterator[str]:
    """From one tag to the next, without looking at all who have it."""
    tag = ""
    while (row := connection.execute("SELECT min(tag) FROM customer_tags WHERE tag > ?", (tag,)).fetchone())[0]:
        tag = row[0]
        yield tag
