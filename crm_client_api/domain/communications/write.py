"""Rows of communication records, written inside the transaction of the caller: one at a time, with their words.

Whoever calls has checked the scope and audits. Nothing else writes texts or times of ``communications``: the
full-text index would not know.
"""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, replace

import msgspec

from crm_client_api.domain.communications.record import VALUE_COLUMNS, Values, check, values_of
from crm_client_api.domain.communications.words import marks, number_words, words
from crm_client_api.domain.number_sites import note_keys
from firmware.errors import NotFound
from recorder.numbers import Site, match_key

ID_BITS = 31
"""Of a row of words: those for the record's id."""


def word_row(at_ms: int, communication_id: int) -> int:
    """The number of a record's row in ``communication_words``: rises with its time (whole seconds), then its id."""
    return (at_ms // 1000 << ID_BITS) + communication_id


def insert(
    connection: sqlite3.Connection,
    values: Values,
    author: str,
    owner: str,
    at_ms: int,
    import_id: int | None = None,
    *,
    site: Site,
) -> int:
    """Add a record as of ``at_ms`` (when it is written down); its id. Raises Invalid."""
    values = _settled(values)
    names = (*VALUE_COLUMNS, "match_key", "author", "owner", "created_ms", "changed_ms", "import_id")
    key = match_key(values.number, site) if values.number else ""
    cursor = connection.execute(
        f"INSERT INTO communications ({', '.join(names)}) VALUES ({','.join('?' * len(names))})",
        (*asdict(values).values(), key, author, owner, at_ms, at_ms, import_id),
    )
    communication_id = int(cursor.lastrowid or 0)
    _index(connection, communication_id, values, (owner, author), site, "")
    return communication_id


def update(
    connection: sqlite3.Connection, communication_id: int, values: Values, by: str, at_ms: int, *, site: Site
) -> Values:
    """Put ``values`` in the place of what a record says, which is kept as a version; answers what it said.

    Author, owner, and the call that it was written for stay. Raises NotFound, Invalid.
    """
    row = connection.execute("SELECT * FROM communications WHERE id = ?", (communication_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such communication record")
    old = values_of(row)
    values = replace(_settled(values), call_id=old.call_id)
    if values == old:
        return old
    connection.execute(
        "INSERT INTO communication_versions (communication_id, version, at_ms, by, fields)"
        " SELECT ?, coalesce(max(version), 0) + 1, ?, ?, ? FROM communication_versions WHERE communication_id = ?",
        (communication_id, at_ms, by, msgspec.json.encode(old).decode(), communication_id),
    )
    connection.execute("DELETE FROM communication_words WHERE rowid = ?", (word_row(old.at_ms, communication_id),))
    connection.execute(
        f"UPDATE communications SET {', '.join(f'{name} = ?' for name in VALUE_COLUMNS)}, match_key = ?,"
        " changed_ms = ? WHERE id = ?",
        (
            *asdict(values).values(),
            match_key(values.number, site) if values.number else "",
            at_ms,
            communication_id,
        ),
    )
    people = row["owner"], row["author"]
    _index(connection, communication_id, values, people, site, _supplements(connection, communication_id))
    return old


def supplement(
    connection: sqlite3.Connection, communication_id: int, content: str, author: str, at_ms: int, *, site: Site
) -> int:
    """Add a supplement to a record; its id. Raises NotFound."""
    row = connection.execute("SELECT * FROM communications WHERE id = ?", (communication_id,)).fetchone()
    if row is None:
        raise NotFound("there is no such communication record")
    cursor = connection.execute(
        "INSERT INTO communication_supplements (communication_id, at_ms, author, content) VALUES (?,?,?,?)",
        (communication_id, at_ms, author, content),
    )
    index_again(connection, communication_id, site=site)
    return int(cursor.lastrowid or 0)


def index_again(connection: sqlite3.Connection, communication_id: int, *, site: Site) -> None:
    """Bring the words of a record up to what stands in it."""
    row = connection.execute("SELECT * FROM communications WHERE id = ?", (communication_id,)).fetchone()
    if row is None:
        return
    values = values_of(row)
    connection.execute("DELETE FROM communication_words WHERE rowid = ?", (word_row(values.at_ms, communication_id),))
    people = row["owner"], row["author"]
    _index(connection, communication_id, values, people, site, _supplements(connection, communication_id))


def _settled(values: Values) -> Values:
    """Whole seconds: the index sorts by them. Raises Invalid."""
    check(values)
    return replace(
        values,
        at_ms=values.at_ms // 1000 * 1000,
        next_contact_ms=None if values.next_contact_ms is None else values.next_contact_ms // 1000 * 1000,
    )


def _supplements(connection: sqlite3.Connection, communication_id: int) -> str:
    rows = connection.execute(
        "SELECT content FROM communication_supplements WHERE communication_id = ? ORDER BY id", (communication_id,)
    )
    return "\n".join(row[0] for row in rows)


def _index(
    connection: sqlite3.Connection,
    communication_id: int,
    values: Values,
    people: tuple[str, str],
    site: Site,
    more: str,
) -> None:
    """``people``: owner and author. ``more``: texts that are found with the record's content."""
    if values.number:
        note_keys(connection, site)
    connection.execute(
        "INSERT INTO communication_words (rowid, subject, content, result, digits, marks) VALUES (?,?,?,?,?,?)",
        (
            word_row(values.at_ms, communication_id),
            words(values.subject),
            words(f"{values.content}\n{more}" if more else values.content),
            words(values.result),
            number_words(values.number, site) if values.number else "",
            marks(*people, values.customer_id, values.method),
        ),
    )
