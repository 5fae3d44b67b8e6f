"""Where else people write a telephone number: notes, tasks, drafts, views, reasons, names; and how it is taken out."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain.communications.redaction import INSTEAD, number_pattern
from crm_client_api.domain.customers import TEXTS, index
from recorder.library.erasure.erase import Found

Held = Callable[[str], str | None]
"""The hold that protects a customer by id, or the number itself (""); None when there is none."""

_SPACELESS = "replace(replace(replace({0}, ' ', ''), '-', ''), char(160), '')"


@dataclass(frozen=True, slots=True)
class Place:
    """Texts of one table. ``customer``: the column with the customer to whom a row belongs.

    ``only``: which rows; ``goes_by``: a column that names the row: with the number in it, the row goes as a whole.
    """

    kind: str
    table: str
    columns: tuple[str, ...]
    customer: str = ""
    only: str = "1"
    goes_by: str = ""


PLACES = (
    Place("text of a customer", "customers", (*TEXTS, "custom"), "id"),
    Place("tag of a customer", "customer_tags", ("tag",), "customer_id", goes_by="tag"),
    Place("text of a task", "tasks", ("subject", "note"), "customer_id"),
    Place("note on a missed call", "call_backs", ("note", "reason")),
    Place("note on a call", "call_notes", ("text",)),
    Place("tag of a call", "call_tags", ("tag",), goes_by="tag"),
    Place("draft", "drafts", ("key", "body"), goes_by="key"),
    Place("saved view", "saved_views", ("name", "body")),
    Place("template phrase", "phrases", ("text",)),
    Place("reason of a hand-over", "hand_overs", ("reason",)),
    # The order that erases holds the number until it is done, and forgets it then by itself.
    Place("reason of an order", "orders", ("reason", "data"), only="verb <> 'erase'"),
    Place("reason of a hold", "holds", ("reason",)),
    Place("reason of an agent's state", "agent_states", ("reason",)),
    Place("reason of an agent's state", "agent_state_log", ("reason",)),
    Place("event that people are told", "events", ("data",)),
    Place("alarm that is told outside", "alarm_notices", ("details",)),
    Place("row that an import passed by", "import_late_rows", ("detail",)),
    Place("name of an API token", "api_tokens", ("name",)),
)
_BY_KIND: dict[str, tuple[Place, ...]] = {
    one.kind: tuple(other for other in PLACES if other.kind == one.kind) for one in PLACES
}
KINDS = frozenset(_BY_KIND)


def mentioned(column: str, digits: Sequence[str]) -> str:
    """A condition: the column holds one of the spellings, also with spaces and hyphens in it."""
    return "(" + " OR ".join(f"instr({_SPACELESS.format(column)}, ?)" for _ in digits) + ")"


def find_texts(crm: sqlite_utils.Database, digits: list[str], held: Held) -> Iterator[Found]:
    """Texts that mention one of the spellings."""
    pattern = number_pattern(digits)
    for place in PLACES:
        condition = " OR ".join(mentioned(column, digits) for column in place.columns)
        for row in crm.conn.execute(
            f"SELECT rowid AS row_number, * FROM {place.table} WHERE {place.only} AND ({condition}) ORDER BY rowid",
            digits * len(place.columns),
        ):
            if all(without(pattern, str(row[column])) == row[column] for column in place.columns):
                continue  # digits of a time or an id
            customer = str(row[place.customer] or "") if place.customer else ""
            kept = (held(customer) if customer else None) or held("")
            if place.table == "holds" and row["released_ms"] is None:
                kept = "it stands"
            about = dict(row) | {"table": place.table}
            yield Found(place.kind, str(row["row_number"]), about, kept)


def redact_text(connection: sqlite3.Connection, one: Found, digits: Sequence[str]) -> None:
    """Take the number out of one text that was found, inside the caller's transaction."""
    place = next(place for place in _BY_KIND[one.kind] if place.table == one.about["table"])
    pattern, row_number = number_pattern(digits), int(one.id)
    row = connection.execute(f"SELECT * FROM {place.table} WHERE rowid = ?", (row_number,)).fetchone()
    if row is None:
        return
    if place.goes_by and pattern.search(str(row[place.goes_by])):
        connection.execute(f"DELETE FROM {place.table} WHERE rowid = ?", (row_number,))
    else:
        clean = [without(pattern, str(row[column])) for column in place.columns]
        names = ", ".join(f"{column} = ?" for column in place.columns)
        connection.execute(f"UPDATE {place.table} SET {names} WHERE rowid = ?", (*clean, row_number))
    if place.table in ("customers", "customer_tags"):
        index.renew(connection, [int(row[place.customer])])


def without(pattern: re.Pattern[str], text: str) -> str:
    """The text with something else in the number's place; of JSON only what people wrote, not its times and ids."""
    if text[:1] in ("{", "["):
        try:
            said = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return pattern.sub(INSTEAD, text)
        clean = _without_in(pattern, said)
        return text if clean == said else msgspec.json.encode(clean).decode()
    return pattern.sub(INSTEAD, text)


def _without_in(pattern: re.Pattern[str], said: Any) -> Any:
    match said:
        case str():
            return pattern.sub(INSTEAD, said)
        case list():
            return [_without_in(pattern, one) for one in said]
        case dict():
            return {_without_in(pattern, name): _without_in(pattern, value) for name, value in said.items()}
    return said
