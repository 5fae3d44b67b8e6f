"""Permissions that a software update introduces: each may be granted once to every operator who was there before.

The box notes a permission the first time anybody is added or granted something by a version that knows it; who was
added before that could not be given it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.staff.people import Operator, get_operator
from crm_client_api.domain.staff.rights import check_grant, grantor_now, require_reach
from firmware.clock import now_ms
from firmware.errors import Refused
from firmware.store.connection import write


def note_permissions(connection: sqlite3.Connection) -> None:
    """Note what is new to this box, inside a write transaction that appoints somebody, before the appointment."""
    known = {row[0] for row in connection.execute("SELECT permission FROM known_permissions")}
    new = [permission.value for permission in Permission if permission.value not in known]
    if new:
        last = connection.execute("SELECT coalesce(max(id), 0) FROM operators").fetchone()[0]
        connection.executemany("INSERT INTO known_permissions VALUES (?, ?)", [(name, last) for name in new])


def grantable(crm: sqlite_utils.Database) -> dict[str, frozenset[Permission]]:
    """By staff number: permissions that came after the appointment and that the operator does not hold."""
    after = {Permission(name): last for name, last in _introduced(crm.conn).items()}
    held: defaultdict[str, set[str]] = defaultdict(set)
    for row in crm.conn.execute(
        "SELECT o.staff_no, g.permission FROM granted_permissions g JOIN operators o ON o.id = g.operator_id"
        " WHERE o.deleted_ms IS NULL"
    ):
        held[row[0]].add(row[1])
    rows = crm.conn.execute("SELECT id, staff_no FROM operators WHERE deleted_ms IS NULL")
    return {
        row["staff_no"]: frozenset(
            one for one, last in after.items() if row["id"] <= last and one.value not in held[row["staff_no"]]
        )
        for row in rows
    }


def _introduced(connection: sqlite3.Connection) -> dict[str, int]:
    """By permission: the last operator's id of those who were there before it."""
    known = {row[0]: row[1] for row in connection.execute("SELECT permission, last_operator_id FROM known_permissions")}
    last = connection.execute("SELECT coalesce(max(id), 0) FROM operators").fetchone()[0]
    return {permission.value: known.get(permission.value, last) for permission in Permission}


def grant_new_permissions(
    crm: sqlite_utils.Database,
    staff_no: str,
    permissions: Collection[Permission],
    actor: Actor,
    grantor: Operator | None,
) -> Operator:
    """Grant permissions that an update introduced; what was granted stays. All or nothing.

    Raises NotFound, Invalid (none named), Refused: not new to this operator, granted before, or not the grantor's.
    """
    if not permissions:
        raise Invalid("no_permission", "name the permissions to grant")
    with write(crm) as connection:
        note_permissions(connection)
        before = get_operator(crm, staff_no)
        now = grantor_now(crm, grantor)
        require_reach(before, now)
        given = frozenset(permissions)
        check_grant(Operator(staff_no, before.name, before.level, before.group, frozenset(), given), now)
        late = sorted(given - grantable(crm)[staff_no])
        if late:
            raise Refused(f"granted before, or known when the operator was added: {', '.join(late)}")
        connection.executemany(
            "INSERT INTO granted_permissions SELECT id, ?, ?, ? FROM operators"
            " WHERE staff_no = ? AND deleted_ms IS NULL",
            [(one.value, now_ms(), actor.staff_no, staff_no) for one in sorted(given)],
        )
        after = get_operator(crm, staff_no)
        data = {"before": before.audited, "after": after.audited}
        audit.append(connection, actor, "operator.grant_new_permissions", staff_no, data)
    return after
