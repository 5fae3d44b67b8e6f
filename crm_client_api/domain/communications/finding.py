"""Finds the records that a filter wants, newest or oldest first, by looking at a bounded number of them.

Words, digits, people, customer and scope are one question to the full-text index, which answers in the order of time.
Whoever asks by a number, a call, a next contact or for the recycle bin gives a source of few candidates instead. Each
candidate's row decides; when too many in a row are not wanted, the answer ends early and tells where to go on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import thread_time

from crm_client_api.domain.communications.filters import Filter, Reach
from crm_client_api.domain.communications.record import EARLIEST_MS, LATEST_MS
from crm_client_api.domain.communications.words import (
    author_mark,
    customer_mark,
    method_mark,
    number_query,
    owner_mark,
    text_query,
    whole_number_query,
)
from crm_client_api.domain.communications.write import ID_BITS, word_row
from crm_client_api.domain.scope import NO_RECORDS, RecordScope, Sql
from recorder.numbers import Site, match_key

LOOK_AHEAD = 4_000
"""So many candidates are looked at for one answer."""
_FEW = 100_000
"""Candidates of a source that are brought into order (their places stand in its index)."""
_FEW_WITH_WORDS = 400
"""Candidates of a source whose words are looked up one by one."""
_SLICES = 32
"""The index is asked about one part of the time after the other; the first of them is so small."""
_PATIENCE_S = 0.04
"""Processor time after which the index is asked no further."""
_ID_MASK = (1 << ID_BITS) - 1
_PLACE = f"(at_ms / 1000 << {ID_BITS}) + id"
_EVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of records in their order. ``next``: the position behind which to go on, None at the end."""

    ids: list[int]
    next: int | None


@dataclass(slots=True)
class _Question:
    """``typed``: what only the index can answer; ``marked``: what the row can answer as well; ``row``: all that it
    has to; ``sources``: conditions that leave few rows, each with an index that holds their times.
    """

    typed: list[str]
    marked: list[str]
    row: Sql
    sources: list[Sql]
    bounds: tuple[int, int]
    order: str

    @property
    def expression(self) -> str:
        """For FTS5."""
        return " AND ".join((*self.typed, *self.marked))


