"""Tasks and reminders: born from a call, a communication record or a customer, or by themselves.

A task is seen and changed by its owner and its author, by leaders when the owner is of their group, and by super
operators. What it came from is shown only to whom that is in scope.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications.record import check_time
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import Sql, Viewer
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

CHANGED_EVENT = "task_changed"
"""``id`` of the task and ``what`` was done: added, changed, deleted, restored."""
DUE_EVENT = "task_due"
"""``id`` of a task whose due time has come; told once to its owner."""
_LONGEST = {"subject": 200, "note": 5_000}
NEVER_MS = 1 << 53
"""Where tasks without a due time stand in the order of due times."""

Whose = Literal["mine", "group", "all"]
State = Literal["open", "done", "deleted"]


@dataclass(frozen=True, slots=True)
class Task:
    """A task as stored. Times are Unix ms UTC. ``notified_ms``: when the owner was told that it is due.

    ``customer_purged_ms``: when the customer that it was about was removed for good.
    """

    id: int
    subject: str
    note: str
    customer_id: int | None
    communication_id: int | None
    call_id: str | None
    author: str
    owner: str
    due_ms: int | None
    done_ms: int | None
    done_by: str | None
    notified_ms: int | None
    created_ms: int
    changed_ms: int
    deleted_ms: int | None
    customer_purged_ms: int | None


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to add; whoever calls has looked for what it comes from in the actor's scope."""

    subject: str
    owner: str
    note: str = ""
    due_ms: int | None = None
    customer_id: int | None = None
    communication_id: int | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What to list, by due time. ``after``: due time (``NEVER_MS`` for none) and id that the page before ended with."""

    whose: Whose = "mine"
    state: State = "open"
    owner: str | None = None
    customer: int | None = None
    due_before_ms: int | None = None
    after: tuple[int, int] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class TaskScope:
    """Whose tasks somebody may work on."""

    viewer: Viewer

    def sql(self) -> Sql:
        """As a condition on the columns of ``tasks``; needs the view ``staff`` in reach."""
        me = self.viewer.staff_no
        if self.viewer.level is Level.SUPER:
            return "1", ()
        if self.viewer.level is Level.LEADER and self.viewer.group is not None:
            group = "SELECT staff_no FROM staff WHERE group_number = ?"
            return f"(owner = ? OR author = ? OR owner IN ({group}))", (me, me, self.viewer.group)
        return "(owner = ? OR author = ?)", (me, me)

    def may_assign(self, crm: sqlite_utils.Database, owner: str) -> bool:
        """Whether a task can be given to this operator: oneself, leaders within the group, super operators anywhere."""
        row = crm.conn.execute(
            "SELECT group_number FROM staff WHERE staff_no = ? AND deleted_ms IS NULL AND active", (owner,)
        ).fetchone()
        if row is None:
            return False
        own_group = self.viewer.group is not None and row[0] == self.viewer.group
        return (
            owner == self.viewer.staff_no
            or self.viewer.level is Level.SUPER
            or (self.viewer.level is Level.LEADER and own_group)
        )


_COLUMNS = ", ".join(field.name for field in fields(Task))
OPEN = "done_ms IS NULL AND deleted_ms IS NULL"
"""A condition on ``tasks``."""
_STATES: Mapping[State, str] = {
    "open": OPEN,
    "done": "done_ms IS NOT NULL AND deleted_ms IS NULL",
    "deleted": "deleted_ms IS NOT NULL",
}


def _task(row: sqlite3.Row) -> Task:
    return Task(*row)


def get_task(crm: sqlite_utils.Database, task_id: int, scope: TaskScope, *, deleted: bool = False) -> Task:
    """Raises NotFound, also out of scope, and for a deleted one unless ``deleted``."""
    condition, given = scope.sql()
    state = _STATES["deleted"] if deleted else "deleted_ms IS NULL"
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM tasks WHERE id = ? AND {state} AND {condition}", (task_id, *given)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such task")
    return _task(row)


def list_tasks(crm: sqlite_utils.Database, wanted: TaskFilter, scope: TaskScope) -> list[Task]:
    """Tasks in scope, those due first before the others."""
    condition, given = scope.sql()
    conditions, arguments = [_STATES[wanted.state], condition], list(given)
    if wanted.whose == "mine":
        conditions.append("owner = ?")
        arguments.append(scope.viewer.staff_no)
    elif wanted.whose == "group":
        conditions.append("owner IN (SELECT staff_no FROM staff WHERE group_number = ?)")
        arguments.append(scope.viewer.group)
    for text, value in (
        ("owner = ?", wanted.owner),
        ("customer_id = ?", wanted.customer),
        ("due_ms < ?", wanted.due_before_ms),
    ):
        if value is not None:
            conditions.append(text)
            arguments.append(value)
    if wanted.after is not None:
        conditions.append(f"(coalesce(due_ms, {NEVER_MS}), id) > (?, ?)")
        arguments += wanted.after
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM tasks WHERE {' AND '.join(conditions)}"
        f" ORDER BY coalesce(due_ms, {NEVER_MS}), id LIMIT ?",
        (*arguments, wanted.limit),
    )
    return [_task(row) for row in rows]


def tasks_of_customer(
    crm: sqlite_utils.Database, customer: int, scope: TaskScope, before: tuple[int, int], limit: int
) -> list[Task]:
    """The newest tasks in scope that were added for a customer, before (time of adding, id)."""
    condition, given = scope.sql()
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM tasks WHERE customer_id = ? AND deleted_ms IS NULL AND (created_ms, id) < (?, ?)"
        f" AND {condition} ORDER BY created_ms DESC, id DESC LIMIT ?",
        (customer, *before, *given, limit),
    )
    return [_task(row) for row in rows]


def add_task(crm: sqlite_utils.Database, new: NewTask, actor: Actor, scope: TaskScope) -> Task:
    """Raises Invalid; Refused: the owner is out of reach."""
    _check({"subject": new.subject, "note": new.note, "due_ms": new.due_ms})
    _require_reach(crm, scope, new.owner)
    at_ms = now_ms()
    with write(crm) as connection:
        cursor = connection.execute(
            "INSERT INTO tasks (subject, note, customer_id, communication_id, call_id, author, owner, due_ms,"
            " created_ms, changed_ms) VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                new.subject.strip(),
                new.note,
                new.customer_id,
                new.communication_id,
                new.call_id,
                actor.staff_no,
                new.owner,
                new.due_ms,
                at_ms,
                at_ms,
            ),
        )
        task_id = int(cursor.lastrowid or 0)
        audit.append(connection, actor, "task.add", str(task_id), {"owner": new.owner})
        _tell(connection, task_id, {actor.staff_no, new.owner}, "added")
    return get_task(crm, task_id, scope)


def change_task(
    crm: sqlite_utils.Database, task_id: int, changes: Mapping[str, Any], actor: Actor, scope: TaskScope
) -> Task:
    """Change ``subject``, ``note``, ``due_ms``, ``owner`` or ``done`` (bool) of a task in scope.

    A new due time or owner is told of again. Raises NotFound, Invalid; Refused: the owner is out of reach.
    """
    _check(changes)
    at_ms = now_ms()
    with write(crm) as connection:
        old = get_task(crm, task_id, scope)
        if "owner" in changes and changes["owner"] != old.owner:
            _require_reach(crm, scope, changes["owner"])
        new = {name: value for name, value in changes.items() if name != "done"}
        if "done" in changes and changes["done"] != (old.done_ms is not None):
            new |= (
                {"done_ms": at_ms, "done_by": actor.staff_no} if changes["done"] else {"done_ms": None, "done_by": None}
            )
        changed = {name: value for name, value in new.items() if value != getattr(old, name)}
        if changed:
            if changed.keys() & {"due_ms", "owner"}:
                changed["notified_ms"] = None
            connection.execute(
                f"UPDATE tasks SET {', '.join(f'{name} = ?' for name in changed)}, changed_ms = ? WHERE id = ?",
                (*changed.values(), at_ms, task_id),
            )
            before = {name: getattr(old, name) for name in changed}
            audit.append(connection, actor, "task.change", str(task_id), {"before": before, "after": changed})
            _tell(
                connection, task_id, {actor.staff_no, old.author, old.owner, changed.get("owner", old.owner)}, "changed"
            )
    row = crm.conn.execute(f"SELECT {_COLUMNS} FROM tasks WHERE id = ?", (task_id,)).fetchone()
    return _task(row)


def delete_task(crm: sqlite_utils.Database, task_id: int, actor: Actor, scope: TaskScope) -> None:
    """Raises NotFound."""
    with write(crm) as connection:
        old = get_task(crm, task_id, scope)
        connection.execute("UPDATE tasks SET deleted_ms = ? WHERE id = ?", (now_ms(), task_id))
        audit.append(connection, actor, "task.delete", str(task_id))
        _tell(connection, task_id, {actor.staff_no, old.author, old.owner}, "deleted")


def restore_task(crm: sqlite_utils.Database, task_id: int, actor: Actor, scope: TaskScope) -> Task:
    """Undo a deletion. Raises NotFound."""
    with write(crm) as connection:
        old = get_task(crm, task_id, scope, deleted=True)
        connection.execute("UPDATE tasks SET deleted_ms = NULL WHERE id = ?", (task_id,))
        audit.append(connection, actor, "task.restore", str(task_id))
        _tell(connection, task_id, {actor.staff_no, old.author, old.owner}, "restored")
    return get_task(crm, task_id, scope)


def tell_due(crm: sqlite_utils.Database, at_ms: int, limit: int = 100) -> int:
    """Tell owners of tasks that are due, each once; how many were told."""
    due = (
        "SELECT id, owner FROM tasks WHERE due_ms <= ? AND done_ms IS NULL AND deleted_ms IS NULL"
        " AND notified_ms IS NULL ORDER BY due_ms LIMIT ?"
    )
    if crm.conn.execute(due, (at_ms, 1)).fetchone() is None:
        return 0
    with write(crm) as connection:
        rows = connection.execute(due, (at_ms, limit)).fetchall()
        for task_id, owner in rows:
            office_events.tell(connection, DUE_EVENT, {"id": str(task_id)}, to=[owner])
        connection.executemany("UPDATE tasks SET notified_ms = ? WHERE id = ?", [(at_ms, row[0]) for row in rows])
    return len(rows)


def _check(given: Mapping[str, Any]) -> None:
    if "subject" in given and not given["subject"].strip():
        raise Invalid("task_empty", "a task has a subject")
    for name, longest in _LONGEST.items():
        if len(given.get(name, "")) > longest:
            raise Invalid("field_too_long", f"{name} has at most {longest} characters")
    check_time(given.get("due_ms"))


def _require_reach(crm: sqlite_utils.Database, scope: TaskScope, owner: str) -> None:
    if not scope.may_assign(crm, owner):
        raise Refused("a task is given to oneself, by leaders within their group, by super operators to anybody")


def _tell(connection: sqlite3.Connection, task_id: int, to: Iterable[str], what: str) -> None:
    office_events.tell(connection, CHANGED_EVENT, {"id": str(task_id), "what": what}, to=to)
