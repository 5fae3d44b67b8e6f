"""The workbook of customers: three sheets, or visiting cards."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from crm_client_api.courier.context import Context
from crm_client_api.domain.customers.custom import CustomField, read_fields
from crm_client_api.domain.customers.record import Customer, CustomValue
from crm_client_api.domain.customers.search import Filter, find_page
from crm_client_api.domain.scope import RecordScope
from crm_client_api.excel.columns import CUSTOM_FIELDS, CUSTOMERS, FURTHER_PHONES, Column, Language, word
from crm_client_api.excel.customer_cells import cells_of
from crm_client_api.excel.phone_columns import spread
from crm_client_api.excel.sheet_markup import Value
from crm_client_api.excel.vcard import card_of
from crm_client_api.excel.writing import BookWriter
from firmware.durable import sync_folder
from firmware.errors import StoreError, StoreFull

_PAGE_ROWS = 500


def customers_in(context: Context, wanted: Filter, scope: RecordScope) -> Iterator[Customer]:
    """Every customer in scope that is wanted, in the order of their numbers; notes the progress."""
    site = context.settings().site
    page = replace(wanted, limit=_PAGE_ROWS, sort="created", ascending=True, after=None)
    done = 0
    while True:
        found = find_page(context.crm, page, scope, site)
        yield from found.customers
        done += len(found.customers)
        context.step("writing", done, None)
        if found.next is None:
            return
        page = replace(page, after=found.next)


def write_customers(
    context: Context, target: Path, wanted: Filter, scope: RecordScope, language: Language
) -> Sequence[int]:
    """Write the workbook; the ids of the customers that it holds. Raises StoreError, Cancelled, Stopping."""
    fields = read_fields(context.crm)
    ids = array("q")
    with BookWriter(target, language) as book:
        main, further = book.sheet(CUSTOMERS), book.sheet(FURTHER_PHONES)
        custom = book.sheet(CUSTOM_FIELDS, [_column(one) for one in fields]) if fields else None
        for customer in customers_in(context, wanted, scope):
            ids.append(int(customer.id))
            numbers = spread(customer.phones)
            main.write(cells_of(customer, numbers))
            for number, label in numbers.further:
                further.write([customer.id, number, label])
            if custom is not None and customer.custom:
                custom.write([customer.id, *(_shown(customer.custom.get(one.id), one, language) for one in fields)])
        main.end()
        further.end()
        if custom is not None:
            custom.end()
    return ids


def write_cards(context: Context, target: Path, wanted: Filter, scope: RecordScope) -> int:
    """Write visiting cards; how many. Raises StoreError, Cancelled, Stopping."""
    rows = 0
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            for customer in customers_in(context, wanted, scope):
                rows += 1
                file.write(card_of(customer))
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        kind = StoreFull if error.errno == 28 else StoreError
        raise kind(f"{target.name} cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def _column(one: CustomField) -> Column:
    kind = {"number": "number", "date": "time"}.get(one.type, "text")
    return Column(f"custom.{one.id}", one.name_zh or one.name_en, one.name_en or one.name_zh, kind)  # type: ignore[arg-type]


def _shown(value: CustomValue | None, one: CustomField, language: Language) -> Value:
    if isinstance(value, bool):
        return word("yes" if value else "no", language)
    if one.type == "date" and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value
