"""Communication records out of a workbook."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications import write
from crm_client_api.domain.communications.record import LONGEST_CHARACTERS, VALUE_COLUMNS, Values, values_of
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.scope import RecordScope
from crm_client_api.excel.cells import BadCell, Cell, local_of_ms, ms_of_local, text_of, time_of
from crm_client_api.excel.columns import COMMUNICATIONS, value_of
from crm_client_api.excel.importing.customer_rows import Rights
from crm_client_api.excel.importing.kind import Preparer, SideSheet, Verdict
from crm_client_api.excel.importing.reasons import Problem
from crm_client_api.excel.importing.stage import CLASH, GONE, Stage, packed
from crm_client_api.excel.reading import Sheet
from crm_client_api.excel.sheet_rows import Row
from firmware.clock import now_ms
from recorder.numbers import Site

_TEXTS = tuple(LONGEST_CHARACTERS)
_FIELD_OF = {"at": "at_ms", "next_contact": "next_contact_ms", "talk": "talk_ms"}
_EARLIEST_MS, _LATEST_MS = -2_208_988_800_000, 4_102_444_800_000
_LONGEST_TALK_S = 7 * 86_400
_HIGHEST_CHANNEL = 9_999


class NewRecord(msgspec.Struct, array_like=True, frozen=True):
    """A record to add, as staged. ``created_ms`` None: now."""

    values: dict[str, Any]
    author: str
    owner: str
    created_ms: int | None


class RecordChange(msgspec.Struct, array_like=True, frozen=True):
    """What to change, as staged: names of values with what was there and what comes."""

    values: dict[str, tuple[Any, Any]]


@dataclass(slots=True)
class RecordRow:
    """A row as typed: ``values`` by name of ``Values``, only of the columns that the file has."""

    key: str = ""
    customer_key: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    author: str = ""
    owner: str = ""
    created_ms: int | None = None
    problems: list[Problem] = field(default_factory=list)


def read_record(cells: Sequence[Cell], keys: Sequence[str | None]) -> RecordRow:
    """Read one row; ``keys`` are the columns' keys in the order of the file."""
    row = RecordRow()
    padded = [*cells, *[None] * (len(keys) - len(cells))]
    for key, cell in zip(keys, padded, strict=False):
        if key is None:
            continue
        if isinstance(cell, BadCell):
            row.problems.append(Problem(key, cell.code, str(LONGEST_CHARACTERS.get(key, 200))))
        elif key in _TEXTS:
            row.values[key] = text_of(cell)
            if len(row.values[key]) > LONGEST_CHARACTERS[key]:
                row.problems.append(Problem(key, "too_long", str(LONGEST_CHARACTERS[key])))
        elif key in ("at", "next_contact", "created"):
            _take_time(row, key, cell)
        elif key in ("channel", "talk"):
            _take_number(row, key, cell)
        elif key == "direction":
            text = text_of(cell)
            row.values["direction"] = value_of(text, ("incoming", "outgoing")) if text else None
            if text and row.values["direction"] is None:
                row.problems.append(Problem(key, "direction_wrong"))
        elif key == "id":
            row.key = text_of(cell)
        elif key == "customer_id":
            row.customer_key = text_of(cell)
        elif key in ("author", "owner"):
            setattr(row, key, text_of(cell))
    return row


def _take_time(row: RecordRow, key: str, cell: Cell) -> None:
    try:
        local = time_of(cell)
        at_ms = None if local is None else ms_of_local(local) // 1000 * 1000
    except ValueError:
        row.problems.append(Problem(key, "time_wrong"))
        return
    if at_ms is not None and not _EARLIEST_MS <= at_ms < _LATEST_MS:
        row.problems.append(Problem(key, "time_wrong"))
    elif key == "created":
        row.created_ms = at_ms
    else:
        row.values[_FIELD_OF[key]] = at_ms


def _take_number(row: RecordRow, key: str, cell: Cell) -> None:
    text = text_of(cell)
    name, factor, highest = ("talk_ms", 1000, _LONGEST_TALK_S) if key == "talk" else ("channel", 1, _HIGHEST_CHANNEL)
    if not text:
        row.values[name] = None
        return
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= highest or (key == "channel" and not number.is_integer()):
        row.problems.append(Problem(key, "number_wrong"))
        return
    row.values[name] = round(number * factor)


