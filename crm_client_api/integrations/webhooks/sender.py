"""Queues events for every webhook and sends them: one after the other to each, all webhooks side by side.

An event is queued in the transaction that moves the webhook's position, so none is lost and none queued twice; it is
sent until the receiver takes it (at least once), with growing pauses, for three days.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import Operator, get_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.settings import read_settings
from crm_client_api.integrations.alarms.notices import notice_at
from crm_client_api.integrations.webhooks import registered
from crm_client_api.integrations.webhooks.bodies import Body, alarm_body, body_of, event_at
from crm_client_api.integrations.webhooks.registered import TEST, Webhook, active_webhooks
from crm_client_api.integrations.webhooks.signing import HEADER, sign
from crm_client_api.integrations.webhooks.targets import NotDelivered, parse_target, post, resolve
from crm_client_api.stores import StorePool, Stores
from firmware.clock import iso_utc, now_ms
from firmware.errors import BoxError, NotFound
from firmware.parameters import get_value
from firmware.store.connection import write
from firmware.store.event_log import epoch, format_position, last_id, parse_position

FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 3_600_000
GIVE_UP_AFTER_MS = 3 * 86_400_000
KEPT_MS = 7 * 86_400_000
_BATCH = 500
_TRIM_ROWS = 500
_LOOK_EVERY_S = 0.5
_TIDY_EVERY_S = 600.0
_POSITION_LAG = 2000
"""How far a webhook's position may fall behind events that it does not want, before it is written."""
_log = logging.getLogger(__name__)


def pause_ms(tries: int, spread: float = 0.5) -> int:
    """How long to wait after so many failures. ``spread`` 0–1 keeps many receivers from coming back at once."""
    whole = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(tries - 1, 20))
    return int(whole * (0.75 + 0.5 * spread))


@dataclass(frozen=True, slots=True)
class _Due:
    id: int
    position: str
    kind: str
    body: bytes
    tries: int
    created_ms: int


class WebhookSender:
    """Thread: ``start`` and ``stop`` from any thread. One thread queues; each webhook is sent by one other."""

    def __init__(self, pool: StorePool, look_every_s: float = _LOOK_EVERY_S) -> None:
        self._pool = pool
        self._look_every_s = look_every_s
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._lock = threading.Lock()
        self._sending: set[int] = set()
        self._tidied_s = 0.0
        self._senders = ThreadPoolExecutor(registered.MOST_WEBHOOKS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to queue and send."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is on its way is sent again later unless it arrived. Idempotent."""
        self._stopping.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._senders.shutdown(wait=False, cancel_futures=True)

    def look(self) -> None:
        """Look now: something happened."""
        self._awake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                with self._pool.use() as stores:
                    while self._queue_all(stores) and not self._stopping.is_set():
                        pass
                    self._send_due(stores)
                    self._tidy(stores)
            except (BoxError, sqlite3.Error, OSError) as error:
                _log.warning("webhooks: %s", error)
            except Exception:
                _log.exception("webhooks go on")
            self._awake.wait(self._look_every_s)

    def _queue_all(self, stores: Stores) -> bool:
        """Queue the next events of every webhook; whether there may be more."""
        more = False
        for webhook in active_webhooks(stores.crm):
            if _operator_of(stores.crm, webhook) is None:
                _switch_off(stores.crm, webhook)
            else:
                more |= self._queue_one(stores, webhook)
        return more

    def _queue_one(self, stores: Stores, webhook: Webhook) -> bool:
        name, queued_id = parse_position(webhook.position)
        now, newest = epoch(stores.calls), last_id(stores.calls)
        if name != now:
            self._move(stores.crm, webhook, [], format_position(now, newest))
            return False
        marks = ",".join("?" * len(webhook.events))
        # The primary key leads: without statistics SQLite would take an index on the kind and sort all of it.
        found = stores.calls.conn.execute(
            f"SELECT id, kind FROM events WHERE id > ? AND id <= ? AND +kind IN ({marks}) ORDER BY id LIMIT ?",
            (queued_id, newest, *webhook.events, _BATCH),
        ).fetchall()
        full = len(found) == _BATCH
        upto = found[-1][0] if full else newest
        if found or upto - queued_id > _POSITION_LAG:
            events = [(format_position(now, row[0]), row[1]) for row in found]
            self._move(stores.crm, webhook, events, format_position(now, upto))
        return full

    def _move(self, crm: sqlite_utils.Database, webhook: Webhook, events: list[tuple[str, str]], position: str) -> None:
        with write(crm) as connection:
            moved = connection.execute(
                "UPDATE webhooks SET position = ? WHERE id = ? AND position = ? AND active = 1",
                (position, webhook.id, webhook.position),
            ).rowcount
            if moved:
                registered.queue(connection, webhook.id, events)

    def _send_due(self, stores: Stores) -> None:
        """Hand every webhook that has something to send now to a thread of its own."""
        rows = stores.crm.conn.execute(
            "SELECT DISTINCT webhook_id FROM webhook_deliveries WHERE state = 'waiting' AND next_try_ms <= ?",
            (now_ms(),),
        )
        for (webhook_id,) in rows.fetchall():
            with self._lock:
                if webhook_id in self._sending or self._stopping.is_set():
                    continue
                self._sending.add(webhook_id)
            self._senders.submit(self._send_all, webhook_id)

    def _send_all(self, webhook_id: int) -> None:
        """Send what waits for one webhook, in order, until one is not taken."""
        try:
            while not self._stopping.is_set():
                with self._pool.use() as stores:
                    webhook = next((one for one in active_webhooks(stores.crm) if one.id == webhook_id), None)
                    due = _next_due(stores.crm, webhook_id) if webhook else None
                    if webhook is None or due is None:
                        return
                    body = self._body(stores, webhook, due)
                    own_network = get_value(stores.crm, "system", "webhooks_to_own_network") is True
                if body is not None:
                    self._deliver(webhook, due, body, own_network)
        except (BoxError, sqlite3.Error, OSError) as error:
            _log.warning("webhook %s: %s", webhook_id, error)
        except Exception:
            _log.exception("webhook %s", webhook_id)
        finally:
            with self._lock:
                self._sending.discard(webhook_id)

    def _body(self, stores: Stores, webhook: Webhook, due: _Due) -> bytes | None:
        """What to send, kept from the first try on; None for what is out of scope now: it is not sent at all."""
        operator = _operator_of(stores.crm, webhook)
        if operator is None:
            _switch_off(stores.crm, webhook)
            return None
        if due.body:
            return due.body
        if due.kind == TEST:
            import msgspec

            body: bytes | None = msgspec.json.encode(Body(due.position, TEST, iso_utc(now_ms()), webhook.id, {}))
        else:
            body = _told(stores, operator, webhook.id, due)
        with write(stores.crm) as connection:
            if body is None:
                connection.execute("DELETE FROM webhook_deliveries WHERE id = ?", (due.id,))
            else:
                connection.execute("UPDATE webhook_deliveries SET body = ? WHERE id = ?", (body.decode(), due.id))
        return body

    def _deliver(self, webhook: Webhook, due: _Due, body: bytes, own_network: bool) -> None:
        """Try once. What was not taken waits for its time, and what comes behind it waits with it."""
        at_s = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Tapdeck",
            "Tapdeck-Delivery": str(due.id),
            "Tapdeck-Event": due.kind,
            HEADER: sign(webhook.secret, at_s, body),
        }
        status: int | None
        try:
            target = parse_target(webhook.url)
            status, error = post(target, resolve(target, own_network), body, headers), None
        except NotDelivered as failure:
            status, error = failure.status, str(failure)
        except BoxError as failure:
            status, error = None, str(failure)
        tries, at_ms = due.tries + 1, now_ms()
        given_up = error is not None and (due.kind == TEST or at_ms - due.created_ms >= GIVE_UP_AFTER_MS)
        state = "delivered" if error is None else "failed" if given_up else "waiting"
        next_try_ms = at_ms + pause_ms(tries, random.random()) if state == "waiting" else at_ms
        with self._pool.use() as stores, write(stores.crm) as connection:
            connection.execute(
                "UPDATE webhook_deliveries SET state = ?, tries = ?, next_try_ms = ?, last_status = ?, last_error = ?,"
                " delivered_ms = ? WHERE id = ? AND state = 'waiting' AND tries = ?",
                (state, tries, next_try_ms, status, error, at_ms if error is None else None, due.id, due.tries),
            )
        if error is not None:
            _log.info("webhook %s, delivery %s, try %s: %s", webhook.id, due.id, tries, error)

    def _tidy(self, stores: Stores) -> None:
        """Forget what was settled long ago."""
        if time.monotonic() < self._tidied_s + _TIDY_EVERY_S and self._tidied_s:
            return
        self._tidied_s = time.monotonic()
        gone = _TRIM_ROWS
        while gone == _TRIM_ROWS and not self._stopping.is_set():
            with write(stores.crm) as connection:
                gone = connection.execute(
                    "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries"
                    " WHERE state <> 'waiting' AND created_ms < ? LIMIT ?)",
                    (now_ms() - KEPT_MS, _TRIM_ROWS),
                ).rowcount


