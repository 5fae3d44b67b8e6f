"""Where a client stands in both event logs, as one text: ``epoch-id.epoch-id``, recorder's log first, then office's.

Clients keep it as it is. ``epoch-id`` alone, from before the office had a log, stands for the recorder's log and
whatever the office's last word is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from crm_client_api.stores import Stores
from firmware.store.event_log import epoch, format_position, last_id, parse_position

Log = Literal["calls", "office"]
"""Which event log: the recorder's in ``calls.db``, or the office's in ``crm.db``."""


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to these two ids has been handled."""

    calls_epoch: str
    calls_id: int
    office_epoch: str
    office_id: int

    def after(self, log: Log, event_id: int) -> Position:
        """The position behind an event."""
        if log == "calls":
            return Position(self.calls_epoch, event_id, self.office_epoch, self.office_id)
        return Position(self.calls_epoch, self.calls_id, self.office_epoch, event_id)

    def id_in(self, log: Log) -> int:
        """The id in one of the logs."""
        return self.calls_id if log == "calls" else self.office_id

    def __str__(self) -> str:
        calls = format_position(self.calls_epoch, self.calls_id)
        return f"{calls}.{format_position(self.office_epoch, self.office_id)}"


def parse(text: str, now: Position) -> Position:
    """A client's position; ``now`` fills in what the old form does not say. Raises BadInput."""
    calls, dot, office = text.partition(".")
    calls_epoch, calls_id = parse_position(calls)
    office_epoch, office_id = parse_position(office) if dot else (now.office_epoch, now.office_id)
    return Position(calls_epoch, calls_id, office_epoch, office_id)


def newest(stores: Stores) -> Position:
    """The ends of both logs. Inside a transaction on a store that one's end is of its snapshot."""
    return Position(epoch(stores.calls), last_id(stores.calls), epoch(stores.crm), last_id(stores.crm))
