"""Who is told of a change: the operators in whose scope it lies, by staff number."""

from __future__ import annotations

from collections.abc import Callable

import sqlite_utils

from crm_client_api.domain.operators import list_operators
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import RecordScope, Viewer
from crm_client_api.domain.settings import Settings


def who_sees_record(
    crm: sqlite_utils.Database, scope_of: Callable[[Viewer], RecordScope], needed: Permission, owner: str
) -> list[str]:
    """Everybody who may log in, holds ``needed`` and has records of this owner in scope."""
    row = crm.conn.execute("SELECT group_number FROM staff WHERE staff_no = ?", (owner,)).fetchone()
    owner_group = None if row is None else row[0]
    return [
        one.staff_no
        for one in list_operators(crm)
        if one.may_log_in and needed in one.permissions and scope_of(one.viewer).allows(owner, owner_group)
    ]


def who_sees_channel(crm: sqlite_utils.Database, settings: Settings, channel: int) -> list[str]:
    """Everybody who may log in and has the channel's calls in scope."""
    return [
        one.staff_no
        for one in list_operators(crm)
        if one.may_log_in and settings.channel_scope(one.viewer).allows(channel)
    ]
