"""Searches customers: text, filters, sort, pages. Scope is part of the query, and of the index that answers it.

Text, filters by value and scope are one question to the index (``words``); a page of the newest is then read off it
in order, without looking at more than its rows. Other orders, and filters by time: few candidates are read and sorted,
of many the order's own index is walked until the page is full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import sqlite_utils

from crm_client_api.domain.customers import words
from crm_client_api.domain.customers.read import COLUMNS, customers_of
from crm_client_api.domain.customers.record import Customer, clean_tag
from crm_client_api.domain.numbers import Site, match_key
from crm_client_api.domain.scope import RecordScope
from firmware.errors import BadInput

Sort = Literal["created", "changed", "name", "company", "next_contact"]
_NEVER_MS = 1 << 53  # sorts behind every time: no next contact
_KEYS: Mapping[str, str] = {
    "created": "c.id",
    "changed": "c.changed_ms",
    "name": "x.sort_name",
    "company": "CASE c.company WHEN '' THEN char(1114111) ELSE c.company END",
    "next_contact": f"coalesce(c.next_contact_ms, {_NEVER_MS})",
}
"""What is sorted by, each with an index; those without a company or a next contact come last, in both directions."""
_KEYS_DOWN = {"company": "c.company", "next_contact": "coalesce(c.next_contact_ms, -1)"}
_FEW = 20_000
"""Candidates that are read and sorted at once; the more there are, the sooner walking the order fills a page."""
_FIRST_STEPS = 3000
"""Rows that are looked at in the wanted order before all candidates are gathered."""
MOST_COUNTED = 5000
"""Counting looks at so many candidates."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list. Newest first, unless ``sort`` and ``ascending`` say otherwise. Times are Unix ms UTC.

    ``text``: every word of it in names (Chinese, Pinyin, initials), companies, notes, tags, the
    office's own fields or numbers. ``number``: a whole number in any spelling. ``..._from`` is included, ``..._to`` is
    not. ``after``: the ``next`` of the page before.
    """

    text: str = ""
    number: str = ""
    limit: int = 50
    after: str | int | None = None
    category: str = ""
    level: str = ""
    status: str = ""
    source: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    next_contact_from_ms: int | None = None
    next_contact_to_ms: int | None = None
    created_from_ms: int | None = None
    created_to_ms: int | None = None
    sort: Sort = "created"
    ascending: bool = False

    @property
    def key(self) -> str:
        """The expression that is sorted by."""
        return _KEYS[self.sort] if self.ascending else _KEYS_DOWN.get(self.sort, _KEYS[self.sort])


@dataclass(frozen=True, slots=True)
class Page:
    """Some customers; ``next`` is the ``after`` of the next page, None at the end."""

    customers: list[Customer]
    next: str | None


@dataclass(slots=True)
class _Question:
    """A filter in a scope, as SQL. ``sources``: queries for ids that hold all that is wanted. ``spans``: where
    in an order all of it lies.
    """

    match: list[str] = field(default_factory=list)
    sources: list[tuple[str, list[object]]] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    arguments: list[object] = field(default_factory=list)
    spans: dict[str, tuple[str, list[object]]] = field(default_factory=dict)
    needs_words: bool = False
    impossible: bool = False

    def require(self, condition: str, *arguments: object) -> None:
        self.conditions.append(condition)
        self.arguments += arguments

    @property
    def expression(self) -> str:
        return " AND ".join(f"({part})" for part in self.match)

    @property
    def where(self) -> str:
        return " AND ".join(self.conditions) or "1"


_PIECES = "SELECT rowid AS id FROM customer_pieces WHERE customer_pieces MATCH ?"
_WITH_NUMBER = "SELECT DISTINCT customer_id AS id FROM customer_phones WHERE match_key = ?"


def _question(connection: sqlite3.Connection, wanted: Filter, scope: RecordScope, site: Site) -> _Question:
    asked = _Question()
    if wanted.text.strip():
        text = words.Wanted(wanted.text, site)
        if not text.ways:
            asked.impossible = True
            return asked
        if text.expression:
            asked.match.append(text.expression)
        asked.needs_words = True
        asked.require(*_flat(text.sql("x.words")))
    for kind in ("category", "level", "status", "source", "owner"):
        value = getattr(wanted, kind)
        if value:
            asked.match.append(words.any_facet(kind, [value]))
            asked.require(f"+c.{kind} = ?", value)
    for tag in map(clean_tag, wanted.tags):
        asked.match.append(words.any_facet("tag", [tag]))
        asked.require("EXISTS (SELECT 1 FROM customer_tags t WHERE t.customer_id = c.id AND t.tag = ?)", tag)
    # While rows wait to be indexed, only they themselves are asked: a list is never short of what was just handed over.
    lagging = not asked.needs_words and connection.execute("SELECT 1 FROM customer_stale LIMIT 1").fetchone()
    _limit_to_scope(connection, asked, scope)
    if lagging:
        asked.match.clear()
        condition, arguments = scope.sql("owner")
        asked.sources += [] if scope.everything else [(f"SELECT id FROM customers WHERE {condition}", [*arguments])]
    if wanted.number:
        key = match_key(wanted.number, site)
        asked.impossible = asked.impossible or not key
        asked.sources.append((_WITH_NUMBER, [key]))
    if asked.match:
        asked.sources.append((_PIECES, [asked.expression]))
    _limit_times(asked, wanted)
    return asked


def _flat(condition: tuple[str, list[str]]) -> tuple[str, ...]:
    return (condition[0], *condition[1])


def _limit_to_scope(connection: sqlite3.Connection, asked: _Question, scope: RecordScope) -> None:
    """The rows' owners decide; the index is asked too, so that few of many are found without looking at the others."""
    condition, arguments = scope.sql("+c.owner")
    asked.require(condition, *arguments)
    if scope.everything:
        return
    owners = [scope.staff_no]
    if scope.staff_no is None:
        owners = [row[0] for row in connection.execute("SELECT staff_no FROM staff WHERE group_number = ?", arguments)]
    asked.impossible = asked.impossible or not owners
    asked.match.append(words.any_facet("owner", [owner for owner in owners if owner is not None]))


