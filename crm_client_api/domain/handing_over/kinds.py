"""What can be handed over: where each kind of record stands, and which of them are moved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """Records of one table. ``living``: where those that can be moved are read, with ``condition``; ``key``: their id.

    A record of every kind has the column ``owner``.
    """

    name: str
    table: str
    living: str
    key: str = "id"
    condition: str = "1"
    also: str = ""
    """What else is written when it gets another owner."""


CUSTOMER = Kind("customer", "customers", "living_customers")
COMMUNICATION = Kind("communication", "communications", "living_communications")
TASK = Kind("task", "tasks", "tasks", condition="done_ms IS NULL AND deleted_ms IS NULL", also=", notified_ms = NULL")
"""The new owner is told when it is due, as the old one was."""
CALL_BACK = Kind("call_back", "call_backs", "call_backs", "call_id", "state IN ('open', 'taken')")
DRAFT = "draft"
"""Drafts have no owner but a key of their own for each person: see ``drafts``."""
PHRASE = "phrase"
"""Shared template phrases, of a leaver alone: see ``phrases``."""
VIEW = "saved_view"
"""Shared saved views, of a leaver alone: see ``views``."""

KINDS = {kind.name: kind for kind in (CUSTOMER, COMMUNICATION, TASK, CALL_BACK)}
