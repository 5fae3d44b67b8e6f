"""Follows the recorder's event log: missed calls begin to wait, talks with the number settle them.

The position in the log is written in the transaction that writes what follows from it, so every call counts once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec
import sqlite_utils

from crm_client_api.domain import office_events
from crm_client_api.domain.call_backs import EVENT
from crm_client_api.domain.calls import Call, calls_by_id, ended_since
from crm_client_api.domain.number_sites import note_keys
from crm_client_api.domain.settings import Settings
from crm_client_api.domain.witnesses import who_sees_channel
from firmware.store.connection import write
from firmware.store.event_log import epoch, last_id, read_after
from recorder.numbers import match_key

BY_ITSELF = ""
"""Who changed a call-back that a call settled."""
LOOKED_BACK_MS = 7 * 86_400_000
"""How old the missed calls are at most that a box begins with."""
_KEY = "call_backs"
_BATCH = 300
_WRITE_POSITION_EVERY = 5_000
_BEGIN_AT_ONCE = 200
_FORGOTTEN_AT_ONCE = 500


class _Position(msgspec.Struct, frozen=True):
    """Up to where the log was followed: its epoch, the event, and its time (Unix ms UTC)."""

    epoch: str
    event_id: int
    at_ms: int


class Follower:
    """Thread: one."""

    def __init__(self) -> None:
        self._at: _Position | None = None  # may be ahead of the store's by events that changed nothing

    def follow(
        self,
        calls: sqlite_utils.Database,
        crm: sqlite_utils.Database,
        settings: Settings,
        at_ms: int,
        practice: frozenset[int] = frozenset(),
    ) -> bool:
        """Work off the next events; whether something was told to somebody. Raises StoreError.

        ``practice``: channels whose calls neither wait to be called back nor settle any.
        """
        stored = _stored(crm)
        if stored is None:
            return self._begin(calls, crm, settings, at_ms, practice)
        now = epoch(calls)
        if stored.epoch != now:  # the log was rebuilt: what it tells of before is known
            stored = _Position(now, 0, stored.at_ms)
            skip_ms = stored.at_ms
        else:
            skip_ms = 0
        at = self._at if self._at is not None and self._at.epoch == now else stored
        told = False
        while events := read_after(calls, at.event_id, _BATCH):
            at = _Position(now, events[-1].id, max(at.at_ms, events[-1].at_ms))
            ended = [one.call_id for one in events if one.kind == "call_ended" and one.at_ms > skip_ms and one.call_id]
            if ended:
                found = calls_by_id(calls, ended)
                counting = [found[one] for one in ended if one in found and found[one].channel not in practice]
                told |= _apply(crm, counting, settings, at)
                stored = at
            elif at.event_id - stored.event_id >= _WRITE_POSITION_EVERY:
                with write(crm) as connection:
                    _store(connection, at)
                stored = at
            self._at = at
        return told

    def _begin(
        self,
        calls: sqlite_utils.Database,
        crm: sqlite_utils.Database,
        settings: Settings,
        at_ms: int,
        practice: frozenset[int],
    ) -> bool:
        calls.conn.execute("BEGIN")  # one snapshot: a call is among these or behind the position
        try:
            position = _Position(epoch(calls), last_id(calls), at_ms)
            recent = [one for one in ended_since(calls, at_ms - LOOKED_BACK_MS) if one.channel not in practice]
        finally:
            calls.conn.execute("ROLLBACK")
        gone = _FORGOTTEN_AT_ONCE
        while gone == _FORGOTTEN_AT_ONCE:  # of a beginning that was cut off
            with write(crm) as connection:
                gone = connection.execute(
                    "DELETE FROM call_backs WHERE rowid IN (SELECT rowid FROM call_backs LIMIT ?)",
                    (_FORGOTTEN_AT_ONCE,),
                ).rowcount
        for first in range(0, len(recent), _BEGIN_AT_ONCE):
            with write(crm) as connection:
                for call in recent[first : first + _BEGIN_AT_ONCE]:
                    _follow_call(connection, call, settings, at_ms)
        with write(crm) as connection:
            _store(connection, position)
        self._at = position
        return bool(recent)


def _apply(crm: sqlite_utils.Database, ended: list[Call], settings: Settings, at: _Position) -> bool:
    with write(crm) as connection:
        changed: list[tuple[str, int]] = []
        for call in ended:
            changed += _follow_call(connection, call, settings, at.at_ms)
        viewers: dict[int, list[str]] = {}
        for call_id, channel in dict(changed).items():
            if channel not in viewers:
                viewers[channel] = who_sees_channel(crm, settings, channel)
            office_events.tell(connection, EVENT, {"call_id": call_id}, to=viewers[channel])
        _store(connection, at)
    return bool(changed)


def _follow_call(
    connection: sqlite3.Connection, call: Call, settings: Settings, at_ms: int
) -> Iterable[tuple[str, int]]:
    """Write what follows from a call that has ended; the call-backs that it changed, with their channels."""
    key = call.key(settings.site)
    if not key:
        return []
    if call.direction == "incoming" and call.result == "missed":
        note_keys(connection, settings.site)
        today = match_key(call.number or "", settings.site)  # it is called back from here
        done = connection.execute(
            "INSERT INTO call_backs (call_id, channel, match_key, missed_ms, state, changed_ms, changed_by)"
            " VALUES (?,?,?,?,'open',?,?) ON CONFLICT DO NOTHING",
            (call.id, call.channel, today, call.started_ms, at_ms, BY_ITSELF),
        )
        return [(call.id, call.channel)] if done.rowcount else []
    if call.direction == "incoming" and call.result != "answered":
        return []
    waiting = connection.execute(
        "SELECT call_id, channel FROM call_backs WHERE match_key = ? AND missed_ms < ? AND state IN ('open', 'taken')",
        (key, call.started_ms),
    ).fetchall()
    ids = [(row[0],) for row in waiting]
    if call.direction == "outgoing":
        connection.executemany(
            "UPDATE call_backs SET tries = tries + 1, first_try_ms = coalesce(first_try_ms, ?), changed_ms = ?"
            " WHERE call_id = ?",
            [(call.started_ms, at_ms, *one) for one in ids],
        )
    if call.result == "answered":
        connection.executemany(
            "UPDATE call_backs SET state = 'done', closed_ms = ?, closed_by_call = ?, changed_ms = ?, changed_by = ?"
            " WHERE call_id = ?",
            [(call.answered_ms or call.started_ms, call.id, at_ms, BY_ITSELF, *one) for one in ids],
        )
    return [(row[0], row[1]) for row in waiting]


def _stored(crm: sqlite_utils.Database) -> _Position | None:
    row = crm.conn.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=_Position)


def _store(connection: sqlite3.Connection, at: _Position) -> None:
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_KEY, msgspec.json.encode(at).decode()),
    )
