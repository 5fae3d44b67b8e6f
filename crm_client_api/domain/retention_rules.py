"""Setting the retention rules of channels, groups, customers and operators; every change is audited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.subject_scope import EVERYTHING, SubjectScope
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write

RuleKind = Literal["channel", "group", "customer", "operator"]

_SUBJECTS: dict[str, str] = {
    "group": "SELECT 1 FROM groups WHERE CAST(number AS TEXT) = ? AND deleted_ms IS NULL",
    "operator": "SELECT 1 FROM operators WHERE staff_no = ?",
}


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """``days`` 0: kept for ever. ``subject``: channel or group number, customer id or staff number."""

    kind: RuleKind
    subject: str
    days: int
    set_by: str
    set_ms: int


def list_rules(crm: sqlite_utils.Database, scope: SubjectScope = EVERYTHING) -> list[RetentionRule]:
    """Every rule in scope, by kind and subject."""
    condition, given = scope.rules()
    rows = crm.conn.execute(
        f"SELECT kind, subject, days, set_by, set_ms FROM retention_rules WHERE {condition} ORDER BY kind, subject",
        given,
    )
    return [RetentionRule(**dict(row)) for row in rows]


def require_subject(
    calls: sqlite_utils.Database, crm: sqlite_utils.Database, kind: RuleKind, subject: str, scope: SubjectScope
) -> None:
    """Raises NotFound when there is no such channel, group, customer or operator, or it is out of scope."""
    if kind == "channel":
        condition, given = scope.channels.sql("number")
        found = calls.conn.execute(
            f"SELECT 1 FROM channels WHERE CAST(number AS TEXT) = ? AND {condition}", (subject, *given)
        ).fetchone()
    elif kind == "customer":
        condition, given = scope.customers.sql("owner")
        found = crm.conn.execute(
            f"SELECT 1 FROM living_customers WHERE CAST(id AS TEXT) = ? AND {condition}", (subject, *given)
        ).fetchone()
    else:
        found = crm.conn.execute(_SUBJECTS[kind], (subject,)).fetchone()
    if found is None:
        raise NotFound(f"there is no such {kind}")


def set_rule(
    calls: sqlite_utils.Database,
    crm: sqlite_utils.Database,
    kind: RuleKind,
    subject: str,
    days: int,
    actor: Actor,
    scope: SubjectScope = EVERYTHING,
) -> RetentionRule:
    """Make or replace a rule. Raises NotFound when there is no such subject in scope."""
    require_subject(calls, crm, kind, subject, scope)
    rule = RetentionRule(kind, subject, days, actor.staff_no, now_ms())
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO retention_rules VALUES (?,?,?,?,?) ON CONFLICT (kind, subject) DO UPDATE"
            " SET days = excluded.days, set_by = excluded.set_by, set_ms = excluded.set_ms",
            (rule.kind, rule.subject, rule.days, rule.set_by, rule.set_ms),
        )
        audit.append(connection, actor, "retention.set", f"{kind} {subject}", {"days": days})
    return rule


def remove_rule(
    crm: sqlite_utils.Database, kind: RuleKind, subject: str, actor: Actor, scope: SubjectScope = EVERYTHING
) -> None:
    """Take a rule away. Raises NotFound, also for one out of scope."""
    condition, given = scope.rules()
    with write(crm) as connection:
        gone = connection.execute(
            f"DELETE FROM retention_rules WHERE kind = ? AND subject = ? AND {condition}", (kind, subject, *given)
        )
        if not gone.rowcount:
            raise NotFound("there is no such rule")
        audit.append(connection, actor, "retention.remove", f"{kind} {subject}")
