"""The same change to many customers at once, with a preview of how many they are."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.customers import BatchAnswer
from crm_client_api.domain.customers.batch import BatchEdit, check_edit, edit_many
from crm_client_api.domain.customers.bin import keys_of
from crm_client_api.domain.customers.custom import checked_values, read_fields
from crm_client_api.domain.customers.read import ids_in_scope
from crm_client_api.domain.customers.record import KEPT, TEXTS
from crm_client_api.domain.customers.search import wanted_ids
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recycling import MOST_AT_ONCE
from crm_client_api.http.customer_bodies import CustomerFilter, Raw, Text, custom_ids, filter_of
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from firmware.errors import BadInput, NotFound


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which customers – ``ids``, or all that ``filter`` lets through – and what to set of each.

    Without ``expected`` it is a preview: the answer says how many they are. With it they are changed if they are still
    as many, all of them or none.
    """

    ids: Annotated[list[str], msgspec.Meta(max_length=MOST_AT_ONCE)] | None = None
    filter: CustomerFilter | None = None
    expected: Annotated[int, msgspec.Meta(ge=0)] | None = None
    gender: Text = msgspec.UNSET
    company: Text = msgspec.UNSET
    title: Text = msgspec.UNSET
    region: Text = msgspec.UNSET
    category: Text = msgspec.UNSET
    level: Text = msgspec.UNSET
    status: Text = msgspec.UNSET
    source: Text = msgspec.UNSET
    consent: Text = msgspec.UNSET
    next_contact_at: Moment | msgspec.UnsetType | None = msgspec.UNSET
    add_tags: list[str] = []
    remove_tags: list[str] = []
    custom: dict[str, Raw] = {}


@route(
    "POST", "/customers/batch", "Change many customers",
    answer=BatchAnswer, permissions=(Permission.CUSTOMER_MANAGE,), also=(409,),
)  # fmt: skip
def post_batch(request: Request, body: BatchBody) -> BatchAnswer:
    """Count the customers in scope that are meant, or change them."""
    keys = _keys(request, body)
    moment = body.next_contact_at
    given = {name: getattr(body, name) for name in TEXTS if hasattr(body, name)}
    fields = read_fields(request.stores.crm) if body.custom else []
    edit = BatchEdit(
        {name: value for name, value in given.items() if value is not msgspec.UNSET},
        tuple(body.add_tags),
        tuple(body.remove_tags),
        checked_values(custom_ids(body.custom), fields, new=False),
        KEPT if moment is msgspec.UNSET else unix_ms(moment),
    )
    check_edit(edit)
    if body.expected is None:
        return BatchAnswer(len(keys), 0)
    changed = edit_many(
        request.stores.crm, keys, edit, request.actor, request.desk.customers, expected=body.expected
    )  # fmt: skip
    return BatchAnswer(len(keys), changed)


def _keys(request: Request, body: BatchBody) -> list[int]:
    """One more than can be changed, when there are more."""
    if (body.ids is None) == (body.filter is None):
        raise BadInput("say which customers: 'ids' or 'filter'")
    desk = request.desk
    if body.ids is not None:
        keys = keys_of(body.ids)
        if ids_in_scope(request.stores.crm.conn, keys, desk.customers) != set(keys):
            raise NotFound("there is no such customer")
        return keys
    wanted = filter_of(body.filter or CustomerFilter())
    return wanted_ids(request.stores.crm, wanted, desk.customers, desk.settings.site, limit=MOST_AT_ONCE + 1)
