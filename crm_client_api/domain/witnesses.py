"""Who is told of a change: the operators in whose scope it lies, by staff number."""

from __future__ import annotations

from collections.abc import Callable, Collection

import sqlite_utils

from crm_client_api.domain.operators import list_operators
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import RecordScope, Viewer
from crm_client_api.domain.settings import Settings


def who_sees_records(
    crm: sqlite_utils.Database,
    scope_of: Callable[[Viewer], RecordScope],
    needed: Permission,
    owners: Collection[str],
) -> dict[str, list[str]]:
    """By owner everybody who may log in, holds ``needed`` and has records of this owner in scope."""
    groups = dict(map(tuple, crm.conn.execute("SELECT staff_no, group_number FROM staff")))
    readers = [
        (one.staff_no, scope_of(one.viewer))
        for one in list_operators(crm)
        if one.may_log_in and needed in one.permissions
    ]
    return {
        owner: [staff_no for staff_no, scope in readers if scope.allows(owner, groups.get(owner))] for owner in owners
    }


def who_sees_record(
    crm: sqlite_utils.Database, scope_of: Callable[[Viewer], RecordScope], needed: Permission, owner: str
) -> list[str]:
    """The same of one owner."""
    return who_sees_records(crm, scope_of, needed, [owner])[owner]


def who_sees_channels(
    crm: sqlite_utils.Database, settings: Settings, channels: Collection[int]
) -> dict[int, list[str]]:
    """By channel everybody who may log in and has its calls in scope."""
    scopes = [(one.staff_no, settings.channel_scope(one.viewer)) for one in list_operators(crm) if one.may_log_in]
    return {channel: [staff_no for staff_no, scope in scopes if scope.allows(channel)] for channel in channels}


def who_sees_channel(crm: sqlite_utils.Database, settings: Settings, channel: int) -> list[str]:
    """The same of one channel."""
    return who_sees_channels(crm, settings, [channel])[channel]
