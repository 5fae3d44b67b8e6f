"""What of an event log somebody missed: only what concerns them is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from crm_client_api.domain import office_events
from crm_client_api.domain.scope import ChannelScope, Sql
from crm_client_api.push.audience import CALL_EVENTS, CARD_EVENTS, MEDIUM_EVENTS, PUSHED_EVENTS
from crm_client_api.push.positions import Log
from crm_client_api.stores import Stores
from firmware.store.event_log import Event, select

AT_ONCE = 200


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
    return select(db, f"id > ? AND id <= ? AND ({condition}) ORDER BY id LIMIT {AT_ONCE}", after_id, upto_id, *given)


def _of_calls(scope: ChannelScope, handed: Collection[str]) -> Sql:
    in_scope, channels = scope.sql("channel")
    rest, of_box = PUSHED_EVENTS - CARD_EVENTS, CARD_EVENTS | MEDIUM_EVENTS
    return (
        f"kind IN ({_marks(of_box)}) OR (kind IN ({_marks(rest)}) AND channel IS NOT NULL AND {in_scope})"
        f" OR (kind IN ({_marks(CALL_EVENTS)}) AND call_id IN ({_marks(handed)}))",
        (*of_box, *rest, *channels, *CALL_EVENTS, *handed),
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
