"""What calls can be split by: the keys, their names, and which of them a call belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import ChannelScope, RecordScope, Viewer
from crm_client_api.domain.settings import Settings
from crm_client_api.statistics.cells import CHANNELS, Array, Longs
from crm_client_api.statistics.figures import Counted
from crm_client_api.statistics.people import people
from crm_client_api.statistics.reports import KeyOf, Reach, operator_ids

Split = Literal["channel", "operator", "group", "direction", "result"]


@dataclass(frozen=True, slots=True)
class Keys:
    """``keys`` with their names, in order; ``None``: nobody, no group. ``of``: the place of a call's key."""

    keys: list[tuple[str | None, str]]
    of: KeyOf


def operator_scope(viewer: Viewer) -> RecordScope:
    """Whose doings a viewer of statistics may tell apart: all, the own group's, one's own."""
    if viewer.level is Level.SUPER:
        return RecordScope(everything=True)
    if viewer.level is Level.LEADER:
        return RecordScope(group=viewer.group)
    return RecordScope(staff_no=viewer.staff_no)


def both(one: ChannelScope, other: ChannelScope) -> ChannelScope:
    """The channels that are in both."""
    if one.all_but and other.all_but:
        return ChannelScope(one.channels | other.channels, all_but=True)
    if one.all_but:
        return ChannelScope(other.channels - one.channels)
    if other.all_but:
        return ChannelScope(one.channels - other.channels)
    return ChannelScope(one.channels & other.channels)


def channels_of_group(settings: Settings, group: int) -> ChannelScope:
    """The channels of a group, as its leader sees them."""
    return settings.channel_scope(Viewer("", Level.LEADER, group, frozenset(), frozenset()))


def make_keys(split: Split | None, counted: Counted, reach: Reach, settings: Settings) -> Keys:
    """The keys that a viewer may see."""
    if split == "channel":
        return _channels(counted, reach, settings)
    if split == "group":
        return _groups(counted, settings)
    if split == "operator":
        return _operators(counted, reach)
    if split == "direction":
        return Keys([("incoming", ""), ("outgoing", "")], lambda _, cells: cells["outgoing"].astype(np.int64))
    return Keys([(None, "")], lambda channels, _: np.zeros_like(channels))


def _channels(counted: Counted, reach: Reach, settings: Settings) -> Keys:
    """Every channel that there is, and those that calls remember."""
    condition, arguments = reach.channels.sql("channel")
    rows = counted.connection.execute(
        "WITH RECURSIVE used (channel) AS (SELECT min(channel) FROM calls.calls UNION ALL"
        " SELECT (SELECT min(channel) FROM calls.calls c WHERE c.channel > used.channel) FROM used"
        " WHERE used.channel IS NOT NULL)"
        " SELECT channel FROM (SELECT channel FROM used WHERE channel IS NOT NULL"
        " UNION SELECT number FROM calls.channels)"
        f" WHERE {condition} ORDER BY channel",
        arguments,
    )
    numbers = [int(row[0]) for row in rows]
    place = np.zeros(CHANNELS, np.int64)
    place[numbers] = np.arange(len(numbers))
    named: list[tuple[str | None, str]] = [(str(number), settings.channel(number).name) for number in numbers]
    return Keys(named, lambda channels, _: place[channels])


def _groups(counted: Counted, settings: Settings) -> Keys:
    rows = counted.connection.execute("SELECT number, name FROM crm.groups ORDER BY number")
    names = {int(row[0]): str(row[1]) for row in rows}
    used = {one.group for one in settings.channels.values()} | {settings.default_channel.group}
    numbers = sorted(names.keys() | {one for one in used if one is not None})
    order = {number: place for place, number in enumerate(numbers)}
    nobody = len(numbers)
    default = settings.default_channel.group
    place = np.full(CHANNELS, nobody if default is None else order[default], np.int64)
    for channel, one in settings.channels.items():
        place[channel] = nobody if one.group is None else order[one.group]
    keys: list[tuple[str | None, str]] = [(str(number), names.get(number, "")) for number in numbers]
    return Keys([*keys, (None, "")], lambda channels, _: place[channels])


def _operators(counted: Counted, reach: Reach) -> Keys:
    ids = operator_ids(counted, reach.operators)
    names = {one.staff_no: one.name for one in people(counted.connection, reach.operators)}
    place = np.full(max(ids, default=0) + 2, len(ids), np.int64)
    for order, number in enumerate(ids):
        place[number] = order

    def of(_: Longs, cells: Array) -> Longs:
        operator = cells["operator"].astype(np.int64)
        return place[np.where(operator < len(place) - 1, operator, len(place) - 1)]

    keys: list[tuple[str | None, str]] = [(staff_no, names.get(staff_no, "")) for staff_no in ids.values()]
    return Keys([*keys, (None, "")], of)
