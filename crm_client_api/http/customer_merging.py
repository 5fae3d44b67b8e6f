"""Customers who are perhaps one: hints at duplicates, merging, and taking apart again."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.customers import Duplicate as DuplicateInfo
from crm_client_api.answers.customers import Duplicates, Merge, Merges
from crm_client_api.domain.customers import get_customer
from crm_client_api.domain.customers.duplicates import Duplicate, find_duplicates
from crm_client_api.domain.customers.merge import MergeRecord, list_merges, merge, undo_merge
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route
from crm_client_api.views.calls import customer_info
from firmware.clock import iso_utc

_MANAGE = (Permission.CUSTOMER_MANAGE,)
_DELETE = (Permission.CUSTOMER_MANAGE, Permission.CUSTOMER_IMPORT_DELETE)
_Short = Annotated[str, msgspec.Meta(max_length=200)]


class MaybeNew(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer about to be added."""

    name: _Short = ""
    company: _Short = ""
    numbers: Annotated[list[Annotated[str, msgspec.Meta(max_length=60)]], msgspec.Meta(max_length=100)] = []


class MergeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``merged``: the id of the customer who goes."""

    merged: str


def _info(found: list[Duplicate]) -> Duplicates:
    return Duplicates([DuplicateInfo(one.customer.id, customer_info(one.customer), list(one.reasons)) for one in found])


@route(
    "GET", "/customers/{customer_id}/duplicates", "Perhaps the same customers",
    answer=Duplicates, permissions=_MANAGE, reads="customer",
)  # fmt: skip
def get_duplicates(request: Request, customer_id: str) -> Duplicates:
    """Those in scope with the same number, or the same name and company."""
    desk = request.desk
    one = get_customer(request.stores.crm, customer_id, desk.customers)
    numbers = [phone.number for phone in one.phones]
    found = find_duplicates(
        request.stores.crm, one.fields["name"], one.fields["company"], numbers, desk.customers, desk.settings.site,
        without=one.id,
    )  # fmt: skip
    return _info(found)


@route(
    "POST", "/customers/duplicates", "Who is perhaps there already",
    answer=Duplicates, permissions=_MANAGE, reads="customer",
)  # fmt: skip
def post_duplicates(request: Request, body: MaybeNew) -> Duplicates:
    """Before a customer is added: those in scope who are perhaps the same."""
    desk = request.desk
    found = find_duplicates(
        request.stores.crm, body.name, body.company, body.numbers, desk.customers, desk.settings.site
    )  # fmt: skip
    return _info(found)


@route(
    "POST", "/customers/{customer_id}/merge", "Merge another customer into this one",
    answer=Merge, status=201, permissions=_DELETE,
)  # fmt: skip
def post_merge(request: Request, customer_id: str, body: MergeBody) -> Merge:
    """What this customer lacks comes from the other, whose records and tasks move here."""
    desk = request.desk
    done = merge(request.stores.crm, customer_id, body.merged, request.actor, desk.customers, desk.settings.site)
    return _merge(done)


@route(
    "GET", "/customers/{customer_id}/merges", "What was merged into a customer",
    answer=Merges, permissions=_MANAGE, reads="customer",
)  # fmt: skip
def get_merges(request: Request, customer_id: str) -> Merges:
    """Merges into a customer in scope, newest first."""
    return Merges([_merge(one) for one in list_merges(request.stores.crm, customer_id, request.desk.customers)])


@route(
    "POST", "/merges/{merge_id}/undo", "Take merged customers apart",
    answer=Merge, permissions=_DELETE, also=(409,),
)  # fmt: skip
def post_merge_undo(request: Request, merge_id: int) -> Merge:
    """Both customers as they were; what was changed since then stays with the one who stayed."""
    desk = request.desk
    return _merge(undo_merge(request.stores.crm, merge_id, request.actor, desk.customers, desk.settings.site))


def _merge(one: MergeRecord) -> Merge:
    undone_at = None if one.undone_ms is None else iso_utc(one.undone_ms)
    return Merge(one.id, str(one.kept_id), str(one.merged_id), iso_utc(one.at_ms), one.by, undone_at)
