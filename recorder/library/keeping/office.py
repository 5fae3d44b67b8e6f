"""What the library asks the upper floor about calls: their group, their customers, who handled them.

The recorder knows lines and numbers as they were received; groups, customers and operators belong to the office.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

import sqlite_utils

from firmware.errors import ConfigError

GROUP = "tapdeck.call_subjects"
"""Entry point group; the one entry is a function from ``crm.db``, open, to an ``Office``."""


@dataclass(frozen=True, slots=True)
class CallSubjects:
    """Whom a call concerns. ``numbers``: the keys under which any two spellings of one number are equal."""

    group: str | None = None
    customers: frozenset[str] = frozenset()
    operator: str | None = None
    numbers: frozenset[str] = frozenset()


class Office(Protocol):
    """One consistent view of the office side, for one pass over recordings."""

    def subjects(self, calls: Sequence[Mapping[str, Any]]) -> list[CallSubjects]:
        """Whom each of these rows of ``calls`` concerns, in their order."""

    def held_numbers(self, hold_id: str, kind: str, subject: str) -> frozenset[str]:
        """The keys of the numbers that a hold of kind ``number`` or ``customer`` stands for.

        For a customer: those of today and those at the time when the hold was set.
        """


def open_office(crm: sqlite_utils.Database) -> Office:
    """The registered office. Raises ConfigError when there is none: nothing may be deleted then."""
    points = list(entry_points(group=GROUP))
    if len(points) != 1:
        raise ConfigError(f"one entry point of {GROUP} is needed, there are {len(points)}")
    office: Office = points[0].load()(crm)
    return office
