"""One row of the customers' sheet: what its cells say, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from crm_client_api.domain.customers.record import LONGEST_CHARACTERS, LONGEST_FIELD_CHARACTERS, MOST_PHONES, TEXTS
from crm_client_api.excel.cells import BadCell, Cell, looks_like_number, ms_of_local, numbers_in, text_of, time_of
from crm_client_api.excel.importing.reasons import Problem
from crm_client_api.excel.phone_columns import KIND_OF_COLUMN

LONGEST_PHONE_CHARACTERS = 60
_SHOWN_CHARACTERS = 40
_TEXT_KEYS = frozenset(TEXTS)
_LONGEST = {name: LONGEST_CHARACTERS.get(name, LONGEST_FIELD_CHARACTERS) for name in TEXTS}


@dataclass(slots=True)
class CustomerRow:
    """A row as typed. ``key`` is the customer number as text; ``phones``: kind and cell; times Unix ms UTC."""

    key: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    phones: list[tuple[str, str]] = field(default_factory=list)
    next_contact_ms: int | None = None
    author: str = ""
    owner: str = ""
    created_ms: int | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def wrong(self) -> bool:
        """Whether the row cannot be taken."""
        return any(problem.wrong for problem in self.problems)


def read_customer(cells: Sequence[Cell], keys: Sequence[str | None]) -> CustomerRow:
    """Read one row; ``keys`` are the columns' keys in the order of the file."""
    row = CustomerRow()
    for key, cell in zip(keys, cells, strict=False):
        if key is None or cell is None:
            continue
        if isinstance(cell, BadCell):
            row.problems.append(Problem(key, cell.code, str(_LONGEST.get(key, LONGEST_FIELD_CHARACTERS))))
        elif key in _TEXT_KEYS:
            text = text_of(cell)
            if len(text) > _LONGEST[key]:
                row.problems.append(Problem(key, "too_long", str(_LONGEST[key])))
            row.texts[key] = text
        elif key in KIND_OF_COLUMN:
            _take_numbers(row, key, cell)
        elif key in ("next_contact", "created"):
            _take_time(row, key, cell)
        elif key == "id":
            row.key = text_of(cell)
        elif key in ("author", "owner"):
            setattr(row, key, text_of(cell))
    return row


def _take_numbers(row: CustomerRow, key: str, cell: Cell) -> None:
    text = text_of(cell)
    numbers = numbers_in(text)
    if len(text) > LONGEST_PHONE_CHARACTERS and max(map(len, numbers), default=0) > LONGEST_PHONE_CHARACTERS:
        row.problems.append(Problem(key, "phone_wrong"))
    if len(numbers) > MOST_PHONES:
        row.problems.append(Problem(key, "too_many_phones"))
    for number in numbers:
        if not looks_like_number(number):
            row.problems.append(Problem(key, "number_doubtful", number[:_SHOWN_CHARACTERS], wrong=False))
    if text:
        row.phones.append((KIND_OF_COLUMN[key], text))


def _take_time(row: CustomerRow, key: str, cell: Cell) -> None:
    try:
        local = time_of(cell)
        at_ms = None if local is None else ms_of_local(local)
    except ValueError:
        row.problems.append(Problem(key, "time_wrong"))
        return
    if at_ms is not None and at_ms < 0:
        row.problems.append(Problem(key, "time_wrong"))
    elif key == "next_contact":
        row.next_contact_ms = at_ms
    else:
        row.created_ms = at_ms


@dataclass(frozen=True, slots=True)
class Rights:
    """What an importing operator may say about staff numbers. ``known``: all that were ever given out."""

    staff_no: str
    is_super: bool
    known: Collection[str]

    def problems(self, given: Mapping[str, str]) -> list[Problem]:
        """What is wrong with ``author`` and ``owner`` of a new record."""
        found = []
        for column, staff_no in given.items():
            if not staff_no or staff_no == self.staff_no:
                continue
            if not self.is_super:
                found.append(Problem(column, "super_only"))
            elif staff_no not in self.known:
                found.append(Problem(column, "staff_no_unknown"))
        return found
