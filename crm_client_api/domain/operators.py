"""Operators: added once, never modified in what gives them rights (domain rules, section 1)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.passwords import (
    check_new_password,
    hash_password,
    one_time_password,
    read_policy,
    verify_password,
)
from crm_client_api.domain.staff.new_permissions import note_permissions
from crm_client_api.domain.staff.people import (
    Operator,
    appoint,
    dismiss,
    end_access,
    end_sessions,
    get_operator,
    last_appointment,
    list_operators,
)
from crm_client_api.domain.staff.rights import (
    check_channels,
    check_form,
    check_grant,
    check_group,
    check_name,
    grantor_now,
    require_group_kept,
    require_manager_left,
    require_reach,
)
from crm_client_api.domain.throttle import count_try, forget_failures
from firmware.clock import now_ms
from firmware.errors import Refused
from firmware.store.connection import write

__all__ = [
    "SET_ONCE",
    "Operator",
    "SetOnce",
    "StaffNoUsed",
    "WrongOldPassword",
    "add_operator",
    "change_operator",
    "change_password",
    "deactivate",
    "delete_operator",
    "get_operator",
    "list_operators",
    "password_hash",
    "refuse_set_once",
    "reset_password",
    "set_active",
]

SET_ONCE = ("staff_no", "level", "group", "channels", "permissions")
_ACTIVITY = {True: "operator.activate", False: "operator.deactivate"}


class SetOnce(Refused):
    """Level, group, channels and permissions of an operator are never modified."""


class StaffNoUsed(Refused):
    """The staff number was somebody's: only the same person may have it again."""


class WrongOldPassword(Refused):
    """Who wants a new password has to know the old one."""


def add_operator(
    crm: sqlite_utils.Database,
    operator: Operator,
    actor: Actor,
    grantor: Operator | None,
    password: str | None = None,
    *,
    returning: bool = False,
) -> str:
    """Add somebody; returns the one-time password (the given one when ``password`` is given).

    ``grantor`` None is the console of the box, which may grant everything. ``returning``: the person who had this
    staff number before is back, and the earlier records are theirs again. Raises BadInput, Refused, StaffNoUsed.
    """
    check_form(operator)
    if password is not None:
        check_new_password(password, operator.staff_no, read_policy(crm))
    first_password = password or one_time_password()
    hashed = hash_password(first_password)
    with write(crm) as connection:
        now = grantor_now(crm, grantor)
        check_grant(operator, now)
        check_channels(crm, operator, (), now)
        before = _check_staff_no(connection, operator.staff_no, returning)
        if before is not None:  # the earlier records come along
            require_group_kept(before, operator, now)
        check_group(crm, operator.group)
        note_permissions(connection)
        appoint(connection, replace(operator, must_change_password=True), hashed)
        if returning:  # the person comes with a new one-time password, and begins anew with the second factor
            forget_failures(connection, operator.staff_no)
            connection.execute("DELETE FROM second_factors WHERE staff_no = ?", (operator.staff_no,))
        action = "operator.return" if returning else "operator.add"
        audit.append(connection, actor, action, operator.staff_no, {"after": operator.audited})
    return first_password


def _check_staff_no(connection: sqlite3.Connection, staff_no: str, returning: bool) -> Operator | None:
    """Who the returning person was, None for a new one. Raises Refused, StaffNoUsed, Invalid."""
    before = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE deleted_ms IS NULL) FROM operators WHERE staff_no = ?", (staff_no,)
    ).fetchone()
    if before[1]:
        raise Refused(f"staff number {staff_no} is somebody's: it belongs to one person for ever")
    if before[0] and not returning:
        raise StaffNoUsed(f"staff number {staff_no} was somebody's: it belongs to one person for ever")
    if returning and not before[0]:
        raise Invalid("not_returning", f"nobody ever had the staff number {staff_no}")
    return last_appointment(connection, staff_no)


def change_operator(
    crm: sqlite_utils.Database,
    staff_no: str,
    actor: Actor,
    grantor: Operator | None,
    *,
    name: str | None = None,
    active: bool | None = None,
) -> Operator:
    """Change what is given of the name and whether somebody may log in; switching off ends sessions and tokens.

    Raises NotFound, BadInput, Refused.
    """
    if name is not None:
        check_name(name)
    with write(crm) as connection:
        before = get_operator(crm, staff_no)
        require_reach(before, grantor_now(crm, grantor))
        if active is False:
            deactivate(crm, connection, before)
        after = replace(
            before, name=before.name if name is None else name, active=before.active if active is None else active
        )
        connection.execute(
            "UPDATE operators SET name = ?, active = ? WHERE staff_no = ? AND deleted_ms IS NULL",
            (after.name, int(after.active), staff_no),
        )
        for action, field in (("operator.rename", "name"), (_ACTIVITY[after.active], "active")):
            changed = {"before": {field: before.audited[field]}, "after": {field: after.audited[field]}}
            if (name if field == "name" else active) is not None:
                audit.append(connection, actor, action, staff_no, changed)
    return after


