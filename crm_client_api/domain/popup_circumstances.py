"""What the pop-up rules asked when a call came up, kept with the call: parameters, the channel, who had the number.

Operators need not be kept: an appointment is set once, and says from when to when it holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain.popup import PopupCall, PopupCustomer, PopupRules
from crm_client_api.domain.scope import RecordScope


@dataclass(frozen=True, slots=True)
class Circumstances:
    """As of ``at_ms`` (Unix ms UTC). ``unavailable``: staff numbers, while ``popup_respects_state`` held."""

    call_id: str
    at_ms: int
    call: PopupCall
    rules: PopupRules
    customers: tuple[PopupCustomer, ...]
    unavailable: tuple[str, ...] = ()


_circumstances = msgspec.json.Decoder(Circumstances)


def note_circumstances(connection: sqlite3.Connection, found: Iterable[Circumstances]) -> None:
    """Keep them inside the caller's write transaction; what is kept of a call already stays as it is."""
    connection.executemany(
        "INSERT INTO popup_circumstances VALUES (?,?,?) ON CONFLICT DO NOTHING",
        [(one.call_id, one.at_ms, msgspec.json.encode(one).decode()) for one in found],
    )


def circumstances_of(crm: sqlite_utils.Database, call_id: str) -> Circumstances | None:
    """Those of a call, None when it came up while nobody noted them."""
    row = crm.conn.execute("SELECT circumstances FROM popup_circumstances WHERE call_id = ?", (call_id,)).fetchone()
    return None if row is None else _circumstances.decode(row[0])


def in_scope_now(crm: sqlite_utils.Database, found: Circumstances, scope: RecordScope) -> list[PopupCustomer]:
    """Those who had the number then, without whoever is not in scope at this moment."""
    if scope.everything:
        return list(found.customers)
    condition, given = scope.sql("owner")
    rows = crm.conn.execute(
        f"SELECT CAST(id AS TEXT) FROM living_customers WHERE id IN (SELECT value FROM json_each(?)) AND {condition}",
        (msgspec.json.encode([int(one.id) for one in found.customers]).decode(), *given),
    )
    known = {row[0] for row in rows}
    return [one for one in found.customers if one.id in known]
