"""Numbers that were heard while the site's settings were wrong mean what they mean by the right ones.

What was heard stays as it is, in calls and manifests: only keys are made anew. Corrections stand in ``crm.db``, beside
the settings that they mend, so a store that is rebuilt from manifests, with the keys of then, is mended again.
"""

from __future__ import annotations

import hashlib
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from firmware.errors import Refused
from recorder.numbers import Site

_KEY = "number_corrections"
"""In ``meta`` of ``crm.db``."""
_TAKEN_UP_MS = 60_000
"""Within this time every recorder has taken up changed settings, and has written which calls had begun."""
_MOST = 100


class Correction(msgspec.Struct, frozen=True):
    """Numbers of calls that began from ``from_ms`` up to ``until_ms`` (Unix ms UTC) mean what they mean at ``site``."""

    from_ms: int
    until_ms: int
    site: Site


def read_corrections(crm: sqlite3.Connection) -> tuple[Correction, ...]:
    """All corrections by their time; no two overlap."""
    row = crm.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    return () if row is None else msgspec.json.decode(row[0], type=tuple[Correction, ...])


def correct_from(crm: sqlite3.Connection, from_ms: int, at_ms: int, site: Site) -> tuple[Correction, ...]:
    """Numbers heard from ``from_ms`` up to now (``at_ms``) are to mean what they mean at ``site``; all corrections.

    Inside the caller's write transaction. What was corrected before from ``from_ms`` on is corrected anew. Raises
    Refused: there are too many.
    """
    found = corrected_too(read_corrections(crm), Correction(from_ms, at_ms + _TAKEN_UP_MS, site))
    if len(found) > _MOST:
        raise Refused(f"there are {_MOST} corrections of other times already")
    crm.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_KEY, msgspec.json.encode(found).decode()),
    )
    return found


def corrected_too(before: Sequence[Correction], one: Correction) -> tuple[Correction, ...]:
    """The corrections with one more, the latest word on its time and on what comes after."""
    earlier = [
        msgspec.structs.replace(older, until_ms=min(older.until_ms, one.from_ms))
        for older in before
        if older.from_ms < one.from_ms
    ]
    if earlier and earlier[-1].site == one.site and earlier[-1].until_ms == one.from_ms:
        one = msgspec.structs.replace(one, from_ms=earlier.pop().from_ms)
    return (*earlier, one)


def site_at(corrections: Sequence[Correction], at_ms: int) -> Site | None:
    """Where numbers heard at a time are to be read; None: where they were heard."""
    place = bisect_right(corrections, at_ms, key=lambda one: one.from_ms)
    return corrections[place - 1].site if place and at_ms < corrections[place - 1].until_ms else None


def mark_of(corrections: Sequence[Correction]) -> str | None:
    """Tells one set of corrections from another in few characters; None for none."""
    return hashlib.sha256(msgspec.json.encode(corrections)).hexdigest() if corrections else None