def _limit_times(asked: _Question, wanted: Filter) -> None:
    for sort, column, first, end in (
        ("next_contact", _KEYS["next_contact"], wanted.next_contact_from_ms, wanted.next_contact_to_ms),
        ("", "c.created_ms", wanted.created_from_ms, wanted.created_to_ms),
    ):
        if first is None and end is None:
            continue
        span = [0 if first is None else first, _NEVER_MS if end is None else end]
        condition = f"{column} >= ? AND {column} < ?"
        asked.sources.append((f"SELECT id FROM living_customers c WHERE {condition}", list(span)))
        if sort == wanted.sort:
            asked.spans[sort] = f"{wanted.key} >= ? AND {wanted.key} < ?", list(span)
        asked.require(condition, *span)


def find_page(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site) -> Page:
    """A page of the customers in scope that are wanted. Raises BadInput for a wrong ``after``."""
    connection = crm.conn
    asked = _question(connection, wanted, scope, site)
    beyond = _beyond(wanted)
    if asked.impossible:
        return Page([], None)
    one_more = wanted.limit + 1
    few = None
    if wanted.sort != "created" or any(source[0] != _PIECES for source in asked.sources):
        few = _few_candidates(connection, asked, _FEW)
    if few is not None:
        rows = _sorted(connection, asked, wanted, beyond, few, one_more)
    elif wanted.sort == "created":
        rows = _newest(connection, asked, wanted, beyond, one_more)
    else:
        rows = _walk(connection, asked, wanted, beyond, one_more)
    found = rows[: wanted.limit]
    more = len(rows) > wanted.limit
    return Page(customers_of(connection, found), _after(wanted, found[-1]) if more else None)


def list_customers(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site) -> list[Customer]:
    """The customers of ``find_page``."""
    return find_page(crm, wanted, scope, site).customers


def count_customers(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site) -> tuple[int, bool]:
    """How many customers in scope are wanted, and whether there may be more: some thousands are looked at."""
    connection = crm.conn
    asked = _question(connection, wanted, scope, site)
    if asked.impossible:
        return 0, False
    few = _few_candidates(connection, asked, MOST_COUNTED)
    source, arguments = few or [*asked.sources, ("SELECT id FROM living_customers", [])][0]
    looked_at, found = connection.execute(
        f"SELECT (SELECT count(*) FROM ({source} LIMIT {MOST_COUNTED + 1})), count(*) FROM"
        f" ({source} LIMIT {MOST_COUNTED}) s CROSS JOIN living_customers c ON c.id = s.id {_words(asked)}"
        f" WHERE {asked.where}",
        (*arguments, *arguments, *asked.arguments),
    ).fetchone()
    return int(found), looked_at > MOST_COUNTED


