"""The recycle bin of customers: delete several, list, restore; a super operator purges."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.customers import Bin, BinnedCustomer, Done
from crm_client_api.domain.customers.bin import (
    MOST_AT_ONCE,
    Binned,
    delete_many,
    kept_ms,
    list_bin,
    purge_many,
    restore_many,
)
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, route
from crm_client_api.views.calls import customer_info
from firmware.clock import iso_utc

_DELETE = (Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE)


class ChosenCustomers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Customers by their ids; it is done with all of them or with none."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_AT_ONCE)]


class BinQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the recycle bin."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    after: Annotated[str, msgspec.Meta(max_length=40)] | None = None


@route("POST", "/customers/delete", "Put customers into the recycle bin", answer=Done, permissions=_DELETE)
def delete_customers(request: Request, body: ChosenCustomers) -> Done:
    """Delete several customers in scope."""
    return Done(delete_many(request.stores.crm, body.ids, request.actor, request.desk.customers))


@route("GET", "/customers/bin", "The recycle bin", answer=Bin, permissions=_DELETE, reads="customer")
def get_bin(request: Request, query: BinQuery) -> Bin:
    """The customers in the recycle bin that one could see before."""
    found, beyond = list_bin(request.stores.crm, request.desk.customers, limit=query.limit, after=query.after)
    kept = kept_ms(request.stores.crm)
    return Bin([_binned(one, kept) for one in found], beyond)


def _binned(one: Binned, kept: int) -> BinnedCustomer:
    return BinnedCustomer(
        one.customer.id,
        customer_info(one.customer),
        iso_utc(one.deleted_ms),
        one.deleted_by,
        iso_utc(one.deleted_ms + kept),
    )


@route("POST", "/customers/restore", "Take customers out of the recycle bin", answer=Done, permissions=_DELETE)
def restore_customers(request: Request, body: ChosenCustomers) -> Done:
    """Restore customers that one could see before."""
    return Done(restore_many(request.stores.crm, body.ids, request.actor, request.desk.customers))


@route("POST", "/customers/purge", "Remove customers for good", answer=Done, permissions=_DELETE, also=(409,))
def purge_customers(request: Request, body: ChosenCustomers) -> Done:
    """Purge customers in the recycle bin, with their communication records; what a hold protects stays."""
    if request.operator.level is not Level.SUPER:
        raise ApiError(403, "super_only", "only a super operator purges")
    desk = request.desk
    return Done(purge_many(request.stores.crm, body.ids, request.actor, desk.customers, desk.settings.site))
