"""Lists of communication records: newest first, by any filters, with the scope in the query.

Pages go on by a position, the number that ``communication_words`` has for a record: time, then id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from crm_client_api.domain.communications.record import (
    COLUMNS,
    EARLIEST_MS,
    LATEST_MS,
    Communication,
    communication_of,
    key_of,
)
from crm_client_api.domain.communications.words import number_query, text_query
from crm_client_api.domain.communications.write import ID_BITS, word_row
from crm_client_api.domain.numbers import Site, match_key
from crm_client_api.domain.scope import RecordScope, Sql
from firmware.errors import NotFound

MOST_COUNTED = 2_000
"""Counting stops here: nobody reads more, and it would take seconds."""
_ID_MASK = (1 << ID_BITS) - 1


@dataclass(frozen=True, slots=True)
class Reach:
    """What one operator may see: records, customers, and whether names of customers stand beside records."""

    records: RecordScope
    customers: RecordScope
    names_customers: bool

    def names(self) -> Sql:
        """The condition under which customer ``k`` is named beside record ``c``."""
        if not self.names_customers:
            return "k.id = c.customer_id AND 0", ()
        condition, given = self.customers.sql("k.owner")
        return f"k.id = c.customer_id AND k.deleted_ms IS NULL AND {condition}", given


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list. ``text``: words in subject, content, result; ``subject``: in the subject alone.

    ``number``: a whole one in any spelling, or at least three digits in a row. Times are Unix ms UTC, ``from`` included
    and ``to`` not. ``before``: the position that the page before ended with. ``deleted``: the recycle bin instead.
    ``up_to``: no record with a higher id.
    """

    text: str = ""
    subject: str = ""
    number: str = ""
    customer: int | None = None
    owner: str | None = None
    author: str | None = None
    method: str | None = None
    call_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    next_from_ms: int | None = None
    next_to_ms: int | None = None
    before: int | None = None
    deleted: bool = False
    up_to: int | None = None
    limit: int = 50


def position_of(record: Communication) -> int:
    """Where the list stands at this record."""
    return word_row(record.values.at_ms, record.id)


