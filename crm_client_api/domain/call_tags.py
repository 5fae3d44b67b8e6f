"""Tags (标签) of calls: of one call or of many at once, found again by them. The scope is in every query."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import Call
from crm_client_api.domain.customers.record import LONGEST_TAG_CHARACTERS, clean_tag
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.scope import ChannelScope
from crm_client_api.domain.settings import Settings
from crm_client_api.domain.witnesses import who_sees_channels
from firmware.clock import now_ms
from firmware.store.connection import write

MOST_TAGS_A_CALL = 20
MOST_CALLS_AT_ONCE = 200
MOST_FOUND = 5000
"""So many calls, the newest, are found by a tag."""
EVENT = "call_tags_changed"
"""For whoever has a call's channel in scope; without a call: look at lists again."""
_MOST_IN_USE = 500
_MOST_TOLD = 20


def tags_of(crm: sqlite_utils.Database, call_ids: Sequence[str], scope: ChannelScope) -> dict[str, list[str]]:
    """The tags, in order, of each of these calls in scope that has any."""
    condition, given = scope.sql("channel")
    found: dict[str, list[str]] = defaultdict(list)
    for call_id, tag in crm.conn.execute(
        f"SELECT call_id, tag FROM call_tags WHERE call_id IN (SELECT value FROM json_each(?)) AND {condition}"
        " ORDER BY call_id, tag",
        (msgspec.json.encode(call_ids).decode(), *given),
    ):
        found[call_id].append(tag)
    return dict(found)


def tags_in_use(crm: sqlite_utils.Database, scope: ChannelScope) -> list[str]:
    """Tags of calls in scope, in order, at most 500."""
    condition, given = scope.sql("channel")
    found: list[str] = []
    last = ""
    while len(found) < _MOST_IN_USE:  # from one tag to the next, without looking at all calls that have it
        row = crm.conn.execute("SELECT min(tag) FROM call_tags WHERE tag > ?", (last,)).fetchone()
        if row[0] is None:
            break
        last = row[0]
        query = f"SELECT 1 FROM call_tags WHERE tag = ? AND {condition} LIMIT 1"
        if crm.conn.execute(query, (last, *given)).fetchone() is not None:
            found.append(last)
    return found


def tagged_calls(crm: sqlite_utils.Database, tags: Iterable[str], scope: ChannelScope) -> tuple[str, ...]:
    """The newest calls in scope that have all of these tags."""
    wanted = sorted({clean_tag(one) for one in tags} - {""})
    if not wanted:
        return ()
    condition, given = scope.sql("t.channel")
    others = " AND EXISTS (SELECT 1 FROM call_tags WHERE call_id = t.call_id AND tag = ?)" * (len(wanted) - 1)
    rows = crm.conn.execute(
        f"SELECT t.call_id FROM call_tags t WHERE t.tag = ? AND {condition}{others} ORDER BY t.call_id DESC LIMIT ?",
        (wanted[0], *given, *wanted[1:], MOST_FOUND),
    )
    return tuple(row[0] for row in rows)


def set_tags(
    crm: sqlite_utils.Database, call: Call, tags: Iterable[str], actor: Actor, settings: Settings
) -> list[str]:
    """Give a call these tags and no others; the tags. That the asker has it in scope is the caller's to check.

    Raises Invalid.
    """
    wanted = _checked(tags)
    to = who_sees_channels(crm, settings, {call.channel})
    with write(crm) as connection:
        old = _of_calls(connection, [call])[call.id]
        if _put(connection, call, old, wanted, actor):
            _tell(connection, to, [call])
    return sorted(wanted)


def change_tags(
    crm: sqlite_utils.Database,
    calls: Sequence[Call],
    add: Iterable[str],
    remove: Iterable[str],
    actor: Actor,
    settings: Settings,
) -> int:
    """Add tags to calls and take others away, of all of them or of none; of how many that changed any.

    That the asker has them in scope is the caller's to check. Raises Invalid.
    """
    added, removed = _checked(add), _checked(remove)
    if (not added and not removed) or added & removed:
        raise Invalid("tag_wrong", "say which tags to add or to remove, and none of both")
    to = who_sees_channels(crm, settings, {call.channel for call in calls})
    with write(crm) as connection:
        old = _of_calls(connection, calls)
        new = {key: _few((tags | added) - removed) for key, tags in old.items()}
        changed = [call for call in calls if _put(connection, call, old[call.id], new[call.id], actor)]
        if changed:
            _tell(connection, to, changed)
    return len(changed)


def _of_calls(connection: sqlite3.Connection, calls: Sequence[Call]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {call.id: set() for call in calls}
    ids = msgspec.json.encode(list(found)).decode()
    for call_id, tag in connection.execute(
        "SELECT call_id, tag FROM call_tags WHERE call_id IN (SELECT value FROM json_each(?))", (ids,)
    ):
        found[call_id].add(tag)
    return found


def _put(connection: sqlite3.Connection, call: Call, old: set[str], new: set[str], actor: Actor) -> bool:
    """Whether that changed anything."""
    if old == new:
        return False
    connection.executemany(
        "DELETE FROM call_tags WHERE call_id = ? AND tag = ?", [(call.id, tag) for tag in sorted(old - new)]
    )
    connection.executemany(
        "INSERT INTO call_tags (call_id, tag, channel, at_ms, by) VALUES (?,?,?,?,?)",
        [(call.id, tag, call.channel, now_ms(), actor.staff_no) for tag in sorted(new - old)],
    )
    data = {"before": {"tags": sorted(old)}, "after": {"tags": sorted(new)}}
    audit.append(connection, actor, "call.tags", call.id, data)
    return True


def _tell(connection: sqlite3.Connection, to: Mapping[int, Collection[str]], calls: Collection[Call]) -> None:
    """``to``: by channel who is told."""
    if len(calls) > _MOST_TOLD:
        everybody = {staff_no for channel in {call.channel for call in calls} for staff_no in to[channel]}
        office_events.tell(connection, EVENT, {}, to=everybody)
        return
    for call in calls:
        office_events.tell(connection, EVENT, {}, to=to[call.channel], call_id=call.id)


def _checked(tags: Iterable[str]) -> set[str]:
    """Raises Invalid."""
    found = {clean_tag(tag) for tag in tags}
    if not all(1 <= len(tag) <= LONGEST_TAG_CHARACTERS for tag in found):
        raise Invalid("tag_wrong", f"a tag has 1 to {LONGEST_TAG_CHARACTERS} characters")
    return _few(found)


def _few(tags: set[str]) -> set[str]:
    if len(tags) > MOST_TAGS_A_CALL:
        raise Invalid("too_many_tags", f"a call has at most {MOST_TAGS_A_CALL} tags")
    return tags
