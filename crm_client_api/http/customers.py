"""Customers: list, search, add, show, change, delete; only what is in scope exists."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.customers import CustomerCount, CustomerInfo, CustomerPage, Suggestion, Suggestions
from crm_client_api.domain.customers import add_customer, change_customer, delete_customer, get_customer
from crm_client_api.domain.customers.record import Customer
from crm_client_api.domain.customers.search import Filter, count_customers, find_page
from crm_client_api.domain.customers.words import fold
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.customer_bodies import (
    CustomerChange,
    CustomerFilter,
    CustomerQuery,
    NewCustomer,
    filter_of,
    values_of_change,
    values_of_new,
)
from crm_client_api.http.moments import unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.numbers.places import Place, place_as_received
from crm_client_api.views.calls import customer_info

_MANAGE = (Permission.CUSTOMER_MANAGE,)
_LOOKED_AT = 40
"""Newest matches among which the best suggestions are chosen."""


class SuggestQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was typed so far."""

    q: Annotated[str, msgspec.Meta(max_length=100)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=20)] = 8


@route(
    "GET", "/customers", "Customers in scope, newest first",
    answer=CustomerPage, permissions=_MANAGE, reads="customer",
)  # fmt: skip
def get_customers(request: Request, query: CustomerQuery) -> CustomerPage:
    """List and search customers in scope."""
    desk = request.desk
    page = find_page(request.stores.crm, filter_of(query), desk.customers, desk.settings.site)
    return CustomerPage([customer_info(one) for one in page.customers], page.next)


@route("GET", "/customers/count", "How many customers there are", answer=CustomerCount, permissions=_MANAGE)
def get_customer_count(request: Request, query: CustomerFilter) -> CustomerCount:
    """Count customers in scope, up to some thousands."""
    desk = request.desk
    return CustomerCount(*count_customers(request.stores.crm, filter_of(query), desk.customers, desk.settings.site))


@route(
    "GET", "/customers/suggest", "A few customers while typing",
    answer=Suggestions, permissions=_MANAGE, reads="customer",
)  # fmt: skip
def get_customer_suggestions(request: Request, query: SuggestQuery) -> Suggestions:
    """The few customers in scope that fit best to what was typed."""
    text = query.q.strip()
    if not text:
        return Suggestions([])
    desk = request.desk
    wanted = Filter(text=text, limit=_LOOKED_AT)
    found = find_page(request.stores.crm, wanted, desk.customers, desk.settings.site).customers
    best = sorted(found, key=lambda one: _distance(one, fold(text)))  # the newest first among equals
    return Suggestions([_suggestion(request, one, text) for one in best[: query.limit]])


def _distance(customer: Customer, text: str) -> int:
    name, company = fold(customer.fields["name"]), fold(customer.fields["company"])
    places = (name == text, name.startswith(text), text in name, company.startswith(text), text in company)
    return next((at for at, holds in enumerate(places) if holds), len(places))


def _suggestion(request: Request, customer: Customer, text: str) -> Suggestion:
    digits = "".join(character for character in text if character.isdigit())
    numbers = [phone.number for phone in customer.phones]
    shown = next((one for one in numbers if digits and digits in "".join(filter(str.isdigit, one))), "")
    number = shown or next(iter(numbers), "")
    place = place_as_received(request.stores.home, number, request.settings.site) if number else Place()
    name, company = customer.fields["name"], customer.fields["company"]
    return Suggestion(customer.id, name, company, number, place.zh or None, place.en or None)


@route("POST", "/customers", "Add a customer", answer=CustomerInfo, status=201, permissions=_MANAGE)
def post_customer(request: Request, body: NewCustomer) -> CustomerInfo:
    """Add a customer."""
    values = values_of_new(request, body)
    added = add_customer(request.stores.crm, {}, (), request.actor, request.settings.site, values)
    return customer_info(added)


@route(
    "GET", "/customers/{customer_id}", "One customer",
    answer=CustomerInfo, permissions=_MANAGE, reads="customer",
)  # fmt: skip
def get_one_customer(request: Request, customer_id: str) -> CustomerInfo:
    """Show a customer in scope."""
    return customer_info(get_customer(request.stores.crm, customer_id, request.desk.customers))


@route("PATCH", "/customers/{customer_id}", "Change a customer", answer=CustomerInfo, permissions=_MANAGE, also=(409,))
def patch_customer(request: Request, customer_id: str, body: CustomerChange) -> CustomerInfo:
    """Change a customer in scope."""
    changed = change_customer(
        request.stores.crm,
        customer_id,
        {},
        None,
        request.actor,
        request.desk.customers,
        request.settings.site,
        values_of_change(request, body),
        unix_ms(body.changed_at),
    )
    return customer_info(changed)


@route(
    "DELETE", "/customers/{customer_id}", "Put a customer into the recycle bin",
    status=204, permissions=(Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE),
)  # fmt: skip
def delete_one_customer(request: Request, customer_id: str) -> None:
    """Delete a customer in scope."""
    delete_customer(request.stores.crm, customer_id, request.actor, request.desk.customers)
