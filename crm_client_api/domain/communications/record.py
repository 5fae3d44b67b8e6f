"""A communication record: its columns, what may stand in them, and how long its author may correct it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, tzinfo

from crm_client_api.domain.invalid import Invalid
from firmware.errors import NotFound

LONGEST_CHARACTERS = {"number": 60, "method": 60, "subject": 200, "content": 20_000, "result": 2_000}
"""How many characters each text of a record has at most."""
EARLIEST_MS, LATEST_MS = -2_208_988_800_000, 4_102_444_800_000
"""From the year 1900 to before the year 2100; times outside are typing mistakes."""


@dataclass(frozen=True, slots=True)
class Values:
    """What a person (or a workbook) says in a record. Times are Unix ms UTC, kept to the second.

    ``call_id``: only of a record that was added from a pop-up. ``channel``, ``direction`` (incoming, outgoing) and
    ``talk_ms`` describe the call that was spoken about; ``talk_ms`` None with a ``call_id``: the call still runs.
    """

    customer_id: int
    at_ms: int
    number: str = ""
    method: str = ""
    subject: str = ""
    content: str = ""
    result: str = ""
    next_contact_ms: int | None = None
    channel: int | None = None
    direction: str | None = None
    talk_ms: int | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Communication:
    """A record as stored, with the names that its customer and its author have now (``""``: unknown).

    ``customer_named``: the customer is in the reader's scope; its id and names are for nobody else.
    """

    id: int
    values: Values
    author: str
    owner: str
    created_ms: int
    changed_ms: int
    deleted_ms: int | None
    deleted_by: str | None
    customer_named: bool
    customer_name: str
    company: str
    author_name: str


VALUE_COLUMNS = tuple(field.name for field in fields(Values))
"""The columns of the table that ``Values`` holds, in its order."""

COLUMNS = (
    f"c.id, {', '.join(f'c.{name}' for name in VALUE_COLUMNS)}, c.author, c.owner, c.created_ms, c.changed_ms,"
    " c.deleted_ms, c.deleted_by, k.id IS NOT NULL AS customer_named, k.name AS customer_name, k.company,"
    " (SELECT name FROM staff WHERE staff_no = c.author) AS author_name"
)
"""For a query on communications ``c`` joined with customers ``k``."""


def communication_of(row: sqlite3.Row) -> Communication:
    """A record from a row with ``COLUMNS``."""
    return Communication(
        id=row["id"],
        values=values_of(row),
        author=row["author"],
        owner=row["owner"],
        created_ms=row["created_ms"],
        changed_ms=row["changed_ms"],
        deleted_ms=row["deleted_ms"],
        deleted_by=row["deleted_by"],
        customer_named=bool(row["customer_named"]),
        customer_name=row["customer_name"] or "",
        company=row["company"] or "",
        author_name=row["author_name"] or "",
    )


def values_of(row: sqlite3.Row) -> Values:
    """What stands in a row of the table."""
    return Values(**{name: row[name] for name in VALUE_COLUMNS})


def check(values: Values) -> None:
    """Raises Invalid: empty, a text is too long, a time that cannot be."""
    for name, longest in LONGEST_CHARACTERS.items():
        if len(getattr(values, name)) > longest:
            raise Invalid("field_too_long", f"{name} has at most {longest} characters")
    if not any(getattr(values, name).strip() for name in ("subject", "content", "result")):
        raise Invalid("communication_empty", "a communication record has a subject, a content or a result")
    for at_ms in (values.at_ms, values.next_contact_ms):
        check_time(at_ms)


def check_time(at_ms: int | None) -> None:
    """Raises Invalid for a time that only a typing mistake can mean."""
    if at_ms is not None and not EARLIEST_MS <= at_ms < LATEST_MS:
        raise Invalid("time_outside", "times lie in the years 1900 to 2099")


def correctable_until_ms(created_ms: int, zone: tzinfo) -> int:
    """The midnight (of the box's time zone) after which only supplements are added to a record."""
    day = datetime.fromtimestamp(created_ms / 1000, zone).date() + timedelta(days=1)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def key_of(communication_id: str) -> int:
    """The number of a record in an address. Raises NotFound for what cannot be one."""
    if not communication_id.isascii() or not communication_id.isdigit() or len(communication_id) > 18:
        raise NotFound("there is no such communication record")
    return int(communication_id)
