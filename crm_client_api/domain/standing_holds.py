"""The holds that stand, and what of the office's records they protect from being removed for good.

A hold on a customer or a number protects the customer and all records about it; one on a call the records that were
written for it; one on a period the records of contacts in it. A customer under whom a protected record lies stays, too.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from uuid import UUID

import msgspec

from recorder.numbers import Site, match_key

RECORD_COLUMNS = "customer_id, match_key, call_id, at_ms, talk_ms, channel"
"""What ``over_record`` needs of a communication record."""
_RUNG_MS = 600_000
"""A record does not say how long its call rang: so much is granted."""
_EVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class _Hold:
    id: str
    kind: str
    subject: str
    from_ms: int
    to_ms: int
    channel: int | None

    def meets(self, record: sqlite3.Row) -> bool:
        """Whether a period touches the contact: on its channel when it names one."""
        first_ms, last_ms = _span(record)
        of_channel = self.channel is None or record["channel"] == self.channel
        return of_channel and last_ms >= self.from_ms and first_ms <= self.to_ms


class StandingHolds:
    """Those of one moment, in the order in which they were set; ``over_…``: the id of the first that protects."""

    def __init__(self, connection: sqlite3.Connection, site: Site) -> None:
        self._connection = connection
        self._holds = [
            _Hold(
                row["id"],
                row["kind"],
                match_key(row["subject"] or "", site) if row["kind"] == "number" else row["subject"] or "",
                -_EVER_MS if row["from_ms"] is None else row["from_ms"],
                _EVER_MS if row["to_ms"] is None else row["to_ms"],
                row["channel"],
            )
            for row in connection.execute("SELECT * FROM holds WHERE released_ms IS NULL ORDER BY set_ms, id")
        ]

    def over_customer(self, customer: int) -> str | None:
        """By a hold on the customer or on one of its numbers."""
        if not self._holds:
            return None
        rows = self._connection.execute("SELECT match_key FROM customer_phones WHERE customer_id = ?", (customer,))
        return self._first({("customer", str(customer)), *(("number", row[0]) for row in rows)}, None)

    def over_record(self, record: sqlite3.Row) -> str | None:
        """By a hold on its customer, its own number, its call, or its time. ``record``: with ``RECORD_COLUMNS``."""
        if not self._holds:
            return None
        about = {("number", record["match_key"]), ("call", record["call_id"] or "")}
        return self._first(about, record) or self.over_customer(record["customer_id"])

    def over_customer_with_records(self, customer: int) -> str | None:
        """By a hold on the customer, or on a communication record about it, which would go along."""
        if not self._holds:
            return None
        rows = self._connection.execute(
            f"SELECT {RECORD_COLUMNS} FROM communications WHERE customer_id = :customer AND (match_key IN (SELECT value"
            " FROM json_each(:numbers)) OR call_id IN (SELECT value FROM json_each(:calls)) OR (:periods AND (call_id"
            " IS NOT NULL OR (at_ms <= :last_ms AND at_ms + coalesce(talk_ms, 0) >= :first_ms))))",
            self._looked_for | {"customer": customer},
        )
        found = (self._first({("number", row["match_key"]), ("call", row["call_id"] or "")}, row) for row in rows)
        return self.over_customer(customer) or next((one for one in found if one is not None), None)

    @property
    def _looked_for(self) -> dict[str, object]:
        """Of which records any hold may be: the rest need no look."""
        periods = [one for one in self._holds if one.kind == "period"]
        return {
            "numbers": self._subjects("number"),
            "calls": self._subjects("call"),
            "periods": len(periods),
            "first_ms": min((one.from_ms for one in periods), default=0),
            "last_ms": max((one.to_ms for one in periods), default=0),
        }

    def _subjects(self, kind: str) -> str:
        return msgspec.json.encode([one.subject for one in self._holds if one.kind == kind and one.subject]).decode()

    def _first(self, about: set[tuple[str, str]], record: sqlite3.Row | None) -> str | None:
        named = {one for one in about if one[1]}
        for hold in self._holds:
            if (hold.kind, hold.subject) in named or (
                hold.kind == "period" and record is not None and hold.meets(record)
            ):
                return hold.id
        return None


def _span(record: sqlite3.Row) -> tuple[int, int]:
    """From when to when the contact can have lasted, Unix ms UTC; whoever writes a record may say another time."""
    first_ms = last_ms = int(record["at_ms"])
    if record["call_id"]:
        begun_ms = _begun_ms(record["call_id"])
        first_ms, last_ms = min(first_ms, begun_ms or first_ms), max(last_ms, begun_ms or last_ms) + _RUNG_MS
        if record["talk_ms"] is None:  # it runs
            last_ms = _EVER_MS
    return first_ms, last_ms + (record["talk_ms"] or 0)


def _begun_ms(call_id: str) -> int | None:
    """When a call began, by its id (RFC 9562, version 7)."""
    try:
        found = UUID(call_id)
    except ValueError:
        return None
    return found.int >> 80 if found.version == 7 else None
