"""Reading the audit log: by actor, action, subject and time, newest first.

A super operator reads all of it. Others who hold ``audit_read`` read what those did whose work they oversee: a leader
the own group, an ordinary operator oneself. The log names records of every scope, so for them entries about records
keep back which one it was and the data, unless it says nothing that scope could hide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import Sql, Viewer
from firmware.errors import BadInput

OPEN_THINGS = (
    "session", "operator", "token", "second_factor", "group", "channel", "parameter", "audit", "live", "agent_state",
    "custom_field", "webhook", "ncid", "statistics", "system", "card",
)  # fmt: skip
"""What an action can be about without naming a record that is subject to scope."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries. ``action``: ``customer`` for all that is about customers, ``customer.change`` for one action.

    Times are Unix ms UTC, ``to_ms`` excluded; ``before``: the ``next`` of the page before. ``backwards``: the oldest
    first.
    """

    actor: str = ""
    action: str = ""
    subject: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    before: str = ""
    limit: int = 50
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the audit log. ``withheld``: subject and data are not for this reader."""

    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    address: str
    data: Mapping[str, Any]
    withheld: bool
    hash: str | None

    @property
    def position(self) -> str:
        """Where the next page goes on."""
        return f"{self.at_ms}-{self.id}"


def list_entries(crm: sqlite_utils.Database, wanted: AuditFilter, viewer: Viewer) -> list[Entry]:
    """Entries for this reader, newest first unless backwards. Raises BadInput for a position that is none."""
    before = _position(wanted.before) if wanted.before else None
    actors = _actors(crm, viewer)
    if wanted.actor:
        actors = [wanted.actor] if actors is None or wanted.actor in actors else []
    if actors is None:
        keys = _keys(crm, wanted, viewer, before, None)
    else:  # one look for each actor: an index leads to the newest of each, none to the newest of a group
        keys = [key for one in actors for key in _keys(crm, wanted, viewer, before, one)]
        keys.sort(reverse=not wanted.backwards)
    return _entries(crm, keys[: wanted.limit], viewer, _order(wanted))


def _order(wanted: AuditFilter) -> str:
    return "ASC" if wanted.backwards else "DESC"


def _keys(
    crm: sqlite_utils.Database, wanted: AuditFilter, viewer: Viewer, before: tuple[int, int] | None, actor: str | None
) -> list[tuple[int, int]]:
    """Time and id of the newest entries of one actor, or of all."""
    conditions: list[Sql] = []
    if actor is not None:
        conditions.append(("actor = ?", (actor,)))
    if wanted.action:
        conditions.append(("action = ?" if "." in wanted.action else "thing = ?", (wanted.action,)))
    if wanted.subject:
        plain, values = _open(viewer)
        conditions.append((f"(subject = ? AND {plain})", (wanted.subject, *values)))
    if wanted.from_ms is not None:
        conditions.append(("at_ms >= ?", (wanted.from_ms,)))
    if wanted.to_ms is not None:
        conditions.append(("at_ms < ?", (wanted.to_ms,)))
    if before is not None:
        conditions.append((f"(at_ms, id) {'>' if wanted.backwards else '<'} (?, ?)", before))
    order = _order(wanted)
    rows = crm.conn.execute(
        f"SELECT at_ms, id FROM audit WHERE {' AND '.join(text for text, _ in conditions) or '1'}"
        f" ORDER BY at_ms {order}, id {order} LIMIT ?",
        [*(value for _, values in conditions for value in values), wanted.limit],
    )
    return [(row[0], row[1]) for row in rows]


def _entries(crm: sqlite_utils.Database, keys: Sequence[tuple[int, int]], viewer: Viewer, order: str) -> list[Entry]:
    plain, plain_values = _open(viewer)
    rows = crm.conn.execute(
        f"SELECT id, at_ms, actor, action, subject, address, data, hash, {plain} AS plain FROM audit"
        f" WHERE id IN ({','.join('?' * len(keys))}) ORDER BY at_ms {order}, id {order}",
        [*plain_values, *(entry_id for _, entry_id in keys)],
    )
    return [
        Entry(
            id=row["id"],
            at_ms=row["at_ms"],
            actor=row["actor"],
            action=row["action"],
            subject=row["subject"] if row["plain"] else "",
            address=row["address"],
            data=_data(row["data"]) if row["plain"] else {},
            withheld=not row["plain"],
            hash=row["hash"],
        )
        for row in rows
    ]


def oversees(crm: sqlite_utils.Database, viewer: Viewer, staff_no: str) -> bool:
    """Whether a reader sees the entries of somebody."""
    seen = _actors(crm, viewer)
    return seen is None or staff_no in seen


def _actors(crm: sqlite_utils.Database, viewer: Viewer) -> list[str] | None:
    """Whose entries a reader sees; None: everybody's."""
    if viewer.level is Level.SUPER:
        return None
    if viewer.level is Level.LEADER and viewer.group is not None:
        rows = crm.conn.execute("SELECT staff_no FROM staff WHERE group_number = ?", (viewer.group,))
        return [row[0] for row in rows]
    return [viewer.staff_no]


def _open(viewer: Viewer) -> Sql:
    """Whether a reader sees subject and data of an entry."""
    if viewer.level is Level.SUPER:
        return "1", ()
    return f"thing IN ({','.join('?' * len(OPEN_THINGS))})", OPEN_THINGS


def _position(text: str) -> tuple[int, int]:
    at_ms, dash, number = text.partition("-")
    if not dash or not all(one.isascii() and one.isdigit() and len(one) <= 18 for one in (at_ms, number)):
        raise BadInput(f"not a position in the audit log: {text[:40]!r}")
    return int(at_ms), int(number)


def _data(text: str) -> dict[str, Any]:
    """Data is an object since entries are made by ``audit.append``; whatever else stands there is shown as it is."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        found = text
    return found if isinstance(found, dict) else {"data": found}
