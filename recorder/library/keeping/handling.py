"""Who handled a call, as the office says: written by the keeper, whose hand in ``calls`` is the only one beside the
recorders'."""

from __future__ import annotations

from typing import Annotated

import msgspec

from firmware import doorbell
from firmware.clock import now_ms
from firmware.errors import BadInput, Refused
from firmware.store import event_log
from firmware.store.connection import write
from recorder.library.keeping.task import Library
from recorder.orders import REFUSALS, Order


class _Request(msgspec.Struct, frozen=True):
    """``data`` of the order."""

    staff_no: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] | None


def handle_order(library: Library, order: Order) -> str:
    """Carry such an order out; a repeated one changes and tells nothing. Raises BadInput, Refused."""
    try:
        staff_no = msgspec.convert(dict(order.data), _Request).staff_no
    except msgspec.ValidationError as error:
        raise BadInput(f"order {order.id}: {error}") from error
    with write(library.calls) as connection:
        row = connection.execute("SELECT channel, handled_by FROM calls WHERE id = ?", (order.call_id,)).fetchone()
        if row is None:
            raise Refused(REFUSALS["order_call_unknown"])
        if row["handled_by"] != staff_no:
            connection.execute("UPDATE calls SET handled_by = ? WHERE id = ?", (staff_no, order.call_id))
            event_log.append(
                connection, at_ms=now_ms(), kind="call_handled", channel=row["channel"], call_id=order.call_id,
                data={"handled_by": staff_no},
            )  # fmt: skip
    doorbell.ring(library.home.doorbells)
    return "nobody" if staff_no is None else staff_no
