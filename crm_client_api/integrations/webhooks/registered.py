"""Webhooks as they stand in the store, and what is on its way to each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import Sql
from crm_client_api.integrations.webhooks.signing import new_secret
from crm_client_api.integrations.webhooks.targets import parse_target, refuse_plain_own_address
from crm_client_api.push.audience import CALL_EVENTS, CARD_EVENTS, LINE_EVENTS, RECORDING_EVENTS
from firmware.clock import now_ms, uuid7
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from firmware.store.event_log import epoch, format_position, last_id

ALARM_KINDS = frozenset({"alarm_raised", "alarm_cleared", "watch_unusual"})
KINDS = frozenset(CALL_EVENTS | CARD_EVENTS | LINE_EVENTS | RECORDING_EVENTS | ALARM_KINDS)
TEST = "test"
ALARM = "alarm"
"""Before the number of a notice in the position of a delivery."""
MOST_WEBHOOKS = 50
MOST_REPLAYED = 10_000
_BATCH = 500
_COLUMNS = "id, url, secret, events, staff_no, active, position, created_ms"
_DELIVERY_COLUMNS = (
    "id, webhook_id, position, kind, state, tries, next_try_ms, last_status, last_error, created_ms, delivered_ms"
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver. ``staff_no``: who registered it, and whose scope its events have. ``position``: queued up to here."""

    id: int
    url: str
    secret: str
    events: tuple[str, ...]
    staff_no: str
    active: bool
    position: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way. ``state``: waiting, delivered, failed (given up)."""

    id: int
    webhook_id: int
    position: str
    kind: str
    state: str
    tries: int
    next_try_ms: int
    last_status: int | None
    last_error: str | None
    created_ms: int
    delivered_ms: int | None


def _webhook(row: sqlite3.Row) -> Webhook:
    values = dict(row)
    return Webhook(
        **(values | {"events": tuple(msgspec.json.decode(values["events"])), "active": bool(values["active"])})
    )


def _own(viewer: Operator) -> Sql:
    """Super operators see every webhook, others their own: events of more channels than one's own go to others'."""
    return ("1", ()) if viewer.level is Level.SUPER else ("staff_no = ?", (viewer.staff_no,))


def list_webhooks(crm: sqlite_utils.Database, viewer: Operator) -> list[Webhook]:
    """Those that the viewer may see, oldest first."""
    condition, given = _own(viewer)
    rows = crm.conn.execute(f"SELECT {_COLUMNS} FROM webhooks WHERE {condition} ORDER BY id", given)
    return [_webhook(row) for row in rows]


def active_webhooks(crm: sqlite_utils.Database) -> list[Webhook]:
    """All that events go to."""
    return [_webhook(row) for row in crm.conn.execute(f"SELECT {_COLUMNS} FROM webhooks WHERE active = 1 ORDER BY id")]


def get_webhook(crm: sqlite_utils.Database, webhook_id: int, viewer: Operator) -> Webhook:
    """Raises NotFound, also for those of others."""
    condition, given = _own(viewer)
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM webhooks WHERE id = ? AND {condition}", (webhook_id, *given)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such webhook")
    return _webhook(row)


def _check_events(events: Iterable[str]) -> str:
    wanted = sorted(set(events))
    unknown = [one for one in wanted if one not in KINDS]
    if unknown or not wanted:
        raise Invalid("webhook_events", f"one or more of {', '.join(sorted(KINDS))}")
    return msgspec.json.encode(wanted).decode()


def add_webhook(
    crm: sqlite_utils.Database,
    calls: sqlite_utils.Database,
    url: str,
    events: Sequence[str],
    actor: Actor,
    own_network: bool,
) -> Webhook:
    """Register a receiver of all events from now on, with a new secret. Raises Invalid, Refused."""
    refuse_plain_own_address(parse_target(url), own_network)
    wanted = _check_events(events)
    position = format_position(epoch(calls), last_id(calls))
    with write(crm) as connection:
        if connection.execute("SELECT count(*) FROM webhooks").fetchone()[0] >= MOST_WEBHOOKS:
            raise Refused(f"at most {MOST_WEBHOOKS} webhooks")
        row_id = connection.execute(
            "INSERT INTO webhooks (url, secret, events, staff_no, position, created_ms) VALUES (?,?,?,?,?,?)",
            (url, new_secret(), wanted, actor.staff_no, position, now_ms()),
        ).lastrowid
        audit.append(connection, actor, "webhook.add", str(row_id), {"after": {"url": url, "events": wanted}})
    return _webhook(crm.conn.execute(f"SELECT {_COLUMNS} FROM webhooks WHERE id = ?", (row_id,)).fetchone())


def change_webhook(
    crm: sqlite_utils.Database,
    calls: sqlite_utils.Database,
    old: Webhook,
    actor: Actor,
    own_network: bool,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    active: bool | None = None,
) -> None:
    """Change what is given. One that is switched on again gets what happens from then on. Raises Invalid."""
    if url is not None:
        refuse_plain_own_address(parse_target(url), own_network)
    after = {
        "url": old.url if url is None else url,
        "events": msgspec.json.encode(old.events).decode() if events is None else _check_events(events),
        "active": old.active if active is None else active,
    }
    before = {"url": old.url, "events": msgspec.json.encode(old.events).decode(), "active": old.active}
    with write(crm) as connection:
        connection.execute(
            "UPDATE webhooks SET url = ?, events = ?, active = ? WHERE id = ?",
            (after["url"], after["events"], int(bool(after["active"])), old.id),
        )
        if after["active"] and not old.active:
            position = format_position(epoch(calls), last_id(calls))
            connection.execute("UPDATE webhooks SET position = ? WHERE id = ?", (position, old.id))
        audit.append(connection, actor, "webhook.change", str(old.id), {"before": before, "after": after})


def renew_secret(crm: sqlite_utils.Database, webhook: Webhook, actor: Actor) -> str:
    """A new secret; the old one signs nothing any more."""
    secret = new_secret()
    with write(crm) as connection:
        connection.execute("UPDATE webhooks SET secret = ? WHERE id = ?", (secret, webhook.id))
        audit.append(connection, actor, "webhook.renew_secret", str(webhook.id))
    return secret


def delete_webhook(crm: sqlite_utils.Database, webhook: Webhook, actor: Actor) -> None:
    """Forget a receiver and what is on its way to it."""
    with write(crm) as connection:
        connection.execute("DELETE FROM webhooks WHERE id = ?", (webhook.id,))
        before = {"url": webhook.url, "events": list(webhook.events)}
        audit.append(connection, actor, "webhook.delete", str(webhook.id), {"before": before})


def queue_test(crm: sqlite_utils.Database, webhook: Webhook, actor: Actor) -> int:
    """Queue a delivery that tells nothing, ahead of what waits; its id."""
    at_ms = now_ms()
    with write(crm) as connection:
        row_id = connection.execute(
            "INSERT INTO webhook_deliveries (webhook_id, position, kind, body, state, next_try_ms, created_ms)"
            " VALUES (?, ?, ?, '', 'waiting', ?, ?)",
            (webhook.id, f"{TEST}-{uuid7(at_ms)}", TEST, at_ms, at_ms),
        ).lastrowid
        audit.append(connection, actor, "webhook.test", str(webhook.id))
    return int(row_id or 0)


def queue_replay(
    crm: sqlite_utils.Database,
    calls: sqlite_utils.Database,
    webhook: Webhook,
    from_ms: int,
    to_ms: int,
    actor: Actor,
) -> int:
    """Queue again what happened in a span, up to what is queued already; how many. Raises Invalid for too much."""
    marks = ",".join("?" * len(webhook.events))
    name, queued_id = webhook.position.rpartition("-")[::2]
    if name != epoch(calls):
        raise Refused("the event log was made anew: what was before cannot be sent again")
    rows = calls.conn.execute(
        f"SELECT id, kind FROM events WHERE id <= ? AND at_ms BETWEEN ? AND ? AND +kind IN ({marks})"
        " ORDER BY id LIMIT ?",
        (int(queued_id), from_ms, to_ms, *webhook.events, MOST_REPLAYED + 1),
    ).fetchall()
    alarms = crm.conn.execute(
        f"SELECT '{ALARM}-' || id, kind FROM alarm_notices WHERE at_ms BETWEEN ? AND ? AND kind IN ({marks})"
        " ORDER BY id LIMIT ?",
        (from_ms, to_ms, *webhook.events, MOST_REPLAYED + 1),
    ).fetchall()
    if len(rows) + len(alarms) > MOST_REPLAYED:
        raise Invalid("webhook_replay", f"at most {MOST_REPLAYED} events at once: take a shorter span")
    events = [(format_position(name, row[0]), row[1]) for row in rows] + [(row[0], row[1]) for row in alarms]
    for start in range(0, len(events), _BATCH):
        with write(crm) as connection:
            queue(connection, webhook.id, events[start:][:_BATCH])
    with write(crm) as connection:
        span = {"from_ms": from_ms, "to_ms": to_ms, "events": len(events)}
        audit.append(connection, actor, "webhook.replay", str(webhook.id), span)
    return len(events)


def queue(connection: sqlite3.Connection, webhook_id: int, events: Iterable[tuple[str, str]]) -> None:
    """Queue events by position and kind; one that is known is sent again, in its old place."""
    at_ms = now_ms()
    connection.executemany(
        "INSERT INTO webhook_deliveries (webhook_id, position, kind, body, state, next_try_ms, created_ms)"
        " VALUES (?, ?, ?, '', 'waiting', ?, ?) ON CONFLICT (webhook_id, position) DO UPDATE SET state = 'waiting',"
        " body = '', tries = 0, next_try_ms = excluded.next_try_ms, created_ms = excluded.created_ms,"
        " last_status = NULL, last_error = NULL, delivered_ms = NULL",
        [(webhook_id, position, kind, at_ms, at_ms) for position, kind in events],
    )


def list_deliveries(
    crm: sqlite_utils.Database, webhook: Webhook, state: str | None, before: int | None, limit: int
) -> list[Delivery]:
    """What is and was on its way, newest first."""
    rows = crm.conn.execute(
        f"SELECT {_DELIVERY_COLUMNS} FROM webhook_deliveries WHERE webhook_id = ? AND (? IS NULL OR state = ?)"
        " AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?",
        (webhook.id, state, state, before, before, limit),
    )
    return [Delivery(**dict(row)) for row in rows]
