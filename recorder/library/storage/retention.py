"""How long a recording is kept: the most specific rule wins.

A rule for a customer of the call, then for the operator who handled it, for the channel, for the channel's group, then
the system's parameter. Where several customers have the number, the longest of their rules. 0 days: kept for ever.
A channel's rule is its row in ``retention_rules``, or else its parameter ``retention_days``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import sqlite_utils

from firmware.parameters import get_all
from recorder.library.keeping.office import CallSubjects

DAY_MS = 86_400_000
NOT_SET_BEFORE_MS = 1_767_225_600_000
"""2026-01-01: a wall clock before it was never set, and nothing is counted by it."""
Source = Literal["customer", "operator", "channel", "group", "system"]


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Days by subject: customer id, staff number, channel number, group number; all as text."""

    system_days: int = 0
    customers: Mapping[str, int] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    channels: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)

    @property
    def need_office(self) -> bool:
        """Whether a rule asks for more than the recorder knows of a call."""
        return bool(self.customers or self.operators or self.groups)

    @property
    def shortest_days(self) -> int | None:
        """The shortest time that any rule grants, None when everything is kept for ever."""
        every = (self.customers, self.operators, self.channels, self.groups)
        days = [self.system_days, *(number for rules in every for number in rules.values())]
        return min((number for number in days if number), default=None)


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long, and by which rule. ``days`` 0: for ever."""

    days: int
    source: Source
    subject: str = ""

    def over(self, ended_ms: int, at_ms: int) -> bool:
        """Whether the time of a recording that ended at ``ended_ms`` is over at ``at_ms``.

        Never when its clock had not been set: nobody knows how old it is.
        """
        return self.days > 0 and NOT_SET_BEFORE_MS <= ended_ms <= at_ms - self.days * DAY_MS

    def __str__(self) -> str:
        """For tombstones: the rule, without naming a person."""
        return f"{self.source} rule, {self.days} d"


def kept_for(channel: int, subjects: CallSubjects, rules: RetentionRules) -> Kept:
    """Which rule holds for a recording of this channel whose call concerns ``subjects``."""
    customers = [(rules.customers[one], one) for one in sorted(subjects.customers) if one in rules.customers]
    if customers:
        days, customer = max(customers, key=lambda rule: rule[0] or float("inf"))
        return Kept(days, "customer", customer)
    ordered: tuple[tuple[Source, str | None, Mapping[str, int]], ...] = (
        ("operator", subjects.operator, rules.operators),
        ("channel", str(channel), rules.channels),
        ("group", subjects.group, rules.groups),
    )
    for source, subject, days_of in ordered:
        if subject is not None and subject in days_of:
            return Kept(days_of[subject], source, subject)
    return Kept(rules.system_days, "system")


def read_rules(crm: sqlite_utils.Database) -> RetentionRules:
    """All retention rules as they stand."""
    by_kind: dict[str, dict[str, int]] = {"customer": {}, "operator": {}, "channel": {}, "group": {}}
    for subject, text in crm.conn.execute(
        "SELECT subject, value FROM parameters WHERE scope = 'channel' AND key = 'retention_days'"
    ):
        days = msgspec.json.decode(text)
        if isinstance(days, int):
            by_kind["channel"][subject] = days
    for kind, subject, days in crm.conn.execute("SELECT kind, subject, days FROM retention_rules"):
        by_kind[kind][subject] = days
    system_days = get_all(crm, "system")["retention_days"]
    return RetentionRules(
        system_days if isinstance(system_days, int) else 0,
        by_kind["customer"], by_kind["operator"], by_kind["channel"], by_kind["group"],
    )  # fmt: skip
