"""Filters of calls and recordings, as lists and exports take them; some show what needs a permission of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from crm_client_api.domain.call_notes import noted_calls
from crm_client_api.domain.call_subjects import open_office
from crm_client_api.domain.call_tags import tagged_calls
from crm_client_api.domain.calls import CallFilter, list_channels
from crm_client_api.domain.communications.lists import Filter as CommunicationFilter
from crm_client_api.domain.communications.lists import Reach, list_communications
from crm_client_api.domain.customers.read import get_customer
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import communication_scope
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request
from recorder.library.storage.holds import Hold, read_holds
from recorder.numbers import spellings

_MOST_RECORDS = 1000
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
CustomerId = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,17}$")]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class WantedCalls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which calls. ``number`` finds every spelling of a number, and numbers that contain the digits.

    ``from``, ``to``: when it began (ISO 8601 with an offset). ``handled_by``: a staff number. ``group``: channels of
    this group. ``customer``: calls with one of a customer's numbers, which needs customer_manage. ``text``: words of
    communication records about the call (the newest 1000 of them), which needs communication_manage. ``noted``: those
    on which somebody noted something (the last 1000), and ``tag``: with a tag, several with commas (the newest 5000),
    which both need recording_query. ``held``: protected by a hold; needs hold_manage.
    """

    channel: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    group: Annotated[int, msgspec.Meta(ge=1, le=9999)] | None = None
    number: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    customer: CustomerId | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    result: Literal["answered", "missed", "abandoned"] | None = None
    state: Literal["ringing", "dialling", "talking", "ended"] | None = None
    machine: Literal["fax", "modem"] | None = None
    handled_by: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{1,16}$")] | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    talk_from_ms: Milliseconds | None = None
    talk_to_ms: Milliseconds | None = None
    text: Words | None = None
    noted: bool = False
    tag: Words | None = None
    held: bool | None = None


def call_filter(request: Request, wanted: WantedCalls) -> CallFilter:
    """What to look for. Raises PermissionMissing: a filter shows what needs a permission of its own; NotFound: no such
    customer."""
    among: set[str] | None = None
    if wanted.text is not None:
        among = set(written_about(request, wanted.text))
    if wanted.noted:
        request.require(Permission.RECORDING_QUERY)
        noted = set(noted_calls(request.stores.crm, request.desk.channels, _MOST_RECORDS))
        among = noted if among is None else among & noted
    if wanted.tag is not None:
        request.require(Permission.RECORDING_QUERY)
        tagged = set(tagged_calls(request.stores.crm, wanted.tag.split(","), request.desk.channels))
        among = tagged if among is None else among & tagged
    return CallFilter(
        channel=wanted.channel,
        channels=None if wanted.group is None else _channels_of(request, wanted.group),
        number=wanted.number,
        numbers=None if wanted.customer is None else numbers_of(request, wanted.customer),
        direction=wanted.direction,
        result=wanted.result,
        state=wanted.state,
        machine=wanted.machine,
        handled_by=wanted.handled_by,
        from_ms=unix_ms(wanted.from_),
        to_ms=unix_ms(wanted.to),
        talk_from_ms=wanted.talk_from_ms,
        talk_to_ms=wanted.talk_to_ms,
        among=None if among is None else tuple(sorted(among)),
        held=wanted.held,
        holds=standing_holds(request) if wanted.held is not None else (),
    )


def _channels_of(request: Request, group: int) -> tuple[int, ...]:
    numbers = [one.number for one in list_channels(request.stores.calls)]
    return tuple(one for one in numbers if request.settings.channel(one).group == group)


def numbers_of(request: Request, customer_id: str) -> tuple[str, ...]:
    """The numbers of a customer in scope. Raises PermissionMissing, NotFound."""
    request.require(Permission.CUSTOMER_MANAGE)
    customer = get_customer(request.stores.crm, customer_id, request.desk.customers)
    return tuple(phone.number for phone in customer.phones)


def written_about(request: Request, text: str) -> tuple[str, ...]:
    """The calls about which records with these words were written. Raises PermissionMissing."""
    request.require(Permission.COMMUNICATION_MANAGE)
    reach = Reach(communication_scope(request.operator.viewer), request.desk.customers, names_customers=False)
    wanted = CommunicationFilter(text=text, limit=_MOST_RECORDS)
    records = list_communications(request.stores.crm, wanted, reach, request.settings.site)
    return tuple(sorted({one.values.call_id for one in records if one.values.call_id is not None}))


def standing_holds(request: Request) -> tuple[Hold, ...]:
    """The holds that stand, with their numbers in every spelling. Raises PermissionMissing."""
    request.require(Permission.HOLD_MANAGE)
    crm, site = request.stores.crm, request.settings.site
    return tuple(
        replace(hold, numbers=frozenset(one for number in hold.numbers for one in spellings(number, site)))
        for hold in read_holds(crm, open_office(crm))
    )
