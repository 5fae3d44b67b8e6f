"""A leaver's shared saved views become a colleague's, who works with such lists: everybody goes on using them.

What was not shared was for the leaver alone, and stays. They are few: which of them went stands in the hand-over itself
(``Place.views``), where those of records have rows of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.saved_views import LISTS, NEEDED
from crm_client_api.domain.staff.people import last_appointment


class MovedViews(msgspec.Struct):
    """The views that went from ``giver`` with one hand-over; ``stayed``: those that did not come back with it."""

    giver: str = ""
    ids: list[int] = []
    stayed: list[int] = []


class _Place(msgspec.Struct, frozen=True):
    """What a hand-over's place says of views, whatever else it says."""

    views: MovedViews = msgspec.field(default_factory=MovedViews)


_PLACE = msgspec.json.Decoder(_Place)


def views_of(place: str) -> MovedViews:
    """The views of a hand-over, by its column ``place``."""
    return _PLACE.decode(place).views


def give_views(
    connection: sqlite3.Connection, giver: str, receivers: Sequence[str], limit: int, actor: Actor
) -> dict[str, list[int]]:
    """Give up to ``limit`` shared views, each to the first receiver who works with its list, inside the caller's write
    transaction; their ids by receiver. Where nobody does, they stay, and super operators see to them."""
    keepers = {name: keeper for name in LISTS if (keeper := _keeper(connection, name, receivers)) is not None}
    rows = connection.execute(
        "SELECT id, list FROM saved_views WHERE staff_no = ? AND shared"
        f" AND list IN ({','.join('?' * len(keepers))}) ORDER BY id LIMIT ?",
        (giver, *keepers, limit),
    ).fetchall()
    given: dict[str, list[int]] = {}
    for key, name in rows:
        _move(connection, key, giver, keepers[name], actor)
        given.setdefault(keepers[name], []).append(key)
    return given


def return_views(connection: sqlite3.Connection, views: MovedViews, holder: str, actor: Actor, *, here: bool) -> int:
    """Give views back, those that the holder has still, if the giver is ``here``; how many. ``views.stayed`` tells the
    rest."""
    for key in views.ids:
        if not here or not _move(connection, key, holder, views.giver, actor):
            views.stayed.append(key)
    return len(views.ids) - len(views.stayed)


def _keeper(connection: sqlite3.Connection, name: str, receivers: Sequence[str]) -> str | None:
    for one in receivers:
        operator = last_appointment(connection, one)
        if operator is not None and operator.permissions >= NEEDED.get(name, frozenset()):
            return one
    return None


def _move(connection: sqlite3.Connection, key: int, old: str, new: str, actor: Actor) -> bool:
    moved = connection.execute("UPDATE saved_views SET staff_no = ? WHERE id = ? AND staff_no = ?", (new, key, old))
    if moved.rowcount:
        data = {"before": {"owner": old}, "after": {"owner": new}}
        audit.append(connection, actor, "saved_view.hand_over", str(key), data)
    return bool(moved.rowcount)
