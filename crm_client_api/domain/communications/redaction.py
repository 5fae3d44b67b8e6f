"""Takes a telephone number out of the texts of communication records, which nobody can edit any more.

Texts, versions, supplements and the audit entries of corrections are looked through.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence

import msgspec
import sqlite_utils

from crm_client_api.domain.communications.write import index_again
from recorder.library.erasure.erase import Found
from recorder.numbers import Site

TEXT = "text of a communication record"
VERSION = "version of a communication record"
SUPPLEMENT = "supplement of a communication record"
CORRECTION = "correction of a communication record"
KINDS = frozenset({TEXT, VERSION, SUPPLEMENT, CORRECTION})
RecordHeld = Callable[[int], str | None]
"""The hold that keeps a communication record as it is, by its call or its time too; None when there is none."""
INSTEAD = "…"
"""What stands where the number stood."""
COLUMNS = {
    TEXT: ("subject", "content", "result"),
    VERSION: ("fields",),
    SUPPLEMENT: ("content",),
    CORRECTION: ("data",),
}
_OF_ONE = (
    "add", "change", "correct", "delete", "erase_number", "hand_over", "purge", "restore", "supplement",
)  # fmt: skip
"""What is done to one record: the subject of its audit entry is that record's id. Others name an import's, or none."""
_OF_ONE_ACTIONS = frozenset(f"communication.{verb}" for verb in _OF_ONE)
_QUERIES = {
    TEXT: "SELECT id AS row_number, * FROM communications",
    VERSION: "SELECT rowid AS row_number, (SELECT customer_id FROM communications WHERE id = communication_id) AS"
    " customer_id, * FROM communication_versions",
    SUPPLEMENT: "SELECT id AS row_number, (SELECT customer_id FROM communications WHERE id = communication_id) AS"
    " customer_id, * FROM communication_supplements",
    CORRECTION: "SELECT id AS row_number, (SELECT customer_id FROM communications c WHERE c.id ="
    f" CAST(audit.subject AS INTEGER) AND audit.action IN ({', '.join(map(repr, sorted(_OF_ONE_ACTIONS)))}))"
    " AS customer_id, * FROM audit",
}
_ONLY = {CORRECTION: " AND action LIKE 'communication.%' AND salt IS NOT NULL"}


def find_texts(
    crm: sqlite_utils.Database,
    digits: Sequence[str],
    mentioned: Callable[[str, list[str]], str],
    held: Callable[[str], str | None],
    record_held: RecordHeld,
) -> Iterator[Found]:
    """Texts that mention one of the spellings ``digits``. ``mentioned``: the condition for that on a column; ``held``:
    the hold on a customer, or on the number ("").
    """
    for kind, query in _QUERIES.items():
        columns = COLUMNS[kind]
        condition = " OR ".join(mentioned(column, list(digits)) for column in columns)
        rows = crm.conn.execute(
            f"{query} WHERE ({condition}){_ONLY.get(kind, '')} ORDER BY row_number", [*digits] * len(columns)
        )
        for row in rows:
            found = Found(kind, str(row["row_number"]), dict(row), None)
            record = record_of(found)
            kept = held(str(row["customer_id"] or "")) or held("") or (None if record is None else record_held(record))
            yield msgspec.structs.replace(found, kept=kept)


def record_of(one: Found) -> int | None:
    """The communication record to which a text belongs; None for an entry of the audit log about several, or none."""
    if one.kind == TEXT:
        return int(one.id)
    if one.kind == CORRECTION:
        return int(one.about["subject"]) if one.about["action"] in _OF_ONE_ACTIONS else None
    return int(one.about["communication_id"])


def redact(
    connection: sqlite3.Connection,
    one: Found,
    digits: Sequence[str],
    site: Site,
    forget_data: Callable[[sqlite3.Connection, int], None],
) -> None:
    """Take the number out of one text that was found, inside the caller's transaction.

    ``forget_data`` takes the data out of an audit entry.
    """
    number = number_pattern(digits)
    row = int(one.id)
    if one.kind == CORRECTION:
        forget_data(connection, row)
        return
    table = {TEXT: "communications", VERSION: "communication_versions", SUPPLEMENT: "communication_supplements"}[
        one.kind
    ]
    columns = COLUMNS[one.kind]
    found = connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE rowid = ?", (row,)).fetchone()
    if found is None:
        return
    clean = [_without_in_json(number, text) if one.kind == VERSION else number.sub(INSTEAD, text) for text in found]
    connection.execute(
        f"UPDATE {table} SET {', '.join(f'{column} = ?' for column in columns)} WHERE rowid = ?", (*clean, row)
    )
    record = one.id if one.kind == TEXT else one.about["communication_id"]
    index_again(connection, int(record), site=site)


def number_pattern(digits: Sequence[str]) -> re.Pattern[str]:
    """Finds the spellings ``digits`` in a text, also with spaces and hyphens in them; the longest one first."""
    return re.compile("|".join(_spaced(one) for one in sorted(digits, key=len, reverse=True)))


def _spaced(digits: str) -> str:
    """A spelling with what people write between digits."""
    return r"[\s\-\u00a0]*".join(re.escape(character) for character in digits)


def _without_in_json(number: re.Pattern[str], text: str) -> str:
    """The texts of a version; its times and ids are numbers, and stay."""
    said = msgspec.json.decode(text)
    clean = {name: number.sub(INSTEAD, value) if isinstance(value, str) else value for name, value in said.items()}
    return msgspec.json.encode(clean).decode()
