"""Adding, removing and trying targets: what people do with the archive."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

import sqlite_utils

from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BadInput, NotFound, Refused
from firmware.store.connection import write
from recorder.library.archive import copies
from recorder.library.archive.copies import Backlog
from recorder.library.archive.copying import LAG_ALARM
from recorder.library.archive.places import NAME_FORM, Place, access_path, open_place, read_places, split_url
from recorder.library.archive.target import TargetError


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target, how many recordings it holds and what it lacks. ``lagging``: the alarm stands."""

    place: Place
    verified: int
    backlog: Backlog
    lagging: bool


def check_name(calls: sqlite_utils.Database, crm: sqlite_utils.Database, name: str) -> None:
    """Raises BadInput: it cannot be a name; Refused: it is one already, or was one."""
    if not NAME_FORM.fullmatch(name):
        raise BadInput(f"{name!r}: a name has lower-case letters, digits, _ and -, at most 32")
    if any(place.name == name for place in read_places(crm)):
        raise Refused(f"there is a target {name} already")
    if calls.conn.execute("SELECT 1 FROM archive_copies WHERE target = ?", (name,)).fetchone() is not None:
        raise Refused(f"{name} was the name of a target that holds copies: choose another")


def add_place(
    calls: sqlite_utils.Database, crm: sqlite_utils.Database, name: str, url: str, *, required: bool, by: str
) -> None:
    """Add a target; copying begins within a minute. Raises BadInput, Refused, StoreError."""
    check_name(calls, crm, name)
    split_url(url)
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO archive_targets (name, url, required, set_by, set_ms) VALUES (?,?,?,?,?)",
            (name, url, required, by, now_ms()),
        )


def find_place(crm: sqlite_utils.Database, name: str) -> Place:
    """Raises NotFound."""
    for place in read_places(crm):
        if place.name == name:
            return place
    raise NotFound(f"there is no archive target {name!r}")


def remove_place(home: Home, crm: sqlite_utils.Database, name: str) -> None:
    """Forget a target and the keys for it; the copies there stay. Raises NotFound, StoreError."""
    find_place(crm, name)
    with write(crm) as connection:
        connection.execute("DELETE FROM archive_targets WHERE name = ?", (name,))
    access_path(home, name).unlink(missing_ok=True)


def try_place(home: Home, place: Place) -> None:
    """Write a small file, read it back and remove it. Raises TargetError, BadInput."""
    name = f"tapdeck-test-{secrets.token_hex(8)}.txt"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / name
        source.write_text(f"{name}\n")
        with open_place(home, place.name, place.url) as target:
            if target.sha256(name) is not None:
                raise TargetError("a file that was never written is there")
            target.put(name, source)
            found = target.sha256(name)
            target.remove(name)
            if found is None or target.sha256(name) is not None:
                raise TargetError("what was written cannot be read back, or not be removed")


def archive_status(calls: sqlite_utils.Database, crm: sqlite_utils.Database) -> list[TargetStatus]:
    """How it stands with every target. Reads through all recordings."""
    rows = calls.conn.execute("SELECT subject FROM alarms WHERE code = ? AND cleared_ms IS NULL", (LAG_ALARM,))
    lagging = {str(row[0]) for row in rows}
    return [
        TargetStatus(
            place,
            copies.verified(calls, place.name),
            copies.backlog(calls, place.name, place.set_ms),
            place.name in lagging,
        )
        for place in read_places(crm)
    ]
