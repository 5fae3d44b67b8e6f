"""The site's settings by which the keys of the office's numbers were made.

A number that somebody typed means what it means at the site of today. While keys are renewed, some are of before; a
look-up that must not miss anybody asks by those as well.
"""

from __future__ import annotations

import sqlite3

import msgspec

from recorder.numbers import Site, match_key, reading, spellings

_MADE_BY = "number_sites"


class MadeBy(msgspec.Struct, frozen=True):
    """How keys were made: ``reading`` of a site and of the version that made them."""

    reading: str
    site: Site


def older_keys(connection: sqlite3.Connection, key: str, site: Site) -> set[str]:
    """Other keys that numbers with this one may still have; none once all are renewed."""
    if all_renewed(connection, site):
        return set()
    made = made_by(connection)
    ways = spellings(key, site)
    return ({match_key(one, by.site) for by in made for one in ways} | set(ways)) - {key, ""}


def all_renewed(connection: sqlite3.Connection, site: Site) -> bool:
    """Whether no key is of before."""
    return made_by(connection) in ([], [MadeBy(reading(site), site)])


def made_by(connection: sqlite3.Connection) -> list[MadeBy]:
    """All ways in which keys of now may have been made, the latest last; none on a box that is new."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_MADE_BY,)).fetchone()
    return [] if row is None else msgspec.json.decode(row[0], type=list[MadeBy])


def note_keys(connection: sqlite3.Connection, site: Site) -> None:
    """Whoever writes keys says by which settings, inside the same write transaction.

    Settings of before – of an import that began with them – go behind those of now: the keys are renewed once more.
    """
    written, made = MadeBy(reading(site), site), made_by(connection)
    if made and made[-1] != written:
        note_made_by(connection, [*(one for one in made if one != written), written])


def note_made_by(connection: sqlite3.Connection, made: list[MadeBy]) -> None:
    """Inside a write transaction."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_MADE_BY, msgspec.json.encode(made).decode()),
    )
