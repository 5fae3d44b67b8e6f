"""The audit log: who did what, appended in the transaction that did it, each entry chained to the one before.

An entry's hash is SHA-256 over the hash before it and all its fields; its data is in it as a salted commitment, so
that data which the law wants erased could go while the chain still holds. ``crm_client_api.domain.audit_chain``
checks it.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from firmware.clock import now_ms

CONSOLE = "console"
"""The actor of commands typed on the box itself; no operator is ever called so."""

BOX = "the box"
"""The actor of what nobody did: no staff number has a space."""

BEFORE_FIRST = "0" * 64
"""What the first entry of the chain has instead of the hash of one before."""

_MOST_IDS = 500


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where. ``staff_no`` is ``console`` for commands typed on the box."""

    staff_no: str
    address: str = ""


def commitment_to(salt: str, data: str) -> str:
    """What stands for an entry's data in its hash; tells nothing about the data without the salt."""
    return hashlib.sha256(f"{salt}\n{data}".encode()).hexdigest()


def chained_hash(previous: str, entry_id: int, at_ms: int, texts: Sequence[str], commitment: str) -> str:
    """The hash of an entry. ``texts``: actor, action, subject, address."""
    return hashlib.sha256(msgspec.json.encode([previous, entry_id, at_ms, *texts, commitment])).hexdigest()


def append(
    connection: sqlite3.Connection,
    actor: Actor,
    action: str,
    subject: str = "",
    data: Mapping[str, object] | None = None,
) -> None:
    """Add an entry inside the caller's write transaction. ``action`` is ``thing.verb``, e.g. ``customer.add``.

    Changes carry ``{"before": {...}, "after": {...}}``; what concerns many records at once carries their number as
    ``count``, by which unusual behaviour is noticed.
    """
    # The id comes from the sequence, not from the last row: entries cut off at the end leave a gap.
    head = connection.execute(
        "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'audit'),"
        " (SELECT hash FROM audit ORDER BY id DESC LIMIT 1)"
    ).fetchone()
    entry_id, previous = (head[0] or 0) + 1, head[1] or BEFORE_FIRST
    at_ms, salt, text = now_ms(), secrets.token_hex(16), msgspec.json.encode(data or {}).decode()
    # A store takes no lone surrogate, and a hash is made over what the store gives back.
    texts = [one.encode(errors="replace").decode() for one in (actor.staff_no, action, subject, actor.address)]
    chained = chained_hash(previous, entry_id, at_ms, texts, commitment_to(salt, text))
    connection.execute(
        "INSERT INTO audit (id, at_ms, actor, action, subject, address, data, salt, hash) VALUES (?,?,?,?,?,?,?,?,?)",
        (entry_id, at_ms, *texts, text, salt, chained),
    )


def note_read(
    connection: sqlite3.Connection,
    actor: Actor,
    thing: str,
    ids: Sequence[str],
    about: Mapping[str, object] | None = None,
    verb: str = "read",
) -> None:
    """Note that somebody was shown personal data: one entry ``thing.read`` for all the records of an answer.

    ``about``: which filters were used, never what was looked for; the log cannot forget a number or a name.
    """
    data: dict[str, object] = {"count": len(ids), **(about or {})}
    if len(ids) > 1:
        data["ids"] = list(ids[:_MOST_IDS])
    append(connection, actor, f"{thing}.{verb}", ids[0] if len(ids) == 1 else "", data)
