"""Telling who sees, or saw, the customers of a hand-over, when it or its taking back has ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec
import sqlite_utils

from crm_client_api.domain.customers import news
from crm_client_api.domain.handing_over.kinds import CUSTOMER


def tell_customers(
    crm: sqlite_utils.Database, connection: sqlite3.Connection, hand_overs: Mapping[str, int], *, back: bool = False
) -> None:
    """Inside the last transaction. ``hand_overs`` by receiver; ``back``: those that returned."""
    moved: dict[int, tuple[str, str]] = {}
    outcome = "outcome = 'returned'" if back else "outcome IS NULL"
    for receiver, hand_over_id in hand_overs.items():
        rows = connection.execute(
            f"SELECT record_id, old_owner FROM hand_over_records WHERE hand_over_id = ? AND kind = ? AND {outcome}"
            " LIMIT ?",
            (hand_over_id, CUSTOMER.name, news.MOST_TOLD + 1),
        )
        moved |= {int(row[0]): (receiver, row[1]) for row in rows}
    if len(moved) <= news.MOST_TOLD:
        news.tell(crm, connection, "handed_over", moved)
        return
    people = set(hand_overs)
    for hand_over_id in hand_overs.values():
        owners = connection.execute("SELECT old_owners FROM hand_overs WHERE id = ?", (hand_over_id,)).fetchone()[0]
        people.update(msgspec.json.decode(owners, type=list[str]))
    news.tell_many(crm, connection, "handed_over", people)
