"""Which USB sticks the office remembers, and the audit of sticks that came and went."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.invalid import Invalid
from firmware.clock import iso_utc, now_ms
from firmware.errors import NotFound
from firmware.store.connection import write
from firmware.store.event_log import epoch, last_id, select

LONGEST_NAME = 60
_KEY = "media_followed"
_WRITE_POSITION_EVERY = 5_000
_ACTIONS = {"medium_present": "medium.plug", "medium_gone": "medium.pull"}
_TOLD = ("label", "name", "model", "file_system", "partition", "size_bytes", "simulated")


@dataclass(frozen=True, slots=True)
class Known:
    """A remembered stick; ``remembered_ms``: Unix ms UTC."""

    id: str
    name: str
    remembered_ms: int
    remembered_by: str


def list_known(crm: sqlite_utils.Database) -> list[Known]:
    """All of them, by name."""
    rows = crm.conn.execute("SELECT id, name, remembered_ms, remembered_by FROM known_media ORDER BY name, id")
    return [Known(**dict(row)) for row in rows]


def remember(crm: sqlite_utils.Database, medium_id: str, name: str, actor: Actor) -> Known:
    """Remember a stick, or give it another name. Raises Invalid."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid("medium_name", f"a known stick needs a name of at most {LONGEST_NAME} characters")
    known = Known(medium_id, name, now_ms(), actor.staff_no)
    with write(crm) as connection:
        before = _name(connection, medium_id)
        connection.execute(
            "INSERT INTO known_media VALUES (?,?,?,?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
            " remembered_ms = excluded.remembered_ms, remembered_by = excluded.remembered_by",
            (known.id, known.name, known.remembered_ms, known.remembered_by),
        )
        audit.append(connection, actor, "medium.remember", medium_id, _change(before, name))
    return known


def forget(crm: sqlite_utils.Database, medium_id: str, actor: Actor) -> None:
    """Nothing goes onto it by itself any more, either. Raises NotFound for one that is not remembered."""
    with write(crm) as connection:
        before = _name(connection, medium_id)
        if before is None:
            raise NotFound("this stick is not a known one")
        connection.execute("DELETE FROM known_media WHERE id = ?", (medium_id,))
        give_up_auto_job(connection, medium_id, actor)
        ended = connection.execute("DELETE FROM auto_exports WHERE medium = ?", (medium_id,)).rowcount
        audit.append(
            connection, actor, "medium.forget", medium_id, {**_change(before, None), "auto_export_ended": bool(ended)}
        )


def give_up_auto_job(connection: sqlite3.Connection, medium_id: str, actor: Actor) -> None:
    """Give up what a stick's rule began and has not ended, inside the caller's write transaction: the rule goes, or is
    another one now."""
    rows = connection.execute(
        "UPDATE jobs SET cancel_asked = 1, changed_ms = ? WHERE state IN ('waiting', 'running') AND NOT cancel_asked"
        " AND kind = 'take_home' AND wanted ->> '$.auto' AND wanted ->> '$.medium' = ? RETURNING id, staff_no",
        (now_ms(), medium_id),
    ).fetchall()
    connection.execute("UPDATE auto_exports SET job_id = NULL WHERE medium = ?", (medium_id,))
    for row in rows:
        audit.append(connection, actor, "job.cancel", str(row["id"]), {"asked_by": row["staff_no"]})


def is_auto_job(crm: sqlite_utils.Database, medium_id: str, job_id: int) -> bool:
    """Whether the stick's rule names this job."""
    row = crm.conn.execute("SELECT job_id FROM auto_exports WHERE medium = ?", (medium_id,)).fetchone()
    return row is not None and row["job_id"] == job_id


def note_eject(crm: sqlite_utils.Database, medium_id: str, actor: Actor) -> None:
    """Somebody made a stick safe to remove."""
    with write(crm) as connection:
        audit.append(connection, actor, "medium.eject", medium_id)


def _name(connection: sqlite3.Connection, medium_id: str) -> str | None:
    row = connection.execute("SELECT name FROM known_media WHERE id = ?", (medium_id,)).fetchone()
    return None if row is None else str(row[0])


def _change(before: str | None, after: str | None) -> dict[str, object]:
    return {"before": {"name": before}, "after": {"name": after}}


class _Position(msgspec.Struct, frozen=True):
    """Up to where the recorder's event log was followed."""

    epoch: str
    event_id: int


class MediaFollower:
    """Writes into the audit log which sticks came and went, each of it once. Thread: one."""

    def __init__(self) -> None:
        self._at: _Position | None = None  # may be ahead of the store's by events that were no sticks

    def follow(self, calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> None:
        """Work off what is new. Raises StoreError."""
        now, stored = epoch(calls), _stored(crm)
        upto = last_id(calls)
        at = self._at or stored
        if at is None or at.epoch != now:
            at = _Position(now, 0)
        if upto <= at.event_id:
            return
        events = select(
            calls, "id > ? AND id <= ? AND kind IN ('medium_present', 'medium_gone') ORDER BY id", at.event_id, upto
        )
        self._at = _Position(now, upto)
        behind = stored is None or stored.epoch != now or upto - stored.event_id >= _WRITE_POSITION_EVERY
        if events or behind:
            with write(crm) as connection:
                for event in events:
                    told = {"at": iso_utc(event.at_ms), **_chosen(event.data)}
                    subject = str(event.data.get("id", ""))
                    audit.append(connection, Actor(BOX), _ACTIONS[event.kind], subject, told)
                connection.execute(
                    "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (_KEY, msgspec.json.encode(self._at).decode()),
                )


def _chosen(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in _TOLD if name in data}


def _stored(crm: sqlite_utils.Database) -> _Position | None:
    row = crm.conn.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=_Position)
