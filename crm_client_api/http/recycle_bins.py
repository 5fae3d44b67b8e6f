"""Both recycle bins, of customers and of communication records: delete several, list, restore; purge for good.

Who sees records sees those in the bin and restores them; deleting needs the permission to delete, purging a super
operator as well.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.communications import CommunicationPage
from crm_client_api.answers.customers import Bin, BinnedCustomer, Done
from crm_client_api.answers.purging import PurgedCustomers
from crm_client_api.domain.communications import bin as communication_bin
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.customers.bin import Binned
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.recycling import MOST_AT_ONCE, kept_ms
from crm_client_api.http.communications import CommunicationQuery, page_of
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, route
from crm_client_api.views.calls import customer_info
from crm_client_api.views.communications import reach_of
from firmware.clock import iso_utc

_CUSTOMERS = (Permission.CUSTOMER_MANAGE,)
_DELETE_CUSTOMERS = (Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE)
_COMMUNICATIONS = (Permission.COMMUNICATION_MANAGE,)
_DELETE_COMMUNICATIONS = (Permission.COMMUNICATION_MANAGE, Permission.COMMUNICATION_IMPORT_DELETE)


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records by their ids; it is done with all of them or with none."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)]


class BinQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the customers' bin."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    after: Annotated[str, msgspec.Meta(max_length=40)] | None = None


def _require_super(request: Request) -> None:
    if request.operator.level is not Level.SUPER:
        raise ApiError(403, "super_only", "only a super operator purges")


@route("POST", "/customers/delete", "Put customers into the recycle bin", answer=Done, permissions=_DELETE_CUSTOMERS)
def delete_customers(request: Request, body: Chosen) -> Done:
    """Delete several customers in scope."""
    return Done(customer_bin.delete_many(request.stores.crm, body.ids, request.actor, request.desk.customers))


@route("GET", "/customers/bin", "The recycle bin", answer=Bin, permissions=_CUSTOMERS, reads="customer")
def get_bin(request: Request, query: BinQuery) -> Bin:
    """The customers in the recycle bin that one could see before."""
    crm = request.stores.crm
    found, beyond = customer_bin.list_bin(crm, request.desk.customers, limit=query.limit, after=query.after)
    kept = kept_ms(crm)
    return Bin([_binned(one, kept) for one in found], beyond)


def _binned(one: Binned, kept: int) -> BinnedCustomer:
    return BinnedCustomer(
        one.customer.id,
        customer_info(one.customer),
        iso_utc(one.deleted_ms),
        one.deleted_by,
        iso_utc(one.deleted_ms + kept),
    )


@route("POST", "/customers/restore", "Take customers out of the recycle bin", answer=Done, permissions=_CUSTOMERS)
def restore_customers(request: Request, body: Chosen) -> Done:
    """Restore customers that one could see before."""
    return Done(customer_bin.restore_many(request.stores.crm, body.ids, request.actor, request.desk.customers))


@route("POST", "/customers/purge", "Remove customers for good", answer=PurgedCustomers, permissions=_DELETE_CUSTOMERS)
def purge_customers(request: Request, body: Chosen) -> PurgedCustomers:
    """Purge customers in the recycle bin, with their communication records; what a hold protects stays, and so do open
    tasks, without their customer."""
    _require_super(request)
    desk = request.desk
    purged = customer_bin.purge_many(request.stores.crm, body.ids, request.actor, desk.customers, desk.settings.site)
    return PurgedCustomers(purged.count, purged.tasks.kept, purged.tasks.gone)


@route(
    "POST", "/communications/delete", "Put communication records into the recycle bin",
    answer=Done, permissions=_DELETE_COMMUNICATIONS,
)  # fmt: skip
def post_communication_delete(request: Request, body: Chosen) -> Done:
    """Delete records in scope, all or none."""
    scope = reach_of(request.desk).records
    return Done(communication_bin.delete_many(request.stores.crm, body.ids, request.actor, scope))


@route(
    "GET", "/communications/bin", "Communication records in the recycle bin, newest contact first",
    answer=CommunicationPage, permissions=_COMMUNICATIONS, reads="communication",
)  # fmt: skip
def get_communication_bin(request: Request, query: CommunicationQuery) -> CommunicationPage:
    """List what lies in the recycle bin and is in scope."""
    return page_of(request, query, deleted=True)


@route(
    "POST", "/communications/restore", "Take communication records out of the recycle bin",
    answer=Done, permissions=_COMMUNICATIONS,
)  # fmt: skip
def post_communication_restore(request: Request, body: Chosen) -> Done:
    """Restore records that are in scope, all or none."""
    scope = reach_of(request.desk).records
    return Done(communication_bin.restore_many(request.stores.crm, body.ids, request.actor, scope))


@route(
    "POST", "/communications/purge", "Remove communication records for good",
    answer=Done, permissions=_DELETE_COMMUNICATIONS,
)  # fmt: skip
def post_communication_purge(request: Request, body: Chosen) -> Done:
    """Purge records that lie in the recycle bin, unless a hold protects one; only a super operator may."""
    _require_super(request)
    scope, site = reach_of(request.desk).records, request.settings.site
    return Done(communication_bin.purge_many(request.stores.crm, body.ids, request.actor, scope, site))
