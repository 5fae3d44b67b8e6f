"""Somebody leaves: shut out at once, and everything that waits for them goes to colleagues, in one step."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over.orders import Wanted, hand_over
from crm_client_api.domain.operators import deactivate
from crm_client_api.domain.staff.people import Operator, get_operator
from crm_client_api.domain.staff.rights import grantor_now, require_reach


def let_leave(
    crm: sqlite_utils.Database, staff_no: str, to: Sequence[str], reason: str, actor: Actor, grantor: Operator
) -> list[int]:
    """Deactivate somebody, and hand customers, communication records, tasks, call-backs and drafts over.

    Returns the hand-over's id for each receiver; customers go to the receivers in turn, drafts to the first. What was
    cut off is done again by asking again. Raises NotFound, Invalid, LevelMissing, Refused.
    """

    def shut_out(connection: sqlite3.Connection) -> None:
        leaver = get_operator(crm, staff_no)
        require_reach(leaver, grantor_now(crm, grantor))
        deactivate(crm, connection, leaver)
        data = {"before": {"active": leaver.active}, "after": {"active": False}, "to": list(to)}
        audit.append(connection, actor, "operator.leaving", staff_no, data)

    wanted = Wanted(tuple(to), all_of=staff_no, desk_too=True, reason=reason)
    return hand_over(crm, wanted, actor, grantor.viewer, at_first=shut_out)
