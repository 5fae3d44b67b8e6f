"""Template phrases (常用语): sentences to put into notes, for oneself or for all."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.scope import Viewer
from crm_client_api.domain.shared_rows import changeable
from firmware.clock import now_ms
from firmware.errors import NotFound
from firmware.store.connection import write

MOST_PHRASES = 100
LONGEST_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence. ``owner``: the staff number of who wrote it."""

    id: int
    text: str
    shared: bool
    owner: str


def list_phrases(crm: sqlite_utils.Database, staff_no: str) -> list[Phrase]:
    """One's own phrases, then those that others share, each part as they were written."""
    rows = crm.conn.execute(
        "SELECT id, text, shared, staff_no FROM phrases WHERE staff_no = ? OR shared ORDER BY staff_no <> ?, id",
        (staff_no, staff_no),
    )
    return [Phrase(row[0], row[1], bool(row[2]), row[3]) for row in rows]


def _get_changeable(connection: sqlite3.Connection, key: int, viewer: Viewer) -> Phrase:
    """Raises NotFound, also for somebody else's."""
    condition, given = changeable(viewer)
    row = connection.execute(
        f"SELECT id, text, shared, staff_no FROM phrases WHERE id = ? AND {condition}", (key, *given)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such phrase of yours")
    return Phrase(row[0], row[1], bool(row[2]), row[3])


def add_phrase(crm: sqlite_utils.Database, text: str, shared: bool, actor: Actor) -> Phrase:
    """Keep a phrase. Raises Invalid."""
    checked = _checked(text)
    with write(crm) as connection:
        own = connection.execute("SELECT count(*) FROM phrases WHERE staff_no = ?", (actor.staff_no,)).fetchone()[0]
        if own >= MOST_PHRASES:
            raise Invalid("phrase_wrong", f"everybody has at most {MOST_PHRASES} phrases")
        key = connection.execute(
            "INSERT INTO phrases (staff_no, text, shared, changed_ms) VALUES (?,?,?,?)",
            (actor.staff_no, checked, shared, now_ms()),
        ).lastrowid
        added = Phrase(int(key or 0), checked, shared, actor.staff_no)
        audit.append(connection, actor, "phrase.add", str(key), {"before": {}, "after": _picture(added)})
    return added


def change_phrase(
    crm: sqlite_utils.Database, key: int, text: str | None, shared: bool | None, actor: Actor, viewer: Viewer
) -> Phrase:
    """Change one's own phrase, or as a super operator one of who left, which is one's own from then on; None: as it is.

    Raises NotFound, Invalid.
    """
    with write(crm) as connection:
        old = _get_changeable(connection, key, viewer)
        new = Phrase(
            key,
            old.text if text is None else _checked(text),
            old.shared if shared is None else shared,
            viewer.staff_no,
        )
        connection.execute(
            "UPDATE phrases SET text = ?, shared = ?, staff_no = ?, changed_ms = ? WHERE id = ?",
            (new.text, new.shared, new.owner, now_ms(), key),
        )
        data = {"before": _picture(old), "after": _picture(new)}
        audit.append(connection, actor, "phrase.change", str(key), data)
    return new


def remove_phrase(crm: sqlite_utils.Database, key: int, actor: Actor, viewer: Viewer) -> None:
    """Remove one's own phrase, or as a super operator one of who left. Raises NotFound."""
    with write(crm) as connection:
        old = _get_changeable(connection, key, viewer)
        connection.execute("DELETE FROM phrases WHERE id = ?", (key,))
        audit.append(connection, actor, "phrase.remove", str(key), {"before": _picture(old), "after": {}})


def _checked(text: str) -> str:
    if not 1 <= len(text.strip()) <= LONGEST_CHARACTERS:
        raise Invalid("phrase_wrong", f"a phrase has 1 to {LONGEST_CHARACTERS} characters")
    return text.strip()


def _picture(phrase: Phrase) -> dict[str, object]:
    """Without the text: it may hold a name or a number, which the log could not forget."""
    return {"owner": phrase.owner, "shared": phrase.shared, "characters": len(phrase.text)}
