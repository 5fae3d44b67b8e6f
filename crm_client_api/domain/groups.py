"""Groups of operators and channels. One that was deleted keeps its number, and so the records of former operators."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.settings import read_settings
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

LONGEST_NAME_CHARACTERS = 60
HIGHEST_NUMBER = 9999
"""As in the channel parameter ``group``."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group, with how many operators and channels are in it.

    ``former_operators``: people who were deleted and whose records go on counting with this group.
    """

    number: int
    name: str
    operators: int
    former_operators: int
    channels: int


def group_exists(connection: sqlite3.Connection, number: int) -> bool:
    """Whether there is such a group now."""
    found = connection.execute("SELECT 1 FROM groups WHERE number = ? AND deleted_ms IS NULL", (number,)).fetchone()
    return found is not None


def list_groups(crm: sqlite_utils.Database, channels: Iterable[int]) -> list[Group]:
    """All groups by number. ``channels``: the numbers of the box's channels, which are counted."""
    settings = read_settings(crm)
    of_channels = Counter(settings.channel(number).group for number in channels)
    rows = crm.conn.execute(
        "SELECT g.number, g.name, count(s.id) FILTER (WHERE s.deleted_ms IS NULL) AS present,"
        " count(s.id) FILTER (WHERE s.deleted_ms IS NOT NULL) AS former"
        " FROM groups g LEFT JOIN staff s ON s.group_number = g.number"
        " WHERE g.deleted_ms IS NULL GROUP BY g.number ORDER BY g.number"
    )
    return [
        Group(row["number"], row["name"], row["present"], row["former"], of_channels[row["number"]]) for row in rows
    ]


def add_group(crm: sqlite_utils.Database, number: int | None, name: str, actor: Actor) -> int:
    """Add a group; returns its number: the lowest one never used when ``number`` is None. Raises Invalid, Refused."""
    _check_name(name)
    with write(crm) as connection:
        used = {row[0]: row[1] for row in connection.execute("SELECT number, deleted_ms FROM groups")}
        if number is None:
            number = next((one for one in range(1, HIGHEST_NUMBER + 1) if one not in used), HIGHEST_NUMBER + 1)
        if not 1 <= number <= HIGHEST_NUMBER:
            raise Invalid("group_number", f"groups are numbered from 1 to {HIGHEST_NUMBER}")
        if number in used:
            what = "there is a group" if used[number] is None else "former operators' records belong to a deleted group"
            raise Refused(f"{what} {number}: take another number")
        connection.execute("INSERT INTO groups (number, name, created_ms) VALUES (?,?,?)", (number, name, now_ms()))
        audit.append(connection, actor, "group.add", str(number), {"after": {"name": name}})
    return number


def rename_group(crm: sqlite_utils.Database, number: int, name: str, actor: Actor) -> None:
    """Raises NotFound, Invalid."""
    _check_name(name)
    with write(crm) as connection:
        row = connection.execute(
            "SELECT name FROM groups WHERE number = ? AND deleted_ms IS NULL", (number,)
        ).fetchone()
        if row is None:
            raise NotFound("there is no such group")
        connection.execute("UPDATE groups SET name = ? WHERE number = ?", (name, number))
        data = {"before": {"name": row["name"]}, "after": {"name": name}}
        audit.append(connection, actor, "group.rename", str(number), data)


def delete_group(crm: sqlite_utils.Database, number: int, channels: Iterable[int], actor: Actor) -> None:
    """Raises NotFound; Refused while operators or channels (``channels``: those of the box) are in it."""
    numbers = list(channels)
    with write(crm) as connection:
        group = next((one for one in list_groups(crm, numbers) if one.number == number), None)
        if group is None:
            raise NotFound("there is no such group")
        settings = read_settings(crm)
        if settings.default_channel.group == number:
            raise Refused(f"new channels come into group {number}: it stays")
        elsewhere = sum(one.group == number for n, one in settings.channels.items() if n not in set(numbers))
        if group.operators or group.channels or elsewhere:
            raise Refused(
                f"group {number} still has {group.operators} operators and {group.channels + elsewhere} channels"
            )
        connection.execute("UPDATE groups SET deleted_ms = ? WHERE number = ?", (now_ms(), number))
        audit.append(connection, actor, "group.delete", str(number), {"before": {"name": group.name}})


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME_CHARACTERS:
        raise Invalid("group_name", f"a group's name has 1 to {LONGEST_NAME_CHARACTERS} characters")