def wanted_ids(
    crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope, site: Site, *, limit: int, below: int | None = None
) -> list[int]:
    """Ids of customers in scope that are wanted, highest first, at most ``limit``, only those ``below``."""
    connection = crm.conn
    asked = _question(connection, wanted, scope, site)
    if asked.impossible:
        return []
    ordered = Filter(limit=limit, after=below)
    rows = _newest(connection, asked, ordered, _beyond(ordered), limit, columns="c.id")
    return [row[0] for row in rows]


def exists(crm: sqlite_utils.Database, wanted: Filter, scope: RecordScope) -> bool:
    """Whether any customer in scope is wanted. Filters by number and text are not looked at."""
    return bool(wanted_ids(crm, replace(wanted, number="", text=""), scope, Site(), limit=1))


def _few_candidates(connection: sqlite3.Connection, asked: _Question, few: int) -> tuple[str, list[object]] | None:
    """A source of ids that has few of them."""
    for source, arguments in asked.sources:
        counted = connection.execute(f"SELECT count(*) FROM ({source} LIMIT {few + 1})", arguments).fetchone()[0]
        if counted <= few:
            return source, arguments
    return None


def _words(asked: _Question, *, sorts_by_name: bool = False) -> str:
    needed = asked.needs_words or sorts_by_name
    return "CROSS JOIN customer_index x ON x.customer_id = c.id" if needed else ""


def _sorted(
    connection: sqlite3.Connection,
    asked: _Question,
    wanted: Filter,
    beyond: tuple[str, list[object]],
    source: tuple[str, list[object]],
    limit: int,
) -> list[sqlite3.Row]:
    """Few candidates: all are looked at and sorted."""
    key, direction = wanted.key, "ASC" if wanted.ascending else "DESC"
    joined = _words(asked, sorts_by_name=wanted.sort == "name")
    return connection.execute(
        f"SELECT {COLUMNS}, {key} AS sort_key FROM ({source[0]}) s CROSS JOIN living_customers c ON c.id = s.id"
        f" {joined} WHERE {asked.where} AND {beyond[0]} ORDER BY {key} {direction}, c.id {direction} LIMIT ?",
        (*source[1], *asked.arguments, *beyond[1], limit),
    ).fetchall()


def _walk(
    connection: sqlite3.Connection, asked: _Question, wanted: Filter, beyond: tuple[str, list[object]], limit: int
) -> list[sqlite3.Row]:
    """Many candidates: along the index of the order until the page is full.

    What is wanted may all lie at the far end of the order (a surname of a list by names): when the first steps do not
    fill the page, all candidates are gathered, so that going on costs no look at the rows in between.
    """
    rows = _first_steps(connection, asked, wanted, beyond, limit)
    return rows if len(rows) >= limit else _all_steps(connection, asked, wanted, beyond, limit)


def _first_steps(
    connection: sqlite3.Connection, asked: _Question, wanted: Filter, beyond: tuple[str, list[object]], limit: int
) -> list[sqlite3.Row]:
    """The wanted ones among the first rows of the order."""
    key, direction = wanted.key, "ASC" if wanted.ascending else "DESC"
    span, given = asked.spans.get(wanted.sort, ("1", []))
    if wanted.sort == "name":
        some, row_id = "SELECT x.customer_id AS id FROM customer_index x INDEXED BY customer_index_by_name", "id"
    else:
        some, row_id = "SELECT c.id FROM living_customers c", "c.id"
    some += f" WHERE {span} AND {beyond[0]} ORDER BY {key} {direction}, {row_id} {direction} LIMIT {_FIRST_STEPS}"
    joined = _words(asked, sorts_by_name=wanted.sort == "name")
    return connection.execute(
        f"SELECT {COLUMNS}, {key} AS sort_key FROM ({some}) s CROSS JOIN living_customers c ON c.id = s.id {joined}"
        f" WHERE {asked.where} ORDER BY {key} {direction}, c.id {direction} LIMIT ?",
        (*given, *beyond[1], *asked.arguments, limit),
    ).fetchall()


