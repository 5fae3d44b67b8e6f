"""The second and third sheet of a customers' workbook: further numbers, and values of the office's own fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec
import sqlite_utils

from crm_client_api.domain.customers.custom import CustomField, checked_value, read_fields
from crm_client_api.domain.customers.record import Customer, CustomValue
from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel.cells import BadCell, Cell, text_of, time_of
from crm_client_api.excel.columns import CUSTOM_FIELDS, FURTHER_PHONES, Column, column_of, value_of
from crm_client_api.excel.importing.headers import Mapping as HeaderMapping
from crm_client_api.excel.importing.headers import read_header
from crm_client_api.excel.importing.kind import SideSheet
from crm_client_api.excel.importing.reasons import Problem
from crm_client_api.excel.importing.stage import Stage, packed
from crm_client_api.excel.reading import Sheet
from crm_client_api.excel.sheet_rows import Row

_LONGEST_PHONE_CHARACTERS = 60
_Further = list[tuple[str, str]]


class _CustomRow(msgspec.Struct, array_like=True, frozen=True):
    """Values by field id (None: the cell is empty), problems as (heading, code, detail), cells by field id as typed."""

    values: dict[int, CustomValue | None]
    problems: list[tuple[str, str, str]]
    typed: dict[int, str]


_CUSTOM_ROW = msgspec.msgpack.Decoder(_CustomRow)
_BACK = "(NOT used OR key IN (SELECT key FROM rows WHERE kind = 'wrong'))"
"""Rows that go back with the wrong ones: theirs, and those that belong to no row of the main sheet."""


class SideSheets:
    """Kept in the stage by customer number until the rows of the main sheet ask for them."""

    def __init__(self, crm: sqlite_utils.Database) -> None:
        self._fields = read_fields(crm)
        self._stage: Stage | None = None
        self._has_further = self._has_custom = False
        self._further: dict[str, _Further] = {}
        self._custom: dict[str, _CustomRow] = {}
        self._custom_fields: dict[int, CustomField] = {}
        self._problems: dict[str, list[Problem]] = {}

    def read(self, stage: Stage, sheets: Sequence[Sheet]) -> list[str]:
        """Stage what the sheets hold; the names of those that mean nothing. Raises Invalid."""
        self._stage = stage
        unknown = []
        for sheet in sheets:
            rows = iter(sheet.rows())
            header = next(rows, None)
            if header is None:
                continue
            if self._is_custom(sheet.name, header):
                self._read_custom(stage, sheet, header, rows)
            elif self._is_further(header):
                self._read_further(stage, sheet, rows)
            else:
                unknown.append(sheet.name)
        stage.connection.execute("CREATE INDEX further_by_key ON further (key)")
        stage.connection.execute("CREATE INDEX custom_by_key ON custom (key)")
        return unknown

    @staticmethod
    def _is_further(header: Row) -> bool:
        return isinstance(read_header(header.cells, FURTHER_PHONES), HeaderMapping)

    @staticmethod
    def _is_custom(name: str, header: Row) -> bool:
        plain = name.strip().lower()
        titled = plain.startswith((CUSTOM_FIELDS.zh, CUSTOM_FIELDS.en.lower()))
        return titled and column_of(text_of(header.cells[0]), CUSTOM_FIELDS.columns) == 0

    def _read_further(self, stage: Stage, sheet: Sheet, rows: Iterable[Row]) -> None:
        self._has_further = True
        for row in rows:
            cells = [*row.cells, None, None, None][:3]
            key, number, label = (text_of(cell) for cell in cells)
            bad = next((cell.code for cell in cells if isinstance(cell, BadCell)), "")
            if max(len(number), len(label)) > _LONGEST_PHONE_CHARACTERS:
                bad = "phone_wrong"
            if number or bad:
                stage.connection.execute(
                    "INSERT INTO further (key, number, label, code, sheet, row) VALUES (?,?,?,?,?,?)",
                    (key, number, label, bad, sheet.name, row.number),
                )

    def _read_custom(self, stage: Stage, sheet: Sheet, header: Row, rows: Iterable[Row]) -> None:
        self._has_custom = True
        columns = [self._field_of(text_of(cell), at) for at, cell in enumerate(header.cells[1:], 2)]
        self._custom_fields |= {one.id: one for one in columns}
        for row in rows:
            values: dict[int, CustomValue | None] = {}
            problems = []
            cells = row.cells[1:] + [None] * (len(columns) - len(row.cells) + 1)
            for one, cell in zip(columns, cells, strict=False):
                try:
                    values[one.id] = _value(cell, one)
                except Invalid as error:
                    code = "choice_wrong" if one.type == "choice" else "bad_input"
                    problems.append((one.name_zh or one.name_en, code, str(error)))
            typed = {one.id: text_of(cell) for one, cell in zip(columns, cells, strict=False)}
            stage.connection.execute(
                "INSERT INTO custom (key, data, sheet, row) VALUES (?,?,?,?)",
                (text_of(row.cells[0]), packed(_CustomRow(values, problems, typed)), sheet.name, row.number),
            )

    def _field_of(self, heading: str, place: int) -> CustomField:
        for one in self._fields:
            if heading and heading in (one.name_zh, one.name_en):
                return one
        raise Invalid(
            "custom_column_unknown", f"column {place} of the custom fields, {heading[:40]!r}, is no field of this box"
        )

    def look_up(self, keys: Sequence[str]) -> None:
        """Load what stands under these customer numbers, and what is wrong with it."""
        assert self._stage is not None
        connection = self._stage.connection
        problems: dict[str, list[Problem]] = defaultdict(list)
        marks = ",".join("?" * len(keys))
        if self._has_further:
            found: dict[str, _Further] = defaultdict(list)
            for key, number, label, code, sheet, row in connection.execute(
                f"SELECT key, number, label, code, sheet, row FROM further WHERE key IN ({marks}) ORDER BY rowid", keys
            ):
                if code:
                    problems[key].append(Problem("number", code, str(_LONGEST_PHONE_CHARACTERS), place=(sheet, row)))
                else:
                    found[key].append((number, label))
            self._further = found
            connection.execute(f"UPDATE further SET used = 1 WHERE key IN ({marks})", keys)
        if self._has_custom:
            self._custom = {}
            firsts: dict[str, int] = {}
            for key, data, sheet, row in connection.execute(
                f"SELECT key, data, sheet, row FROM custom WHERE key IN ({marks}) ORDER BY rowid", keys
            ):
                if key in firsts:
                    problems[key].append(Problem("id", "key_twice", str(firsts[key]), place=(sheet, row)))
                    continue
                firsts[key] = row
                self._custom[key] = one = _CUSTOM_ROW.decode(data)
                problems[key] += [Problem(*problem, place=(sheet, row)) for problem in one.problems]
            connection.execute(f"UPDATE custom SET used = 1 WHERE key IN ({marks})", keys)
        self._problems = problems

    def further(self, key: str) -> _Further | None:
        """Numbers of the second sheet, None when there is no such sheet."""
        return self._further.get(key, []) if self._has_further else None

    def custom(self, key: str) -> Mapping[int, CustomValue | None] | None:
        """Values of the third sheet, None when the customer is not on it."""
        row = self._custom.get(key) if key else None
        return None if row is None else row.values

    def problems(self, key: str) -> list[Problem]:
        """What is wrong with a customer's rows of these sheets."""
        return list(self._problems.get(key, ())) if key else []

    def missing(self, key: str, old: Customer | None) -> list[Problem]:
        """Required fields that would be left without a value; not asked for without a third sheet."""
        if not self._has_custom:
            return []
        given = self.custom(key) or {}
        found = []
        for one in self._fields:
            value = given[one.id] if one.id in given else old.custom.get(one.id) if old else None
            if one.required and value is None and (old is None or one.id in given):
                found.append(Problem(one.name_zh or one.name_en, "required"))
        return found

    def note_unused(self) -> None:
        """Rows of these sheets whose customer stands on no row of the main sheet are wrong."""
        assert self._stage is not None
        for table in ("further", "custom"):
            rows = self._stage.connection.execute(
                f"SELECT sheet, row FROM {table} WHERE NOT used ORDER BY rowid"
            ).fetchall()
            for sheet, row in rows:
                self._stage.note(sheet, row, Problem("id", "row_missing"))

    def returned(self) -> list[SideSheet]:
        """The sheets that the file has, as they go back with its wrong rows."""
        sheets = []
        if self._has_further:
            sheets.append(SideSheet(FURTHER_PHONES, (), _further_rows))
        if self._has_custom:
            fields = list(self._custom_fields.values())
            columns = [Column(f"custom.{one.id}", *_names(one)) for one in fields]
            sheets.append(SideSheet(CUSTOM_FIELDS, columns, partial(_custom_rows, [one.id for one in fields])))
        return sheets


