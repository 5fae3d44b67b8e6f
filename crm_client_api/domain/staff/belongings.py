"""What somebody would leave behind: how much of it there is."""

from __future__ import annotations

from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.handing_over.kinds import CALL_BACK, COMMUNICATION, CUSTOMER, TASK, Kind
from crm_client_api.domain.handing_over.reach import reach_of, require_giver
from crm_client_api.domain.scope import Viewer


@dataclass(frozen=True, slots=True)
class Belongings:
    """Counts. ``tasks`` and ``call_backs``: open ones. ``saved_views``: shared or not. ``deleted_customers``: in the
    recycle bin; they stay."""

    customers: int
    communications: int
    tasks: int
    call_backs: int
    drafts: int
    shared_phrases: int
    shared_views: int
    saved_views: int
    deleted_customers: int
    sessions: int
    tokens: int


def belongings_of(crm: sqlite_utils.Database, staff_no: str, viewer: Viewer) -> Belongings:
    """For those who could hand it over. Raises LevelMissing, NotFound."""
    require_giver(crm.conn, staff_no, reach_of(viewer))

    def count(source: str, condition: str) -> int:
        return int(crm.conn.execute(f"SELECT count(*) FROM {source} WHERE {condition}", (staff_no,)).fetchone()[0])

    def owned(kind: Kind) -> int:
        return count(kind.living, f"owner = ? AND {kind.condition}")

    return Belongings(
        customers=owned(CUSTOMER),
        communications=owned(COMMUNICATION),
        tasks=owned(TASK),
        call_backs=owned(CALL_BACK),
        drafts=count("drafts", "staff_no = ?"),
        shared_phrases=count("phrases", "staff_no = ? AND shared"),
        shared_views=count("saved_views", "staff_no = ? AND shared"),
        saved_views=count("saved_views", "staff_no = ?"),
        deleted_customers=count("customers", "owner = ? AND deleted_ms IS NOT NULL"),
        sessions=count("sessions", "staff_no = ?"),
        tokens=count("api_tokens", "staff_no = ? AND revoked_ms IS NULL"),
    )