def _told(stores: Stores, operator: Operator, webhook_id: int, due: _Due) -> bytes | None:
    """What a delivery tells; None for what is gone, or out of scope now."""
    if due.kind in registered.ALARM_KINDS:
        notice = notice_at(stores.crm, due.position)
        return None if notice is None else alarm_body(operator, webhook_id, due.position, notice)
    event = event_at(stores, due.position)
    settings = read_settings(stores.crm)
    return None if event is None else body_of(stores, settings, operator, webhook_id, due.position, event)


def _operator_of(crm: sqlite_utils.Database, webhook: Webhook) -> Operator | None:
    """Who registered it, None once that person may not any more."""
    try:
        operator = get_operator(crm, webhook.staff_no)
    except NotFound:
        return None
    allowed = operator.may_log_in and Permission.SYSTEM_SETUP in operator.permissions
    return operator if allowed else None


def _switch_off(crm: sqlite_utils.Database, webhook: Webhook) -> None:
    """Nobody stands for it any more: nothing is sent until somebody switches it on again."""
    with write(crm) as connection:
        done = connection.execute("UPDATE webhooks SET active = 0 WHERE id = ? AND active = 1", (webhook.id,)).rowcount
        if done:
            audit.append(connection, Actor(audit.BOX), "webhook.stop", str(webhook.id))
            connection.execute(
                "DELETE FROM webhook_deliveries WHERE webhook_id = ? AND state = 'waiting'", (webhook.id,)
            )


def _next_due(crm: sqlite_utils.Database, webhook_id: int) -> _Due | None:
    """A test first; else the oldest that waits, once its time has come: nobody overtakes it."""
    row = crm.conn.execute(
        "SELECT id, position, kind, body, tries, created_ms, next_try_ms FROM webhook_deliveries"
        " WHERE webhook_id = ? AND state = 'waiting' ORDER BY kind <> ?, id LIMIT 1",
        (webhook_id, TEST),
    ).fetchone()
    if row is None or row["next_try_ms"] > now_ms():
        return None
    return _Due(row["id"], row["position"], row["kind"], row["body"].encode(), row["tries"], row["created_ms"])
