"""The audit log: who did what, appended in the transaction that did it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from firmware.clock import now_ms

CONSOLE = "console"
"""The actor of commands typed on the box itself; no operator is ever called so."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where. ``staff_no`` is ``console`` for commands typed on the box."""

    staff_no: str
    address: str = ""


def append(
    connection: sqlite3.Connection,
    actor: Actor,
    action: str,
    subject: str = "",
    data: Mapping[str, object] | None = None,
) -> None:
    """Add an entry inside the caller's write transaction. ``action`` is ``thing.verb``, e.g. ``customer.add``."""
    connection.execute(
        "INSERT INTO audit (at_ms, actor, action, subject, address, data) VALUES (?,?,?,?,?,?)",
        (now_ms(), actor.staff_no, action, subject, actor.address, msgspec.json.encode(data or {}).decode()),
    )
