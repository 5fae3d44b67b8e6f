"""Tasks when their customer is removed for good: open ones stay, and say so; what is done or deleted goes along."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.tasks import CHANGED_EVENT, OPEN
from firmware.clock import now_ms


@dataclass(frozen=True, slots=True)
class TasksOfPurged:
    """How many tasks stayed without their customers, and how many went with them."""

    kept: int = 0
    gone: int = 0

    def __add__(self, other: TasksOfPurged) -> TasksOfPurged:
        return TasksOfPurged(self.kept + other.kept, self.gone + other.gone)


def part_with(connection: sqlite3.Connection, customer: int, actor: Actor) -> TasksOfPurged:
    """Take a customer out of its open tasks, before it is deleted in the caller's transaction.

    Each is audited, and its owner and author are told.
    """
    owner = connection.execute("SELECT owner FROM customers WHERE id = ?", (customer,)).fetchone()[0]
    every = connection.execute("SELECT count(*) FROM tasks WHERE customer_id = ?", (customer,)).fetchone()[0]
    rows = connection.execute(
        f"UPDATE tasks SET customer_id = NULL, customer_purged_ms = ?, customer_purged_owner = ?"
        f" WHERE customer_id = ? AND {OPEN} RETURNING id, owner, author",
        (now_ms(), owner, customer),
    ).fetchall()
    for key, task_owner, author in rows:
        data = {"before": {"customer_id": customer}, "after": {"customer_id": None}}
        audit.append(connection, actor, "task.change", str(key), data)
        office_events.tell(connection, CHANGED_EVENT, {"id": str(key), "what": "changed"}, to={task_owner, author})
    return TasksOfPurged(len(rows), every - len(rows))