def get_communication(
    crm: sqlite_utils.Database, communication_id: str, reach: Reach, state: Literal["living", "deleted"] = "living"
) -> Communication:
    """Raises NotFound, also for one out of scope, and for one in the recycle bin unless ``deleted`` is asked for."""
    names, named = reach.names()
    condition, given = reach.records.sql("c.owner")
    row = crm.conn.execute(
        f"SELECT {COLUMNS} FROM {_source(state == 'deleted')} c LEFT JOIN customers k ON {names}"
        f" WHERE c.id = ? AND {condition}{_of_bin(state == 'deleted')}",
        (*named, key_of(communication_id), *given),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such communication record")
    return communication_of(row)


def list_communications(crm: sqlite_utils.Database, wanted: Filter, reach: Reach, site: Site) -> list[Communication]:
    """Records in scope, newest first."""
    inner, given = select_ids(wanted, reach, site, wanted.limit)
    names, named = reach.names()
    rows = crm.conn.execute(
        f"SELECT {COLUMNS} FROM ({inner}) found CROSS JOIN communications c ON c.id = found.id"
        f" LEFT JOIN customers k ON {names} ORDER BY c.at_ms DESC, c.id DESC LIMIT ?",
        (*given, *named, wanted.limit),
    )
    return [communication_of(row) for row in rows]


def count_communications(crm: sqlite_utils.Database, wanted: Filter, reach: Reach, site: Site) -> int:
    """How many records in scope there are, ``MOST_COUNTED`` for that many or more."""
    inner, given = select_ids(wanted, reach, site, MOST_COUNTED, ordered=False)
    row = crm.conn.execute(f"SELECT count(*) FROM (SELECT 1 FROM ({inner}) LIMIT ?)", (*given, MOST_COUNTED))
    return int(row.fetchone()[0])


def select_ids(wanted: Filter, reach: Reach, site: Site, limit: int, *, ordered: bool = True) -> Sql:
    """A query for the ids of the newest ``limit`` records that a filter finds in scope (any, unless ``ordered``)."""
    by_words = _words(wanted, reach.records, site)
    if by_words is None:
        return _without_words(wanted, reach, site, limit, ordered)
    if by_words == _NOTHING:
        return "SELECT id FROM communications WHERE 0", ()
    conditions, arguments = _conditions("c", wanted, reach, site)
    match, given = by_words
    bounds = [(sign, row) for sign, row in _bounds(wanted) if row is not None]
    rows = "".join(f" AND w.rowid {sign} ?" for sign, _ in bounds)
    return (
        f"SELECT c.id FROM communication_words w CROSS JOIN {_source(wanted.deleted)} c"
        f" ON c.id = (w.rowid & {_ID_MASK}) WHERE w.communication_words MATCH {match}{rows} AND {conditions}"
        " ORDER BY w.rowid DESC LIMIT ?",
        (*given, *(row for _, row in bounds), *arguments, limit),
    )


_NOTHING: Sql = ("", ())


def _bounds(wanted: Filter) -> tuple[tuple[str, int | None], ...]:
    """Positions that the filter's times and the page before leave."""
    return ("<", wanted.before), (">=", _first_row(wanted.from_ms)), ("<", _first_row(wanted.to_ms))


def _first_row(at_ms: int | None) -> int | None:
    """The lowest number of a row of this time or later."""
    if at_ms is None:
        return None
    return word_row(-(-max(EARLIEST_MS, min(LATEST_MS, at_ms)) // 1000) * 1000, 0)


def _words(wanted: Filter, scope: RecordScope, site: Site) -> Sql | None:
    """The full-text query as an expression, None when none is needed; the owners in scope are words as well."""
    queries: list[str] = []
    for text, columns in ((wanted.text, "subject content result"), (wanted.subject, "subject")):
        if text.strip():
            query = text_query(text, columns)
            if query is None:
                return _NOTHING
            queries.append(query)
    if wanted.number and (query := number_query(wanted.number, site)) is not None:
        queries.append(query)
    if not queries:
        return None
    if wanted.owner is not None:
        queries.append(f'owner : "{"".join(c for c in wanted.owner if c.isalnum())}"')
    matching = " AND ".join(queries)
    if scope.everything:
        return "?", (matching,)
    if scope.staff_no is not None:
        return "?", (f'{matching} AND owner : "{scope.staff_no}"',)
    return (
        "(SELECT ? || ' AND owner : (' || group_concat('\"' || staff_no || '\"', ' OR ') || ')' FROM staff"
        " WHERE group_number = ?)",
        (matching, scope.group),
    )


def _without_words(wanted: Filter, reach: Reach, site: Site, limit: int, ordered: bool) -> Sql:
    narrow = (wanted.customer, wanted.method, wanted.call_id, wanted.next_from_ms, wanted.next_to_ms)
    if reach.records.group is None or wanted.number or any(one is not None for one in narrow):
        conditions, given = _conditions("c", wanted, reach, site)
        return (
            f"SELECT c.id FROM {_source(wanted.deleted)} c WHERE {conditions}{_within('c', wanted)}"
            f"{' ORDER BY c.at_ms DESC, c.id DESC' if ordered else ''} LIMIT ?",
            (*given, limit),
        )
    # The newest of each colleague, then the newest of these: walking by time would pass by everybody else's records.
    conditions, given = _conditions("x", wanted, reach, site)
    colleagues = "SELECT staff_no FROM staff WHERE group_number = ? AND staff_no = coalesce(?, staff_no)"
    of_one = (
        f"SELECT x.id FROM {_source(wanted.deleted)} x WHERE x.owner = s.staff_no AND {conditions}"
        f"{_within('x', wanted)}{' ORDER BY x.at_ms DESC, x.id DESC LIMIT ?' if ordered else ''}"
    )
    return (
        f"SELECT c.id FROM ({colleagues}) s CROSS JOIN communications c ON c.id IN ({of_one})"
        f"{' ORDER BY c.at_ms DESC, c.id DESC' if ordered else ''} LIMIT ?",
        (reach.records.group, wanted.owner, *given, *((limit,) if ordered else ()), limit),
    )


def _within(name: str, wanted: Filter) -> str:
    """The bounds of time and page on the table itself; whole numbers that stand in the query as they are."""
    parts: list[str] = []
    if wanted.before is not None:
        at_ms, communication_id = (wanted.before >> ID_BITS) * 1000, wanted.before & _ID_MASK
        parts.append(f" AND ({name}.at_ms, {name}.id) < ({at_ms}, {communication_id})")
    if wanted.from_ms is not None:
        parts.append(f" AND {name}.at_ms >= {wanted.from_ms}")
    if wanted.to_ms is not None:
        parts.append(f" AND {name}.at_ms < {wanted.to_ms}")
    return "".join(parts)


def _conditions(name: str, wanted: Filter, reach: Reach, site: Site) -> Sql:
    """Scope and all filters that are not words or bounds."""
    # A plus keeps a column from being the way into the table where there is a narrower one.
    condition, scoped = reach.records.sql(f"{'' if reach.records.group is None else '+'}{name}.owner")
    conditions, arguments = [condition], list(scoped)
    by_owner = wanted.owner is not None or reach.records.staff_no is not None
    for column, value in (
        ("owner", wanted.owner),
        ("author", wanted.author),
        ("method", wanted.method),
        ("call_id", wanted.call_id),
    ):
        if value is not None:
            conditions.append(f"{'+' if by_owner and column == 'method' else ''}{name}.{column} = ?")
            arguments.append(value)
    if wanted.number and number_query(wanted.number, site) is None:
        conditions.append(f"{name}.match_key = ? AND {name}.match_key <> ''")  # as the index says of itself
        arguments.append(match_key(wanted.number, site))
    if wanted.customer is not None:
        inside, given = reach.customers.sql("owner")
        conditions.append(f"{name}.customer_id = (SELECT id FROM customers WHERE id = ? AND {inside})")
        arguments += [wanted.customer, *given]
    if wanted.up_to is not None:
        conditions.append(f"{name}.id <= ?")
        arguments.append(wanted.up_to)
    if wanted.next_from_ms is not None or wanted.next_to_ms is not None:
        conditions.append(f"{name}.next_contact_ms >= ? AND {name}.next_contact_ms < ?")
        arguments += [
            -(1 << 62) if wanted.next_from_ms is None else wanted.next_from_ms,
            1 << 62 if wanted.next_to_ms is None else wanted.next_to_ms,
        ]
    return " AND ".join(conditions) + _of_bin(wanted.deleted, name), tuple(arguments)


def _source(deleted: bool) -> str:
    return "communications" if deleted else "living_communications"


def _of_bin(deleted: bool, name: str = "c") -> str:
    if not deleted:
        return ""
    return f" AND {name}.deleted_ms IS NOT NULL AND ({name}.import_id IS NULL OR {name}.import_id NOT IN unpublished)"
