"""Lists of communication records: newest first, by any filters, with the scope in the query.

Pages go on by a position, the number that ``communication_words`` has for a record: time, then id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from crm_client_api.domain.communications.filters import Filter, Reach
from crm_client_api.domain.communications.finding import LOOK_AHEAD, find
from crm_client_api.domain.communications.record import COLUMNS, Communication, communication_of, key_of
from crm_client_api.domain.communications.write import word_row
from firmware.errors import NotFound
from recorder.numbers import Site

__all__ = [
    "MOST_COUNTED",
    "Filter",
    "Page",
    "Reach",
    "count_communications",
    "find_page",
    "get_communication",
    "list_communications",
    "position_of",
]
MOST_COUNTED = 2_000
"""Counting stops here: nobody reads more, and it would take seconds."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in their order. ``next``: the ``before`` of the next page, None at the end."""

    records: list[Communication]
    next: int | None


def get_communication(
    crm: sqlite_utils.Database, communication_id: str, reach: Reach, state: Literal["living", "deleted"] = "living"
) -> Communication:
    """Raises NotFound, also for one out of scope, and for one in the recycle bin unless ``deleted`` is asked for."""
    names, named = reach.names()
    condition, given = reach.records.sql("c.owner")
    row = crm.conn.execute(
        f"SELECT {COLUMNS} FROM {_SOURCES[state]} LEFT JOIN customers k ON {names} WHERE c.id = ? AND {condition}",
        (*named, key_of(communication_id), *given),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such communication record")
    return communication_of(row)


def position_of(record: Communication) -> int:
    """Where the list stands at this record."""
    return word_row(record.values.at_ms, record.id)


_SOURCES = {
    "living": "living_communications c",
    "deleted": "(SELECT * FROM communications WHERE deleted_ms IS NOT NULL AND (import_id IS NULL OR import_id NOT IN"
    " unpublished)) c",
}


def find_page(
    crm: sqlite_utils.Database, wanted: Filter, reach: Reach, site: Site, *, look_ahead: int | None = LOOK_AHEAD
) -> Page:
    """A page of records in scope. What is rare may fill it in part or not at all, and a ``next`` goes on, after
    ``look_ahead`` records were looked at (None: all).
    """
    found = find(crm.conn, wanted, reach, site, wanted.limit, look_ahead)
    names, named = reach.names()
    order = "ASC" if wanted.backwards else "DESC"
    rows = crm.conn.execute(
        f"SELECT {COLUMNS} FROM communications c LEFT JOIN customers k ON {names}"
        f" WHERE c.id IN ({','.join('?' * len(found.ids))}) ORDER BY c.at_ms {order}, c.id {order}",
        (*named, *found.ids),
    )
    return Page([communication_of(row) for row in rows], found.next)


def list_communications(crm: sqlite_utils.Database, wanted: Filter, reach: Reach, site: Site) -> list[Communication]:
    """Records in scope, newest first; as many as are wanted, if they are there, however long it takes."""
    return find_page(crm, wanted, reach, site, look_ahead=None).records


def count_communications(crm: sqlite_utils.Database, wanted: Filter, reach: Reach, site: Site) -> tuple[int, bool]:
    """How many records in scope there are, and whether there may be more: some thousands are looked at."""
    found = find(crm.conn, wanted, reach, site, MOST_COUNTED)
    return len(found.ids), found.next is not None
