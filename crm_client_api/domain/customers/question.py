"""What is asked of the customers, as SQL: who is wanted, what the index can say of it, where few of them are."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from crm_client_api.domain.customers import words
from crm_client_api.domain.customers.record import clean_tag
from crm_client_api.domain.scope import RecordScope, Sql
from firmware.errors import BadInput
from recorder.numbers import Site, match_key

Sort = Literal["created", "changed", "name", "company", "next_contact"]
_NEVER_MS = 1 << 53  # sorts behind every time: no next contact


@dataclass(frozen=True, slots=True)
class Order:
    """``key`` of a row of ``table`` (called ``t``), whose number is ``row``, is sorted by with ``index``."""

    table: str
    row: str
    key: str
    index: str


_ORDERS: Mapping[tuple[Sort, bool], Order] = {
    **{("created", up): Order("customers t", "t.id", "t.id", "") for up in (False, True)},
    **{("changed", up): Order("customers t", "t.id", "t.changed_ms", "customers_by_change") for up in (False, True)},
    **{
        ("name", up): Order("customer_index t", "t.customer_id", "t.sort_name", "customer_index_by_name")
        for up in (False, True)
    },
    ("company", True): Order(
        "customers t", "t.id", "CASE t.company WHEN '' THEN char(1114111) ELSE t.company END", "customers_by_company"
    ),
    ("company", False): Order("customers t", "t.id", "t.company", "customers_by_company_down"),
    ("next_contact", True): Order(
        "customers t", "t.id", f"coalesce(t.next_contact_ms, {_NEVER_MS})", "customers_by_contact"
    ),
    ("next_contact", False): Order(
        "customers t", "t.id", "coalesce(t.next_contact_ms, -1)", "customers_by_contact_down"
    ),
}
"""By sort and direction (up: ascending); those without a company or a next contact come last in both."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list. Newest first, unless ``sort`` and ``ascending`` say otherwise. Times are Unix ms UTC.

    ``text``: every word of it in names (Chinese, Pinyin, initials), companies, notes, tags, the
    office's own fields or numbers. ``number``: a whole number in any spelling. ``..._from`` is included, ``..._to`` is
    not. ``after``: the ``next`` of the page before. ``backwards``: the same order, read from its end.
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
    backwards: bool = False

    @property
    def order(self) -> Order:
        """How it is sorted."""
        return _ORDERS[self.sort, self.ascending]

    @property
    def rising(self) -> bool:
        """Whether it is read from low keys to high ones."""
        return self.ascending != self.backwards


@dataclass(slots=True)
class Question:
    """A filter in a scope, as SQL. ``conditions`` of a customer ``c`` with its index entry ``x``; ``match``: what of
    them the index can answer. ``sources``: queries for ids that hold all that is wanted. ``span``: where in the wanted
    order all of it lies.
    """

    match: list[str] = field(default_factory=list)
    sources: list[tuple[str, list[object]]] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    arguments: list[object] = field(default_factory=list)
    span: tuple[int, int] | None = None
    needs_words: bool = False
    impossible: bool = False

    def require(self, condition: str, *arguments: object) -> None:
        """One condition more."""
        self.conditions.append(condition)
        self.arguments += arguments

    @property
    def expression(self) -> str:
        """For FTS5."""
        return " AND ".join(f"({part})" for part in self.match)

    def wants(self, row: str) -> Sql:
        """1 if the customer whose number is ``row`` is wanted, else null."""
        words_too = "CROSS JOIN customer_index x ON x.customer_id = c.id" if self.needs_words else ""
        where = " AND ".join([f"c.id = {row}", *self.conditions])
        return f"(SELECT 1 FROM living_customers c {words_too} WHERE {where})", tuple(self.arguments)


PIECES = "SELECT rowid AS id FROM customer_pieces WHERE customer_pieces MATCH ?"
"""The source that the index is."""
_WITH_NUMBER = "SELECT DISTINCT customer_id AS id FROM customer_phones WHERE match_key = ?"
_WITH_TAG = "SELECT customer_id AS id FROM customer_tags WHERE tag = ?"


