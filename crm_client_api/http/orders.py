"""Orders: pause, resume, keep, discard, record, stop and delete. The recorder or the keeper carries them out."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from crm_client_api.answers.keeping import OrderInfo, OrderPlaced
from crm_client_api.domain.calls import get_call, list_channels
from crm_client_api.domain.orders import get_order, place_order
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import get_recording
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc
from firmware.errors import NotFound, Refused

_Text = Annotated[str, msgspec.Meta(max_length=500)]


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, for the audit log and the manifest."""

    reason: _Text = ""


class GoodReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why; what is taken away needs a reason."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S")]


@route(
    "POST", "/calls/{call_id}/pause", "Pause the recording of a running call",
    answer=OrderPlaced, status=202, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def post_pause(request: Request, call_id: str, body: Why) -> OrderPlaced:
    """Ask for silence from now on."""
    return _call_order(request, call_id, "pause", body.reason, running=True)


@route(
    "POST", "/calls/{call_id}/resume", "Resume the recording of a running call",
    answer=OrderPlaced, status=202, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def post_resume(request: Request, call_id: str, body: Why) -> OrderPlaced:
    """Ask for the end of a pause."""
    return _call_order(request, call_id, "resume", body.reason, running=True)


@route(
    "POST", "/calls/{call_id}/keep", "Keep the recording of a call, running or ended",
    answer=OrderPlaced, status=202, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def post_keep(request: Request, call_id: str, body: Why) -> OrderPlaced:
    """Ask for a recording, whatever the record mode said; of an ended call while the tape holds it."""
    return _call_order(request, call_id, "keep", body.reason, running=False)


@route(
    "POST", "/calls/{call_id}/discard", "Do not keep the recording of a running call",
    answer=OrderPlaced, status=202, permissions=(Permission.RECORDING_DELETE,),
)  # fmt: skip
def post_discard(request: Request, call_id: str, body: GoodReason) -> OrderPlaced:
    """Ask for no recording of the running call."""
    return _call_order(request, call_id, "discard", body.reason, running=True)


@route(
    "POST", "/channels/{number}/record", "Record a channel from now on, or keep its running call",
    answer=OrderPlaced, status=202, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def post_record(request: Request, number: int, body: Why) -> OrderPlaced:
    """Ask for a recording by hand."""
    return _channel_order(request, number, "record", body.reason)


@route(
    "POST", "/channels/{number}/stop", "End a recording that was begun by hand",
    answer=OrderPlaced, status=202, permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def post_stop(request: Request, number: int, body: Why) -> OrderPlaced:
    """Ask for the end of a recording by hand."""
    return _channel_order(request, number, "stop", body.reason)


@route(
    "DELETE", "/recordings/{recording_id}", "Delete a recording; a signed tombstone stays",
    answer=OrderPlaced, status=202, permissions=(Permission.RECORDING_DELETE,),
)  # fmt: skip
def delete_recording(request: Request, recording_id: str, body: GoodReason) -> OrderPlaced:
    """Ask the keeper to delete; it refuses what a hold protects."""
    recording = get_recording(request.stores.calls, recording_id, request.desk.channels)
    if recording.state == "deleted":
        raise Refused("this recording is deleted already")
    order_id = place_order(request.stores.crm, request.actor, "delete", body.reason, recording_id=recording.id)
    return OrderPlaced(order_id)


@route("GET", "/orders/{order_id}", "What became of one's own order", answer=OrderInfo)
def get_one_order(request: Request, order_id: int) -> OrderInfo:
    """Show an order."""
    order = get_order(request.stores.calls, request.stores.crm, order_id, request.operator.staff_no)
    return OrderInfo(
        id=order.id,
        verb=order.verb,
        channel=order.channel,
        call_id=order.call_id,
        recording_id=order.recording_id,
        reason=order.reason,
        asked_at=iso_utc(order.at_ms),
        state="pending" if order.done_ms is None else "done" if order.ok else "refused",
        done_at=None if order.done_ms is None else iso_utc(order.done_ms),
        message=order.message,
        error_code=order.error_code,
    )


def _call_order(
    request: Request,
    call_id: str,
    verb: Literal["pause", "resume", "keep", "discard"],
    reason: str,
    *,
    running: bool,
) -> OrderPlaced:
    call = get_call(request.stores.calls, call_id, request.desk.channels)
    if running and call.state == "ended":
        raise Refused("this call has ended")
    order_id = place_order(request.stores.crm, request.actor, verb, reason, channel=call.channel, call_id=call.id)
    return OrderPlaced(order_id)


def _channel_order(request: Request, number: int, verb: Literal["record", "stop"], reason: str) -> OrderPlaced:
    known = any(row.number == number for row in list_channels(request.stores.calls))
    if not known or not request.desk.channels.allows(number):
        raise NotFound("there is no such channel")
    return OrderPlaced(place_order(request.stores.crm, request.actor, verb, reason, channel=number))