def find(
    connection: sqlite3.Connection,
    wanted: Filter,
    reach: Reach,
    site: Site,
    limit: int,
    look_ahead: int | None = LOOK_AHEAD,
) -> Found:
    """At most ``limit`` records in scope; fewer with a ``next`` when ``look_ahead`` candidates were looked at, or words
    that are frequent, and hardly ever together, took the index too long (never with None).
    """
    asked = _question(connection, wanted, reach, site)
    if asked is None:
        return Found([], None)
    few = _few(connection, asked)
    if few is not None and asked.typed:
        few = _said_in(connection, few, asked.expression)
    begun_s = last_s = thread_time()
    high, low = asked.bounds
    span = high - low
    if few is None and asked.expression and look_ahead is not None:
        high, low = _there(connection, high, low)
        span = max(1, (high - low) // _SLICES)
    ids: list[int] = []
    last, looked_at = 0, 0
    while True:
        part = (min(high, low + span), low) if wanted.backwards else (high, max(low, high - span))
        query, given = _candidates(asked, few, part, wanted.deleted)
        with closing(connection.execute(query, given)) as rows:
            for place, key in rows:
                if key is not None:
                    if len(ids) == limit:
                        return Found(ids, last)
                    ids.append(key)
                    last = place
                looked_at += 1
                if looked_at == look_ahead:
                    return Found(ids, place)
        if part == (high, low):
            return Found(ids, None)
        high, low = (high, part[0]) if wanted.backwards else (part[1], low)
        now_s = thread_time()
        if now_s - begun_s > _PATIENCE_S:
            return Found(ids, low - 1 if wanted.backwards else high)
        if now_s - last_s < _PATIENCE_S / 10:
            span *= 2
        last_s = now_s


def still_wanted(
    connection: sqlite3.Connection, ids: Sequence[int], wanted: Filter, reach: Reach, site: Site
) -> list[int]:
    """Of records that ``find`` found, those that it would find now, in the same order."""
    asked = _question(connection, wanted, reach, site)
    if asked is None:
        return []
    few = _one_of(ids)
    if asked.typed:
        few = _said_in(connection, few, asked.expression)
    query, given = _candidates(asked, few, asked.bounds, wanted.deleted)
    return [key for _, key in connection.execute(query, given) if key is not None]


def _there(connection: sqlite3.Connection, high: int, low: int) -> tuple[int, int]:
    """The bounds without the times before the first and after the last record."""
    oldest, newest = connection.execute(
        "SELECT (SELECT min(at_ms) FROM communications), (SELECT max(at_ms) FROM communications)"
    ).fetchone()
    if oldest is None:
        return low, low
    high = min(high, word_row(newest, _ID_MASK) + 1)
    return max(high, low), min(max(high, low), max(low, word_row(oldest, 0)))


def _candidates(asked: _Question, few: Sql | None, bounds: tuple[int, int], deleted: bool) -> Sql:
    """A query for places in the order of the list, each with its record's id, null when that is not wanted."""
    condition, given = asked.row
    source = "communications" if deleted else "living_communications"
    id_of = f"(SELECT c.id FROM {source} c WHERE c.id = {{id}} AND {condition})"
    if few is not None:
        return (
            # The limit keeps SQLite from looking at the rows of all candidates before it sorts them.
            f"SELECT place, {id_of.format(id='t.id')} FROM (SELECT {_PLACE} AS place, id FROM communications t"
            f" WHERE {few[0]} AND {_PLACE} < ? AND {_PLACE} >= ?"
            f" ORDER BY at_ms {asked.order}, id {asked.order} LIMIT -1) t",
            (*given, *few[1], *bounds),
        )
    if not asked.expression:
        (to_ms, to_id), (from_ms, from_id) = map(_time_and_id, bounds)
        return (
            f"SELECT {_PLACE} AS place, {id_of.format(id='t.id')} FROM communications t INDEXED BY"
            " communications_by_time WHERE at_ms <= ? AND (at_ms, id) < (?, ?) AND at_ms >= ? AND (at_ms, id) >= (?, ?)"
            f" ORDER BY at_ms {asked.order}, id {asked.order}",
            (*given, to_ms, to_ms, to_id, from_ms, from_ms, from_id),
        )
    return (
        f"SELECT w.rowid AS place, {id_of.format(id=f'(w.rowid & {_ID_MASK})')} FROM communication_words w"
        " WHERE w.communication_words MATCH ? AND w.rowid < ? AND w.rowid >= ?"
        f" ORDER BY w.rowid {asked.order}",
        (*given, asked.expression, *bounds),
    )


def _time_and_id(place: int) -> tuple[int, int]:
    return (place >> ID_BITS) * 1000, place & _ID_MASK


def _few(connection: sqlite3.Connection, asked: _Question) -> Sql | None:
    """A source that has few candidates."""
    most = _FEW_WITH_WORDS if asked.typed else _FEW
    for condition, given in asked.sources:
        count = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM communications t WHERE {condition} LIMIT ?)", (*given, most + 1)
        ).fetchone()[0]
        if count <= most:
            return condition, given
    return None


def _one_of(ids: Sequence[int]) -> Sql:
    return f"t.id IN ({','.join('?' * len(ids))})", tuple(ids)


def _said_in(connection: sqlite3.Connection, few: Sql, expression: str) -> Sql:
    """Those of few candidates whose words are asked for.

    The whole index would answer for each of them anew, as slowly as its most frequent word takes; a small one of these
    candidates alone answers for all at once.
    """
    made = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'communication_words'").fetchone()[0]
    held = connection.execute(
        f"SELECT w.rowid, w.subject, w.content, w.result, w.digits, w.marks FROM communications t"
        f" CROSS JOIN communication_words w ON w.rowid = {_PLACE} WHERE {few[0]}",
        few[1],
    )
    with closing(sqlite3.connect(":memory:")) as small:
        small.execute(made)
        small.executemany(
            "INSERT INTO communication_words (rowid, subject, content, result, digits, marks) VALUES (?,?,?,?,?,?)",
            held,
        )
        found = small.execute("SELECT rowid FROM communication_words WHERE communication_words MATCH ?", (expression,))
        return _one_of([place & _ID_MASK for (place,) in found])


