"""A leaver's shared template phrases become a colleague's: everybody goes on using them, and somebody can change them.

What was not shared was for the leaver alone, and stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.kinds import PHRASE
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.staff.people import last_appointment


def keeper_of_phrases(connection: sqlite3.Connection, receivers: Sequence[str]) -> str | None:
    """The first receiver who can work with phrases; None: they stay, and super operators see to them."""
    for one in receivers:
        operator = last_appointment(connection, one)
        if operator is not None and Permission.COMMUNICATION_MANAGE in operator.permissions:
            return one
    return None


def give_phrases(
    connection: sqlite3.Connection, giver: str, receiver: str, hand_over: int, limit: int, actor: Actor
) -> int:
    """Move up to ``limit`` shared phrases inside the caller's write transaction; how many were there."""
    keys = [
        row[0]
        for row in connection.execute(
            "SELECT id FROM phrases WHERE staff_no = ? AND shared ORDER BY id LIMIT ?", (giver, limit)
        )
    ]
    for key in keys:
        connection.execute("UPDATE phrases SET staff_no = ? WHERE id = ?", (receiver, key))
        connection.execute(
            "INSERT INTO hand_over_records (hand_over_id, kind, record_id, old_owner) VALUES (?,?,?,?)"
            " ON CONFLICT DO NOTHING",
            (hand_over, PHRASE, str(key), giver),
        )
        data = {"before": {"owner": giver}, "after": {"owner": receiver}}
        audit.append(connection, actor, "phrase.hand_over", str(key), data)
    return len(keys)


def return_phrase(connection: sqlite3.Connection, record_id: str, holder: str, old_owner: str) -> bool:
    """Give a phrase back; False when the holder has it no more."""
    done = connection.execute(
        "UPDATE phrases SET staff_no = ? WHERE id = ? AND staff_no = ?", (old_owner, record_id, holder)
    )
    return done.rowcount > 0
