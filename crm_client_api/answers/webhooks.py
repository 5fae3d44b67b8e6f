"""What the API says of webhooks: the structs of these answers. Times are ISO 8601 UTC with milliseconds (``*_at``)."""

from __future__ import annotations

from typing import Literal

import msgspec

DeliveryState = Literal["waiting", "delivered", "failed"]


class WebhookInfo(msgspec.Struct, frozen=True):
    """A webhook. ``staff_no``: who registered it; its events have this operator's scope.

    ``waiting``: deliveries that were not taken yet. ``active`` false: switched off, also because that operator left.
    """

    id: int
    url: str
    events: list[str]
    staff_no: str
    active: bool
    waiting: int
    created_at: str


class Webhooks(msgspec.Struct, frozen=True):
    """Webhooks, oldest first."""

    webhooks: list[WebhookInfo]


class WebhookSecret(msgspec.Struct, frozen=True):
    """The secret that signs a webhook's deliveries, shown once."""

    webhook: WebhookInfo
    secret: str


class DeliveryInfo(msgspec.Struct, frozen=True):
    """An event on its way to a webhook. ``last_status``, ``last_error``: of the last try. ``position``: the event."""

    id: int
    position: str
    kind: str
    state: DeliveryState
    tries: int
    next_try_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    delivered_at: str | None


class DeliveryPage(msgspec.Struct, frozen=True):
    """Deliveries, newest first; ``next`` is the ``before`` of the next page, null at the end."""

    deliveries: list[DeliveryInfo]
    next: int | None


class DeliveryQueued(msgspec.Struct, frozen=True):
    """A delivery that is on its way now."""

    delivery: int


class EventsQueued(msgspec.Struct, frozen=True):
    """How many events are sent again."""

    events: int
