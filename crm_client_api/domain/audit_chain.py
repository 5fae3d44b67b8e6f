"""Whether the audit log is what was written: ids without a gap, every hash right, nothing cut off at the end."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import sqlite_utils

from crm_client_api.domain.audit import BEFORE_FIRST, chained_hash, commitment_to
from firmware.errors import BadInput

_COLUMNS = "id, at_ms, actor, action, subject, address, data, salt, hash"


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of the chain. Written down elsewhere, it shows later whether all before it is still there."""

    id: int
    hash: str

    def __str__(self) -> str:
        return f"{self.id}:{self.hash}"


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What a check found. ``broken_id``: the first entry that is not what was written, with the reason.

    ``unchained``: entries older than the chain; ``erased``: entries whose data was taken out and says so.
    """

    entries: int
    unchained: int
    erased: int
    head: Head | None
    broken_id: int | None = None
    reason: str = ""


def parse_head(text: str) -> Head:
    """The head as ``tapdeck audit verify`` prints it. Raises BadInput."""
    number, _, hashed = text.strip().partition(":")
    if not (number.isascii() and number.isdigit() and len(hashed) == 64):
        raise BadInput(f"not a head of the audit log: {text[:100]!r}")
    return Head(int(number), hashed)


def head_of(crm: sqlite_utils.Database) -> Head | None:
    """The last entry, None while the chain is empty."""
    row = crm.conn.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None or row[1] is None else Head(row[0], row[1])


def verify_chain(crm: sqlite_utils.Database, known: Head | None = None) -> ChainVerdict:
    """Check every entry, oldest first, up to the first that is wrong. ``known``: a head written down earlier."""
    previous, entries, unchained, erased, last_id = BEFORE_FIRST, 0, 0, 0, 0
    head: Head | None = None
    connection = crm.conn
    connection.execute("BEGIN")  # one snapshot: the log goes on growing
    try:
        for row in connection.execute(f"SELECT {_COLUMNS} FROM audit ORDER BY id"):
            reason = ""
            if row["id"] != last_id + 1:
                return ChainVerdict(entries, unchained, erased, head, last_id + 1, "this entry is missing")
            last_id = row["id"]
            if row["hash"] is None:
                if head is not None:
                    reason = "it carries no hash, but entries before it do"
                unchained += 1
            else:
                commitment, was_erased = _commitment(row["salt"], row["data"])
                texts = (row["actor"], row["action"], row["subject"], row["address"])
                if chained_hash(previous, last_id, row["at_ms"], texts, commitment) != row["hash"]:
                    reason = "its fields, or the entry before it, are not what was written"
                erased += was_erased
                previous = row["hash"]
                head = Head(last_id, previous)
            if known is not None and last_id == known.id and row["hash"] != known.hash:
                reason = reason or "its hash is not the one that was written down"
            if reason:
                return ChainVerdict(entries, unchained, erased, head, last_id, reason)
            entries += 1
        given = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    finally:
        connection.execute("ROLLBACK")
    if max(given[0] if given else 0, known.id if known else 0) > last_id:
        return ChainVerdict(entries, unchained, erased, head, last_id + 1, "this entry, the last one, is missing")
    return ChainVerdict(entries, unchained, erased, head)


def _commitment(salt: str | None, data: str) -> tuple[str, bool]:
    """The commitment of an entry, and whether its data was erased: then the commitment stands in its place."""
    if salt is not None:
        return commitment_to(salt, data), False
    try:
        erased = msgspec.json.decode(data, type=dict[str, str])
    except msgspec.MsgspecError:
        return "", False
    return erased.get("erased", ""), True
