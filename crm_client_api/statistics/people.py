"""What operators did: records written, time in each state. The scope is in every query."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from crm_client_api.domain.scope import RecordScope


@dataclass(frozen=True, slots=True)
class Person:
    """An operator in scope, also a former one. ``group``: number and name."""

    staff_no: str
    name: str
    group: int | None
    group_name: str


def people(connection: sqlite3.Connection, scope: RecordScope) -> list[Person]:
    """Every operator in scope, by staff number."""
    condition, arguments = scope.sql("s.staff_no")
    rows = connection.execute(
        "SELECT s.staff_no, s.name, s.group_number, coalesce(g.name, '') FROM crm.staff s"
        f" LEFT JOIN crm.groups g ON g.number = s.group_number WHERE {condition} ORDER BY s.staff_no",
        arguments,
    )
    return [Person(*row) for row in rows]


def records_written(
    connection: sqlite3.Connection, from_ms: int, to_ms: int, authors: RecordScope, owners: RecordScope
) -> dict[str, int]:
    """Communication records by their author, of authors and owners in scope; imported and deleted ones do not count."""
    condition, arguments = authors.sql("author")
    owned, given = owners.sql("owner")
    rows = connection.execute(
        "SELECT author, count(*) FROM crm.communications WHERE author IN (SELECT staff_no FROM crm.operators)"
        " AND import_id IS NULL AND deleted_ms IS NULL AND created_ms >= ? AND created_ms < ?"
        f" AND {condition} AND {owned} GROUP BY author",
        (from_ms, to_ms, *arguments, *given),
    )
    return {str(row[0]): int(row[1]) for row in rows}


def state_times(
    connection: sqlite3.Connection, from_ms: int, to_ms: int, scope: RecordScope, now_ms: int
) -> Mapping[str, Mapping[str, int]]:
    """Milliseconds in each agent state, by operator; the state that goes on counts until now."""
    condition, arguments = scope.sql("staff_no")
    rows = connection.execute(
        "SELECT staff_no, state, sum(min(to_ms, :to) - max(from_ms, :from)) FROM ("
        " SELECT staff_no, state, from_ms, to_ms FROM crm.agent_state_log WHERE from_ms < :to AND to_ms > :from"
        " UNION ALL SELECT staff_no, state, since_ms, :now FROM crm.agent_states WHERE since_ms < :to AND :now > :from"
        f") WHERE {condition.replace('?', ':who')} GROUP BY staff_no, state",
        {"from": from_ms, "to": to_ms, "now": now_ms, **({"who": arguments[0]} if arguments else {})},
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for staff_no, state, ms in rows:
        found[staff_no][state] = int(ms)
    return found
