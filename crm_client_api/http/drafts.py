"""One's own drafts: text that a client keeps here until it is saved."""

from __future__ import annotations

import msgspec

from crm_client_api.answers.communications import DraftInfo, Drafts
from crm_client_api.domain import drafts as domain
from crm_client_api.domain.drafts import Draft
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc


class DraftText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The text to keep, in whatever form the client likes."""

    body: str


@route("GET", "/drafts", "One's own drafts, the newest first", answer=Drafts)
def get_drafts(request: Request) -> Drafts:
    """List drafts."""
    return Drafts([_info(one) for one in domain.list_drafts(request.stores.crm, request.operator.staff_no)])


@route("GET", "/drafts/{key}", "One draft", answer=DraftInfo)
def get_one_draft(request: Request, key: str) -> DraftInfo:
    """Show a draft."""
    return _info(domain.get_draft(request.stores.crm, request.operator.staff_no, key))


@route("PUT", "/drafts/{key}", "Keep a draft", answer=DraftInfo)
def put_one_draft(request: Request, key: str, body: DraftText) -> DraftInfo:
    """Keep a text in the place of what the key held."""
    return _info(domain.put_draft(request.stores.crm, request.operator.staff_no, key, body.body))


@route("DELETE", "/drafts/{key}", "Delete a draft", status=204)
def delete_one_draft(request: Request, key: str) -> None:
    """Delete a draft, as after saving what it was for."""
    domain.delete_draft(request.stores.crm, request.operator.staff_no, key)


def _info(draft: Draft) -> DraftInfo:
    return DraftInfo(draft.key, draft.body, iso_utc(draft.changed_ms))
