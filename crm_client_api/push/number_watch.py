"""Watches calls that ring without a caller number, until it is clear that none will come."""

from __future__ import annotations

import time

from crm_client_api.domain.calls import running_calls
from crm_client_api.domain.office_events import is_caller_unknown, tell_caller_unknown
from crm_client_api.domain.popup_causes import first_events
from crm_client_api.stores import Stores
from firmware.store.connection import write
from firmware.store.event_log import Event

PATIENCE_S = 8.0
"""Exchanges send a caller ID before the first ring or before the second, 6 s after the first one's beginning."""
_DECIDES = frozenset({"caller_id", "call_answered", "call_ended"})


class NumberWatch:
    """The ringing calls whose number is still open. Thread: one."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._open: dict[str, tuple[int, float]] = {}

    def begin(self, stores: Stores) -> None:
        """Take up the calls that ring now."""
        self._open.clear()
        for call in running_calls(stores.calls).values():
            ringing = call.direction == "incoming" and call.state == "ringing"
            if ringing and not _DECIDES & first_events(stores.calls, call.id).keys():
                self._open[call.id] = (call.channel, time.monotonic() + self._patience_s)

    def note(self, event: Event) -> None:
        """An event of the recorder's log."""
        if event.call_id is None or event.channel is None:
            return
        if event.kind == "call_started" and event.data.get("direction") == "incoming":
            self._open[event.call_id] = (event.channel, time.monotonic() + self._patience_s)
        elif event.kind in _DECIDES:
            self._open.pop(event.call_id, None)

    def due_in_s(self, most_s: float) -> float:
        """How long nothing is due, ``most_s`` at most."""
        due = min((due for _, due in self._open.values()), default=None)
        return most_s if due is None else min(most_s, max(0.0, due - time.monotonic()))

    def tell_due(self, stores: Stores) -> bool:
        """Write down that these numbers will not come; whether there were any."""
        now = time.monotonic()
        due = {call_id: channel for call_id, (channel, due) in self._open.items() if due <= now}
        for call_id in due:
            del self._open[call_id]
        fresh = {call_id: channel for call_id, channel in due.items() if not is_caller_unknown(stores.crm, call_id)}
        if fresh:
            with write(stores.crm) as connection:
                for call_id, channel in fresh.items():
                    tell_caller_unknown(connection, channel, call_id)
        return bool(fresh)
