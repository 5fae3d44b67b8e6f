"""Who may change what operators share: phrases, saved views."""

from __future__ import annotations

from typing import Literal

import sqlite_utils

from crm_client_api.domain.permissions import Level
from crm_client_api.domain.scope import Sql, Viewer
from crm_client_api.domain.staff.people import PRESENT


def changeable(viewer: Viewer) -> Sql:
    """A condition on such a table: one's own, and for a super operator those that were shared by who left."""
    left = f"shared AND staff_no NOT IN ({PRESENT})" if viewer.level is Level.SUPER else "0"
    return f"(staff_no = ? OR ({left}))", (viewer.staff_no,)


def changeable_ids(crm: sqlite_utils.Database, table: Literal["phrases", "saved_views"], viewer: Viewer) -> set[int]:
    """The rows that somebody may change."""
    condition, given = changeable(viewer)
    return {row[0] for row in crm.conn.execute(f"SELECT id FROM {table} WHERE {condition}", given)}
