"""Customers: list, add, show, change, delete; only what is in scope exists."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers import CustomerInfo, CustomerPage
from crm_client_api.domain.customers import (
    FIELDS,
    Filter,
    Phone,
    add_customer,
    change_customer,
    delete_customer,
    get_customer,
    list_customers,
)
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route
from crm_client_api.views import customer_info

_MANAGE = (Permission.CUSTOMER_MANAGE,)


class PhoneInput(msgspec.Struct, frozen=True):
    """A telephone number as typed; an ``e164`` sent along is not looked at."""

    number: str
    label: str = ""


class NewCustomer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer to add; author and owner are the operator who adds it."""

    name: str = ""
    company: str = ""
    title: str = ""
    category: str = ""
    level: str = ""
    note: str = ""
    phones: list[PhoneInput] = []


class CustomerChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a customer; what is left out stays. ``phones`` replaces all numbers."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    company: str | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType = msgspec.UNSET
    category: str | msgspec.UnsetType = msgspec.UNSET
    level: str | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType = msgspec.UNSET
    phones: list[PhoneInput] | msgspec.UnsetType = msgspec.UNSET


class CustomerQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which customers: ``q`` in names, companies and numbers; ``number`` in any spelling."""

    q: Annotated[str, msgspec.Meta(max_length=100)] = ""
    number: Annotated[str, msgspec.Meta(max_length=60)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    after: Annotated[int, msgspec.Meta(ge=0, lt=1 << 60)] | None = None


def _phones(given: list[PhoneInput]) -> tuple[Phone, ...]:
    return tuple(Phone(one.label, one.number) for one in given)


@route("GET", "/customers", "Customers in scope, newest first", answer=CustomerPage, permissions=_MANAGE)
def get_customers(request: Request, query: CustomerQuery) -> CustomerPage:
    """List customers in scope."""
    desk = request.desk
    wanted = Filter(query.q.strip(), query.number.strip(), query.limit + 1, query.after)
    found = list_customers(request.stores.crm, wanted, desk.customers, desk.settings.site)
    page = found[: query.limit]
    return CustomerPage([customer_info(one) for one in page], page[-1].id if len(found) > query.limit else None)


@route("POST", "/customers", "Add a customer", answer=CustomerInfo, status=201, permissions=_MANAGE)
def post_customer(request: Request, body: NewCustomer) -> CustomerInfo:
    """Add a customer."""
    fields = {name: getattr(body, name) for name in FIELDS}
    added = add_customer(request.stores.crm, fields, _phones(body.phones), request.actor, request.settings.site)
    return customer_info(added)


@route("GET", "/customers/{customer_id}", "One customer", answer=CustomerInfo, permissions=_MANAGE)
def get_one_customer(request: Request, customer_id: str) -> CustomerInfo:
    """Show a customer in scope."""
    return customer_info(get_customer(request.stores.crm, customer_id, request.desk.customers))


@route("PATCH", "/customers/{customer_id}", "Change a customer", answer=CustomerInfo, permissions=_MANAGE)
def patch_customer(request: Request, customer_id: str, body: CustomerChange) -> CustomerInfo:
    """Change a customer in scope."""
    given = {name: getattr(body, name) for name in FIELDS}
    changed = change_customer(
        request.stores.crm,
        customer_id,
        {name: value for name, value in given.items() if value is not msgspec.UNSET},
        None if body.phones is msgspec.UNSET else _phones(body.phones),
        request.actor,
        request.desk.customers,
        request.settings.site,
    )
    return customer_info(changed)


@route(
    "DELETE", "/customers/{customer_id}", "Put a customer into the recycle bin",
    status=204, permissions=(Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE),
)  # fmt: skip
def delete_one_customer(request: Request, customer_id: str) -> None:
    """Delete a customer in scope."""
    delete_customer(request.stores.crm, customer_id, request.actor, request.desk.customers)
