"""Deletions that others ask for: orders of people, recordings that must not exist, and what a crash left undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby, islice

from firmware.clock import now_ms
from firmware.errors import BadInput, Refused
from firmware.store.connection import write
from recorder.library.keeping.handling import handle_order
from recorder.library.keeping.task import Library, Stopping
from recorder.library.rebuilding.reconciliation import past_is_missing
from recorder.library.storage.deletion import AT_ONCE, Outcome, delete_recordings
from recorder.library.storage.judge import is_on_disk
from recorder.library.storage.removal import finish_removals
from recorder.orders import REFUSALS, Order, last_settled, read_orders, settle_order

READER = "library"
MARKED = (
    "SELECT id, path, deleted_rule, deleted_by FROM recordings"
    " WHERE state = 'ready' AND deleted_rule IS NOT NULL ORDER BY started_ms, id"
)
_CODES = {
    "held": "held",
    "unread": "order_hold_unread",
    "unarchived": "order_unarchived",
    "absent": "order_no_audio",
    "unreachable": "order_folder_away",
    "unchecked": "order_archive_away",
}
"""Of ``REFUSALS``."""


class FinishTask:
    """What was written down before a crash, or could not be done at once."""

    name = "finish removals"
    every_s = 60.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Finish it."""
        finish_removals(library)


class OrdersTask:
    """Carries out the orders of the API to the library, each once and in order."""

    name = "orders"
    every_s = 2.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Carry out what is new; an order that a crash interrupted is carried out again."""
        if past_is_missing(library.calls):
            return  # the calls that holds name may not be known yet
        for order in read_orders(library.crm, last_settled(library.calls, READER), None):
            if stopping():
                return
            try:
                ok, message = True, _handler(order)(library, order)
            except (BadInput, Refused) as error:
                ok, message = False, str(error)
            with write(library.calls) as connection:
                settle_order(connection, READER, order.id, now_ms(), ok=ok, message=message)


Handler = Callable[[Library, Order], str]
"""Carries out an order and says what was done. Raises Refused, BadInput: never; other errors: try again later."""


def _handler(order: Order) -> Handler:
    if order.verb not in HANDLERS:
        raise BadInput(f"the library knows no order {order.verb!r}")
    return HANDLERS[order.verb]


def _delete(library: Library, order: Order) -> str:
    if order.recording_id is not None:
        rows = library.calls.conn.execute("SELECT id, state FROM recordings WHERE id = ?", (order.recording_id,))
    elif order.call_id is not None:
        rows = library.calls.conn.execute("SELECT id, state FROM recordings WHERE call_id = ?", (order.call_id,))
    else:
        raise BadInput("the order names neither recording nor call")
    states = {row["id"]: row["state"] for row in rows}
    if not states:
        raise Refused(REFUSALS["order_recording_unknown"])
    if "pending" in states.values():
        raise Refused(REFUSALS["order_recording_unfinished"])
    there = [one for one, state in states.items() if state != "deleted"]  # this very order may have been interrupted
    outcome = delete_recordings(library, there, "order", order.asked_by, order.reason)
    if outcome.refused:
        raise Refused(_refusal(outcome))
    return f"{len(states)} deleted"


def _refusal(outcome: Outcome) -> str:
    why = sorted({REFUSALS[_CODES[reason]] for reason in outcome.refused.values()})
    return f"{len(outcome.refused)} not deleted: {', '.join(why)}"


def _erase(library: Library, order: Order) -> str:
    from recorder.library.erasure.erase_order import erase_order  # rarely wanted

    return erase_order(library, order)


HANDLERS: Mapping[str, Handler] = {"delete": _delete, "erase": _erase, "handle": handle_order}


class MarkedTask:
    """Deletes what the recorder marked (``deleted_rule``) because it must not exist."""

    name = "marked recordings"
    every_s = 60.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Delete it, oldest first; what a hold protects stays marked."""
        if past_is_missing(library.calls):
            return
        rows = library.calls.conn.execute(MARKED).fetchall()
        there = (row for row in rows if is_on_disk(library.home, row["path"]))  # its disk may not be mounted
        for (rule, by), some in groupby(there, lambda row: (row["deleted_rule"], row["deleted_by"] or "box")):
            ids = (row["id"] for row in some)
            while not stopping() and (batch := list(islice(ids, AT_ONCE))):
                delete_recordings(library, batch, rule, by, "")
