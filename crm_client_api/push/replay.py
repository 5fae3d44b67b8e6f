"""What of an event log somebody missed: only what concerns them is read."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain import office_events
from crm_client_api.domain.scope import ChannelScope, Sql
from crm_client_api.push.audience import CALL_EVENTS, CARD_EVENTS, PUSHED_EVENTS
from crm_client_api.push.positions import Log
from crm_client_api.stores import Stores
from firmware.store.event_log import Event

AT_ONCE = 200
_READ_AHEAD = 500
_DATA = msgspec.json.Decoder(dict[str, Any])
_log = logging.getLogger(__name__)


def missed_events(
    stores: Stores,
    log: Log,
    after_id: int,
    upto_id: int,
    staff_no: str,
    scope: ChannelScope,
    handed: Collection[str],
) -> list[Event]:
    """The next events above ``after_id`` and up to ``upto_id`` that concern somebody, oldest first; ``AT_ONCE`` at
    most. ``handed``: calls out of scope whose pop-up a colleague passed on."""
    condition, given = _of_calls(scope, handed) if log == "calls" else _of_office(staff_no, scope)
    db = stores.calls if log == "calls" else stores.crm
    return _events(db, f"id > ? AND id <= ? AND ({condition}) ORDER BY id LIMIT {AT_ONCE}", after_id, upto_id, *given)


def next_events(db: sqlite_utils.Database, after_id: int) -> list[Event]:
    """The events above ``after_id``, oldest first; some hundreds at most."""
    return _events(db, f"id > ? ORDER BY id LIMIT {_READ_AHEAD}", after_id)


def _events(db: sqlite_utils.Database, condition: str, *given: object) -> list[Event]:
    rows = db.conn.execute(f"SELECT id, at_ms, kind, channel, call_id, data FROM events WHERE {condition}", given)
    return [Event(row[0], row[1], row[2], row[3], row[4], _data(row[0], row[5])) for row in rows]


def _data(event_id: int, text: str) -> Mapping[str, Any]:
    """Empty when it is malformed: one row must not hold up those behind it."""
    try:
        return _DATA.decode(text)
    except msgspec.DecodeError as error:
        _log.error("event %d is malformed: %s", event_id, error)
        return {}


def _of_calls(scope: ChannelScope, handed: Collection[str]) -> Sql:
    in_scope, channels = scope.sql("channel")
    rest = PUSHED_EVENTS - CARD_EVENTS
    return (
        f"kind IN ({_marks(CARD_EVENTS)}) OR (kind IN ({_marks(rest)}) AND channel IS NOT NULL AND {in_scope})"
        f" OR (kind IN ({_marks(CALL_EVENTS)}) AND call_id IN ({_marks(handed)}))",
        (*CARD_EVENTS, *rest, *channels, *CALL_EVENTS, *handed),
    )


def _of_office(staff_no: str, scope: ChannelScope) -> Sql:
    in_scope, channels = scope.sql("channel")
    return (
        f"(kind = ? AND channel IS NOT NULL AND {in_scope})"
        " OR EXISTS (SELECT 1 FROM json_each(iif(json_valid(events.data), events.data, '{}'), '$.to') WHERE value = ?)",
        (office_events.CALLER_UNKNOWN, *channels, staff_no),
    )


def _marks(values: Iterable[object]) -> str:
    return ",".join("?" for _ in values)
