"""What a delivery says: an event as the operator who registered the webhook may see it."""

from __future__ import annotations

import logging

import msgspec

from crm_client_api.answers.box import AlarmInfo
from crm_client_api.answers.lines import CardEventInfo, LineEventInfo
from crm_client_api.answers.recordings import RecordingEvent
from crm_client_api.domain.box_alarms import BoxAlarm, Plain
from crm_client_api.domain.calls import call_of_event
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.practice import is_practice
from crm_client_api.domain.recordings import get_recording
from crm_client_api.domain.settings import Settings
from crm_client_api.domain.watching import EVENT as UNUSUAL
from crm_client_api.integrations.alarms.notices import Notice
from crm_client_api.push.audience import CALL_EVENTS, CARD_EVENTS, LINE_EVENTS
from crm_client_api.push.store_trouble import is_of_store
from crm_client_api.stores import Stores
from crm_client_api.views.calls import Desk, open_desk, recording_info
from firmware.clock import iso_utc
from firmware.errors import NotFound
from firmware.store.event_log import Event, epoch, parse_position, select

_log = logging.getLogger(__name__)


class Body(msgspec.Struct, frozen=True):
    """The body of a delivery. ``id``: the event's position, the same at every try; ``data``: as the stream has it."""

    id: str
    kind: str
    at: str
    webhook: int
    data: msgspec.Struct | dict[str, Plain]


def event_at(stores: Stores, position: str) -> Event | None:
    """The event of a position, None when the log does not have it (any more)."""
    name, event_id = parse_position(position)
    if name != epoch(stores.calls):
        return None
    found = select(stores.calls, "id = ?", event_id)
    return found[0] if found else None


def body_of(
    stores: Stores, settings: Settings, operator: Operator, webhook_id: int, position: str, event: Event
) -> bytes | None:
    """The body as JSON, None for what is out of the operator's scope now, or cannot be told."""
    desk = open_desk(stores, operator, settings)
    try:
        data = None if event.damaged else _data(desk, event)
        if data is None:
            return None
        return msgspec.json.encode(Body(position, event.kind, iso_utc(event.at_ms), webhook_id, data))
    except Exception as error:
        if is_of_store(error):
            raise
        _log.exception("webhook %d: left out event %s", webhook_id, position)
        return None


def alarm_info(one: BoxAlarm) -> AlarmInfo:
    """An alarm as the API shows one."""
    cleared = None if one.cleared_ms is None else iso_utc(one.cleared_ms)
    return AlarmInfo(one.id, one.code, one.subject, iso_utc(one.raised_ms), cleared, one.details)


def alarm_body(operator: Operator, webhook_id: int, position: str, notice: Notice) -> bytes | None:
    """The body of what is told of an alarm; None of unusual behaviour for who may not read the audit log."""
    data: msgspec.Struct | dict[str, Plain]
    if notice.kind == UNUSUAL:
        if Permission.AUDIT_READ not in operator.permissions:
            return None
        data = {"staff_no": notice.subject, "kind": notice.code, **notice.alarm.details}
    else:
        data = alarm_info(notice.alarm)
    return msgspec.json.encode(Body(position, notice.kind, iso_utc(notice.at_ms), webhook_id, data))


def _data(desk: Desk, event: Event) -> msgspec.Struct | None:
    if is_practice(desk.stores.home, desk.stores.calls, event):
        return None
    if event.kind in CARD_EVENTS:
        return CardEventInfo(str(event.data.get("card_id", "")), event.kind)
    if event.channel is None or not desk.channels.allows(event.channel):
        return None
    if event.kind in LINE_EVENTS:
        return LineEventInfo(event.channel, event.kind, iso_utc(event.at_ms))
    if event.kind in CALL_EVENTS:
        row = desk.stores.calls.conn.execute("SELECT * FROM calls WHERE id = ?", (event.call_id,)).fetchone()
        return None if row is None else desk.call_infos([call_of_event(event.data, row)])[0]
    try:
        recording = get_recording(desk.stores.calls, str(event.data.get("id", "")), desk.channels)
    except NotFound:
        return None
    return RecordingEvent(recording.call_id, recording_info(recording))
