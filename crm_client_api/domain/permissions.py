"""Levels and permissions of operators (domain rules, section 1)."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """Operator levels: 超级操作员, 组长操作员, 一般操作员."""

    SUPER = "super"
    LEADER = "leader"
    ORDINARY = "ordinary"


class Permission(StrEnum):
    """What an operator may do; needed whatever the level."""

    CUSTOMER_MANAGE = "customer_manage"
    CUSTOMER_IMPORT_DELETE = "customer_import_delete"
    CUSTOMER_SHARE = "customer_share"
    COMMUNICATION_MANAGE = "communication_manage"
    COMMUNICATION_IMPORT_DELETE = "communication_import_delete"
    COMMUNICATION_SHARE = "communication_share"
    NET_POPUP = "net_popup"
    RECORDING_QUERY = "recording_query"
    RECORDING_EXPORT = "recording_export"
    RECORDING_DELETE = "recording_delete"
    HOLD_MANAGE = "hold_manage"
    LIVE_MONITOR = "live_monitor"
    CHANNEL_SETUP = "channel_setup"
    SYSTEM_SETUP = "system_setup"
    OPERATOR_MANAGE = "operator_manage"
    STATISTICS = "statistics"
    QUALITY_SCORE = "quality_score"
    AUDIT_READ = "audit_read"


ALL_PERMISSIONS = frozenset(Permission)

LEVEL_ORDER = (Level.ORDINARY, Level.LEADER, Level.SUPER)
"""From the lowest to the highest: nobody can grant a level above the own one."""
