"""The office's own fields of customers: an administrator defines them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec

from crm_client_api.answers.customers import CustomFieldInfo, CustomFields
from crm_client_api.domain.customers.custom import (
    MOST_FIELDS,
    CustomField,
    FieldType,
    add_field,
    change_field,
    get_field,
    order_fields,
    read_fields,
    remove_field,
)
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route

_SETUP = (Permission.SYSTEM_SETUP,)


class NewCustomField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field to add, with a name in one language at least; ``choices`` belong to the type choice."""

    type: FieldType
    name_zh: str = ""
    name_en: str = ""
    choices: list[str] = []
    required: bool = False


class CustomFieldChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a field; its type stays. Values that a customer has stay, also when a choice goes."""

    name_zh: str | msgspec.UnsetType = msgspec.UNSET
    name_en: str | msgspec.UnsetType = msgspec.UNSET
    choices: list[str] | msgspec.UnsetType = msgspec.UNSET
    required: bool | msgspec.UnsetType = msgspec.UNSET


class CustomFieldOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All fields by their ids, in the order in which they are shown."""

    ids: Annotated[list[int], msgspec.Meta(max_length=MOST_FIELDS)]


class CustomFieldQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``removed``: those that take no values any more, too."""

    removed: bool = False


def _info(one: CustomField) -> CustomFieldInfo:
    return CustomFieldInfo(
        one.id, one.name_zh, one.name_en, one.type, list(one.choices), one.required, one.position, one.removed
    )


@route("GET", "/custom-fields", "The office's own fields", answer=CustomFields)
def get_custom_fields(request: Request, query: CustomFieldQuery) -> CustomFields:
    """All fields in their order."""
    return CustomFields([_info(one) for one in read_fields(request.stores.crm, removed=query.removed)])


@route("POST", "/custom-fields", "Add a field", answer=CustomFieldInfo, status=201, permissions=_SETUP)
def post_custom_field(request: Request, body: NewCustomField) -> CustomFieldInfo:
    """Define a field; it becomes the last one."""
    wanted = CustomField(0, body.name_zh.strip(), body.name_en.strip(), body.type, tuple(body.choices), body.required)
    return _info(add_field(request.stores.crm, wanted, request.actor))


@route("PATCH", "/custom-fields/{field_id}", "Change a field", answer=CustomFieldInfo, permissions=_SETUP)
def patch_custom_field(request: Request, field_id: int, body: CustomFieldChange) -> CustomFieldInfo:
    """Change names, choices, and whether a value is required."""
    wanted = get_field(request.stores.crm, field_id)
    if body.name_zh is not msgspec.UNSET:
        wanted = replace(wanted, name_zh=body.name_zh.strip())
    if body.name_en is not msgspec.UNSET:
        wanted = replace(wanted, name_en=body.name_en.strip())
    if body.choices is not msgspec.UNSET:
        wanted = replace(wanted, choices=tuple(body.choices))
    if body.required is not msgspec.UNSET:
        wanted = replace(wanted, required=body.required)
    return _info(change_field(request.stores.crm, wanted, request.actor))


@route("DELETE", "/custom-fields/{field_id}", "Remove a field", status=204, permissions=_SETUP)
def delete_custom_field(request: Request, field_id: int) -> None:
    """Take no values any more; those that are there stay."""
    remove_field(request.stores.crm, field_id, request.actor)


@route("PUT", "/custom-fields/order", "Order the fields", answer=CustomFields, permissions=_SETUP)
def put_custom_field_order(request: Request, body: CustomFieldOrder) -> CustomFields:
    """Bring the fields into an order."""
    order_fields(request.stores.crm, body.ids, request.actor)
    return CustomFields([_info(one) for one in read_fields(request.stores.crm)])
