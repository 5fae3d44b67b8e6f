"""Searches customers: text, filters, sort, pages. Scope is part of the query, and of the index that answers it.

Text, filters by value and scope are one question to the index (``words``), which answers it in the order of the rows.
Other orders have indexes of their own: few candidates are read and sorted, of many the order is walked. Only so many
rows are looked at for one page: what is rare at this place of the order leaves a page short, and its ``next`` goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import msgspec
import sqlite_utils

from crm_client_api.domain.customers.question import (
    PIECES,
    Filter,
    Question,
    Sort,
    next_after,
    place_after,
    question,
)
from crm_client_api.domain.customers.read import COLUMNS, customers_of
from crm_client_api.domain.customers.record import Customer
from crm_client_api.domain.scope import RecordScope, Sql
from recorder.numbers import Site

__all__ = [
    "MOST_COUNTED",
    "Filter",
    "Page",
    "Sort",
    "count_customers",
    "exists",
    "find_page",
    "list_customers",
    "wanted_ids",
]
LOOK_AHEAD = 5_000
"""So many rows are looked at for one page."""
_FEW = 3_000
"""Candidates that are all looked at and sorted."""
_FIRST_STEPS = 2_000
"""Rows of a wanted order that are looked at before the candidates are counted."""
_SOME = 6_000
"""Candidates that are all looked at and sorted when none were among the first rows of the order."""
_MANY = 60_000
"""Candidates whose ids are gathered, to pass by everybody else in the order; and how far."""
MOST_COUNTED = 5000
"""Counting looks at so many candidates."""
_Place = tuple[str | int, int]
_Source = tuple[str, list[object]]


@dataclass(frozen=True, slots=True)
class Page:
    """Some customers; ``next`` is the ``after`` of the next page, None at the end."""

    customers: list[Customer]
    next: str | None


@dataclass(slots=True)
class _Found:
    """Places of customers in their order. ``going_on``: behind which there may be more, None at the end."""

    places: list[_Place]
    going_on: _Place | None


def find_page(
    crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site, *, look_ahead: int | None = LOOK_AHEAD
) -> Page:
    """A page of the customers in scope that are wanted; with ``look_ahead`` None it is full unless it is the last.

    Raises BadInput for a wrong ``after``.
    """
    connection = crm.conn
    asked = question(connection, wanted, scope, site)
    place = place_after(wanted)
    if asked.impossible:
        return Page([], None)
    found = _find(connection, asked, wanted, place, look_ahead)
    ids = [row for _, row in found.places]
    rows = connection.execute(f"SELECT {COLUMNS} FROM customers c WHERE c.id IN ({','.join('?' * len(ids))})", ids)
    by_id = {row["id"]: row for row in rows}
    customers = customers_of(connection, [by_id[one] for one in ids if one in by_id])
    return Page(customers, None if found.going_on is None else next_after(wanted, *found.going_on))


def list_customers(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site) -> list[Customer]:
    """The customers of ``find_page``, as many as are wanted if they are there, however long it takes."""
    return find_page(crm, wanted, scope, site, look_ahead=None).customers


def count_customers(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site) -> tuple[int, bool]:
    """How many customers in scope are wanted, and whether there may be more: some thousands are looked at."""
    connection = crm.conn
    asked = question(connection, wanted, scope, site)
    if asked.impossible:
        return 0, False
    everybody: _Source = ("SELECT id FROM living_customers", [])
    source, arguments = _least(connection, asked, MOST_COUNTED) or [*reversed(asked.sources), everybody][0]
    wants, given = asked.wants("s.id")
    looked_at, found = connection.execute(
        f"SELECT count(*), count(wanted) FROM (SELECT {wants} AS wanted FROM ({source} LIMIT {MOST_COUNTED + 1}) s)",
        (*given, *arguments),
    ).fetchone()
    return min(int(found), MOST_COUNTED), looked_at > MOST_COUNTED


def wanted_ids(
    crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site, *, limit: int, below: int | None = None
) -> list[int]:
    """Ids of customers in scope that are wanted, highest first, at most ``limit``, only those ``below``."""
    connection = crm.conn
    ordered = replace(wanted, limit=limit, after=None, sort="created", ascending=False)
    asked = question(connection, ordered, scope, site)
    if asked.impossible:
        return []
    place = None if below is None else (below, below)
    return [row for _, row in _find(connection, asked, ordered, place, None).places]


def look_for_ids(
    crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site, *, limit: int, below: int
) -> tuple[list[int], int | None]:
    """The same in one of many bounded steps, and below which to go on (None: these were the last)."""
    connection = crm.conn
    ordered = replace(wanted, limit=limit, after=None, sort="created", ascending=False)
    asked = question(connection, ordered, scope, site)
    if asked.impossible:
        return [], None
    found = _find(connection, asked, ordered, (below, below), LOOK_AHEAD)
    return [row for _, row in found.places], None if found.going_on is None else found.going_on[1]


def still_wanted(
    connection: sqlite3.Connection, ids: Sequence[int], wanted: Filter, scope: RecordScope, site: Site
) -> list[int]:
    """Of some ids, in the same order, those of customers in scope that are wanted at this moment."""
    asked = question(connection, wanted, scope, site)
    if asked.impossible:
        return []
    wants, given = asked.wants("s.value")
    rows = connection.execute(
        f"SELECT s.value FROM json_each(?) s WHERE {wants} IS NOT NULL", (msgspec.json.encode(ids).decode(), *given)
    )
    kept = {row[0] for row in rows}
    return [one for one in ids if one in kept]


def exists(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope) -> bool:
    """Whether any customer in scope is wanted. Filters by number and text are not looked at."""
    return bool(wanted_ids(crm, replace(wanted, number="", text=""), scope, Site(), limit=1))


def _find(
    connection: sqlite3.Connection, asked: Question, wanted: Filter, place: _Place | None, look_ahead: int | None
) -> _Found:
    if wanted.sort == "created":
        return _taken(_by_row(connection, asked, wanted, place), wanted.limit, look_ahead)
    few = _least(connection, asked, _FEW)
    if few is not None:
        return _sorted(connection, asked, wanted, place, few)
    found = _taken(_walk(connection, asked, wanted, place), wanted.limit, _FIRST_STEPS)
    if found.going_on is None or len(found.places) == wanted.limit:
        return found
    some = _least(connection, asked, _SOME)
    if some is not None:
        return _sorted(connection, asked, wanted, place, some)
    many = _least(connection, asked, _MANY)
    horizon = None
    if many is None or look_ahead is None:
        rest = _walk(connection, asked, wanted, found.going_on, many)
    else:
        steps, horizon = _stride(connection, asked, wanted, found.going_on)
        rest = _walk(connection, asked, wanted, found.going_on, many, steps)
    more = _taken(rest, wanted.limit - len(found.places), look_ahead)
    return _Found(found.places + more.places, more.going_on or horizon)


def _least(connection: sqlite3.Connection, asked: Question, most: int) -> _Source | None:
    """The source of ids that has fewest, if they are few enough."""
    least, found = most + 1, None
    for source, arguments in asked.sources:
        counted = connection.execute(f"SELECT count(*) FROM ({source} LIMIT {least})", arguments).fetchone()[0]
        if counted < least:
            least, found = counted, (source, arguments)
    return found


def _taken(rows: Generator[tuple[_Place, bool]], limit: int, look_ahead: int | None) -> _Found:
    """The wanted ones among the next rows of an order."""
    places: list[_Place] = []
    with closing(rows):
        for looked_at, (place, is_wanted) in enumerate(rows, start=1):
            if is_wanted:
                if len(places) == limit:
                    return _Found(places, places[-1])
                places.append(place)
            if looked_at == look_ahead:
                return _Found(places, place)
    return _Found(places, None)


def _parts(wanted: Filter, place: _Place | None) -> list[Sql]:
    """What comes behind a place in the order, as conditions, one part after the other: first what has the same key."""
    order, sign = wanted.order, ">" if wanted.rising else "<"
    if place is None:
        return [("1", ())]
    return [(f"{order.key} = ? AND {order.row} {sign} ?", place), (f"{order.key} {sign} ?", place[:1])]


def _sorting(wanted: Filter, *, one_key: bool = False) -> str:
    """``one_key``: all have the same; SQLite would not see that they are in order already."""
    direction = "ASC" if wanted.rising else "DESC"
    return f"ORDER BY {'' if one_key else f'{wanted.order.key} {direction}, '}{wanted.order.row} {direction}"


def _sorted(
    connection: sqlite3.Connection, asked: Question, wanted: Filter, place: _Place | None, source: _Source
) -> _Found:
    """Few candidates: all are looked at and sorted."""
    order = wanted.order
    parts = _parts(wanted, place)
    wants, given = asked.wants("s.id")
    rows = connection.execute(
        f"SELECT {order.key}, {order.row} FROM ({source[0]}) s CROSS JOIN {order.table} ON {order.row} = s.id"
        f" WHERE ({' OR '.join(text for text, _ in parts)}) AND {wants} {_sorting(wanted)} LIMIT ?",
        (*source[1], *(value for _, values in parts for value in values), *given, wanted.limit + 1),
    ).fetchall()
    places = [(key, row) for key, row in rows[: wanted.limit]]
    return _Found(places, places[-1] if len(rows) > wanted.limit else None)


def _walk(
    connection: sqlite3.Connection,
    asked: Question,
    wanted: Filter,
    place: _Place | None,
    source: _Source | None = None,
    steps: Sequence[int] = (-1, -1),
) -> Generator[tuple[_Place, bool]]:
    """Along the index of the order, past rows of running imports; with a ``source`` only what is in it.

    ``steps``: how many rows of each part (see ``_parts``), -1 for all.
    """
    imports = [_past_import("t.row", low, high) for low, high in _running(connection)]
    among = [] if source is None else [(f"t.row IN ({source[0]})", tuple(source[1]))]
    conditions = [("1", ()), *imports, *among]
    wants, given = asked.wants("t.row")
    for (entries, within), step in zip(_entries(asked, wanted, place), steps, strict=False):
        with closing(
            connection.execute(
                f"SELECT t.key, t.row, {wants} FROM ({entries} LIMIT ?) t"
                f" WHERE {' AND '.join(text for text, _ in conditions)}",
                (*given, *within, step, *(value for _, values in conditions for value in values)),
            )
        ) as rows:
            for key, row, is_wanted in rows:
                yield (key, row), is_wanted is not None


def _entries(asked: Question, wanted: Filter, place: _Place | None) -> list[Sql]:
    """Queries for keys and rows behind a place, in the order, read off its index alone; a part after the other."""
    order = wanted.order
    living = "1" if wanted.sort == "name" else "t.deleted_ms IS NULL"
    spanned: tuple[int, ...] = ()
    if asked.span is not None:
        living, spanned = f"{living} AND {order.key} >= ? AND {order.key} < ?", asked.span
    return [
        (
            f"SELECT {order.key} AS key, {order.row} AS row FROM {order.table} INDEXED BY {order.index}"
            f" WHERE {living} AND {part} {_sorting(wanted, one_key='= ?' in part)}",
            (*spanned, *given),
        )
        for part, given in _parts(wanted, place)
    ]


def _stride(
    connection: sqlite3.Connection, asked: Question, wanted: Filter, place: _Place
) -> tuple[list[int], _Place | None]:
    """How many rows of each part are passed by for one page, and the last of them; None: that is to the end."""
    steps: list[int] = []
    for entries, given in _entries(asked, wanted, place):
        left = _MANY - sum(steps)
        last = connection.execute(f"{entries} LIMIT 1 OFFSET ?", (*given, left - 1)).fetchone()
        if last is not None:
            return [*steps, left], (last[0], last[1])
        steps.append(connection.execute(f"SELECT count(*) FROM ({entries} LIMIT ?)", (*given, left)).fetchone()[0])
    return steps, None


def _by_row(
    connection: sqlite3.Connection, asked: Question, wanted: Filter, place: _Place | None
) -> Generator[tuple[_Place, bool]]:
    """In the order of the rows, read off a source, the index or the table; past rows of running imports."""
    others = [source for source in asked.sources if source[0] != PIECES]
    source = _least(connection, asked, _SOME) if others else None
    wants, given = asked.wants("s.id")
    sign, direction = (">", "ASC") if wanted.rising else ("<", "DESC")
    beyond = "1" if place is None else f"s.id {sign} ?"
    behind: list[object] = [] if place is None else [place[1]]
    if source is None:
        source = (PIECES, [asked.expression]) if asked.match else ("SELECT id FROM customers", [])
        for some, arguments in others:  # the first that a source has may be far away
            nearest = connection.execute(
                f"SELECT {'min' if wanted.rising else 'max'}(s.id) FROM ({some}) s WHERE {beyond}",
                (*arguments, *behind),
            ).fetchone()[0]
            if nearest is None:
                return
            beyond, behind = f"s.id {sign}= ?", [nearest]
    for low, high, busy in _stretches(connection, wanted.rising):
        finished: _Source = (_FINISHED, [low, high, low, high])
        some, arguments = finished if busy else source
        with closing(
            connection.execute(
                f"SELECT s.id, {wants} FROM ({some}) s WHERE s.id BETWEEN ? AND ? AND {beyond}"
                f" ORDER BY s.id {direction}",
                (*given, *arguments, low, high, *behind),
            )
        ) as rows:
            for row, is_wanted in rows:
                yield (row, row), is_wanted is not None


_FINISHED = (
    "SELECT id FROM customers WHERE import_id IS NULL AND id BETWEEN ? AND ?"
    " UNION ALL SELECT id FROM customers WHERE import_id IN (SELECT id FROM imports WHERE published_ms IS"
    " NOT NULL) AND id BETWEEN ? AND ?"
)
"""Of a stretch of ids, those that no running import wrote."""


def _past_import(row: str, low: int, high: int) -> Sql:
    return f"({row} NOT BETWEEN ? AND ? OR {row} IN ({_FINISHED}))", (low, high, low, high, low, high)


def _running(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """First and last id of what each running import wrote, in order."""
    spans = []
    for (import_id,) in connection.execute("SELECT id FROM unpublished").fetchall():
        low, high = connection.execute(
            "SELECT (SELECT min(id) FROM customers WHERE import_id = ?1), (SELECT max(id) FROM customers WHERE"
            " import_id = ?1)",
            (import_id,),
        ).fetchone()
        if low is not None:
            spans.append((low, high))
    return sorted(spans)


def _stretches(connection: sqlite3.Connection, rising: bool) -> list[tuple[int, int, bool]]:
    """Row ids from first to last, in the order they are read, each with whether a running import wrote most of it."""
    found, free = [], 0
    for low, high in _running(connection):
        if high < free:
            continue
        start = max(low, free)
        if start > free:
            found.append((free, start - 1, False))
        found.append((start, high, True))
        free = high + 1
    found.append((free, (1 << 63) - 1, False))
    return found if rising else found[::-1]
