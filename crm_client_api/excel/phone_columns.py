"""A customer's numbers, of which there are any number, in the six columns of the first sheet and on the second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crm_client_api.domain.customers.record import Phone
from crm_client_api.excel.cells import numbers_in
from crm_client_api.excel.columns import PHONE_COLUMNS

_PLACES = {"phone": ("phone1", "phone2", "phone3"), "mobile": ("mobile1", "mobile2"), "fax": ("fax",)}
KIND_OF_COLUMN = {column: kind for kind, columns in _PLACES.items() for column in columns}


@dataclass(frozen=True, slots=True)
class Spread:
    """Numbers as they stand in the sheets: those of PHONE_COLUMNS, then (number, description) of the second sheet.

    The second sheet holds what the columns have no room for, and again each number that has a description.
    """

    columns: tuple[str, ...]
    further: tuple[tuple[str, str], ...]


def spread(phones: Iterable[Phone]) -> Spread:
    """Put every number into the first free column of its kind, else onto the second sheet."""
    placed, further = _places(phones)
    return Spread(tuple(placed.get(column, "") for column in PHONE_COLUMNS), tuple(one[:2] for one in further))


def _places(phones: Iterable[Phone]) -> tuple[dict[str, str], list[tuple[str, str, bool]]]:
    """Numbers by column; number, description and "stands in no column" of the second sheet."""
    free = {kind: list(columns) for kind, columns in _PLACES.items()}
    placed: dict[str, str] = {}
    further = []
    for phone in phones:
        number = phone.number.strip()
        room = free.get(phone.kind)
        alone = not room
        if room:
            placed[room.pop(0)] = number
        if phone.label or alone:
            further.append((number, phone.label, alone))
    return placed, further


def gather(
    typed: Sequence[tuple[str, str]], further: Sequence[tuple[str, str]] | None, old: Sequence[Phone]
) -> tuple[Phone, ...]:
    """The numbers that the sheets mean: ``typed`` are (kind, cell) of the columns, ``further`` as in ``Spread``.

    What the sheets show of the old numbers means just these. A cell is split into its numbers, unless the customer has
    one that is written just so. Without a second sheet (None) descriptions stay, and so do the numbers that would
    stand on it alone.
    """
    if not old and not further:  # nearly every row of a long file
        return tuple([Phone("", number, kind) for kind, cell in typed for number in numbers_in(cell)])
    placed, of_old = _places(old)
    columns = [(KIND_OF_COLUMN[column], placed[column]) for column in PHONE_COLUMNS if column in placed]
    here = [one[:2] for one in of_old] if further is None else list(further)
    if list(typed) == columns and sorted(here) == sorted(one[:2] for one in of_old):
        return tuple(old)
    written = {phone.number.strip(): phone.kind for phone in old}
    numbers = [(kind, one) for kind, cell in typed for one in ([cell] if cell in written else numbers_in(cell))]
    found = []
    for kind, number in numbers:
        described = next((one for one in here if one[0] == number), None)
        if described is not None:
            here.remove(described)
        found.append(Phone(described[1] if described else "", number, kind))
    alone = {one[0] for one in of_old if one[2]} if further is None else {one[0] for one in here}
    found += [Phone(label, number, written.get(number, "")) for number, label in here if number in alone]
    return tuple(found)
