"""Operators: add, replace, rename, let log in or not, reset the password, grant what is new, let leave, delete."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import bottle
import msgspec

from crm_client_api.answers.staff import (
    BelongingsInfo,
    Leaving,
    NewPassword,
    Staff,
    StaffMember,
    StaffWarning,
    StaffWarnings,
)
from crm_client_api.courier.hand_overs import leave_hand_over
from crm_client_api.domain import operators as domain
from crm_client_api.domain.groups import HIGHEST_NUMBER
from crm_client_api.domain.handing_over.job_link import job_of
from crm_client_api.domain.operators import SET_ONCE, Operator
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.staff.belongings import belongings_of
from crm_client_api.domain.staff.leaving import leavers_records, let_leave
from crm_client_api.domain.staff.new_permissions import grant_new_permissions
from crm_client_api.domain.staff.replacing import Records, plan_replacement, replace_operator
from crm_client_api.domain.staff.rights import LONGEST_NAME_CHARACTERS
from crm_client_api.domain.staff.warnings import WARNINGS
from crm_client_api.http.hand_over import Reason, StaffNo, hand_over_infos
from crm_client_api.http.later import answer_of
from crm_client_api.http.routing import Request, route
from crm_client_api.views.staff import StaffView, open_staff_view

_MANAGE = (Permission.OPERATOR_MANAGE,)
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME_CHARACTERS)]
_Group = Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_NUMBER)] | None
_Channels = Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=9999)]], msgspec.Meta(max_length=9999)]


class NewOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator to add. Level, group, channels and permissions are never modified afterwards.

    ``returning``: the person who had this staff number before is back; the earlier records are theirs again.
    """

    staff_no: StaffNo
    name: _Name
    level: Level
    group: _Group = None
    channels: _Channels = []
    permissions: list[Permission] = []
    returning: bool = False


class OperatorChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change. The fields that are set once are named here only so that an attempt can be refused."""

    name: _Name | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    staff_no: Any = msgspec.UNSET
    level: Any = msgspec.UNSET
    group: Any = msgspec.UNSET
    channels: Any = msgspec.UNSET
    permissions: Any = msgspec.UNSET


class Replacement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings anew. Into another group it is asked whether the records come along.

    If they do not, ``records_to`` names the colleague of the old group who takes them over.
    """

    name: _Name
    level: Level
    group: _Group
    channels: _Channels
    permissions: list[Permission]
    records_come_along: bool | None = None
    records_to: StaffNo | None = None


class NewPermissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Permissions that a software update introduced, to be granted once."""

    permissions: Annotated[list[Permission], msgspec.Meta(min_length=1)]


class LeavingTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes over what a leaver had: customers in turn, drafts the first, shared phrases and views the first who
    may."""

    to: Annotated[list[StaffNo], msgspec.Meta(min_length=1, max_length=50)]
    reason: Reason = ""


def _view(request: Request) -> StaffView:
    return open_staff_view(request.stores, request.settings)


def _member(request: Request, staff_no: str) -> StaffMember:
    return _view(request).member(domain.get_operator(request.stores.crm, staff_no))


@route("GET", "/operators", "All operators", answer=Staff, permissions=_MANAGE)
def get_operators(request: Request) -> Staff:
    """List the operators, with what cannot work in their settings and what may be granted once."""
    view = _view(request)
    return Staff([view.member(one) for one in domain.list_operators(request.stores.crm)])


@route(
    "GET", "/operators/warnings", "Settings of operators that cannot work", answer=StaffWarnings, permissions=_MANAGE
)
def get_operator_warnings(request: Request) -> StaffWarnings:
    """List the warnings, by staff number."""
    view = _view(request)
    return StaffWarnings(
        [
            StaffWarning(one.staff_no, code, WARNINGS[code])
            for one in domain.list_operators(request.stores.crm)
            for code in view.warnings(one)
        ]
    )


@route("POST", "/operators", "Add an operator", answer=NewPassword, status=201, permissions=_MANAGE)
def post_operator(request: Request, body: NewOperator) -> NewPassword:
    """Add an operator with a one-time password."""
    added = Operator(
        body.staff_no, body.name, body.level, body.group, frozenset(body.channels), frozenset(body.permissions)
    )
    password = domain.add_operator(request.stores.crm, added, request.actor, request.operator, returning=body.returning)
    return NewPassword(body.staff_no, password, _view(request).warnings(added))


