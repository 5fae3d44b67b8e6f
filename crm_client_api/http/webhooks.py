"""Webhooks: register, change, test, send again; what became of each delivery."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.webhooks import (
    DeliveryInfo,
    DeliveryPage,
    DeliveryQueued,
    DeliveryState,
    EventsQueued,
    WebhookInfo,
    Webhooks,
    WebhookSecret,
)
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.integrations.webhooks import registered
from crm_client_api.integrations.webhooks.registered import Delivery, Webhook
from crm_client_api.integrations.webhooks.targets import LONGEST_URL
from firmware.clock import iso_utc
from firmware.errors import BadInput
from firmware.parameters import get_value

_SETUP = (Permission.SYSTEM_SETUP,)
_Url = Annotated[str, msgspec.Meta(min_length=8, max_length=LONGEST_URL)]
_Kind = Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,40}$")]
_Events = Annotated[list[_Kind], msgspec.Meta(min_length=1, max_length=100)]


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A receiver of events, as they are named in the event log."""

    url: _Url
    events: _Events


class WebhookChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a webhook; what is left out stays. Switched on again, it gets what happens from then on."""

    url: _Url | msgspec.UnsetType = msgspec.UNSET
    events: _Events | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET


class ReplaySpan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when to when, both included."""

    from_: Moment = msgspec.field(name="from")
    to: Moment


class DeliveryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which deliveries."""

    state: DeliveryState | None = None
    before: Annotated[int, msgspec.Meta(ge=1, lt=1 << 60)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


def _found(request: Request, webhook_id: int) -> Webhook:
    return registered.get_webhook(request.stores.crm, webhook_id, request.operator)


def _info(request: Request, one: Webhook) -> WebhookInfo:
    waiting = request.stores.crm.conn.execute(
        "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = ? AND state = 'waiting'", (one.id,)
    ).fetchone()[0]
    return WebhookInfo(one.id, one.url, list(one.events), one.staff_no, one.active, waiting, iso_utc(one.created_ms))


def _own_network(request: Request) -> bool:
    return get_value(request.stores.crm, "system", "webhooks_to_own_network") is True


@route("GET", "/webhooks", "Webhooks: all for super operators, else one's own", answer=Webhooks, permissions=_SETUP)
def get_webhooks(request: Request) -> Webhooks:
    """List webhooks."""
    found = registered.list_webhooks(request.stores.crm, request.operator)
    return Webhooks([_info(request, one) for one in found])


@route("POST", "/webhooks", "Register a webhook", answer=WebhookSecret, status=201, permissions=_SETUP)
def post_webhook(request: Request, body: NewWebhook) -> WebhookSecret:
    """Register a receiver of events in the own scope, from now on."""
    added = registered.add_webhook(
        request.stores.crm, request.stores.calls, body.url, body.events, request.actor, _own_network(request)
    )
    return WebhookSecret(_info(request, added), added.secret)


@route("PATCH", "/webhooks/{webhook_id}", "Change a webhook", answer=WebhookInfo, permissions=_SETUP)
def patch_webhook(request: Request, webhook_id: int, body: WebhookChange) -> WebhookInfo:
    """Change where events go, which, or whether."""
    registered.change_webhook(
        request.stores.crm,
        request.stores.calls,
        _found(request, webhook_id),
        request.actor,
        _own_network(request),
        url=None if body.url is msgspec.UNSET else body.url,
        events=None if body.events is msgspec.UNSET else body.events,
        active=None if body.active is msgspec.UNSET else body.active,
    )
    return _info(request, _found(request, webhook_id))


@route("DELETE", "/webhooks/{webhook_id}", "Delete a webhook", status=204, permissions=_SETUP)
def delete_one_webhook(request: Request, webhook_id: int) -> None:
    """Delete a webhook and what is on its way to it."""
    registered.delete_webhook(request.stores.crm, _found(request, webhook_id), request.actor)


@route("POST", "/webhooks/{webhook_id}/secret", "Give a webhook a new secret", answer=WebhookSecret, permissions=_SETUP)
def post_webhook_secret(request: Request, webhook_id: int) -> WebhookSecret:
    """Renew the secret; deliveries are signed with the new one at once."""
    webhook = _found(request, webhook_id)
    secret = registered.renew_secret(request.stores.crm, webhook, request.actor)
    return WebhookSecret(_info(request, webhook), secret)


@route(
    "POST", "/webhooks/{webhook_id}/test", "Send a test to a webhook",
    answer=DeliveryQueued, status=202, permissions=_SETUP,
)  # fmt: skip
def post_webhook_test(request: Request, webhook_id: int) -> DeliveryQueued:
    """Send something that tells nothing, tried once, ahead of what waits."""
    return DeliveryQueued(registered.queue_test(request.stores.crm, _found(request, webhook_id), request.actor))


@route(
    "POST", "/webhooks/{webhook_id}/replay", "Send the events of a span again",
    answer=EventsQueued, status=202, permissions=_SETUP,
)  # fmt: skip
def post_webhook_replay(request: Request, webhook_id: int, body: ReplaySpan) -> EventsQueued:
    """Queue again what happened in a span, in the old order; 10,000 events at most."""
    from_ms, to_ms = unix_ms(body.from_) or 0, unix_ms(body.to) or 0
    if from_ms > to_ms:
        raise BadInput("from is later than to")
    crm, calls = request.stores.crm, request.stores.calls
    return EventsQueued(
        registered.queue_replay(crm, calls, _found(request, webhook_id), from_ms, to_ms, request.actor)
    )  # fmt: skip


@route(
    "GET", "/webhooks/{webhook_id}/deliveries", "What became of a webhook's deliveries, newest first",
    answer=DeliveryPage, permissions=_SETUP,
)  # fmt: skip
def get_webhook_deliveries(request: Request, webhook_id: int, query: DeliveryQuery) -> DeliveryPage:
    """List deliveries; what they said is not shown here."""
    found = registered.list_deliveries(
        request.stores.crm, _found(request, webhook_id), query.state, query.before, query.limit + 1
    )
    page = found[: query.limit]
    return DeliveryPage([_delivery(one) for one in page], page[-1].id if len(found) > query.limit else None)


def _delivery(one: Delivery) -> DeliveryInfo:
    return DeliveryInfo(
        id=one.id,
        position=one.position,
        kind=one.kind,
        state="delivered" if one.state == "delivered" else "failed" if one.state == "failed" else "waiting",
        tries=one.tries,
        next_try_at=iso_utc(one.next_try_ms) if one.state == "waiting" else None,
        last_status=one.last_status,
        last_error=one.last_error,
        created_at=iso_utc(one.created_ms),
        delivered_at=None if one.delivered_ms is None else iso_utc(one.delivered_ms),
    )
