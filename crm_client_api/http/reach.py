"""Whose sessions, tokens and second factor an operator may look after: the own, and as a manager those in reach."""

from __future__ import annotations

from crm_client_api.domain.operators import get_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.staff.rights import require_reach
from crm_client_api.http.routing import Request
from firmware.errors import NotFound


def staff_no_in_reach(request: Request, staff_no: str, *, hidden: NotFound | None = None) -> str:
    """The staff number, the own one for "". Raises PermissionMissing, NotFound, Refused.

    ``hidden`` is raised in place of PermissionMissing where it would tell that there is something.
    """
    own = request.operator.staff_no
    if staff_no in ("", own):
        return own
    if hidden is not None and Permission.OPERATOR_MANAGE not in request.operator.permissions:
        raise hidden
    request.require(Permission.OPERATOR_MANAGE)
    require_reach(get_operator(request.stores.crm, staff_no), request.operator)
    return staff_no
