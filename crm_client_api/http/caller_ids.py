"""The caller-ID log of a channel, and the ringing itself as long as the tape holds it."""

from __future__ import annotations

from typing import Annotated

import bottle
import msgspec

from crm_client_api.answers.box import CallerIdEntry, CallerIdLog
from crm_client_api.domain import audit
from crm_client_api.domain.caller_ids import HeardCaller, RingPlace, ended_before, heard_on, ring_place
from crm_client_api.domain.calls import get_call
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.audio import WavBody
from crm_client_api.http.channels import channel_in_scope
from crm_client_api.http.routing import Request, route
from crm_client_api.http.sending import is_heard, send
from firmware.clock import iso_utc
from firmware.config import Home
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from recorder.tape.reader import TapeReader
from recorder.tracking.policy import WITHDRAWN


class CallerIdQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``before``: the ``next`` of the page before."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    before: Annotated[str, msgspec.Meta(max_length=80)] | None = None


@route(
    "GET", "/channels/{number}/caller-ids", "What was heard of the callers of a channel, newest first",
    answer=CallerIdLog, permissions=(Permission.CHANNEL_SETUP,), reads="call",
)  # fmt: skip
def get_caller_ids(request: Request, number: int, query: CallerIdQuery) -> CallerIdLog:
    """List the incoming calls of a channel in scope, also those of which nothing was heard."""
    channel = channel_in_scope(request, number).number
    found = heard_on(request.stores.calls, channel, _position(request, query.before), query.limit)
    tapes = _Tapes(request.api.home)
    try:
        entries = [_entry(one, tapes.hold(one.place)) for one in found]
    finally:
        tapes.close()
    return CallerIdLog(entries, found[-1].call_id if len(found) == query.limit else None)


@route(
    "GET", "/calls/{call_id}/ring-audio", "How the line sounded while it rang, as WAV",
    media=("audio/wav",), permissions=(Permission.RECORDING_QUERY,),
)  # fmt: skip
def get_ring_audio(request: Request, call_id: str) -> bottle.HTTPResponse:
    """Play the ringing of an incoming call in scope, with its caller ID; nothing that was said."""
    from crm_client_api.audio.ring_audio import LEAD_MS, open_ring

    stores = request.stores
    call = get_call(stores.calls, call_id, request.desk.channels)
    if not call.kept and call.kept_reason in WITHDRAWN:
        raise Refused(f"nothing is kept of this call ({call.kept_reason})")
    place = ring_place(stores.calls, call.id)
    if place is None:
        raise NotFound("this call did not ring, or still does")
    ended_ms = ended_before(stores.calls, call.channel, call.started_ms)
    lead_ms = LEAD_MS if ended_ms is None else call.started_ms - ended_ms  # nothing of the call before
    body = WavBody(open_ring(request.api.home, stores.calls, call.channel, place, lead_ms))
    answer = send(request, body, "audio/wav", None)
    try:
        if is_heard():
            with write(stores.crm) as connection:
                audit.append(connection, request.actor, "call.listen", call.id, {"state": "ringing"})
    except BaseException:
        body.close()
        raise
    return answer


def _position(request: Request, before: str | None) -> tuple[int, str] | None:
    """Behind which call the page begins; one out of scope is as one that never was: behind all."""
    if before is None:
        return None
    try:
        call = get_call(request.stores.calls, before, request.desk.channels)
    except NotFound:
        return (0, "")
    return (call.started_ms, call.id)


class _Tapes:
    """Tapes by their epochs, opened once each."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._open: dict[str, TapeReader | None] = {}

    def hold(self, place: RingPlace | None) -> bool:
        """Whether a tape holds the ringing."""
        from crm_client_api.audio.ring_audio import tape_holds
        from crm_client_api.audio.tapes import tape_of_epoch

        if place is None:
            return False
        if place.tape_epoch not in self._open:
            self._open[place.tape_epoch] = tape_of_epoch(self._home, place.tape_epoch)
        tape = self._open[place.tape_epoch]
        return tape is not None and tape_holds(tape, place)

    def close(self) -> None:
        """Close them all."""
        for tape in self._open.values():
            if tape is not None:
                tape.close()


def _entry(one: HeardCaller, ring_audio: bool) -> CallerIdEntry:
    heard = one.heard
    return CallerIdEntry(
        id=one.call_id,
        at=iso_utc(one.started_ms),
        signalling=None if heard is None else heard.signalling,
        format=None if heard is None else heard.format,
        valid=heard is not None and heard.valid,
        number=None if heard is None else heard.number,
        name=None if heard is None else heard.name,
        date=None if heard is None else heard.date,
        time=None if heard is None else heard.time,
        absence=None if heard is None else heard.absence,
        quality=None if heard is None else heard.quality,
        partial=None if heard is None else heard.partial,
        ring_audio=ring_audio,
    )