def set_active(crm: sqlite_utils.Database, staff_no: str, active: bool, actor: Actor, grantor: Operator | None) -> None:
    """Let somebody log in or not. Raises NotFound, Refused."""
    change_operator(crm, staff_no, actor, grantor, active=active)


def deactivate(crm: sqlite_utils.Database, connection: sqlite3.Connection, operator: Operator) -> None:
    """Shut somebody out, inside the caller's write transaction. Raises Refused for the last manager."""
    require_manager_left(crm, operator)
    connection.execute(
        "UPDATE operators SET active = 0 WHERE staff_no = ? AND deleted_ms IS NULL", (operator.staff_no,)
    )
    end_access(connection, operator.staff_no)


def delete_operator(crm: sqlite_utils.Database, staff_no: str, actor: Actor, grantor: Operator | None) -> None:
    """Delete somebody; the records stay. Raises NotFound, Refused."""
    with write(crm) as connection:
        operator = get_operator(crm, staff_no)
        require_reach(operator, grantor_now(crm, grantor))
        require_manager_left(crm, operator)
        dismiss(connection, staff_no)
        audit.append(connection, actor, "operator.delete", staff_no, {"before": operator.audited})


def refuse_set_once(crm: sqlite_utils.Database, staff_no: str, fields: Iterable[str], actor: Actor) -> None:
    """Audit an attempt to modify what is set once, and raise SetOnce. Raises NotFound."""
    get_operator(crm, staff_no)
    names = sorted(fields)
    with write(crm) as connection:
        audit.append(connection, actor, "operator.set_once_refused", staff_no, {"fields": names})
    raise SetOnce(f"{', '.join(names)}: set once, when the operator is added, and never modified; delete and add anew")


def reset_password(crm: sqlite_utils.Database, staff_no: str, actor: Actor, grantor: Operator | None) -> str:
    """Give a one-time password and end the sessions. Raises NotFound, Refused."""
    password = one_time_password()
    hashed = hash_password(password)
    with write(crm) as connection:
        require_reach(get_operator(crm, staff_no), grantor_now(crm, grantor))
        connection.execute(
            "UPDATE operators SET password_hash = ?, must_change_password = 1"
            " WHERE staff_no = ? AND deleted_ms IS NULL",
            (hashed, staff_no),
        )
        forget_failures(connection, staff_no)
        end_sessions(connection, staff_no)
        audit.append(connection, actor, "operator.reset_password", staff_no)
    return password


def change_password(
    crm: sqlite_utils.Database, staff_no: str, old: str, new: str, actor: Actor, keep_session: str = ""
) -> None:
    """Change the own password; ends the other sessions (all but the token hash ``keep_session``).

    Raises Invalid; WrongOldPassword, and TooManyFailures when it was wrong too often.
    """
    check_new_password(new, staff_no, read_policy(crm))
    if old == new:
        raise Invalid("password_unchanged", "the new password is the old one")
    count_try(crm, staff_no, now_ms(), inside=True)
    checked = password_hash(crm, staff_no)
    if not verify_password(checked, old):
        raise WrongOldPassword("the old password is wrong")
    hashed = hash_password(new)
    with write(crm) as connection:
        if password_hash(crm, staff_no) != checked:  # it was reset while we checked the old one
            raise WrongOldPassword("the old password is wrong")
        connection.execute(
            "UPDATE operators SET password_hash = ?, must_change_password = 0"
            " WHERE staff_no = ? AND deleted_ms IS NULL",
            (hashed, staff_no),
        )
        forget_failures(connection, staff_no)
        connection.execute("DELETE FROM sessions WHERE staff_no = ? AND token_hash <> ?", (staff_no, keep_session))
        audit.append(connection, actor, "operator.change_password", staff_no)


def password_hash(crm: sqlite_utils.Database, staff_no: str) -> str | None:
    """The stored hash of somebody who may log in, else None."""
    row = crm.conn.execute(
        "SELECT password_hash FROM operators WHERE staff_no = ? AND deleted_ms IS NULL AND active = 1", (staff_no,)
    ).fetchone()
    return row[0] if row else None
