"""What was done to a customer, out of the audit log: who changed which field from what to what."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain.customers.read import find_customer, row_id
from crm_client_api.domain.scope import RecordScope

_SHOWN = ("add", "change", "import", "merge", "merge_undo", "delete", "restore", "hand_over", "erase_number")
ACTIONS = tuple(f"customer.{verb}" for verb in _SHOWN)
"""What is shown; who only looked is the auditors' business."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody did at a time (Unix ms UTC): names of fields with the value before and after, None for none."""

    id: int
    at_ms: int
    by: str
    action: str
    changes: tuple[tuple[str, object, object], ...]


def history_of(
    crm: sqlite_utils.Database, customer_id: str, scope: RecordScope, *, limit: int = 50, before: int | None = None
) -> list[Entry]:
    """What was done to a customer in scope, newest first. Raises NotFound."""
    key = int(find_customer(crm.conn, row_id(customer_id), scope).id)
    rows = crm.conn.execute(
        f"SELECT id, at_ms, actor, action, data FROM audit WHERE subject = ? AND action IN"
        f" ({','.join('?' * len(ACTIONS))}) AND id < ? ORDER BY id DESC LIMIT ?",
        (str(key), *ACTIONS, (1 << 62) if before is None else before, limit),
    )
    return [Entry(row["id"], row["at_ms"], row["actor"], row["action"], _changes(row["data"])) for row in rows]


def _changes(text: str) -> tuple[tuple[str, object, object], ...]:
    data = msgspec.json.decode(text)
    before, after = (data.get(name) for name in ("before", "after")) if isinstance(data, dict) else (None, None)
    old, new = (one if isinstance(one, dict) else {} for one in (before, after))
    return tuple((name, old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new]))
