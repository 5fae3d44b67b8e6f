"""Saved views (保存的视图): filters, columns and order of a list under a name, for oneself or for all."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import Viewer
from crm_client_api.domain.shared_rows import changeable
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write

ListName = Literal["customers", "communications", "calls", "recordings", "tasks"]
LISTS: tuple[str, ...] = get_args(ListName)
NEEDED: Mapping[str, frozenset[Permission]] = {
    "customers": frozenset({Permission.CUSTOMER_MANAGE}),
    "communications": frozenset({Permission.COMMUNICATION_MANAGE}),
    "recordings": frozenset({Permission.RECORDING_QUERY}),
}
"""What somebody needs to work with a list at all; nothing for the others."""
MOST_VIEWS = 100
_LONGEST_NAME_CHARACTERS = 60
_LONGEST_BODY_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class View:
    """A saved view. ``body`` is the user interface's; ``changed_ms`` Unix ms UTC."""

    id: int
    list: str
    name: str
    body: Mapping[str, Any]
    shared: bool
    owner: str
    changed_ms: int


def list_views(crm: sqlite_utils.Database, staff_no: str, which: str = "") -> list[View]:
    """One's own views and those that others share, by name; ``which``: of one list only."""
    rows = crm.conn.execute(
        "SELECT id, list, name, body, shared, staff_no, changed_ms FROM saved_views"
        " WHERE (staff_no = ? OR shared) AND list = coalesce(nullif(?, ''), list) ORDER BY list, name, id",
        (staff_no, which),
    )
    return [_view(tuple(row)) for row in rows]


def _view(row: tuple[Any, ...]) -> View:
    key, which, name, body, shared, owner, changed_ms = row
    return View(key, which, name, msgspec.json.decode(body, type=dict[str, Any]), bool(shared), owner, changed_ms)


def get_changeable_view(connection: sqlite3.Connection, key: int, viewer: Viewer) -> View:
    """Raises NotFound, also for somebody else's."""
    condition, given = changeable(viewer)
    row = connection.execute(
        f"SELECT id, list, name, body, shared, staff_no, changed_ms FROM saved_views WHERE id = ? AND {condition}",
        (key, *given),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such view of yours")
    return _view(tuple(row))


def _checked(which: str, name: str, body: Mapping[str, Any]) -> str:
    """The body as it is stored. Raises Invalid."""
    encoded = msgspec.json.encode(body)
    if which not in LISTS:
        raise Invalid("view_wrong", f"views are of {', '.join(LISTS)}")
    if not 1 <= len(name.strip()) <= _LONGEST_NAME_CHARACTERS or len(encoded) > _LONGEST_BODY_BYTES:
        raise Invalid("view_wrong", f"a view has a name of at most {_LONGEST_NAME_CHARACTERS} characters")
    return encoded.decode()


def add_view(
    crm: sqlite_utils.Database, which: str, name: str, body: Mapping[str, Any], shared: bool, actor: Actor
) -> View:
    """Save a view. Raises Invalid."""
    text = _checked(which, name, body)
    with write(crm) as connection:
        own = connection.execute("SELECT count(*) FROM saved_views WHERE staff_no = ?", (actor.staff_no,)).fetchone()[0]
        if own >= MOST_VIEWS:
            raise Invalid("view_wrong", f"everybody has at most {MOST_VIEWS} views")
        at_ms = now_ms()
        key = connection.execute(
            "INSERT INTO saved_views (staff_no, list, name, body, shared, changed_ms) VALUES (?,?,?,?,?,?)",
            (actor.staff_no, which, name.strip(), text, shared, at_ms),
        ).lastrowid
        added = View(int(key or 0), which, name.strip(), body, shared, actor.staff_no, at_ms)
        audit.append(connection, actor, "saved_view.add", str(key), {"before": {}, "after": _picture(added)})
    return added


def change_view(
    crm: sqlite_utils.Database,
    key: int,
    name: str | None,
    body: Mapping[str, Any] | None,
    shared: bool | None,
    actor: Actor,
    viewer: Viewer,
) -> View:
    """Change one's own view, or as a super operator one of who left, which is one's own from then on; None: as it is.

    Raises NotFound, Invalid.
    """
    with write(crm) as connection:
        old = get_changeable_view(connection, key, viewer)
        new = View(
            key,
            old.list,
            old.name if name is None else name.strip(),
            old.body if body is None else body,
            old.shared if shared is None else shared,
            viewer.staff_no,
            now_ms(),
        )
        connection.execute(
            "UPDATE saved_views SET name = ?, body = ?, shared = ?, staff_no = ?, changed_ms = ? WHERE id = ?",
            (new.name, _checked(old.list, new.name, new.body), new.shared, new.owner, new.changed_ms, key),
        )
        data = {"before": _picture(old), "after": _picture(new)}
        audit.append(connection, actor, "saved_view.change", str(key), data)
    return new


def remove_view(crm: sqlite_utils.Database, key: int, actor: Actor, viewer: Viewer) -> None:
    """Remove one's own view, or as a super operator one of who left. Raises NotFound."""
    with write(crm) as connection:
        old = get_changeable_view(connection, key, viewer)
        connection.execute("DELETE FROM saved_views WHERE id = ?", (key,))
        audit.append(connection, actor, "saved_view.remove", str(key), {"before": _picture(old), "after": {}})


def _picture(view: View) -> dict[str, object]:
    """Without the filter: it may hold a name or a number, which the log could not forget."""
    return {"list": view.list, "name": view.name, "shared": view.shared, "owner": view.owner}
