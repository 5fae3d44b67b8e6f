"""Jobs that go on with a hand-over that one transaction did not take, or with taking one back.

A hand-over that cannot go on to its end, or that is cancelled, is taken back: what has moved returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from crm_client_api.courier.context import AskerGone, Context, Pace
from crm_client_api.courier.jobs import add_job, set_job
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers.search import count_customers
from crm_client_api.domain.handing_over.batches import run_batch
from crm_client_api.domain.handing_over.orders import Leave, nothing, resume_hand_over
from crm_client_api.domain.handing_over.reach import reach_of
from crm_client_api.domain.handing_over.returning import ReturnWork
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.staff.belongings import belongings_of
from crm_client_api.domain.staff.replacing import Replacement

HAND_OVER, TAKE_BACK = "hand_over", "take_back_hand_over"


@dataclass(frozen=True, slots=True)
class Order:
    """The rest of a hand-over: ``hand_overs`` by receiver. What the asker could do then, and no more, counts now.

    ``needed``: permissions that the asker still has to hold. ``replacement``: is carried out at the end.
    """

    wanted: Wanted
    hand_overs: dict[str, int]
    level: Level
    group: int | None
    needed: frozenset[Permission]
    replacement: Replacement | None = None


def leave_hand_over(
    actor: Actor, asker: Operator, needed: frozenset[Permission], replacement: Replacement | None = None
) -> Leave:
    """Leaves the rest of a hand-over to the courier."""

    def leave(connection: sqlite3.Connection, wanted: Wanted, hand_overs: Mapping[str, int]) -> int:
        order = Order(wanted, dict(hand_overs), asker.level, asker.group, needed, replacement)
        told = {"order": msgspec.to_builtins(order, str_keys=True)}
        return add_job(connection, HAND_OVER, actor, told, asker.permissions)

    return leave


def leave_taking_back(hand_over_id: int, actor: Actor, asker: Operator) -> Callable[[sqlite3.Connection], int]:
    """Leaves the rest of taking a hand-over back to the courier; it goes on to its end."""

    def leave(connection: sqlite3.Connection) -> int:
        job_id = add_job(connection, TAKE_BACK, actor, {"hand_over": hand_over_id}, asker.permissions)
        set_job(connection, job_id, phase="applying")
        return job_id

    return leave


def hand_overs_of(wanted: Mapping[str, Any]) -> list[int]:
    """The hand-overs that a job works on, by what it was asked for."""
    if "hand_over" in wanted:
        return [wanted["hand_over"]]
    return list(wanted["order"]["hand_overs"].values()) if "order" in wanted else []


def run_hand_over(context: Context) -> None:
    """Go on to the end. Raises BoxError."""
    order = _order(context)
    if _is_finished(context, order):  # and the courier died before it could say so
        context.note(state="done", phase="")
        return
    asker = context.operator(*order.needed)
    if (asker.level, asker.group) != (order.level, order.group):
        raise AskerGone("the settings of who asked for this have changed meanwhile")
    actor, planned = context.job.actor, order.replacement

    def renew(connection: sqlite3.Connection) -> None:
        if planned is not None:
            planned.carry_out(context.crm, connection, actor, asker)

    at_last = nothing if planned is None else renew
    work = resume_hand_over(context.crm, order.wanted, order.hand_overs, actor, asker.viewer, at_last)
    all_rows = context.job.all_rows or _expected(context, order.wanted, asker, work.done)
    while not work.ended:
        context.step("handing_over", work.done, all_rows)
        with Pace():
            run_batch(context.crm, work)
    context.note(state="done", phase="", done_rows=work.done, all_rows=work.done)


def take_back_hand_over(context: Context) -> bool:
    """Give back what has moved; False when all of it has: then there is nothing to be undone any more."""
    order = _order(context)
    if _is_finished(context, order):
        context.note(cancel_asked=0)
        return False
    context.cancellable = False  # it is cancelled already
    for hand_over in order.hand_overs.values():
        work = ReturnWork(context.crm, hand_over, context.job.actor, to_leavers=True)  # all of it is as it was
        _return(context, work, "taking_back")
    return True


def run_taking_back(context: Context) -> None:
    """Go on to the end, whoever asked for it may have left: it had begun. Raises BoxError."""
    work = ReturnWork(context.crm, context.job.wanted["hand_over"], context.job.actor)
    _return(context, work, "applying")
    context.note(state="done", phase="", done_rows=work.done, all_rows=work.done)


def _return(context: Context, work: ReturnWork, phase: str) -> None:
    while not work.ended:
        with Pace():
            run_batch(context.crm, work)
        context.step(phase, work.done, None)


def _is_finished(context: Context, order: Order) -> bool:
    """All hand-overs of a job finish in one transaction."""
    (one, *_) = order.hand_overs.values()
    row = context.crm.conn.execute("SELECT finished_ms FROM hand_overs WHERE id = ?", (one,)).fetchone()
    return row["finished_ms"] is not None


def _order(context: Context) -> Order:
    return msgspec.convert(context.job.wanted["order"], Order)


def _expected(context: Context, wanted: Wanted, asker: Operator, done: int) -> int | None:
    """How many records there are to hand over, None where only the end will tell."""
    if wanted.all_of is not None:
        found = belongings_of(context.crm, wanted.all_of, asker.viewer)
        desk = found.tasks + found.call_backs + found.drafts + found.shared_phrases + found.shared_views
        return done + found.customers + found.communications + (desk if wanted.desk_too else 0)
    if wanted.selection is None:
        return len(wanted.customers) + len(wanted.communications)
    site = context.settings().site
    count, more = count_customers(context.crm, wanted.selection, reach_of(asker.viewer), site)
    return None if more else done + count