def _all_steps(
    connection: sqlite3.Connection, asked: _Question, wanted: Filter, beyond: tuple[str, list[object]], limit: int
) -> list[sqlite3.Row]:
    """All that are wanted, in the order."""
    key, direction = wanted.key, "ASC" if wanted.ascending else "DESC"
    start, row_id = f"living_customers c {_words(asked)}", "c.id"
    if wanted.sort == "name":
        start = (
            "customer_index x INDEXED BY customer_index_by_name CROSS JOIN living_customers c ON c.id = x.customer_id"
        )
        row_id = "x.customer_id"
    gathered, given = (f"{row_id} IN ({_PIECES})", [asked.expression]) if asked.match else ("1", [])
    return connection.execute(
        f"SELECT {COLUMNS}, {key} AS sort_key FROM {start} WHERE {gathered} AND {asked.where} AND {beyond[0]}"
        f" ORDER BY {key} {direction}, {row_id} {direction} LIMIT ?",
        (*given, *asked.arguments, *beyond[1], limit),
    ).fetchall()


def _newest(
    connection: sqlite3.Connection,
    asked: _Question,
    wanted: Filter,
    beyond: tuple[str, list[object]],
    limit: int,
    columns: str = f"{COLUMNS}, c.id AS sort_key",
) -> list[sqlite3.Row]:
    """In the order of the rows, read off the index or the table; past the rows of imports that are not done yet."""
    direction = "ASC" if wanted.ascending else "DESC"
    rows: list[sqlite3.Row] = []
    for low, high, busy in _stretches(connection, wanted.ascending):
        start, where, given = "living_customers c", asked.where, list(asked.arguments)
        row_id = "c.id"
        if asked.match:
            start, row_id = "customer_pieces p CROSS JOIN living_customers c ON c.id = p.rowid", "p.rowid"
            where, given = f"{where} AND p.customer_pieces MATCH ?", [*given, asked.expression]
        if busy:
            where += (
                f" AND {row_id} IN (SELECT id FROM customers WHERE import_id IS NULL AND id BETWEEN ? AND ?"
                " UNION ALL SELECT id FROM customers WHERE import_id IN (SELECT id FROM imports WHERE published_ms IS"
                " NOT NULL) AND id BETWEEN ? AND ?)"
            )
            given += [low, high, low, high]
        rows += connection.execute(
            f"SELECT {columns} FROM {start} {_words(asked)} WHERE {where} AND {row_id} BETWEEN ? AND ?"
            f" AND {beyond[0].replace('c.id', row_id)} ORDER BY {row_id} {direction} LIMIT ?",
            (*given, low, high, *beyond[1], limit - len(rows)),
        ).fetchall()
        if len(rows) >= limit:
            break
    return rows


def _stretches(connection: sqlite3.Connection, ascending: bool) -> list[tuple[int, int, bool]]:
    """Row ids from first to last, in the wanted order, each with whether a running import wrote most of it."""
    spans = []
    for (import_id,) in connection.execute("SELECT id FROM unpublished").fetchall():
        low, high = connection.execute(
            "SELECT (SELECT min(id) FROM customers WHERE import_id = ?1), (SELECT max(id) FROM customers WHERE"
            " import_id = ?1)",
            (import_id,),
        ).fetchone()
        if low is not None:
            spans.append((low, high))
    found, free = [], 0
    for low, high in sorted(spans):
        if high < free:
            continue
        start = max(low, free)
        if start > free:
            found.append((free, start - 1, False))
        found.append((start, high, True))
        free = high + 1
    found.append((free, (1 << 63) - 1, False))
    return found if ascending else found[::-1]


def _beyond(wanted: Filter) -> tuple[str, list[object]]:
    """What comes after the page before, as a condition."""
    if wanted.after is None:
        return "1", []
    sign = ">" if wanted.ascending else "<"
    if wanted.sort == "created":
        text = str(wanted.after)
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise BadInput("'after' is the 'next' of the page before")
        return f"c.id {sign} ?", [int(text)]
    kind = str if wanted.sort in ("name", "company") else int
    try:
        key, row = msgspec.json.decode(bytes.fromhex(str(wanted.after)), type=tuple[kind, int])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInput("'after' is the 'next' of the page before, in the same order") from error
    second = "x.customer_id" if wanted.sort == "name" else "c.id"
    return f"({wanted.key}, {second}) {sign} (?, ?)", [key, row]


def _after(wanted: Filter, last: sqlite3.Row) -> str:
    if wanted.sort == "created":
        return str(last["id"])
    return msgspec.json.encode([last["sort_key"], last["id"]]).hex()
