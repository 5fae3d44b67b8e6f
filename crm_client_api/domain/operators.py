"""Operators: added once, never modified in what gives them rights (domain rules, section 1)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.passwords import check_new_password, hash_password, one_time_password, verify_password
from crm_client_api.domain.permissions import LEVEL_ORDER, Level, Permission
from crm_client_api.domain.scope import Viewer
from crm_client_api.domain.throttle import count_try, forget_failures
from firmware.clock import now_ms
from firmware.errors import BadInput, NotFound, Refused
from firmware.store.connection import write

_STAFF_NO = re.compile(r"[0-9A-Za-z]{1,16}")
_COLUMNS = "staff_no, name, level, group_number, channels, permissions, active, must_change_password, deleted_ms"
SET_ONCE = ("staff_no", "level", "group", "channels", "permissions")


class SetOnce(Refused):
    """Level, group, channels and permissions of an operator are never modified."""


class WrongOldPassword(Refused):
    """Who wants a new password has to know the old one."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A person with a staff number. A deleted one still owns records and counts with its group."""

    staff_no: str
    name: str
    level: Level
    group: int | None
    channels: frozenset[int]
    permissions: frozenset[Permission]
    active: bool = True
    must_change_password: bool = False
    deleted: bool = False

    @property
    def viewer(self) -> Viewer:
        """What scope needs to know."""
        return Viewer(self.staff_no, self.level, self.group, self.channels, self.permissions)

    @property
    def may_log_in(self) -> bool:
        """Whether this person works here at the moment."""
        return self.active and not self.deleted


def _operator(row: sqlite3.Row) -> Operator:
    known = {permission.value for permission in Permission}
    return Operator(
        staff_no=row["staff_no"],
        name=row["name"],
        level=Level(row["level"]),
        group=row["group_number"],
        channels=frozenset(msgspec.json.decode(row["channels"])),
        permissions=frozenset(Permission(p) for p in msgspec.json.decode(row["permissions"]) if p in known),
        active=bool(row["active"]),
        must_change_password=bool(row["must_change_password"]),
        deleted=row["deleted_ms"] is not None,
    )


def list_operators(crm: sqlite_utils.Database) -> list[Operator]:
    """Everybody who was not deleted, by staff number."""
    rows = crm.conn.execute(f"SELECT {_COLUMNS} FROM staff WHERE deleted_ms IS NULL ORDER BY staff_no")
    return [_operator(row) for row in rows]


def get_operator(crm: sqlite_utils.Database, staff_no: str) -> Operator:
    """Raises NotFound; a deleted operator is not found either."""
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM operators WHERE staff_no = ? AND deleted_ms IS NULL", (staff_no,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no operator {staff_no!r}")
    return _operator(row)


def add_operator(
    crm: sqlite_utils.Database, operator: Operator, actor: Actor, grantor: Operator | None, password: str | None = None
) -> str:
    """Add somebody; returns the one-time password (the given one when ``password`` is given).

    ``grantor`` None is the console of the box, which may grant everything. Raises BadInput, Refused.
    """
    _check(operator)
    if grantor is not None:
        _check_grant(operator, grantor)
    if password is not None:
        check_new_password(password, operator.staff_no)
    first_password = password or one_time_password()
    hashed = hash_password(first_password)
    with write(crm) as connection:
        used = connection.execute("SELECT 1 FROM operators WHERE staff_no = ?", (operator.staff_no,)).fetchone()
        if used:
            raise Refused(f"staff number {operator.staff_no} is or was somebody's: it belongs to one person for ever")
        group = connection.execute("SELECT 1 FROM groups WHERE number = ?", (operator.group,)).fetchone()
        if operator.group is not None and group is None:
            raise BadInput(f"there is no group {operator.group}")
        connection.execute(
            "INSERT INTO operators (staff_no, name, level, group_number, channels, permissions, active, password_hash,"
            " must_change_password, created_ms) VALUES (?,?,?,?,?,?,?,?,1,?)",
            (
                operator.staff_no,
                operator.name,
                operator.level.value,
                operator.group,
                msgspec.json.encode(sorted(operator.channels)).decode(),
                msgspec.json.encode(sorted(operator.permissions)).decode(),
                int(operator.active),
                hashed,
                now_ms(),
            ),
        )
        audit.append(connection, actor, "operator.add", operator.staff_no, {"level": operator.level.value})
    return first_password


def _check(operator: Operator) -> None:
    if not _STAFF_NO.fullmatch(operator.staff_no) or operator.staff_no == audit.CONSOLE:
        raise BadInput("a staff number has 1 to 16 letters and digits (A-Z, a-z, 0-9)")
    if not operator.name.strip() or len(operator.name) > 100:
        raise BadInput("a name has 1 to 100 characters")
    if any(not 1 <= channel <= 9999 for channel in operator.channels):
        raise BadInput("channels are numbered from 1 to 9999")


