"""Communication records: list, write, correct, supplement, recycle bin; only what is in scope exists."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from crm_client_api.answers.communications import CommunicationCount, CommunicationInfo, CommunicationPage, Versions
from crm_client_api.domain.communications import bin as recycle
from crm_client_api.domain.communications import changes
from crm_client_api.domain.communications.link import call_for_record, values_from_call
from crm_client_api.domain.communications.lists import (
    Filter,
    count_communications,
    find_page,
    get_communication,
)
from crm_client_api.domain.communications.record import Communication, Values, key_of
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.popups import customers_on_card
from crm_client_api.http.routing import Request, route
from crm_client_api.views.communications import communication_infos, reach_of, version_infos
from firmware.clock import now_ms

_MANAGE = (Permission.COMMUNICATION_MANAGE,)
_DELETE = (Permission.COMMUNICATION_MANAGE, Permission.COMMUNICATION_IMPORT_DELETE)
_Words = Annotated[str, msgspec.Meta(max_length=100)]
_StaffNo = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{1,16}$")]
_CustomerId = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,17}$")]


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    q: _Words = ""
    subject: _Words = ""
    number: Annotated[str, msgspec.Meta(max_length=60)] = ""
    customer: _CustomerId | None = None
    owner: _StaffNo | None = None
    author: _StaffNo | None = None
    method: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    call: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    next_from: Moment | None = None
    next_to: Moment | None = None


class CommunicationQuery(_Wanted, frozen=True, forbid_unknown_fields=True):
    """Which records. ``q``: words in subject, content, result and supplements (Chinese: any characters in a row).

    ``subject``: words in the subject. ``number``: a whole one in any spelling, or at least three digits. ``from``,
    ``to``: the time of the contact; ``next_from``, ``next_to``: that of the next one (ISO 8601 with an offset).
    ``backwards``: the oldest contact first.
    """

    backwards: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    before: Annotated[str, msgspec.Meta(pattern="^-?[0-9]{1,19}$")] | None = None


class CountQuery(_Wanted, frozen=True, forbid_unknown_fields=True):
    """Which records to count: as in the list."""


class NewCommunication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record to add. ``call_id``: the call whose pop-up the operator received; number and time come from it then.

    ``at``: when the contact was, now when left out.
    """

    customer_id: _CustomerId
    call_id: str | None = None
    at: Moment | None = None
    number: str = ""
    method: str = ""
    subject: str = ""
    content: str = ""
    result: str = ""
    next_contact_at: Moment | None = None


class CommunicationChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to correct; what is left out stays."""

    customer_id: _CustomerId | msgspec.UnsetType = msgspec.UNSET
    at: Moment | msgspec.UnsetType = msgspec.UNSET
    number: str | msgspec.UnsetType = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    subject: str | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType = msgspec.UNSET
    result: str | msgspec.UnsetType = msgspec.UNSET
    next_contact_at: Moment | msgspec.UnsetType | None = msgspec.UNSET


class NewSupplement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to add to a record."""

    content: str


def filter_of(
    query: _Wanted, *, limit: int = 50, before: str | None = None, deleted: bool = False, backwards: bool = False
) -> Filter:
    """The filter that a query describes. Raises BadInput."""
    return Filter(
        text=query.q.strip(),
        subject=query.subject.strip(),
        number=query.number.strip(),
        customer=None if query.customer is None else key_of(query.customer),
        owner=query.owner,
        author=query.author,
        method=query.method,
        call_id=query.call,
        from_ms=unix_ms(query.from_),
        to_ms=unix_ms(query.to),
        next_from_ms=unix_ms(query.next_from),
        next_to_ms=unix_ms(query.next_to),
        before=None if before is None else int(before),
        backwards=backwards,
        deleted=deleted,
        limit=limit,
    )


@route(
    "GET", "/communications", "Communication records in scope, newest first",
    answer=CommunicationPage, permissions=_MANAGE, reads="communication",
)  # fmt: skip
def get_communications(request: Request, query: CommunicationQuery) -> CommunicationPage:
    """List records in scope."""
    return page_of(request, query, deleted=False)


def page_of(request: Request, query: CommunicationQuery, *, deleted: bool) -> CommunicationPage:
    """One page of records in scope, of the recycle bin when ``deleted``."""
    desk = request.desk
    wanted = filter_of(query, limit=query.limit, before=query.before, deleted=deleted, backwards=query.backwards)
    page = find_page(request.stores.crm, wanted, reach_of(desk), desk.settings.site)
    return CommunicationPage(communication_infos(desk, page.records), None if page.next is None else str(page.next))


