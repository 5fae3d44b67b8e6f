"""The recycle bin of communication records, and what is done with many of them at once."""

from __future__ import annotations

import msgspec

from crm_client_api.answers.communications import CommunicationPage, DoneCount
from crm_client_api.domain.communications import bin as recycle
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.http.communications import CommunicationQuery, page_of
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, route
from crm_client_api.views.communications import reach_of

_MANAGE = (Permission.COMMUNICATION_MANAGE,)
_DELETE = (Permission.COMMUNICATION_MANAGE, Permission.COMMUNICATION_IMPORT_DELETE)


class ChosenCommunications(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records by their ids; all or none of them."""

    ids: list[str]


@route(
    "GET", "/communications/bin", "Communication records in the recycle bin, newest contact first",
    answer=CommunicationPage, permissions=_MANAGE, reads="communication",
)  # fmt: skip
def get_communication_bin(request: Request, query: CommunicationQuery) -> CommunicationPage:
    """List what lies in the recycle bin and is in scope."""
    return page_of(request, query, deleted=True)


@route(
    "POST", "/communications/delete", "Put communication records into the recycle bin",
    answer=DoneCount, permissions=_DELETE,
)  # fmt: skip
def post_communication_delete(request: Request, body: ChosenCommunications) -> DoneCount:
    """Delete records in scope, all or none."""
    scope = reach_of(request.desk).records
    return DoneCount(recycle.delete_many(request.stores.crm, body.ids, request.actor, scope))


@route(
    "POST", "/communications/restore", "Take communication records out of the recycle bin",
    answer=DoneCount, permissions=_MANAGE,
)  # fmt: skip
def post_communication_restore(request: Request, body: ChosenCommunications) -> DoneCount:
    """Restore records that are in scope, all or none."""
    scope = reach_of(request.desk).records
    return DoneCount(recycle.restore_many(request.stores.crm, body.ids, request.actor, scope))


@route(
    "POST", "/communications/purge", "Remove communication records for good",
    answer=DoneCount, permissions=_DELETE,
)  # fmt: skip
def post_communication_purge(request: Request, body: ChosenCommunications) -> DoneCount:
    """Purge records that lie in the recycle bin, all or none; only a super operator may."""
    if request.operator.level is not Level.SUPER:
        raise ApiError(403, "super_only", "only a super operator removes records for good")
    scope, site = reach_of(request.desk).records, request.settings.site
    return DoneCount(recycle.purge_many(request.stores.crm, body.ids, request.actor, scope, site))
