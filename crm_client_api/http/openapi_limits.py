"""Limits of bodies that the rules check themselves, with codes of their own: the description tells them too.

What msgspec checks (``Meta`` beside the field) is described by itself and not repeated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from crm_client_api.domain import call_backs, drafts, passwords
from crm_client_api.domain.communications import record as communication
from crm_client_api.domain.customers import record as customer
from crm_client_api.domain.parameter_values import LONGEST_CHANNEL_NAME_CHARACTERS
from crm_client_api.http.call_backs import CallBackChange
from crm_client_api.http.channels import ChannelChange
from crm_client_api.http.communications import CommunicationChange, NewCommunication
from crm_client_api.http.customer_batch import BatchBody
from crm_client_api.http.customer_bodies import CustomerChange, NewCustomer
from crm_client_api.http.drafts import DraftText
from crm_client_api.http.session import PasswordChange
from firmware.parameters import find_parameter

_CUSTOMER = {name: customer.LONGEST_CHARACTERS.get(name, customer.LONGEST_FIELD_CHARACTERS) for name in customer.TEXTS}
_COUNTS = {"phones": customer.MOST_PHONES, "tags": customer.MOST_TAGS}
_CALL_BACK = dict.fromkeys(("note", "reason"), call_backs.LONGEST_TEXT_CHARACTERS)
_GROUP = find_parameter("channel", "group")

_LONGEST: Mapping[type[msgspec.Struct], Mapping[str, int]] = {
    NewCustomer: _CUSTOMER,
    CustomerChange: _CUSTOMER,
    BatchBody: _CUSTOMER,
    NewCommunication: communication.LONGEST_CHARACTERS,
    CommunicationChange: communication.LONGEST_CHARACTERS,
    CallBackChange: _CALL_BACK,
    DraftText: {"body": drafts.LONGEST_CHARACTERS},
    ChannelChange: {"name": LONGEST_CHANNEL_NAME_CHARACTERS},
    PasswordChange: {"new_password": passwords.LONGEST_CHARACTERS},
}
_MOST: Mapping[type[msgspec.Struct], Mapping[str, int]] = {
    NewCustomer: _COUNTS,
    CustomerChange: _COUNTS,
}


def add_limits(structs: Iterable[type[msgspec.Struct]], refs: Mapping[Any, Any], components: dict[str, Any]) -> None:
    """Write the limits into the schemas of these structs. ``refs``: where each struct's schema is."""
    for struct in structs:
        properties = components[refs[struct]["$ref"].rpartition("/")[2]].get("properties", {})
        for name, longest in _LONGEST.get(struct, {}).items():
            for schema in _of_type("string", properties.get(name, {})):
                schema["maxLength"] = longest
        for name, most in _MOST.get(struct, {}).items():
            for schema in _of_type("array", properties.get(name, {})):
                schema["maxItems"] = most
        if struct is ChannelChange:
            for schema in _of_type("integer", properties["group"]):
                schema |= {"minimum": _GROUP.minimum, "maximum": _GROUP.maximum}


def _of_type(kind: str, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema, or those of its alternatives, that describe this type."""
    for one in (schema, *schema.get("anyOf", ())):
        if one.get("type") == kind:
            yield one
