"""Having a number erased: by the process that asks if no keeper runs, else by the keeper, which owns the library."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import msgspec
import sqlite_utils

from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BadInput, Refused, StoreBusy
from firmware.store.connection import open_store, write
from recorder.library.erasure.erase import Certificate, erase_number
from recorder.library.keeping.library import open_library
from recorder.library.keeping.task import Library
from recorder.orders import REFUSALS, LibraryVerb, Order, add_order

ERASE: LibraryVerb = "erase"
_LOOK_EVERY_S = 0.2
_certificates = msgspec.json.Decoder(Certificate)


class _Request(msgspec.Struct, frozen=True):
    """``data`` of the order; it is removed from the order once that is carried out."""

    number: str
    salt: str


def ask_erasure(crm: sqlite3.Connection, number: str, by: str, salt: str) -> int:
    """Order the keeper to erase a number, inside the caller's write transaction on ``crm.db``; the order's id."""
    data: Mapping[str, Any] = {"number": number, "salt": salt}
    return add_order(crm, at_ms=now_ms(), asked_by=by, verb=ERASE, data=data)


def erase_order(library: Library, order: Order) -> str:
    """Carry such an order out; its message is the ``Certificate`` as JSON. Raises BadInput, Refused."""
    if not order.data:
        raise Refused(f"{REFUSALS['order_dealt_with']}; certificates are in the evidence folder")
    try:
        asked = msgspec.convert(dict(order.data), _Request)
    except msgspec.ValidationError as error:
        raise BadInput(f"order {order.id}: {error}") from error
    crm = open_store(library.home.crm_db)
    with closing(crm.conn):
        try:
            certificate = erase_number(library, asked.number, order.asked_by, asked.salt)
        except (BadInput, Refused):  # such an order is not carried out again
            _forget(crm, order.id)
            raise
        _forget(crm, order.id)
    return msgspec.json.encode(certificate).decode()


def _forget(crm: sqlite_utils.Database, order_id: int) -> None:
    with write(crm) as connection:
        connection.execute("UPDATE orders SET data = '{}' WHERE id = ?", (order_id,))


def erase_now(home: Home, number: str, by: str, salt: str, patience_s: float) -> Certificate:
    """Erase a number, and wait until it is done. Raises StoreBusy: the keeper did not do it in ``patience_s``, but
    will; Refused, and what ``erase_number`` raises."""
    try:
        with open_library(home) as library:
            return erase_number(library, number, by, salt)
    except StoreBusy:  # a keeper runs
        return _have_erased(home, number, by, salt, patience_s)


def _have_erased(home: Home, number: str, by: str, salt: str, patience_s: float) -> Certificate:
    calls, crm = open_store(home.calls_db, readonly=True), open_store(home.crm_db)
    with closing(calls.conn), closing(crm.conn):
        with write(crm) as connection:
            order_id = ask_erasure(connection, number, by, salt)
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            row = calls.conn.execute("SELECT ok, message FROM order_results WHERE order_id = ?", (order_id,)).fetchone()
            if row is not None and not row["ok"]:
                _forget(crm, order_id)
                raise Refused(row["message"])
            if row is not None:
                return _certificates.decode(row["message"])
            time.sleep(_LOOK_EVERY_S)
    raise StoreBusy(f"the keeper has not carried out order {order_id} yet; it will")
