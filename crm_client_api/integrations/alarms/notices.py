"""What is told of alarms outside the box: each raised, each cleared, each unusual behaviour, once.

Recorders and keeper write alarms into ``calls.db``, which the office only reads; unusual behaviour is an office event.
Both become notices here, in one transaction with the deliveries to the webhooks that want them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain.box_alarms import BoxAlarm, plain_details
from crm_client_api.domain.practice import without_lost_practice
from crm_client_api.domain.watching import EVENT as UNUSUAL
from crm_client_api.integrations.webhooks import registered
from crm_client_api.integrations.webhooks.registered import ALARM, active_webhooks
from crm_client_api.stores import Stores
from firmware.clock import now_ms
from firmware.store.connection import write
from firmware.store.event_log import epoch, last_id

RAISED, CLEARED, TEST = "alarm_raised", "alarm_cleared", "test"
KEPT_MS = 90 * 86_400_000
_BATCH = 100
_MARK_LAG = 500
"""How far the mark may fall behind events of the office that are none of ours."""
_COLUMNS = "id, at_ms, kind, alarm_id, code, subject, raised_ms, cleared_ms, details"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell. Times: Unix ms UTC. ``alarm_id``: the alarm in ``calls.db``, None without one.

    ``code`` of unusual behaviour: ``exports``, ``deletions`` or ``reads``, and ``subject`` whose it is.
    """

    id: int
    at_ms: int
    kind: str
    alarm_id: int | None
    code: str
    subject: str
    raised_ms: int
    cleared_ms: int | None
    details: str

    @property
    def alarm(self) -> BoxAlarm:
        """The alarm as the box shows it."""
        details = plain_details(self.details)
        return BoxAlarm(self.alarm_id or 0, self.code, self.subject, self.raised_ms, self.cleared_ms, details)


def note_alarms(stores: Stores) -> int:
    """Make notices of what happened since the last time, for webhooks and mail; how many. Raises StoreError."""
    crm, calls = stores.crm, stores.calls
    mark = crm.conn.execute("SELECT calls_epoch, alarm_id, office_epoch, office_id FROM alarm_marks").fetchone()
    calls_epoch, office_epoch, newest = epoch(calls), epoch(crm), last_id(crm)
    anew, first = mark["calls_epoch"] != calls_epoch, mark["calls_epoch"] == ""
    office_id = mark["office_id"] if mark["office_epoch"] == office_epoch else newest
    last_alarm = calls.conn.execute("SELECT coalesce(max(id), 0) FROM alarms").fetchone()[0]
    raised = _raised(stores, 0 if anew else mark["alarm_id"], last_alarm, only_standing=first)
    cleared = [] if anew else _cleared(crm, calls)
    unusual = crm.conn.execute(
        "SELECT id, at_ms, data FROM events WHERE id > ? AND id <= ? AND kind = ? ORDER BY id LIMIT ?",
        (office_id, newest, UNUSUAL, _BATCH),
    ).fetchall()
    far = mark["office_epoch"] != office_epoch or newest - mark["office_id"] > _MARK_LAG
    if not (anew or raised or cleared or unusual or far):
        return 0
    new: list[tuple[object, ...]] = []
    for row in raised:
        new.append((RAISED, *_of_alarm(row, None), int(row["cleared_ms"] is None)))
        if row["cleared_ms"] is not None:
            new.append((CLEARED, *_of_alarm(row, row["cleared_ms"]), 0))
    new += [(CLEARED, *_of_alarm(row, row["cleared_ms"]), 0) for row in cleared]
    new += [(UNUSUAL, *_of_unusual(row), 0) for row in unusual]
    told_alarm = raised[-1]["id"] if len(raised) == _BATCH else last_alarm
    told_office = unusual[-1]["id"] if len(unusual) == _BATCH else newest
    at_ms = now_ms()
    with write(crm) as connection:
        if anew:
            connection.execute("UPDATE alarm_notices SET standing = 0 WHERE standing = 1")
        over = [(row["id"],) for row in cleared]
        connection.executemany("UPDATE alarm_notices SET standing = 0 WHERE standing = 1 AND alarm_id = ?", over)
        _add(connection, crm, new, at_ms)
        connection.execute(
            "UPDATE alarm_marks SET calls_epoch = ?, alarm_id = ?, office_epoch = ?, office_id = ?",
            (calls_epoch, told_alarm, office_epoch, told_office),
        )
        connection.execute(
            "DELETE FROM alarm_notices WHERE id IN (SELECT id FROM alarm_notices WHERE at_ms < ? AND standing = 0"
            " AND mailed_ms IS NOT NULL LIMIT ?)",
            (at_ms - KEPT_MS, _BATCH),
        )
    return len(new)


def _raised(stores: Stores, after: int, upto: int, *, only_standing: bool) -> list[sqlite3.Row]:
    """Alarms behind one; at the very first look only those that stand: nobody wants to hear of old ones."""
    condition = f"{without_lost_practice(stores.home)}{' AND cleared_ms IS NULL' if only_standing else ''}"
    return stores.calls.conn.execute(
        "SELECT id, code, subject, raised_ms, cleared_ms, data FROM alarms"
        f" WHERE id > ? AND id <= ? AND {condition} ORDER BY id LIMIT ?",
        (after, upto, _BATCH),
    ).fetchall()


def _cleared(crm: sqlite_utils.Database, calls: sqlite_utils.Database) -> list[sqlite3.Row]:
    standing = [row[0] for row in crm.conn.execute("SELECT alarm_id FROM alarm_notices WHERE standing = 1 LIMIT 1000")]
    if not standing:
        return []
    return calls.conn.execute(
        "SELECT id, code, subject, raised_ms, cleared_ms, data FROM alarms WHERE cleared_ms IS NOT NULL"
        f" AND id IN ({','.join('?' * len(standing))}) ORDER BY cleared_ms, id",
        standing,
    ).fetchall()


def _of_alarm(row: sqlite3.Row, cleared_ms: int | None) -> tuple[object, ...]:
    details = msgspec.json.encode(plain_details(row["data"])).decode()
    return row["id"], row["code"], row["subject"], row["raised_ms"], cleared_ms, details


def _of_unusual(row: sqlite3.Row) -> tuple[object, ...]:
    data = plain_details(row["data"])
    kind, who = str(data.pop("kind", "")), str(data.pop("staff_no", ""))
    return None, kind, who, row["at_ms"], None, msgspec.json.encode(data).decode()


def _add(
    connection: sqlite3.Connection, crm: sqlite_utils.Database, new: Sequence[tuple[object, ...]], at_ms: int
) -> None:
    queued = []
    for one in new:
        row_id = connection.execute(
            "INSERT INTO alarm_notices (at_ms, kind, alarm_id, code, subject, raised_ms, cleared_ms, details, standing)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            (at_ms, *one),
        ).lastrowid
        queued.append((f"{ALARM}-{row_id}", str(one[0])))
    for webhook in active_webhooks(crm):
        registered.queue(connection, webhook.id, [one for one in queued if one[1] in webhook.events])


def notice_at(crm: sqlite_utils.Database, position: str) -> Notice | None:
    """The notice of a delivery, None for one that was forgotten."""
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM alarm_notices WHERE id = ?", (int(position.rpartition("-")[2]),)
    ).fetchone()
    return None if row is None else Notice(*row)


def notices_to_mail(crm: sqlite_utils.Database, limit: int) -> list[Notice]:
    """What waits for a mail, oldest first."""
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM alarm_notices WHERE mailed_ms IS NULL ORDER BY id LIMIT ?", (limit,)
    )
    return [Notice(*row) for row in rows]
