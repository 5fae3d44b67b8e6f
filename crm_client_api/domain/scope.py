"""Who may work on which customers, communication records and calls (domain rules, section 2), as pure values.

A scope answers for one record (``allows``) and for a query (``sql``); both must always agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crm_client_api.domain.permissions import Level, Permission

Sql = tuple[str, tuple[object, ...]]
"""A condition for a WHERE clause and its arguments."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """What scope needs to know of an operator."""

    staff_no: str
    level: Level
    group: int | None
    channels: frozenset[int]
    permissions: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class RecordScope:
    """Customers or communication records by their owner: all, those of a group, or one's own."""

    everything: bool = False
    group: int | None = None
    staff_no: str | None = None

    def allows(self, owner: str, owner_group: int | None) -> bool:
        """Whether a record of this owner is in scope."""
        if self.everything:
            return True
        if self.staff_no is not None:
            return owner == self.staff_no
        return self.group is not None and owner_group == self.group

    def sql(self, owner_column: str) -> Sql:
        """The same as a condition; needs the view ``staff`` in reach."""
        if self.everything:
            return "1", ()
        if self.staff_no is not None:
            return f"{owner_column} = ?", (self.staff_no,)
        return f"{owner_column} IN (SELECT staff_no FROM staff WHERE group_number = ?)", (self.group,)


NO_RECORDS = RecordScope(group=None)
"""For whom there are none."""


def customer_scope(viewer: Viewer) -> RecordScope:
    """Which customers the viewer may work on."""
    return _record_scope(viewer, Permission.CUSTOMER_SHARE)


def known_customers(viewer: Viewer) -> RecordScope:
    """Which customers there are for the viewer to name by their ids: without ``customer_manage`` none."""
    return customer_scope(viewer) if Permission.CUSTOMER_MANAGE in viewer.permissions else NO_RECORDS


def communication_scope(viewer: Viewer) -> RecordScope:
    """Which communication records the viewer may work on."""
    return _record_scope(viewer, Permission.COMMUNICATION_SHARE)


def _record_scope(viewer: Viewer, share: Permission) -> RecordScope:
    if viewer.level is Level.SUPER or share in viewer.permissions:
        return RecordScope(everything=True)
    if viewer.level is Level.LEADER:
        return RecordScope(group=viewer.group)
    return RecordScope(staff_no=viewer.staff_no)


@dataclass(frozen=True, slots=True)
class ChannelScope:
    """Calls and recordings by their channel: those in ``channels``, or with ``all_but`` all the others."""

    channels: frozenset[int]
    all_but: bool = False

    def allows(self, channel: int) -> bool:
        """Whether calls of this channel are in scope."""
        return (channel in self.channels) != self.all_but

    def sql(self, channel_column: str) -> Sql:
        """The same as a condition."""
        marks = ",".join("?" * len(self.channels))
        return f"{channel_column} {'NOT IN' if self.all_but else 'IN'} ({marks})", tuple(sorted(self.channels))

    def without(self, channels: frozenset[int]) -> ChannelScope:
        """The same without these channels."""
        return ChannelScope(self.channels | channels if self.all_but else self.channels - channels, self.all_but)


EVERY_CHANNEL = ChannelScope(frozenset(), all_but=True)
"""For what is in scope by something else than its channel."""


def channel_scope(viewer: Viewer, groups: Mapping[int, int | None], default_group: int | None) -> ChannelScope:
    """Which channels' calls the viewer may see.

    ``groups`` holds the channels whose group was set by hand; every other channel is in ``default_group``.
    """
    if viewer.level is Level.SUPER:
        return EVERY_CHANNEL
    if viewer.level is Level.ORDINARY:
        return ChannelScope(viewer.channels)
    if viewer.group is None:
        return ChannelScope(frozenset())
    if viewer.group == default_group:
        return ChannelScope(frozenset(c for c, group in groups.items() if group != viewer.group), all_but=True)
    return ChannelScope(frozenset(c for c, group in groups.items() if group == viewer.group))
