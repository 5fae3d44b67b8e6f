"""What a delivery says: an event as the operator who registered the webhook may see it."""

from __future__ import annotations

import msgspec

from crm_client_api.answers.calls import CardEventInfo, LineEventInfo, RecordingEvent
from crm_client_api.domain.calls import call_of_event
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.recordings import get_recording
from crm_client_api.domain.settings import Settings
from crm_client_api.push.audience import CALL_EVENTS, CARD_EVENTS, LINE_EVENTS
from crm_client_api.stores import Stores
from crm_client_api.views.calls import Desk, open_desk, recording_info
from firmware.clock import iso_utc
from firmware.errors import NotFound
from firmware.store.event_log import Event, epoch, parse_position


class Body(msgspec.Struct, frozen=True):
    """The body of a delivery. ``id``: the event's position, the same at every try; ``data``: as the stream has it."""

    id: str
    kind: str
    at: str
    webhook: int
    data: msgspec.Struct | dict[str, str]


def event_at(stores: Stores, position: str) -> Event | None:
    """The event of a position, None when the log does not have it (any more)."""
    name, event_id = parse_position(position)
    if name != epoch(stores.calls):
        return None
    row = stores.calls.conn.execute(
        "SELECT id, at_ms, kind, channel, call_id, data FROM events WHERE id = ?", (event_id,)
    ).fetchone()
    return None if row is None else Event(row[0], row[1], row[2], row[3], row[4], msgspec.json.decode(row[5]))


def body_of(
    stores: Stores, settings: Settings, operator: Operator, webhook_id: int, position: str, event: Event
) -> bytes | None:
    """The body as JSON, None for what is out of the operator's scope now."""
    desk = open_desk(stores, operator, settings)
    data = _data(desk, event)
    if data is None:
        return None
    return msgspec.json.encode(Body(position, event.kind, iso_utc(event.at_ms), webhook_id, data))


def _data(desk: Desk, event: Event) -> msgspec.Struct | None:
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
