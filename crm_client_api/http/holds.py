"""Holds (保全): what nothing and nobody deletes until two people have lifted them."""

from __future__ import annotations

import msgspec

from crm_client_api.answers.keeping import HoldInfo, Holds
from crm_client_api.domain.call_search import held_among
from crm_client_api.domain.calls import get_call, list_channels
from crm_client_api.domain.customers import get_customer
from crm_client_api.domain.holds import (
    HoldRecord,
    WantedHold,
    ask_release,
    cancel_release,
    confirm_release,
    list_holds,
    set_hold,
)
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import Sql, known_customers
from crm_client_api.http.call_filters import standing_holds
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.retention import subject_scope
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc
from firmware.errors import NotFound
from recorder.library.storage.holds import HoldKind


class NewHold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to hold: ``subject`` is a call's id, a number in any spelling or a customer's id.

    A period has ``from`` and perhaps ``to`` (ISO 8601 with an offset) and ``channel`` instead.
    """

    kind: HoldKind
    reason: str
    subject: str | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    channel: int | None = None


class HoldQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``released``: those that were lifted too. ``call``: only those that protect this call."""

    released: bool = False
    call: str | None = None


@route("GET", "/holds", "Holds, oldest first", answer=Holds, permissions=(Permission.HOLD_MANAGE,), reads="hold",
       also=(404,))  # fmt: skip
def get_holds(request: Request, query: HoldQuery) -> Holds:
    """List the holds on what is in scope, and on numbers; those on a call when one is named."""
    found = list_holds(request.stores.crm, released=query.released, scope=_scope(request))
    if query.call is not None:
        calls = request.stores.calls
        call = get_call(calls, query.call, request.desk.channels)
        protecting = {one.id for one in standing_holds(request) if held_among(calls, [call.id], [one])}
        found = [hold for hold in found if hold.id in protecting]
    return Holds([_info(hold) for hold in found])


@route("POST", "/holds", "Set a hold", answer=HoldInfo, status=201, permissions=(Permission.HOLD_MANAGE,))
def post_hold(request: Request, body: NewHold) -> HoldInfo:
    """Protect what is in scope."""
    desk, subject = request.desk, body.subject
    if body.kind == "call":
        get_call(request.stores.calls, body.subject or "", desk.channels)
    elif body.kind == "customer":
        known = known_customers(request.operator.viewer)
        subject = get_customer(request.stores.crm, body.subject or "", known).id  # "07" is found as 7
    elif body.channel is not None and not _is_in_scope(request, body.channel):
        raise NotFound("there is no such channel")
    wanted = WantedHold(body.kind, body.reason, subject, unix_ms(body.from_), unix_ms(body.to), body.channel)
    return _info(set_hold(request.stores.crm, wanted, request.actor, request.settings.site))


@route(
    "POST", "/holds/{hold_id}/release-request", "Ask for the release of a hold",
    answer=HoldInfo, permissions=(Permission.HOLD_MANAGE,),
)  # fmt: skip
def post_release_request(request: Request, hold_id: str) -> HoldInfo:
    """The first of two people."""
    return _info(ask_release(request.stores.crm, hold_id, request.actor, _scope(request)))


@route(
    "POST", "/holds/{hold_id}/release-confirm", "Lift a hold, as another person than who asked",
    answer=HoldInfo, permissions=(Permission.HOLD_MANAGE,),
)  # fmt: skip
def post_release_confirm(request: Request, hold_id: str) -> HoldInfo:
    """The second of two people."""
    return _info(confirm_release(request.stores.crm, hold_id, request.actor, _scope(request)))


@route(
    "POST", "/holds/{hold_id}/release-cancel", "Take back the request: the hold stands",
    answer=HoldInfo, permissions=(Permission.HOLD_MANAGE,),
)  # fmt: skip
def post_release_cancel(request: Request, hold_id: str) -> HoldInfo:
    """Anybody who manages holds may."""
    return _info(cancel_release(request.stores.crm, hold_id, request.actor, _scope(request)))


def _scope(request: Request) -> Sql:
    return subject_scope(request).holds(request.stores.calls, request.stores.crm)


def _is_in_scope(request: Request, channel: int) -> bool:
    known = any(row.number == channel for row in list_channels(request.stores.calls))
    return known and request.desk.channels.allows(channel)


def _info(hold: HoldRecord) -> HoldInfo:
    return HoldInfo(
        id=hold.id,
        kind=hold.kind,
        subject=hold.subject,
        from_at=_iso(hold.from_ms),
        to_at=_iso(hold.to_ms),
        channel=hold.channel,
        reason=hold.reason,
        set_by=hold.set_by,
        set_at=iso_utc(hold.set_ms),
        release_asked_by=hold.release_asked_by,
        release_asked_at=_iso(hold.release_asked_ms),
        released_by=hold.released_by,
        released_at=_iso(hold.released_ms),
    )


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)
