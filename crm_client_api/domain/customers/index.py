"""Keeps the search index in step with the customers: in the transaction that writes them, or by the upkeep.

Triggers note in ``customer_stale`` whose rows were changed; who adds customers, numbers or tags puts them into the
index or notes it (``note``); whoever renews the index takes the note away. What was changed without it is found by the
upkeep, what was added without it when the API starts. Nobody is ever shown what is out of scope: every search looks at
the rows themselves, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import sqlite_utils

from crm_client_api.domain.customers import words
from crm_client_api.domain.customers.record import TEXTS, CustomValue
from firmware.store.connection import write

_BATCH = 50


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """What the index holds of one customer; ``pieces`` as FTS5 takes them."""

    words: str
    facets: str
    sort_name: str
    pieces: str


def entry_of(
    fields: Mapping[str, str],
    numbers: Iterable[tuple[str, str]],
    tags: Sequence[str],
    custom: Mapping[int, CustomValue],
    owner: str,
) -> Entry:
    """The entry of a customer; half of the work of adding one, and it needs no store."""
    text, facets = words.words_of(fields, numbers, tags, custom), words.facets_of(fields, owner, tags)
    return Entry(text, facets, words.sort_name(fields), _pieces(text, facets))


def put_new(connection: sqlite3.Connection, entries: Sequence[tuple[int, Entry]]) -> None:
    """Index customers (by id) that were just added, inside the caller's transaction."""
    connection.executemany(
        "INSERT INTO customer_index (customer_id, version, words, facets, sort_name) VALUES (?,?,?,?,?)",
        [(number, words.VERSION, entry.words, entry.facets, entry.sort_name) for number, entry in entries],
    )
    connection.executemany(
        "INSERT INTO customer_pieces (rowid, pieces) VALUES (?,?)",
        [(number, entry.pieces) for number, entry in entries],
    )


def put(connection: sqlite3.Connection, customer_id: int, text: str, facets: str, name: str) -> None:
    """Index a living customer anew, inside the caller's transaction."""
    _take_out(connection, customer_id)
    connection.execute(
        "INSERT OR REPLACE INTO customer_index (customer_id, version, words, facets, sort_name) VALUES (?,?,?,?,?)",
        (customer_id, words.VERSION, text, facets, name),
    )
    connection.execute("INSERT INTO customer_pieces (rowid, pieces) VALUES (?,?)", (customer_id, _pieces(text, facets)))
    connection.execute("DELETE FROM customer_stale WHERE customer_id = ?", (customer_id,))


def remove(connection: sqlite3.Connection, customer_id: int) -> None:
    """Take a customer out of the index: before the row is deleted, or when it goes into the recycle bin."""
    _take_out(connection, customer_id)
    connection.execute("DELETE FROM customer_index WHERE customer_id = ?", (customer_id,))
    connection.execute("DELETE FROM customer_stale WHERE customer_id = ?", (customer_id,))


def renew(connection: sqlite3.Connection, customer_ids: Iterable[int]) -> None:
    """Index these customers as they are now, inside the caller's transaction (a millisecond for five)."""
    for customer_id in customer_ids:
        row = connection.execute(
            "SELECT * FROM customers WHERE id = ? AND deleted_ms IS NULL", (customer_id,)
        ).fetchone()
        if row is None:
            remove(connection, customer_id)
            continue
        fields = {name: row[name] for name in TEXTS}
        numbers = connection.execute(
            "SELECT number, match_key FROM customer_phones WHERE customer_id = ? ORDER BY position", (customer_id,)
        ).fetchall()
        tags = [tag for (tag,) in connection.execute(
            "SELECT tag FROM customer_tags WHERE customer_id = ? ORDER BY tag", (customer_id,)
        )]  # fmt: skip
        custom: dict[int, CustomValue] = msgspec.json.decode(row["custom"], type=dict[int, CustomValue])
        put(
            connection,
            customer_id,
            words.words_of(fields, [tuple(number) for number in numbers], tags, custom),
            words.facets_of(fields, row["owner"], tags),
            words.sort_name(fields),
        )


def note(connection: sqlite3.Connection, customer_id: int) -> None:
    """Note that a customer is to be indexed anew, inside the caller's transaction."""
    connection.execute("INSERT OR IGNORE INTO customer_stale VALUES (?)", (customer_id,))


def renew_soon(crm: sqlite_utils.Database, customer_ids: Sequence[int], batch: int = _BATCH) -> None:
    """Index these customers after the transaction that changed them, in short ones of their own."""
    for first in range(0, len(customer_ids), batch):
        with write(crm) as connection:
            renew(connection, customer_ids[first : first + batch])


def renew_stale(crm: sqlite_utils.Database, enough: Callable[[], bool] = lambda: False, batch: int = _BATCH) -> int:
    """Index all that was touched without being indexed, in short transactions, until ``enough``; how many."""
    renewed = 0
    while not enough():
        found = [row[0] for row in crm.conn.execute("SELECT customer_id FROM customer_stale LIMIT ?", (batch,))]
        if not found:
            break
        with write(crm) as connection:
            renew(connection, found)
        renewed += len(found)
    return renewed


def mark_outdated(crm: sqlite_utils.Database, batch: int = 5000) -> None:
    """Note all who are not in the index, and all whose words another version of this program made."""
    last = 0
    while True:
        found = crm.conn.execute(
            "SELECT max(id) FROM (SELECT id FROM customers WHERE id > ? ORDER BY id LIMIT ?)", (last, batch)
        ).fetchone()[0]
        if found is None:
            return
        lacking = [row[0] for row in crm.conn.execute(
            "SELECT c.id FROM customers c LEFT JOIN customer_index x ON x.customer_id = c.id"
            " WHERE c.id > ? AND c.id <= ? AND c.deleted_ms IS NULL AND x.version IS NOT ?",
            (last, found, words.VERSION),
        )]  # fmt: skip
        if lacking:
            with write(crm) as connection:
                for customer_id in lacking:
                    note(connection, customer_id)
        last = found


def _take_out(connection: sqlite3.Connection, customer_id: int) -> None:
    """FTS5 keeps no text: to forget a row it has to be told the same pieces again."""
    old = connection.execute(
        "SELECT words, facets FROM customer_index WHERE customer_id = ?", (customer_id,)
    ).fetchone()
    if old is not None:
        connection.execute(
            "INSERT INTO customer_pieces (customer_pieces, rowid, pieces) VALUES ('delete', ?, ?)",
            (customer_id, _pieces(old[0], old[1])),
        )


def _pieces(text: str, facets: str) -> str:
    return " ".join([*words.pieces(text), facets])