def _question(connection: sqlite3.Connection, wanted: Filter, reach: Reach, site: Site) -> _Question | None:
    """None: nothing can be wanted."""
    if wanted.customer is not None and reach.customers == NO_RECORDS:
        return None
    typed: list[str] = []
    for text, columns in ((wanted.text, None), (wanted.subject, "subject")):
        if text.strip():
            query = text_query(text, columns)
            if query is None:
                return None
            typed.append(query)
    by_key = bool(wanted.number) and number_query(wanted.number, site) is None
    if by_key and not match_key(wanted.number, site):
        return None
    marked = [
        mark
        for value, mark in (
            (wanted.owner, owner_mark(wanted.owner or "")),
            (wanted.author, author_mark(wanted.author or "")),
            (wanted.method, method_mark(wanted.method or "")),
            (wanted.customer, customer_mark(wanted.customer or 0)),
        )
        if value is not None
    ]
    marked = [f'"{mark}"' for mark in marked]
    if by_key and (digits := whole_number_query(wanted.number, site)) is not None:
        marked.append(digits)
    elif wanted.number and not by_key:
        typed.append(number_query(wanted.number, site) or "")
    if not reach.records.everything:
        owners = _owners(connection, reach.records)
        if not owners:
            return None
        marked.append("(" + " OR ".join(f'"{owner_mark(owner)}"' for owner in owners) + ")")
    return _Question(
        typed,
        list(dict.fromkeys(marked)),
        _row_conditions(wanted, reach, site, by_key),
        list(_sources(wanted, reach, site, by_key)),
        _bounds(wanted),
        "ASC" if wanted.backwards else "DESC",
    )


def _owners(connection: sqlite3.Connection, scope: RecordScope) -> list[str]:
    if scope.staff_no is not None:
        return [scope.staff_no]
    return [row[0] for row in connection.execute("SELECT staff_no FROM staff WHERE group_number = ?", (scope.group,))]


def _bounds(wanted: Filter) -> tuple[int, int]:
    """Below which and from which place on."""
    high = _first_place(LATEST_MS if wanted.to_ms is None else wanted.to_ms)
    low = _first_place(EARLIEST_MS if wanted.from_ms is None else wanted.from_ms)
    if wanted.before is None:
        return high, low
    return (high, max(low, wanted.before + 1)) if wanted.backwards else (min(high, wanted.before), low)


def _first_place(at_ms: int) -> int:
    """The lowest place of a record of this time or later."""
    return word_row(-(-max(EARLIEST_MS, min(LATEST_MS, at_ms)) // 1000) * 1000, 0)


def _next_contact(wanted: Filter) -> tuple[int, int] | None:
    if wanted.next_from_ms is None and wanted.next_to_ms is None:
        return None
    return (
        -_EVER_MS if wanted.next_from_ms is None else wanted.next_from_ms,
        _EVER_MS if wanted.next_to_ms is None else wanted.next_to_ms,
    )


def _sources(wanted: Filter, reach: Reach, site: Site, by_key: bool) -> Iterable[Sql]:
    if wanted.call_id is not None:
        yield "t.call_id = ?", (wanted.call_id,)
    if by_key:
        yield "t.match_key = ? AND t.match_key <> ''", (match_key(wanted.number, site),)
    if (due := _next_contact(wanted)) is not None:
        if reach.records.staff_no is not None:
            yield "t.owner = ? AND t.next_contact_ms >= ? AND t.next_contact_ms < ?", (reach.records.staff_no, *due)
        else:
            yield "t.next_contact_ms >= ? AND t.next_contact_ms < ?", due
    if wanted.deleted:
        yield "t.deleted_ms IS NOT NULL", ()


def _row_conditions(wanted: Filter, reach: Reach, site: Site, by_key: bool) -> Sql:
    """Scope and all filters that a row can answer."""
    condition, scoped = reach.records.sql("c.owner")
    conditions, arguments = [condition], list(scoped)
    for column, value in (
        ("owner", wanted.owner),
        ("author", wanted.author),
        ("method", wanted.method),
        ("call_id", wanted.call_id),
        ("match_key", match_key(wanted.number, site) if by_key else None),
    ):
        if value is not None:
            conditions.append(f"c.{column} = ?")
            arguments.append(value)
    if wanted.customer is not None:
        inside, given = reach.customers.sql("owner")
        conditions.append(f"c.customer_id = (SELECT id FROM customers WHERE id = ? AND {inside})")
        arguments += [wanted.customer, *given]
    if wanted.up_to is not None:
        conditions.append("c.id <= ?")
        arguments.append(wanted.up_to)
    if (due := _next_contact(wanted)) is not None:
        conditions.append("c.next_contact_ms >= ? AND c.next_contact_ms < ?")
        arguments += due
    if wanted.deleted:
        conditions.append("c.deleted_ms IS NOT NULL AND (c.import_id IS NULL OR c.import_id NOT IN unpublished)")
    return " AND ".join(conditions), tuple(arguments)