@route(
    "GET", "/communications/count", "How many communication records a filter finds in scope",
    answer=CommunicationCount, permissions=_MANAGE,
)  # fmt: skip
def get_communication_count(request: Request, query: CountQuery) -> CommunicationCount:
    """Count records in scope, up to a limit."""
    desk = request.desk
    return CommunicationCount(
        *count_communications(request.stores.crm, filter_of(query), reach_of(desk), desk.settings.site)
    )


@route(
    "POST", "/communications", "Write a communication record",
    answer=CommunicationInfo, status=201, permissions=_MANAGE,
)  # fmt: skip
def post_communication(request: Request, body: NewCommunication) -> CommunicationInfo:
    """Add a record to a customer in scope; with the call when it is written from a pop-up.

    Without `customer_manage` a customer is one of those on the card of this call.
    """
    desk, stores = request.desk, request.stores
    at_ms = unix_ms(body.at)
    call = None
    if body.call_id is not None:
        call = call_for_record(stores.calls, stores.crm, body.call_id, request.operator.staff_no, desk.channels)
        at_ms = call.started_ms if at_ms is None else at_ms
    values = Values(
        customer_id=key_of(body.customer_id),
        at_ms=now_ms() if at_ms is None else at_ms,
        number=body.number.strip(),
        method=body.method.strip(),
        subject=body.subject,
        content=body.content,
        result=body.result,
        next_contact_ms=unix_ms(body.next_contact_at),
    )
    if call is not None:
        values = values_from_call(values, call)
    on_card = customers_on_card(request, body.call_id)
    added = changes.add_communication(stores.crm, values, request.actor, reach_of(desk), desk.settings.site, on_card)
    return _one(request, added)


@route(
    "GET", "/communications/{communication_id}", "One communication record",
    answer=CommunicationInfo, permissions=_MANAGE, reads="communication",
)  # fmt: skip
def get_one_communication(request: Request, communication_id: str) -> CommunicationInfo:
    """Show a record in scope."""
    return _one(request, get_communication(request.stores.crm, communication_id, reach_of(request.desk)))


@route(
    "PATCH", "/communications/{communication_id}", "Correct a communication record on the day it was written",
    answer=CommunicationInfo, permissions=_MANAGE,
)  # fmt: skip
def patch_communication(request: Request, communication_id: str, body: CommunicationChange) -> CommunicationInfo:
    """Correct an own record until midnight; what it said before is kept as a version."""
    given: dict[str, Any] = {
        name: getattr(body, name)
        for name in ("number", "method", "subject", "content", "result")
        if getattr(body, name) is not msgspec.UNSET
    }
    if body.customer_id is not msgspec.UNSET:
        given["customer_id"] = key_of(body.customer_id)
    if body.at is not msgspec.UNSET:
        given["at_ms"] = unix_ms(body.at)
    if body.next_contact_at is not msgspec.UNSET:
        given["next_contact_ms"] = unix_ms(body.next_contact_at)
    reach = reach_of(request.desk)
    call_id = get_communication(request.stores.crm, communication_id, reach).values.call_id
    on_card = customers_on_card(request, call_id) if "customer_id" in given else frozenset[int]()
    changed = changes.correct_communication(
        request.stores.crm, communication_id, given, request.actor, reach, request.settings.site,
        request.settings.zone, on_card,
    )  # fmt: skip
    return _one(request, changed)


@route(
    "POST", "/communications/{communication_id}/supplements", "Add something to a communication record",
    answer=CommunicationInfo, status=201, permissions=_MANAGE,
)  # fmt: skip
def post_supplement(request: Request, communication_id: str, body: NewSupplement) -> CommunicationInfo:
    """Say something more about a record in scope, at any time."""
    reach = reach_of(request.desk)
    changes.add_supplement(
        request.stores.crm, communication_id, body.content, request.actor, reach, request.settings.site
    )
    return _one(request, get_communication(request.stores.crm, communication_id, reach))


@route(
    "GET", "/communications/{communication_id}/versions", "What a communication record said before it was corrected",
    answer=Versions, permissions=_MANAGE, reads="communication",
)  # fmt: skip
def get_versions(request: Request, communication_id: str) -> Versions:
    """Show the versions of a record in scope."""
    record = get_communication(request.stores.crm, communication_id, reach_of(request.desk))
    return Versions(version_infos(request.desk, record))


@route(
    "DELETE", "/communications/{communication_id}", "Put a communication record into the recycle bin",
    status=204, permissions=_DELETE,
)  # fmt: skip
def delete_one_communication(request: Request, communication_id: str) -> None:
    """Delete a record in scope."""
    recycle.delete_many(request.stores.crm, [communication_id], request.actor, reach_of(request.desk).records)


def _one(request: Request, record: Communication) -> CommunicationInfo:
    return communication_infos(request.desk, [record])[0]
