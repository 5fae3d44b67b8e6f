"""Tasks as one operator may see them: what they came from only when that is in the operator's scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crm_client_api.answers.communications import TaskInfo
from crm_client_api.domain.calls import calls_by_id
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import RecordScope, communication_scope
from crm_client_api.domain.staff.names import names_of
from crm_client_api.domain.tasks import Task
from crm_client_api.views.calls import Desk
from firmware.clock import iso_utc, now_ms


def task_infos(desk: Desk, tasks: Sequence[Task]) -> list[TaskInfo]:
    """Tasks with the names that belong to them."""
    customers = _customer_names(desk, {one.customer_id for one in tasks if one.customer_id is not None})
    records = _records(desk, {one.communication_id for one in tasks if one.communication_id is not None})
    calls = calls_in_sight(desk, {one.call_id for one in tasks if one.call_id is not None})
    names = names_of(desk.stores.crm, {one.owner for one in tasks})
    purged = _whose_customer_is_gone(desk, {one.id for one in tasks if one.customer_purged_ms is not None})
    at_ms = now_ms()
    return [
        TaskInfo(
            id=str(one.id),
            subject=one.subject,
            note=one.note,
            customer_id=str(one.customer_id) if one.customer_id in customers else None,
            customer_name=customers.get(one.customer_id or 0, ""),
            communication_id=str(one.communication_id) if one.communication_id in records else None,
            call_id=one.call_id if one.call_id in calls else None,
            author=one.author,
            owner=one.owner,
            owner_name=names.get(one.owner, ""),
            due_at=_iso_or_none(one.due_ms),
            done_at=_iso_or_none(one.done_ms),
            done_by=one.done_by,
            overdue=one.due_ms is not None and one.done_ms is None and one.due_ms < at_ms,
            created_at=iso_utc(one.created_ms),
            changed_at=iso_utc(one.changed_ms),
            deleted_at=_iso_or_none(one.deleted_ms),
            customer_purged_at=_iso_or_none(one.customer_purged_ms) if one.id in purged else None,
        )
        for one in tasks
    ]


def calls_in_sight(desk: Desk, call_ids: Iterable[str]) -> set[str]:
    """The calls whose channel is in scope, or whose pop-up the operator received."""
    wanted = sorted(call_ids)
    shown = desk.stores.crm.conn.execute(
        f"SELECT call_id FROM popup_receipts WHERE staff_no = ? AND call_id IN ({','.join('?' * len(wanted))})",
        (desk.operator.staff_no, *wanted),
    )
    received = {row[0] for row in shown}
    calls = calls_by_id(desk.stores.calls, wanted)
    return {one for one, call in calls.items() if one in received or desk.channels.allows(call.channel)}


def _customer_names(desk: Desk, ids: set[int]) -> dict[int, str]:
    if Permission.CUSTOMER_MANAGE not in desk.operator.permissions:
        return {}
    return {row[0]: row[1] for row in _in_scope(desk, "living_customers", "name", ids, desk.customers)}


def _whose_customer_is_gone(desk: Desk, ids: set[int]) -> set[int]:
    """Of some tasks those whose customer was removed for good, and would be in scope."""
    if Permission.CUSTOMER_MANAGE not in desk.operator.permissions:
        return set()
    condition, given = desk.customers.sql("customer_purged_owner")
    rows = desk.stores.crm.conn.execute(
        f"SELECT id FROM tasks WHERE id IN ({','.join('?' * len(ids))}) AND {condition}", (*sorted(ids), *given)
    )
    return {row[0] for row in rows}


def _records(desk: Desk, ids: set[int]) -> set[int]:
    if Permission.COMMUNICATION_MANAGE not in desk.operator.permissions:
        return set()
    scope = communication_scope(desk.operator.viewer)
    return {row[0] for row in _in_scope(desk, "living_communications", "0", ids, scope)}


def _in_scope(desk: Desk, table: str, what: str, ids: set[int], scope: RecordScope) -> Iterable[tuple[int, str]]:
    condition, given = scope.sql("owner")
    rows = desk.stores.crm.conn.execute(
        f"SELECT id, {what} FROM {table} WHERE id IN ({','.join('?' * len(ids))}) AND {condition}",
        (*sorted(ids), *given),
    )
    return [(row[0], row[1]) for row in rows]


def _iso_or_none(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)
