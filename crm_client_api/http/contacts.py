"""What happened with a customer, and who is to be contacted next."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.communications import NextContact, NextContacts, Timeline
from crm_client_api.domain import next_contacts as domain
from crm_client_api.domain.customers import get_customer
from crm_client_api.domain.next_contacts import Kind, NextContactFilter, Place, list_next_contacts
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.errors import PermissionMissing
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.views.communications import reach_of
from crm_client_api.views.timeline import timeline
from firmware.clock import iso_utc, now_ms
from firmware.errors import BadInput


class TimelineQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of the time line."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    before: Annotated[str, msgspec.Meta(max_length=100)] | None = None


class NextContactQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which next contacts: due before a time (ISO 8601 with an offset), before now when left out."""

    due_before: Moment | None = None
    owner: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{1,16}$")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    before: Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,15}\.(customer|communication)\.[0-9]{1,18}$")] | None = (
        None
    )


@route(
    "GET", "/customers/{customer_id}/timeline", "A customer's communication records, calls and tasks, newest first",
    answer=Timeline, permissions=(Permission.CUSTOMER_MANAGE,), reads="customer",
)  # fmt: skip
def get_timeline(request: Request, customer_id: str, query: TimelineQuery) -> Timeline:
    """Show what happened with a customer in scope, as far as that is in scope itself."""
    customer = get_customer(request.stores.crm, customer_id, request.desk.customers)
    return timeline(request.desk, int(customer.id), query.before, query.limit)


@route("GET", "/next-contacts", "Who is to be contacted", answer=NextContacts, reads="customer")
def get_next_contacts(request: Request, query: NextContactQuery) -> NextContacts:
    """List customers and records in scope whose next contact is due, by the permissions that the reader holds."""
    desk, at_ms = request.desk, now_ms()
    kinds: list[Kind] = []
    if Permission.CUSTOMER_MANAGE in request.operator.permissions:
        kinds.append("customer")
    if Permission.COMMUNICATION_MANAGE in request.operator.permissions:
        kinds.append("communication")
    if not kinds:
        raise PermissionMissing(Permission.CUSTOMER_MANAGE)
    due_before_ms = unix_ms(query.due_before)
    wanted = NextContactFilter(
        due_before_ms=at_ms if due_before_ms is None else due_before_ms,
        owner=query.owner,
        before=_place(query.before),
        limit=query.limit,
    )
    found, end = list_next_contacts(request.stores.crm, wanted, reach_of(desk), tuple(kinds))
    following = None if end is None else f"{end.due_ms}.{end.kind}.{end.id}"
    return NextContacts([_info(one, at_ms) for one in found], following)


def _place(text: str | None) -> Place | None:
    if text is None:
        return None
    due, kind, one = text.split(".")
    for known in domain.KINDS:
        if kind == known:
            return Place(int(due), known, int(one))
    raise BadInput("'before' is the 'next' of the page before")


def _info(one: domain.NextContact, at_ms: int) -> NextContact:
    return NextContact(
        kind=one.kind,
        id=str(one.id),
        due_at=iso_utc(one.due_ms),
        overdue=one.due_ms < at_ms,
        customer_id=None if one.customer_id is None else str(one.customer_id),
        customer_name=one.customer_name,
        company=one.company,
        subject=one.subject,
        owner=one.owner,
    )
