"""Tasks and reminders: list, add, change, done, postpone, delete, undo."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from crm_client_api.answers.communications import TaskInfo, TaskPage
from crm_client_api.domain import tasks as domain
from crm_client_api.domain.communications.lists import get_communication
from crm_client_api.domain.customers import get_customer
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.tasks import NEVER_MS, NewTask, State, Task, TaskFilter, TaskScope, Whose
from crm_client_api.http.moments import Moment, unix_ms
from crm_client_api.http.routing import Request, route
from crm_client_api.views.communications import reach_of
from crm_client_api.views.tasks import calls_in_sight, task_infos
from firmware.clock import now_ms
from firmware.errors import BadInput, NotFound

_RecordId = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,17}$")]
_StaffNo = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{1,16}$")]


class TaskQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tasks. ``whose``: one's own, those of the own group, or all in scope. ``overdue``: due before now."""

    whose: Whose = "mine"
    state: State = "open"
    owner: _StaffNo | None = None
    customer: _RecordId | None = None
    overdue: bool = False
    due_before: Moment | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    after: Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,16}\.[0-9]{1,18}$")] | None = None


class TaskInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task to add, for oneself unless ``owner`` says else; what it comes from must be in scope."""

    subject: str
    note: str = ""
    due_at: Moment | None = None
    owner: _StaffNo | None = None
    customer_id: _RecordId | None = None
    communication_id: _RecordId | None = None
    call_id: str | None = None


class TaskChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change; what is left out stays. ``due_at`` later: postponed, and told again."""

    subject: str | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType = msgspec.UNSET
    due_at: Moment | msgspec.UnsetType | None = msgspec.UNSET
    owner: _StaffNo | msgspec.UnsetType = msgspec.UNSET
    done: bool | msgspec.UnsetType = msgspec.UNSET


@route("GET", "/tasks", "Tasks in scope, those due first before the others", answer=TaskPage, reads="task", also=(404,))
def get_tasks(request: Request, query: TaskQuery) -> TaskPage:
    """List tasks."""
    due_before_ms = unix_ms(query.due_before)
    if query.overdue:
        due_before_ms = now_ms() if due_before_ms is None else min(due_before_ms, now_ms())
    wanted = TaskFilter(
        whose=query.whose,
        state=query.state,
        owner=query.owner,
        customer=None if query.customer is None else int(_customer(request, query.customer)),
        due_before_ms=due_before_ms,
        after=_after(query.after),
        limit=query.limit + 1,  # one more tells whether there is a next page
    )
    found = domain.list_tasks(request.stores.crm, wanted, _scope(request))
    page = found[: query.limit]
    following = f"{NEVER_MS if page[-1].due_ms is None else page[-1].due_ms}.{page[-1].id}" if page else None
    return TaskPage(task_infos(request.desk, page), following if len(found) > query.limit else None)


@route("POST", "/tasks", "Add a task", answer=TaskInfo, status=201)
def post_task(request: Request, body: TaskInput) -> TaskInfo:
    """Add a task for oneself or for a colleague within reach."""
    desk, customer_id, record_id = request.desk, None, None
    if body.communication_id is not None:
        request.require(Permission.COMMUNICATION_MANAGE)
        record = get_communication(request.stores.crm, body.communication_id, reach_of(desk))
        record_id = record.id
        customer_id = record.values.customer_id if record.customer_named else None
    if body.customer_id is not None:
        customer_id = int(_customer(request, body.customer_id))
    if body.call_id is not None and not calls_in_sight(desk, [body.call_id]):
        raise NotFound("there is no such call")
    new = NewTask(
        subject=body.subject,
        owner=body.owner or request.operator.staff_no,
        note=body.note,
        due_ms=unix_ms(body.due_at),
        customer_id=customer_id,
        communication_id=record_id,
        call_id=body.call_id,
    )
    return _info(request, domain.add_task(request.stores.crm, new, request.actor, _scope(request)))


@route("GET", "/tasks/{task_id}", "One task", answer=TaskInfo, reads="task")
def get_one_task(request: Request, task_id: int) -> TaskInfo:
    """Show a task in scope."""
    return _info(request, domain.get_task(request.stores.crm, task_id, _scope(request)))


@route("PATCH", "/tasks/{task_id}", "Change, assign, postpone or finish a task", answer=TaskInfo)
def patch_task(request: Request, task_id: int, body: TaskChange) -> TaskInfo:
    """Change a task in scope."""
    given: dict[str, Any] = {
        name: getattr(body, name)
        for name in ("subject", "note", "owner", "done")
        if getattr(body, name) is not msgspec.UNSET
    }
    if body.due_at is not msgspec.UNSET:
        given["due_ms"] = unix_ms(body.due_at)
    return _info(request, domain.change_task(request.stores.crm, task_id, given, request.actor, _scope(request)))


@route("DELETE", "/tasks/{task_id}", "Delete a task", status=204)
def delete_one_task(request: Request, task_id: int) -> None:
    """Delete a task in scope; it can be restored."""
    domain.delete_task(request.stores.crm, task_id, request.actor, _scope(request))


@route("POST", "/tasks/{task_id}/restore", "Undo the deletion of a task", answer=TaskInfo)
def post_restore_task(request: Request, task_id: int) -> TaskInfo:
    """Bring a deleted task back."""
    return _info(request, domain.restore_task(request.stores.crm, task_id, request.actor, _scope(request)))


def _scope(request: Request) -> TaskScope:
    return TaskScope(request.operator.viewer)


def _info(request: Request, task: Task) -> TaskInfo:
    return task_infos(request.desk, [task])[0]


def _customer(request: Request, customer_id: str) -> str:
    request.require(Permission.CUSTOMER_MANAGE)
    return get_customer(request.stores.crm, customer_id, request.desk.customers).id


def _after(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    due, dot, task_id = text.partition(".")
    if not dot:
        raise BadInput("not a place in the list of tasks")
    return int(due), int(task_id)
