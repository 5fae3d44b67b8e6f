"""Customers and shown pop-ups for the tests, as other parts of the office write them."""

from __future__ import annotations

import sqlite_utils

from crm_client_api.domain.customers import index
from firmware.clock import now_ms
from firmware.store.connection import write


def add_customer_of(
    crm: sqlite_utils.Database,
    owner: str,
    name: str = "",
    company: str = "",
    numbers: tuple[str, ...] = (),
    next_contact_ms: int | None = None,
) -> str:
    """A customer of this owner; ``numbers`` as E.164."""
    with write(crm) as connection:
        cursor = connection.execute(
            "INSERT INTO customers (name, company, title, category, level, note, author, owner, created_ms, changed_ms,"
            " next_contact_ms) VALUES (?,?,'','','','',?,?,?,?,?)",
            (name, company, owner, owner, now_ms(), now_ms(), next_contact_ms),
        )
        for position, number in enumerate(numbers):
            connection.execute(
                "INSERT INTO customer_phones (customer_id, position, label, number, match_key) VALUES (?,?,'',?,?)",
                (cursor.lastrowid, position, number, number),
            )
        index.renew(connection, [int(cursor.lastrowid or 0)])
    return str(cursor.lastrowid)


def show_popup(crm: sqlite_utils.Database, call_id: str, staff_no: str) -> None:
    """As the stream notes it when somebody was shown a call."""
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO popup_receipts (call_id, staff_no, shown_ms) VALUES (?,?,?)", (call_id, staff_no, now_ms())
        )
