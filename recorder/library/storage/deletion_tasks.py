"""Deletions that others ask for: orders of people, recordings that must not exist, and what a crash left undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from firmware.clock import now_ms
from firmware.errors import BadInput, Refused
from firmware.store.connection import write
from recorder.library.keeping.handling import handle_order
from recorder.library.keeping.task import Library, Stopping
from recorder.library.rebuilding.reconciliation import past_is_missing
from recorder.library.storage.deletion import Outcome, delete_recordings
from recorder.library.storage.removal import finish_removals
from recorder.library.storage.retention import DAY_MS
from recorder.orders import Order, last_settled, read_orders, settle_order

READER = "library"
WHOLE_PASS_S = 3600.0
_WORDS = {"held": "a hold protects it", "unarchived": "an archive does not hold it yet", "absent": "it has no audio"}


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
        raise Refused("there is no such recording")
    if "pending" in states.values():
        raise Refused("the recording is not finished yet")
    there = [one for one, state in states.items() if state != "deleted"]  # this very order may have been interrupted
    outcome = delete_recordings(library, there, "order", order.asked_by, order.reason)
    if outcome.refused:
        raise Refused(_refusal(outcome))
    return f"{len(states)} deleted"


def _refusal(outcome: Outcome) -> str:
    why = sorted({_WORDS[reason] for reason in outcome.refused.values()})
    return f"{len(outcome.refused)} not deleted: {', '.join(why)}"


def _erase(library: Library, order: Order) -> str:
    from recorder.library.erasure.erase_order import erase_order  # rarely wanted

    return erase_order(library, order)


HANDLERS: Mapping[str, Handler] = {"delete": _delete, "erase": _erase, "handle": handle_order}


class MarkedTask:
    """Deletes what the recorder marked (``deleted_rule``) because it must not exist."""

    name = "marked recordings"
    every_s = 60.0

    def __init__(self) -> None:
        self._whole_pass_s = 0.0

    def run(self, library: Library, stopping: Stopping) -> None:
        """Delete it; what a hold protects stays marked. Looks at recent recordings every time, at all once an hour."""
        if past_is_missing(library.calls):
            return
        whole = time.monotonic() >= self._whole_pass_s
        rows = library.calls.conn.execute(
            "SELECT id, path, deleted_rule, deleted_by FROM recordings"
            " WHERE started_ms >= ? AND state = 'ready' AND deleted_rule IS NOT NULL ORDER BY started_ms",
            (0 if whole else now_ms() - 2 * DAY_MS,),
        ).fetchall()
        refused = False
        for row in rows:
            if stopping():
                return
            if not (library.home.recordings / row["path"]).exists():
                continue  # its disk may not be mounted
            outcome = delete_recordings(library, [row["id"]], row["deleted_rule"], row["deleted_by"] or "box", "")
            refused = refused or bool(outcome.refused)
        if whole and not refused:
            self._whole_pass_s = time.monotonic() + WHOLE_PASS_S
