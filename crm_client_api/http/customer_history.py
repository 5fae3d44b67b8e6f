"""What was done to a customer, and the tags that are in use."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.customers import FieldChange, History, HistoryEntry, Tags
from crm_client_api.domain.customers.history import history_of
from crm_client_api.domain.customers.tags import tags_in_use
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc

_MANAGE = (Permission.CUSTOMER_MANAGE,)


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of the history."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    after: Annotated[int, msgspec.Meta(ge=0, lt=1 << 60)] | None = None


@route(
    "GET", "/customers/{customer_id}/history", "Who changed what of a customer",
    answer=History, permissions=_MANAGE, reads="customer",
)  # fmt: skip
def get_history(request: Request, customer_id: str, query: HistoryQuery) -> History:
    """Every change of a customer in scope, newest first."""
    found = history_of(
        request.stores.crm, customer_id, request.desk.customers, limit=query.limit + 1, before=query.after
    )  # fmt: skip
    page = found[: query.limit]
    entries = [
        HistoryEntry(iso_utc(one.at_ms), one.by, one.action, [FieldChange(*change) for change in one.changes])
        for one in page
    ]
    return History(entries, str(page[-1].id) if len(found) > query.limit else None)


@route("GET", "/customers/tags", "Tags of customers in scope", answer=Tags, permissions=_MANAGE)
def get_tags(request: Request) -> Tags:
    """The tags that customers in scope have."""
    return Tags(tags_in_use(request.stores.crm, request.desk.customers))