def _cells_that_stay(was: Mapping[str, Any], keys: Container[str | None]) -> dict[str, str]:
    """By column the values that a file does not say that has only the columns ``keys``."""
    found: dict[str, str] = {}
    for key in (*_TEXTS, *_FIELD_OF, "channel", "direction"):
        value = was[_FIELD_OF.get(key, key)]
        if key in keys or value is None:
            continue
        time = key in ("at", "next_contact")
        found[key] = text_of(local_of_ms(value) if time else value / 1000 if key == "talk" else value)
    return found


def pack_records(staged: Sequence[bytes]) -> bytes:
    """Staged new records: there is nothing to prepare."""
    return packed([msgspec.Raw(data) for data in staged])


class CommunicationKind:
    """See ``kind.RecordKind``. Thread: as its connection."""

    shape = COMMUNICATIONS

    def __init__(
        self,
        crm: sqlite_utils.Database,
        scope: RecordScope,
        customers: RecordScope,
        site: Site,
        rights: Rights,
        actor: Actor,
    ) -> None:
        self._connection = crm.conn
        self._scope = scope
        self._customers = customers
        self._site = site
        self._rights = rights
        self._actor = actor
        self._seen: dict[int, int] = {}

    def begin(self, stage: Stage, others: Sequence[Sheet]) -> list[str]:
        """There are no further sheets."""
        return [sheet.name for sheet in others]

    def end(self) -> None:
        """Nothing is left."""

    def side_sheets(self) -> Sequence[SideSheet]:
        """There are none."""
        return ()

    def judge(self, rows: Sequence[Row], keys: Sequence[str | None]) -> Iterator[Verdict]:
        """Compare with what is in scope."""
        typed = [read_record(row.cells, keys) for row in rows]
        existing = self._existing([number for one in typed if (number := _number(one.key)) is not None])
        customers = self._living_customers([n for one in typed if (n := _number(one.customer_key)) is not None])
        for row, one in zip(rows, typed, strict=True):
            found = existing.get(_number(one.key) or 0)
            yield self._known(row, one, found, keys) if found else self._new(row, one, customers)

    def _existing(self, numbers: Sequence[int]) -> dict[int, sqlite3.Row]:
        condition, arguments = self._scope.sql("c.owner")
        rows = self._connection.execute(
            f"SELECT c.* FROM communications c WHERE c.id IN ({','.join('?' * len(numbers))})"
            " AND (c.import_id IS NULL OR c.import_id NOT IN unpublished)"
            f" AND c.customer_id IN (SELECT id FROM living_customers) AND {condition}",
            (*numbers, *arguments),
        )
        return {row["id"]: row for row in rows}

    def _living_customers(self, numbers: Sequence[int]) -> set[int]:
        condition, arguments = self._customers.sql("c.owner")
        rows = self._connection.execute(
            f"SELECT c.id FROM living_customers c WHERE c.id IN ({','.join('?' * len(numbers))}) AND {condition}",
            (*numbers, *arguments),
        )
        return {row[0] for row in rows}

    def _known(self, row: Row, typed: RecordRow, old: sqlite3.Row, keys: Sequence[str | None]) -> Verdict:
        if old["id"] in self._seen:
            typed.problems.append(Problem("id", "key_twice", str(self._seen[old["id"]])))
        self._seen.setdefault(old["id"], row.number)
        for column, code, was, given in (
            ("author", "author_fixed", old["author"], typed.author),
            ("owner", "owner_fixed", old["owner"], typed.owner),
            ("customer_id", "customer_fixed", str(old["customer_id"]), typed.customer_key),
        ):
            if given and given != was:
                typed.problems.append(Problem(column, code))
        if "at_ms" in typed.values and typed.values["at_ms"] is None:
            typed.problems.append(Problem("at", "required"))
        was_values = asdict(values_of(old))
        change = {
            name: (was_values[name], new)
            for name, new in typed.values.items()
            if new != (text_of(was_values[name]) if isinstance(was_values[name], str) and name in _TEXTS
                       else was_values[name])
        }  # fmt: skip
        texts = {name: typed.values.get(name, was_values[name]) for name in ("subject", "content", "result")}
        if not any(texts.values()):
            typed.problems.append(Problem("", "communication_empty"))
        if typed.problems:
            return Verdict(row, "wrong", problems=typed.problems, stay=_cells_that_stay(was_values, keys))
        kind = "restored" if old["deleted_ms"] is not None else "changed" if change else "unchanged"
        return Verdict(row, kind, old["id"], packed(RecordChange(change)))

    def _new(self, row: Row, typed: RecordRow, customers: set[int]) -> Verdict:
        typed.problems += self._rights.problems({"author": typed.author, "owner": typed.owner})
        customer = _number(typed.customer_key)
        if customer not in customers:
            typed.problems.append(Problem("customer_id", "customer_missing"))
        if typed.values.get("at_ms") is None:
            typed.problems.append(Problem("at", "required"))
        if not any(typed.values.get(name) for name in ("subject", "content", "result")):
            typed.problems.append(Problem("", "communication_empty"))
        if typed.problems:
            return Verdict(row, "wrong", problems=typed.problems)
        author = typed.author or self._rights.staff_no
        values = {**typed.values, "customer_id": customer}
        created_ms = typed.created_ms if self._rights.is_super else None
        return Verdict(row, "new", None, packed(NewRecord(values, author, typed.owner or author, created_ms)))

    def preparer(self) -> Preparer:
        """Packs them."""
        return pack_records

    def unpacked(self, prepared: bytes) -> Sequence[NewRecord]:
        """What ``pack_records`` packed."""
        return msgspec.msgpack.decode(prepared, type=list[NewRecord])

    def insert(
        self, connection: sqlite3.Connection, ready: Sequence[NewRecord], import_id: int, at_ms: int
    ) -> Sequence[int | None]:
        """Add records that nobody sees yet. A recording is never linked by an import."""
        customers = self._living_customers([one.values["customer_id"] for one in ready])
        return [
            None
            if one.values["customer_id"] not in customers
            else write.insert(
                connection,
                Values(**one.values),
                one.author,
                one.owner,
                at_ms if one.created_ms is None else one.created_ms,
                import_id,
                site=self._site,
            )
            for one in ready
        ]

    def apply(
        self, connection: sqlite3.Connection, record: int, kind: str, data: bytes, import_id: int
    ) -> int | Problem:
        """Take the record out of the recycle bin if need be, then lay the changes over what nobody else changed.

        A problem: it or its customer has gone or somebody else owns it now, or the row makes no sense any more.
        """
        change = msgspec.msgpack.decode(data, type=RecordChange)
        found = self._existing([record]).get(record)
        if found is None:
            return GONE
        if kind == "restored" and found["deleted_ms"] is not None:
            connection.execute("UPDATE communications SET deleted_ms = NULL, deleted_by = NULL WHERE id = ?", (record,))
            audit.append(connection, self._actor, "communication.restore", str(record), {"import": import_id})
        row = connection.execute(
            f"SELECT {', '.join(VALUE_COLUMNS)} FROM communications WHERE id = ? AND deleted_ms IS NULL", (record,)
        ).fetchone()
        if row is None:
            return 1
        now = values_of(row)
        was = asdict(now)
        ours = {name: pair[1] for name, pair in change.values.items() if was[name] == pair[0]}
        if ours:
            try:
                old = write.update(
                    connection, record, replace(now, **ours), self._actor.staff_no, now_ms(), site=self._site
                )
            except Invalid as error:
                return Problem("", CLASH, str(error))
            before = {name: getattr(old, name) for name in ours}
            data_of_entry = {"before": before, "after": ours, "import": import_id}
            audit.append(connection, self._actor, "communication.change", str(record), data_of_entry)
        return len(change.values) - len(ours)

    def remove(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        """Take away records that were never seen; their words go with them."""
        connection.execute(f"DELETE FROM communications WHERE id IN ({','.join('?' * len(ids))})", ids)


def _number(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdecimal() and len(key) <= 18 else None
