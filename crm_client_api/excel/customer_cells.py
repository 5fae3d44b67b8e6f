"""A customer as a row of the first sheet, and what such a row has to say for everything to stay as it is."""

from __future__ import annotations

from collections.abc import Container, Mapping

from crm_client_api.domain.customers.record import Customer
from crm_client_api.excel.cells import local_of_ms, numbers_in, text_of
from crm_client_api.excel.columns import CUSTOMERS, PHONE_COLUMNS
from crm_client_api.excel.phone_columns import KIND_OF_COLUMN, Spread, spread
from crm_client_api.excel.sheet_markup import Value


def cells_of(customer: Customer, numbers: Spread) -> list[Value]:
    """The cells in the order of the fixed columns."""
    fields = customer.fields
    return [
        customer.id, fields["name"], fields["gender"], fields["company"], fields["title"], *numbers.columns,
        fields["wechat"], fields["email"], fields["region"], fields["address"], fields["postcode"],
        fields["category"], fields["level"], fields["status"], fields["source"], fields["note"],
        None if customer.next_contact_ms is None else local_of_ms(customer.next_contact_ms),
        customer.author, customer.owner, local_of_ms(customer.created_ms), local_of_ms(customer.changed_ms),
    ]  # fmt: skip


def cells_that_stay(old: Customer, keys: Container[str | None], typed: Mapping[str, str]) -> dict[str, str]:
    """By column what a file does not say that has only the columns ``keys``: without it the row would empty them.

    Where it has some of the columns of numbers, the customer keeps those of the others: they stand in a column that the
    file has not, else beside what was typed.
    """
    shown = cells_of(old, spread(old.phones))
    now = {column.key: text_of(cell) for column, cell in zip(CUSTOMERS.columns, shown, strict=True)}
    found = {key: cell for key, cell in now.items() if key not in keys}
    if not any(column in found for column in PHONE_COLUMNS):
        return found
    written = {number for column in PHONE_COLUMNS for number in numbers_in(typed.get(column, ""))}
    for column in PHONE_COLUMNS:
        if column in found or not now[column] or now[column] in written:
            continue
        alike = [one for one in PHONE_COLUMNS if KIND_OF_COLUMN[one] == KIND_OF_COLUMN[column]]
        room = next((one for one in alike if one not in keys), column)
        found[room] = " / ".join(filter(None, (found.get(room, typed.get(room, "")), now[column])))
    return found