@route("PATCH", "/operators/{staff_no}", "Change name or activity", answer=StaffMember, permissions=_MANAGE)
def patch_operator(request: Request, staff_no: str, body: OperatorChange) -> StaffMember:
    """Change an operator; what is set once is refused, and the attempt audited."""
    crm = request.stores.crm
    fixed = [name for name in SET_ONCE if getattr(body, name) is not msgspec.UNSET]
    if fixed:
        domain.refuse_set_once(crm, staff_no, fixed, request.actor)
    name = None if body.name is msgspec.UNSET else body.name
    active = None if body.active is msgspec.UNSET else body.active
    domain.change_operator(crm, staff_no, request.actor, request.operator, name=name, active=active)
    return _member(request, staff_no)


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
    return NewPassword(staff_no, password, _member(request, staff_no).warnings)


@route(
    "GET", "/operators/{staff_no}/replacement", "The settings from which a replacement begins",
    answer=StaffMember, permissions=_MANAGE,
)  # fmt: skip
def get_replacement(request: Request, staff_no: str) -> StaffMember:
    """Show what is set now."""
    return _member(request, staff_no)


@route(
    "POST", "/operators/{staff_no}/replacement", "Delete an operator and add the person anew",
    answer=StaffMember, permissions=_MANAGE, also=(202,),
)  # fmt: skip
def post_replacement(request: Request, staff_no: str, body: Replacement) -> bottle.HTTPResponse:
    """Replace an operator: staff number, password, second factor, drafts, tasks and saved views stay.

    Sessions and API tokens end: they stand for the old rights. 202: a job hands records over first, then replaces.
    """
    wanted = Operator(
        staff_no, body.name, body.level, body.group, frozenset(body.channels), frozenset(body.permissions)
    )
    answered = body.records_come_along is not None or body.records_to is not None
    records = Records(bool(body.records_come_along), body.records_to) if answered else None
    crm, asker = request.stores.crm, request.operator
    planned = plan_replacement(crm, wanted, records)
    leave = leave_hand_over(request.actor, asker, frozenset(_MANAGE), planned)
    job = job_of(crm.conn, replace_operator(crm, planned, request.actor, asker, leave))
    return answer_of(request, job, lambda: _member(request, staff_no), 200)


@route(
    "POST", "/operators/{staff_no}/new-permissions", "Grant permissions that a software update introduced",
    answer=StaffMember, permissions=_MANAGE,
)  # fmt: skip
def post_new_permissions(request: Request, staff_no: str, body: NewPermissions) -> StaffMember:
    """Grant once what did not exist yet when the operator was added."""
    grant_new_permissions(request.stores.crm, staff_no, body.permissions, request.actor, request.operator)
    return _member(request, staff_no)


@route(
    "GET", "/operators/{staff_no}/belongings", "How much an operator would leave behind",
    answer=BelongingsInfo, permissions=_MANAGE,
)  # fmt: skip
def get_belongings(request: Request, staff_no: str) -> BelongingsInfo:
    """Count what would be handed over; for those who could hand it over."""
    return BelongingsInfo(**asdict(belongings_of(request.stores.crm, staff_no, request.operator.viewer)))


@route(
    "POST", "/operators/{staff_no}/leaving", "Shut a leaver out, and hand everything over",
    answer=Leaving, permissions=_MANAGE, also=(202,),
)  # fmt: skip
def post_leaving(request: Request, staff_no: str, body: LeavingTo) -> bottle.HTTPResponse:
    """Deactivate an operator at once; customers, records, tasks, call-backs, drafts, shared phrases and views go to
    colleagues.

    202: a job goes on with it.
    """
    crm, wanted = request.stores.crm, leavers_records(staff_no, body.to, body.reason)
    leave = leave_hand_over(request.actor, request.operator, frozenset(_MANAGE))
    begun = let_leave(crm, wanted, request.actor, request.operator, leave)
    return answer_of(
        request,
        job_of(crm.conn, begun),
        lambda: Leaving(_member(request, staff_no), hand_over_infos(request, begun)),
        200,
    )
