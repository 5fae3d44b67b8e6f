"""Hand-over of records, and taking one back."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import bottle
import msgspec

from crm_client_api.answers.staff import HandedOver, HandOverInfo, HandOverPage, MovedOnInfo
from crm_client_api.courier.hand_overs import leave_hand_over, leave_taking_back
from crm_client_api.domain.handing_over.job_link import job_of
from crm_client_api.domain.handing_over.kinds import COMMUNICATION, CUSTOMER
from crm_client_api.domain.handing_over.orders import begin_hand_over
from crm_client_api.domain.handing_over.undo import HandOver, begin_undo, get_hand_over, list_hand_overs, moved_on
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.customer_bodies import CustomerFilter, filter_of
from crm_client_api.http.later import answer_of
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc

_MOST_IDS = 5000
_Ids = Annotated[list[Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,17}$")]], msgspec.Meta(max_length=_MOST_IDS)]
StaffNo = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{1,16}$")]
Reason = Annotated[str, msgspec.Meta(max_length=1000)]


class NewHandOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to hand over ``to`` whom: records by their ids, customers by a ``filter``, or all of ``all_of``."""

    to: StaffNo
    customers: _Ids = []
    communications: _Ids = []
    filter: CustomerFilter | None = None
    all_of: StaffNo | None = None
    reason: Reason = ""


class HandOverQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of hand-overs."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    before: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)] | None = None


@route("POST", "/hand-overs", "Hand records over to a colleague", answer=HandedOver, status=201, also=(202,))
def post_hand_over(request: Request, body: NewHandOver) -> bottle.HTTPResponse:
    """Hand over: a super operator anywhere, a group leader within the own group.

    A customer's communication records and open tasks go along. Needs `customer_manage` for customers,
    `communication_manage` for communication records, both for everything of an operator. 202: a job goes on with it.
    """
    if body.filter == CustomerFilter():
        raise Invalid("hand_over_what", "a filter says which customers: an empty one would be all")
    needed = set[Permission]()
    if body.customers or body.filter is not None or body.all_of is not None:
        needed.add(Permission.CUSTOMER_MANAGE)
    if body.communications or body.all_of is not None:
        needed.add(Permission.COMMUNICATION_MANAGE)
    for permission in sorted(needed):
        request.require(permission)
    wanted = Wanted(
        (body.to,),
        tuple(sorted({int(one) for one in body.customers})),
        tuple(sorted({int(one) for one in body.communications})),
        None if body.filter is None else filter_of(body.filter),
        body.all_of,
        reason=body.reason,
    )
    leave = leave_hand_over(request.actor, request.operator, frozenset(needed))
    begun = begin_hand_over(request.stores.crm, wanted, request.actor, request.operator.viewer, leave)
    job = job_of(request.stores.crm.conn, begun)
    return answer_of(request, job, lambda: HandedOver(hand_over_infos(request, begun)), 201)


@route("GET", "/hand-overs", "Hand-overs, newest first", answer=HandOverPage)
def get_hand_overs(request: Request, query: HandOverQuery) -> HandOverPage:
    """List hand-overs: for a super operator all, for a group leader those within the own group."""
    found = list_hand_overs(request.stores.crm, request.operator.viewer, limit=query.limit + 1, before=query.before)
    page = found[: query.limit]
    return HandOverPage([_info(request, one) for one in page], str(page[-1].id) if len(found) > query.limit else None)


@route("GET", "/hand-overs/{hand_over_id}", "One hand-over", answer=HandOverInfo)
def get_one_hand_over(request: Request, hand_over_id: int) -> HandOverInfo:
    """Show a hand-over, with what moved on when it was taken back."""
    return hand_over_infos(request, [hand_over_id])[0]


@route("POST", "/hand-overs/{hand_over_id}/undo", "Take a hand-over back", answer=HandOverInfo, also=(202,))
def post_hand_over_undo(request: Request, hand_over_id: int) -> bottle.HTTPResponse:
    """Give back, within 30 days, what the receiver still has of it; `moved_on` tells what stays where it is.

    Needs `customer_manage` if it moved customers, `communication_manage` if it moved communication records alone. 202:
    a job goes on with it.
    """
    moved = get_hand_over(request.stores.crm, hand_over_id, request.operator.viewer).counts
    if moved.get(CUSTOMER.name):
        request.require(Permission.CUSTOMER_MANAGE)
    elif moved.get(COMMUNICATION.name):
        request.require(Permission.COMMUNICATION_MANAGE)
    crm, before = request.stores.crm, job_of(request.stores.crm.conn, [hand_over_id])
    leave = leave_taking_back(hand_over_id, request.actor, request.operator)
    begin_undo(crm, hand_over_id, request.actor, request.operator.viewer, leave)
    job = job_of(crm.conn, [hand_over_id])
    return answer_of(
        request, None if job == before else job, lambda: hand_over_infos(request, [hand_over_id])[0], 200
    )  # fmt: skip


def hand_over_infos(request: Request, ids: list[int]) -> list[HandOverInfo]:
    """Hand-overs as the API shows them."""
    viewer = request.operator.viewer
    return [_info(request, get_hand_over(request.stores.crm, one, viewer)) for one in ids]


def _info(request: Request, one: HandOver) -> HandOverInfo:
    left = moved_on(request.stores.crm, one.id) if one.undone_ms is not None else []
    return HandOverInfo(
        id=one.id,
        at=iso_utc(one.at_ms),
        by=one.by,
        to=one.to,
        reason=one.reason,
        old_owners=one.old_owners,
        counts=one.counts,
        finished_at=None if one.finished_ms is None else iso_utc(one.finished_ms),
        undone_at=None if one.undone_ms is None else iso_utc(one.undone_ms),
        undone_by=one.undone_by,
        moved_on=[MovedOnInfo(cast("_Kinds", record.kind), record.record_id) for record in left],
    )


_Kinds = Literal["customer", "communication", "task", "call_back", "draft", "phrase", "saved_view"]
