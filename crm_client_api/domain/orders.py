"""Orders to recorders and to the keeper: who asked, what became of it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write
from recorder.orders import LibraryVerb, RecorderVerb, add_order, refusal_code


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order and its result; ``done_ms`` None: not carried out yet."""

    id: int
    at_ms: int
    verb: str
    channel: int | None
    call_id: str | None
    recording_id: str | None
    reason: str
    done_ms: int | None
    ok: bool
    message: str

    @property
    def error_code(self) -> str | None:
        """Why it was refused."""
        return None if self.done_ms is None or self.ok else refusal_code(self.message)


def place_order(
    crm: sqlite_utils.Database,
    actor: Actor,
    verb: RecorderVerb | LibraryVerb,
    reason: str,
    *,
    channel: int | None = None,
    call_id: str | None = None,
    recording_id: str | None = None,
) -> int:
    """Add an order and its audit entry; returns the order's id. ``channel`` None: for the keeper."""
    subject = recording_id or call_id or str(channel)
    thing = "recording" if recording_id else "call" if call_id else "channel"
    with write(crm) as connection:
        order_id = add_order(
            connection, at_ms=now_ms(), asked_by=actor.staff_no, verb=verb, channel=channel, call_id=call_id,
            recording_id=recording_id, reason=reason,
        )  # fmt: skip
        audit.append(connection, actor, f"{thing}.{verb}", subject, {"order": order_id, "reason": reason})
    return order_id


def get_order(calls: sqlite_utils.Database, crm: sqlite_utils.Database, order_id: int, asked_by: str) -> OrderState:
    """One's own order. Raises NotFound, also for the orders of others."""
    row = crm.conn.execute(
        "SELECT id, at_ms, verb, channel, call_id, recording_id, reason FROM orders WHERE id = ? AND asked_by = ?",
        (order_id, asked_by),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such order")
    result = calls.conn.execute("SELECT done_ms, ok, message FROM order_results WHERE order_id = ?", (order_id,))
    done_ms, ok, message = result.fetchone() or (None, 0, "")
    return OrderState(**dict(row), done_ms=done_ms, ok=bool(ok), message=message)
