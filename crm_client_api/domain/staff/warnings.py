"""Settings of operators that cannot work, as codes. Pure."""

from __future__ import annotations

from collections.abc import Collection

from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.staff.people import Operator

WARNINGS = {
    "leader_without_group": "a leader without a group sees no channel, and no records but shared ones",
    "ordinary_without_channel": "an ordinary operator without a channel sees no call and gets no pop-up",
    "customer_share_unused": "customer_share shows no pop-up while customers_shared_by_all is N",
    "channel_unknown": "an associated channel is none of this box",
    "customer_import_delete_alone": "customer_import_delete does nothing without customer_manage",
    "communication_import_delete_alone": "communication_import_delete does nothing without communication_manage",
}
"""Every code, with its meaning."""

_ALONE = {
    "customer_import_delete_alone": (Permission.CUSTOMER_IMPORT_DELETE, Permission.CUSTOMER_MANAGE),
    "communication_import_delete_alone": (Permission.COMMUNICATION_IMPORT_DELETE, Permission.COMMUNICATION_MANAGE),
}


def warnings_of(operator: Operator, *, shared_by_all: bool, box_channels: Collection[int]) -> list[str]:
    """Codes of what cannot work. ``shared_by_all``: the system parameter. A super operator needs no share."""
    held = operator.permissions
    found = {
        "leader_without_group": operator.level is Level.LEADER and operator.group is None,
        "ordinary_without_channel": operator.level is Level.ORDINARY and not operator.channels,
        "customer_share_unused": (
            Permission.CUSTOMER_SHARE in held and operator.level is not Level.SUPER and not shared_by_all
        ),
        "channel_unknown": not operator.channels <= set(box_channels),
    } | {code: gets in held and needs not in held for code, (gets, needs) in _ALONE.items()}
    return [code for code in WARNINGS if found[code]]