def _check_grant(operator: Operator, grantor: Operator) -> None:
    """Nobody grants a level or a permission that they do not hold themselves."""
    if LEVEL_ORDER.index(operator.level) > LEVEL_ORDER.index(grantor.level):
        raise Refused(f"a {grantor.level} operator cannot make somebody a {operator.level} operator")
    lacking = sorted(operator.permissions - grantor.permissions)
    if lacking:
        raise Refused(f"nobody can grant what they do not hold: {', '.join(lacking)}")


def _require_reach(operator: Operator, grantor: Operator | None) -> None:
    """Who may not grant these rights may not take over or lock out the person who has them either."""
    if grantor is not None and grantor.staff_no != operator.staff_no:
        _check_grant(operator, grantor)


def _require_another_manager(connection: sqlite3.Connection, staff_no: str) -> None:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM operators WHERE level = 'super' AND active = 1 AND deleted_ms IS NULL"
        " AND staff_no <> ?",
        (staff_no,),
    )
    if not any(Permission.OPERATOR_MANAGE in _operator(row).permissions for row in rows):
        raise Refused("the last active super operator with operator_manage stays")


def _is_manager(operator: Operator) -> bool:
    return operator.level is Level.SUPER and Permission.OPERATOR_MANAGE in operator.permissions and operator.active


def _end_sessions(connection: sqlite3.Connection, staff_no: str) -> None:
    connection.execute("DELETE FROM sessions WHERE staff_no = ?", (staff_no,))


def set_active(crm: sqlite_utils.Database, staff_no: str, active: bool, actor: Actor, grantor: Operator | None) -> None:
    """Let somebody log in or not; switching off ends the sessions. Raises NotFound, Refused."""
    with write(crm) as connection:
        operator = get_operator(crm, staff_no)
        _require_reach(operator, grantor)
        if not active and _is_manager(operator):
            _require_another_manager(connection, staff_no)
        connection.execute(
            "UPDATE operators SET active = ? WHERE staff_no = ? AND deleted_ms IS NULL", (int(active), staff_no)
        )
        if not active:
            _end_sessions(connection, staff_no)
        audit.append(connection, actor, "operator.activate" if active else "operator.deactivate", staff_no)


def rename(crm: sqlite_utils.Database, staff_no: str, name: str, actor: Actor, grantor: Operator | None) -> None:
    """Change the name. Raises NotFound, BadInput, Refused."""
    if not name.strip() or len(name) > 100:
        raise BadInput("a name has 1 to 100 characters")
    with write(crm) as connection:
        _require_reach(get_operator(crm, staff_no), grantor)
        connection.execute("UPDATE operators SET name = ? WHERE staff_no = ? AND deleted_ms IS NULL", (name, staff_no))
        audit.append(connection, actor, "operator.rename", staff_no, {"name": name})


def delete_operator(crm: sqlite_utils.Database, staff_no: str, actor: Actor, grantor: Operator | None) -> None:
    """Delete somebody; the records stay. Raises NotFound, Refused."""
    with write(crm) as connection:
        operator = get_operator(crm, staff_no)
        _require_reach(operator, grantor)
        if _is_manager(operator):
            _require_another_manager(connection, staff_no)
        connection.execute(
            "UPDATE operators SET deleted_ms = ? WHERE staff_no = ? AND deleted_ms IS NULL", (now_ms(), staff_no)
        )
        _end_sessions(connection, staff_no)
        audit.append(connection, actor, "operator.delete", staff_no)


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
        _require_reach(get_operator(crm, staff_no), grantor)
        connection.execute(
            "UPDATE operators SET password_hash = ?, must_change_password = 1"
            " WHERE staff_no = ? AND deleted_ms IS NULL",
            (hashed, staff_no),
        )
        forget_failures(connection, staff_no)
        _end_sessions(connection, staff_no)
        audit.append(connection, actor, "operator.reset_password", staff_no)
    return password


def change_password(
    crm: sqlite_utils.Database, staff_no: str, old: str, new: str, actor: Actor, keep_session: str = ""
) -> None:
    """Change the own password; ends the other sessions (all but the token hash ``keep_session``).

    Raises Invalid; WrongOldPassword, and TooManyFailures when it was wrong too often.
    """
    check_new_password(new, staff_no)
    if old == new:
        raise Invalid("password_unchanged", "the new password is the old one")
    count_try(crm, staff_no, now_ms())
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
