"""Somebody leaves: shut out at once, and everything that waits for them goes to colleagues, in one step."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.orders import Leave, begin_hand_over
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.operators import deactivate
from crm_client_api.domain.staff.people import Operator, get_operator
from crm_client_api.domain.staff.rights import grantor_now, require_reach


def leavers_records(staff_no: str, to: Sequence[str], reason: str) -> Wanted:
    """What goes over when somebody leaves: customers to the receivers in turn, drafts to the first of them, shared
    phrases and views to the first who works with phrases, or with such lists."""
    return Wanted(tuple(to), all_of=staff_no, desk_too=True, reason=reason)


def let_leave(crm: sqlite_utils.Database, wanted: Wanted, actor: Actor, grantor: Operator, leave: Leave) -> list[int]:
    """Deactivate the person whose records (``leavers_records``) are handed over, in the same transaction.

    Returns the hand-over's id for each receiver; what one transaction does not take is left to ``leave``. Raises
    NotFound, Invalid, LevelMissing, Refused.
    """
    staff_no = str(wanted.all_of)

    def shut_out(connection: sqlite3.Connection) -> None:
        leaver = get_operator(crm, staff_no)
        require_reach(leaver, grantor_now(crm, grantor))
        deactivate(crm, connection, leaver)
        data = {"before": {"active": leaver.active}, "after": {"active": False}, "to": list(wanted.to)}
        audit.append(connection, actor, "operator.leaving", staff_no, data)

    return begin_hand_over(crm, wanted, actor, grantor.viewer, leave, at_first=shut_out)
