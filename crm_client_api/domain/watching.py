"""Noticing unusual behaviour: one operator who exports, deletes or reads much more than usual within a span.

The audit log is what everybody writes into, whichever process; who follows it sees all of it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import BOX, CONSOLE, Actor
from crm_client_api.domain.audit_view import oversees
from crm_client_api.domain.operators import list_operators
from crm_client_api.domain.permissions import Permission
from firmware.parameters import get_value
from firmware.store.connection import write

Kind = Literal["exports", "deletions", "reads"]
EVENT = "watch_unusual"
"""The office event that tells of it."""

ROWS_OF_AN_EXPORT = 1000
"""So many rows count as one export more."""

_ACTION = "watch.unusual"
_BATCH = 500
_VERBS: Mapping[str, Kind] = {
    "export": "exports", "download": "exports",
    "delete": "deletions", "clear": "deletions", "purge": "deletions", "discard": "deletions", "erase": "deletions",
    "read": "reads", "listen": "reads",
}  # fmt: skip
_NO_RECORDS = frozenset({"audit", "token", "group", "webhook", "job"})


@dataclass(frozen=True, slots=True)
class WatchRules:
    """The span in ms, and how much of each kind is usual within it; 0: anything."""

    window_ms: int
    limits: Mapping[Kind, int]


@dataclass(frozen=True, slots=True)
class Unusual:
    """Somebody did more than usual."""

    staff_no: str
    kind: Kind
    count: int
    limit: int


def read_rules(crm: sqlite_utils.Database) -> WatchRules:
    """The rules as the parameters have them."""

    def number(key: str) -> int:
        value = get_value(crm, "system", key)
        return value if isinstance(value, int) else 0

    limits: dict[Kind, int] = {
        "exports": number("watch_exports"),
        "deletions": number("watch_deletions"),
        "reads": number("watch_reads"),
    }
    return WatchRules(number("watch_window_min") * 60_000, limits)


def kind_of(action: str) -> Kind | None:
    """What an action counts as; None when it is not watched."""
    thing, _, verb = action.partition(".")
    return None if thing in _NO_RECORDS else _VERBS.get(verb)


def weight_of(kind: Kind, data: Mapping[str, Any]) -> int:
    """How much an entry counts: an export is one for each thousand rows that it began, of the others each record is."""
    if kind == "exports":
        return max(1, -(-_number(data.get("rows"), 0) // ROWS_OF_AN_EXPORT))
    return max(_number(data.get("count"), 1), 0)


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


@dataclass(slots=True)
class Tally:
    """What every operator did lately. Pure: entries in, what is unusual out."""

    _done: defaultdict[tuple[str, Kind], deque[tuple[int, int]]] = field(default_factory=lambda: defaultdict(deque))
    _sums: defaultdict[tuple[str, Kind], int] = field(default_factory=lambda: defaultdict(int))
    _quiet_until_ms: dict[tuple[str, Kind], int] = field(default_factory=dict)

    def note(
        self, staff_no: str, action: str, at_ms: int, data: Mapping[str, Any], rules: WatchRules
    ) -> Unusual | None:
        """Count an entry; what is unusual is told once a span."""
        kind = kind_of(action)
        if kind is None or staff_no in ("", CONSOLE, BOX):
            return None
        key, weight = (staff_no, kind), weight_of(kind, data)
        done = self._done[key]
        done.append((at_ms, weight))
        self._sums[key] += weight
        while done[0][0] < at_ms - rules.window_ms:
            self._sums[key] -= done.popleft()[1]
        limit = rules.limits[kind]
        if not limit or self._sums[key] <= limit or self._quiet_until_ms.get(key, at_ms) > at_ms:
            return None
        self.was_told(staff_no, kind, at_ms, rules)
        return Unusual(staff_no, kind, self._sums[key], limit)

    def was_told(self, staff_no: str, kind: Kind, at_ms: int, rules: WatchRules) -> None:
        """Somebody was told of it: say it again after a span at the earliest."""
        self._quiet_until_ms[staff_no, kind] = at_ms + rules.window_ms


class Watcher:
    """Follows the audit log. Thread: one at a time."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._read_id: int | None = None

    def look(self, crm: sqlite_utils.Database, at_ms: int) -> list[Unusual]:
        """Read what is new in the audit log; what is unusual is audited, and told to those who may read that person's
        entries there.

        Begins with the last span, so that nothing is lost or told twice when the box starts anew. Raises StoreError.
        """
        rules = read_rules(crm)
        if self._read_id is None:
            row = crm.conn.execute("SELECT min(id) FROM audit WHERE at_ms >= ?", (at_ms - rules.window_ms,)).fetchone()
            self._read_id = (row[0] or _last_id(crm) + 1) - 1
        found: list[Unusual] = []
        while True:
            rows = crm.conn.execute(
                "SELECT id, at_ms, actor, action, subject, data FROM audit WHERE id > ? ORDER BY id LIMIT ?",
                (self._read_id, _BATCH),
            ).fetchall()
            for row in rows:
                self._read_id = row["id"]
                data = _object(row["data"])
                if row["action"] == _ACTION:
                    self._tally.was_told(row["subject"], data.get("kind", "reads"), row["at_ms"], rules)
                    found = [one for one in found if (one.staff_no, one.kind) != (row["subject"], data.get("kind"))]
                elif unusual := self._tally.note(row["actor"], row["action"], row["at_ms"], data, rules):
                    found.append(unusual)
            if len(rows) < _BATCH:
                break
        for one in found:
            _tell(crm, one, rules)
        return found


def _tell(crm: sqlite_utils.Database, unusual: Unusual, rules: WatchRules) -> None:
    what = {"count": unusual.count, "limit": unusual.limit}
    with write(crm) as connection:
        about = {**what, "window_min": rules.window_ms // 60_000}
        tell_unusual(connection, crm, unusual.staff_no, unusual.kind, about)


def tell_unusual(
    connection: sqlite3.Connection,
    crm: sqlite_utils.Database,
    staff_no: str,
    kind: Kind | Literal["auto_exports"],
    about: Mapping[str, object],
) -> None:
    """Audit it, and tell those who may read that person's entries, inside the caller's write transaction.

    ``auto_exports``: what somebody set up does nothing any more, as that person may not do it now.
    """
    readers = [
        one.staff_no
        for one in list_operators(crm)
        if one.may_log_in and Permission.AUDIT_READ in one.permissions and oversees(crm, one.viewer, staff_no)
    ]
    told = {"staff_no": staff_no, "kind": kind, "count": about["count"], "limit": about["limit"]}
    audit.append(connection, Actor(BOX), _ACTION, staff_no, {"kind": kind, **about})
    office_events.tell(connection, EVENT, told, to=readers)


def _last_id(crm: sqlite_utils.Database) -> int:
    return int(crm.conn.execute("SELECT coalesce(max(id), 0) FROM audit").fetchone()[0])


def _object(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}