def question(connection: sqlite3.Connection, wanted: Filter, scope: RecordScope, site: Site) -> Question:
    """What is asked."""
    asked = Question()
    if wanted.text.strip():
        text = words.Wanted(wanted.text, site)
        if not text.ways:
            asked.impossible = True
            return asked
        if text.expression:
            asked.match.append(text.expression)
        asked.needs_words = True
        condition, given = text.sql("x.words")
        asked.require(condition, *given)
    for kind in ("category", "level", "status", "source", "owner"):
        value = getattr(wanted, kind)
        if value:
            asked.match.append(words.any_facet(kind, [value]))
            asked.require(f"+c.{kind} = ?", value)
    tags = [clean_tag(tag) for tag in wanted.tags]
    for tag in tags:
        asked.match.append(words.any_facet("tag", [tag]))
        asked.require("EXISTS (SELECT 1 FROM customer_tags t WHERE t.customer_id = c.id AND t.tag = ?)", tag)
    # While rows wait to be indexed, only they themselves are asked: a list is never short of what was just handed over.
    lagging = not asked.needs_words and connection.execute("SELECT 1 FROM customer_stale LIMIT 1").fetchone()
    _limit_to_scope(connection, asked, scope)
    if lagging:
        asked.match.clear()
        condition, arguments = scope.sql("owner")
        asked.sources += [] if scope.everything else [(f"SELECT id FROM customers WHERE {condition}", [*arguments])]
        asked.sources += [(_WITH_TAG, [tag]) for tag in tags]
    if wanted.number:
        key = match_key(wanted.number, site)
        asked.impossible = asked.impossible or not key
        asked.sources.append((_WITH_NUMBER, [key]))
        asked.require("EXISTS (SELECT 1 FROM customer_phones p WHERE p.customer_id = c.id AND p.match_key = ?)", key)
    _limit_times(asked, wanted)
    if asked.match:
        asked.sources.append((PIECES, [asked.expression]))
    return asked


def _limit_to_scope(connection: sqlite3.Connection, asked: Question, scope: RecordScope) -> None:
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


def _limit_times(asked: Question, wanted: Filter) -> None:
    contact = f"coalesce(c.next_contact_ms, {_NEVER_MS})"
    for sort, column, order, first, end in (
        ("next_contact", contact, "customers_by_contact", wanted.next_contact_from_ms, wanted.next_contact_to_ms),
        ("", "c.created_ms", "customers_by_creation", wanted.created_from_ms, wanted.created_to_ms),
    ):
        if first is None and end is None:
            continue
        span = (0 if first is None else first, _NEVER_MS if end is None else end)
        condition = f"{column} >= ? AND {column} < ?"
        source = f"SELECT c.id FROM customers c INDEXED BY {order} WHERE c.deleted_ms IS NULL AND {condition}"
        asked.sources.append((source, [*span]))
        if sort == wanted.sort:
            asked.span = span
        asked.require(condition, *span)


def place_after(wanted: Filter) -> tuple[str | int, int] | None:
    """Key and id that the page before ended with. Raises BadInput."""
    if wanted.after is None:
        return None
    if wanted.sort == "created":
        text = str(wanted.after)
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise BadInput("'after' is the 'next' of the page before")
        return int(text), int(text)
    kind = str if wanted.sort in ("name", "company") else int
    try:
        key, row = msgspec.json.decode(bytes.fromhex(str(wanted.after)), type=tuple[kind, int])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInput("'after' is the 'next' of the page before, in the same order") from error
    return key, row


def next_after(wanted: Filter, key: str | int, row: int) -> str:
    """The ``after`` of the next page, when this one ended with key and id."""
    return str(row) if wanted.sort == "created" else msgspec.json.encode([key, row]).hex()
