"""Who is perhaps the same customer: one with the same number, or with the same name at the same company, in scope.

What is out of scope is not hinted at: whoever asks cannot learn by it that somebody else has this customer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.customers import words
from crm_client_api.domain.customers.read import COLUMNS, customers_of
from crm_client_api.domain.customers.record import Customer
from crm_client_api.domain.scope import RecordScope
from recorder.numbers import Site, match_key

SAME_NUMBER = "same_number"
SAME_NAME = "same_name_and_company"
_MOST = 50


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Perhaps the same customer. ``reasons``: SAME_NUMBER, SAME_NAME."""

    customer: Customer
    reasons: tuple[str, ...]


def find_duplicates(
    crm: sqlite_utils.Database,
    name: str,
    company: str,
    numbers: Iterable[str],
    scope: RecordScope,
    site: Site,
    *,
    without: str = "",
) -> list[Duplicate]:
    """Those in scope, with most in common first, then the oldest. ``without``: the customer itself."""
    condition, arguments = scope.sql("+c.owner")
    keys = [key for number in numbers if (key := match_key(number, site))]
    reasons: dict[int, list[str]] = {}
    rows = crm.conn.execute(
        "SELECT c.id FROM living_customers c WHERE c.id IN (SELECT customer_id FROM customer_phones WHERE match_key IN"
        f" ({','.join('?' * len(keys))})) AND {condition} ORDER BY c.id LIMIT {_MOST}",
        (*keys, *arguments),
    )
    for (key,) in rows:
        reasons.setdefault(key, []).append(SAME_NUMBER)
    if name.strip() and company.strip():
        spoken = words.sort_name({"name": name, "company": company})
        rows = crm.conn.execute(
            "SELECT c.id FROM customer_index x CROSS JOIN living_customers c ON c.id = x.customer_id"
            f" WHERE x.sort_name = ? AND c.name = ? AND c.company = ? AND {condition} ORDER BY c.id LIMIT {_MOST}",
            (spoken, name.strip(), company.strip(), *arguments),
        )
        for (key,) in rows:
            reasons.setdefault(key, []).append(SAME_NAME)
    chosen = [key for key in sorted(reasons, key=lambda key: (-len(reasons[key]), key)) if str(key) != without]
    found = crm.conn.execute(
        f"SELECT {COLUMNS} FROM living_customers c WHERE c.id IN ({','.join('?' * len(chosen))})", chosen
    )
    customers = {one.id: one for one in customers_of(crm.conn, found)}
    return [Duplicate(customers[str(key)], tuple(reasons[key])) for key in chosen if str(key) in customers]
