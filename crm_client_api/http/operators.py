"""Operators: add, rename, let log in or not, reset the password, delete."""

from __future__ import annotations

from typing import Any

import msgspec

from crm_client_api.answers import NewPassword, Staff, StaffMember
from crm_client_api.domain import operators as domain
from crm_client_api.domain.operators import SET_ONCE, Operator
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.http.routing import Request, route
from crm_client_api.views import staff_member

_MANAGE = (Permission.OPERATOR_MANAGE,)


class NewOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator to add. Level, group, channels and permissions are never modified afterwards."""

    staff_no: str
    name: str
    level: Level
    group: int | None = None
    channels: list[int] = []
    permissions: list[Permission] = []


class OperatorChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change. The fields that are set once are named here only so that an attempt can be refused."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    staff_no: Any = msgspec.UNSET
    level: Any = msgspec.UNSET
    group: Any = msgspec.UNSET
    channels: Any = msgspec.UNSET
    permissions: Any = msgspec.UNSET


@route("GET", "/operators", "All operators", answer=Staff, permissions=_MANAGE)
def get_operators(request: Request) -> Staff:
    """List the operators."""
    return Staff([staff_member(one) for one in domain.list_operators(request.stores.crm)])


@route("POST", "/operators", "Add an operator", answer=NewPassword, status=201, permissions=_MANAGE)
def post_operator(request: Request, body: NewOperator) -> NewPassword:
    """Add an operator with a one-time password."""
    added = Operator(
        body.staff_no, body.name, body.level, body.group, frozenset(body.channels), frozenset(body.permissions)
    )
    return NewPassword(body.staff_no, domain.add_operator(request.stores.crm, added, request.actor, request.operator))


@route("PATCH", "/operators/{staff_no}", "Change name or activity", answer=StaffMember, permissions=_MANAGE)
def patch_operator(request: Request, staff_no: str, body: OperatorChange) -> StaffMember:
    """Change an operator; what is set once is refused, and the attempt audited."""
    crm = request.stores.crm
    fixed = [name for name in SET_ONCE if getattr(body, name) is not msgspec.UNSET]
    if fixed:
        domain.refuse_set_once(crm, staff_no, fixed, request.actor)
    if body.name is not msgspec.UNSET:
        domain.rename(crm, staff_no, body.name, request.actor, request.operator)
    if body.active is not msgspec.UNSET:
        domain.set_active(crm, staff_no, body.active, request.actor, request.operator)
    return staff_member(domain.get_operator(crm, staff_no))


@route("DELETE", "/operators/{staff_no}", "Delete an operator", status=204, permissions=_MANAGE)
def delete_one_operator(request: Request, staff_no: str) -> None:
    """Delete an operator; customers, calls and audit entries stay."""
    domain.delete_operator(request.stores.crm, staff_no, request.actor, request.operator)


@route(
    "POST", "/operators/{staff_no}/password-reset", "Give an operator a one-time password",
    answer=NewPassword, permissions=_MANAGE,
)  # fmt: skip
def post_password_reset(request: Request, staff_no: str) -> NewPassword:
    """Reset a password; the operator's sessions end."""
    password = domain.reset_password(request.stores.crm, staff_no, request.actor, request.operator)
    return NewPassword(staff_no, password)
