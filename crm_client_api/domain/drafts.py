"""Drafts: typed text that was not saved yet, each person's own.

They are no records and not in the audit log: a client puts them away every few seconds while somebody types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.invalid import Invalid
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write

LONGEST_CHARACTERS = 50_000
MOST_DRAFTS = 100
_KEY = re.compile(r"[0-9A-Za-z._:-]{1,100}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A text under a key that the client chose. ``changed_ms``: Unix ms UTC."""

    key: str
    body: str
    changed_ms: int


def list_drafts(crm: sqlite_utils.Database, staff_no: str) -> list[Draft]:
    """One's own drafts, the newest first."""
    rows = crm.conn.execute(
        "SELECT key, body, changed_ms FROM drafts WHERE staff_no = ? ORDER BY changed_ms DESC, key", (staff_no,)
    )
    return [Draft(*row) for row in rows]


def get_draft(crm: sqlite_utils.Database, staff_no: str, key: str) -> Draft:
    """Raises NotFound."""
    row = crm.conn.execute(
        "SELECT key, body, changed_ms FROM drafts WHERE staff_no = ? AND key = ?", (staff_no, key)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such draft")
    return Draft(*row)


def put_draft(crm: sqlite_utils.Database, staff_no: str, key: str, body: str) -> Draft:
    """Keep a text in the place of what the key held. Raises Invalid."""
    if not _KEY.fullmatch(key):
        raise Invalid("draft_key", "a draft's key has 1 to 100 letters, digits, dots, colons, dashes and underscores")
    if len(body) > LONGEST_CHARACTERS:
        raise Invalid("field_too_long", f"a draft has at most {LONGEST_CHARACTERS} characters")
    draft = Draft(key, body, now_ms())
    with write(crm) as connection:
        others = connection.execute(
            "SELECT count(*) FROM drafts WHERE staff_no = ? AND key <> ?", (staff_no, key)
        ).fetchone()[0]
        if others >= MOST_DRAFTS:
            raise Invalid("too_many_drafts", f"at most {MOST_DRAFTS} drafts are kept: save or delete some")
        connection.execute(
            "INSERT INTO drafts (staff_no, key, body, changed_ms) VALUES (?,?,?,?) ON CONFLICT (staff_no, key)"
            " DO UPDATE SET body = excluded.body, changed_ms = excluded.changed_ms",
            (staff_no, draft.key, draft.body, draft.changed_ms),
        )
    return draft


def delete_draft(crm: sqlite_utils.Database, staff_no: str, key: str) -> None:
    """Raises NotFound."""
    with write(crm) as connection:
        done = connection.execute("DELETE FROM drafts WHERE staff_no = ? AND key = ?", (staff_no, key))
        if done.rowcount == 0:
            raise NotFound("there is no such draft")
