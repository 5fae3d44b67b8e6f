"""Operators as they are stored: one row for each appointment of a person, the newest one counts."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import sqlite_utils

from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.scope import Viewer
from firmware.clock import now_ms
from firmware.errors import NotFound

_KNOWN = {permission.value: permission for permission in Permission}
_COLUMNS = (
    "id, staff_no, name, level, group_number, channels, permissions, active, must_change_password, deleted_ms,"
    " (SELECT json_group_array(permission) FROM granted_permissions WHERE operator_id = id) AS granted"
)


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

    @property
    def manages_all(self) -> bool:
        """Whether this is one of those of whom the last one stays: an active super operator with operator_manage."""
        return self.may_log_in and self.level is Level.SUPER and Permission.OPERATOR_MANAGE in self.permissions

    @property
    def audited(self) -> dict[str, object]:
        """The settings as the audit log keeps them."""
        return {
            "name": self.name,
            "level": self.level.value,
            "group": self.group,
            "channels": sorted(self.channels),
            "permissions": sorted(permission.value for permission in self.permissions),
            "active": self.active,
        }


PRESENT = "SELECT staff_no FROM operators WHERE deleted_ms IS NULL AND active"
"""The staff numbers of those who may log in."""
VIEWER_COLUMNS = (
    "o.staff_no, o.level, o.group_number, o.channels, o.permissions,"
    " (SELECT json_group_array(permission) FROM granted_permissions WHERE operator_id = o.id)"
)
"""What ``viewer_of`` needs of operator ``o``."""


@lru_cache(maxsize=4096)
def viewer_of(staff_no: str, level: str, group: int | None, channels: str, permissions: str, granted: str) -> Viewer:
    """What scope needs to know of an operator, from ``VIEWER_COLUMNS``."""
    return Viewer(staff_no, Level(level), group, _channels(channels), _permissions(permissions, granted))


# Few combinations, read for every operator at every change that concerns many.
@lru_cache(maxsize=1024)
def _permissions(appointed: str, granted: str) -> frozenset[Permission]:
    names = msgspec.json.decode(appointed, type=list[str]) + msgspec.json.decode(granted, type=list[str])
    return frozenset(_KNOWN[name] for name in names if name in _KNOWN)


@lru_cache(maxsize=1024)
def _channels(text: str) -> frozenset[int]:
    return frozenset(msgspec.json.decode(text, type=list[int]))


def _operator(row: sqlite3.Row) -> Operator:
    return Operator(
        staff_no=row["staff_no"],
        name=row["name"],
        level=Level(row["level"]),
        group=row["group_number"],
        channels=_channels(row["channels"]),
        permissions=_permissions(row["permissions"], row["granted"]),
        active=bool(row["active"]),
        must_change_password=bool(row["must_change_password"]),
        deleted=row["deleted_ms"] is not None,
    )


def list_operators(crm: sqlite_utils.Database) -> list[Operator]:
    """Everybody who was not deleted, by staff number."""
    rows = crm.conn.execute(f"SELECT {_COLUMNS} FROM operators WHERE deleted_ms IS NULL ORDER BY staff_no")
    return [_operator(row) for row in rows]


def appointed_at(crm: sqlite_utils.Database, at_ms: int) -> list[Operator]:
    """Everybody as appointed at a time (Unix ms UTC), by staff number; whether active, as they are now."""
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM operators WHERE created_ms <= ?1 AND (deleted_ms IS NULL OR deleted_ms > ?1)"
        " ORDER BY staff_no",
        (at_ms,),
    )
    return [_operator(row) for row in rows]


def get_operator(crm: sqlite_utils.Database, staff_no: str) -> Operator:
    """Raises NotFound; a deleted operator is not found either."""
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM operators WHERE staff_no = ? AND deleted_ms IS NULL", (staff_no,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no operator {staff_no!r}")
    return _operator(row)


def last_appointment(connection: sqlite3.Connection, staff_no: str) -> Operator | None:
    """The person as appointed now or, once deleted, as appointed last; None: there never was one of this number."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM staff WHERE staff_no = ?", (staff_no,)).fetchone()
    return None if row is None else _operator(row)


def appoint(connection: sqlite3.Connection, operator: Operator, password_hash: str) -> None:
    """Add the row of an appointment, inside the caller's write transaction. Nobody of this number may be present."""
    connection.execute(
        "INSERT INTO operators (staff_no, name, level, group_number, channels, permissions, active, password_hash,"
        " must_change_password, created_ms) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            operator.staff_no,
            operator.name,
            operator.level.value,
            operator.group,
            msgspec.json.encode(sorted(operator.channels)).decode(),
            msgspec.json.encode(sorted(operator.permissions)).decode(),
            int(operator.active),
            password_hash,
            int(operator.must_change_password),
            now_ms(),
        ),
    )


def dismiss(connection: sqlite3.Connection, staff_no: str) -> None:
    """End the present appointment, inside the caller's write transaction; the row stays."""
    at_ms = now_ms()
    connection.execute(
        "UPDATE operators SET deleted_ms = ? WHERE staff_no = ? AND deleted_ms IS NULL", (at_ms, staff_no)
    )
    end_access(connection, staff_no)


def end_sessions(connection: sqlite3.Connection, staff_no: str, *, but: str = "") -> None:
    """End sessions, and with them their streams, inside the caller's transaction; all but the token hash ``but``."""
    connection.execute("DELETE FROM sessions WHERE staff_no = ? AND token_hash <> ?", (staff_no, but))


def end_access(connection: sqlite3.Connection, staff_no: str) -> None:
    """End sessions and revoke the API tokens for ever, by which NCID clients come in too."""
    end_sessions(connection, staff_no)
    connection.execute(
        "UPDATE api_tokens SET revoked_ms = ? WHERE staff_no = ? AND revoked_ms IS NULL", (now_ms(), staff_no)
    )