def _names(one: CustomField) -> tuple[str, str]:
    return one.name_zh or one.name_en, one.name_en or one.name_zh


def _further_rows(stage: Stage) -> Iterator[Sequence[str]]:
    return stage.connection.execute(f"SELECT key, number, label FROM further WHERE {_BACK} ORDER BY rowid")


def _custom_rows(fields: Sequence[int], stage: Stage) -> Iterator[Sequence[str]]:
    for key, data in stage.connection.execute(f"SELECT key, data FROM custom WHERE {_BACK} ORDER BY rowid"):
        typed = _CUSTOM_ROW.decode(data).typed
        yield [key, *(typed.get(one, "") for one in fields)]


def _value(cell: Cell, one: CustomField) -> CustomValue | None:
    """A cell as the field's value. Raises Invalid."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, BadCell):
        raise Invalid("custom_value_wrong", "the cell holds no value")
    given: object = text_of(cell)
    if one.type == "number":
        try:
            given = cell if isinstance(cell, int | float) else float(text_of(cell))
        except ValueError:
            raise Invalid("custom_value_wrong", "this has to be a number") from None
    elif one.type == "yes_no":
        word = value_of(text_of(cell), ("yes", "no"))
        given = cell if isinstance(cell, bool) else word == "yes" if word else given
    elif one.type == "date":
        try:
            moment = time_of(cell)
        except ValueError:
            moment = None
        given = moment.date().isoformat() if isinstance(moment, datetime) else given
    return checked_value(given, one)
