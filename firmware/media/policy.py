"""Which sticks the office allows, and which ones it knows by name: rows of ``known_media`` in ``crm.db``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlite_utils

from firmware.media.medium import Reason
from firmware.media.parameters import USB_STICKS
from firmware.parameters import get_value


@dataclass(frozen=True, slots=True)
class Policy:
    """``allowed``: all, known or none. ``names``: of known media, by their ids."""

    allowed: str
    names: Mapping[str, str]

    def forbids(self, medium_id: str) -> Reason:
        """Why a medium is forbidden; "" when it is allowed."""
        if self.allowed == "none":
            return "policy_none"
        if self.allowed == "known" and medium_id not in self.names:
            return "policy_unknown"
        return ""


def read_policy(crm: sqlite_utils.Database) -> Policy:
    """As it is now. Raises sqlite3.Error."""
    rows = crm.conn.execute("SELECT id, name FROM known_media").fetchall()
    return Policy(str(get_value(crm, "system", USB_STICKS)), {row["id"]: row["name"] for row in rows})
