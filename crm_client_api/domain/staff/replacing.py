"""Replace 更换: an operator is deleted and added anew with other settings, and stays the same person.

Staff number, password, second factor, drafts, tasks and saved views stay. Sessions and API tokens end: they stand for
the old rights. Records belong to the staff number, and count with the group of its newest appointment: into another
group they come along. Where they shall stay with the old group instead, a colleague there takes them over.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

import sqlite_utils

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import news
from crm_client_api.domain.handing_over.orders import Leave, begin_hand_over
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.staff.new_permissions import note_permissions
from crm_client_api.domain.staff.people import Operator, appoint, dismiss, get_operator
from crm_client_api.domain.staff.rights import (
    check_channels,
    check_form,
    check_grant,
    check_group,
    grantor_now,
    require_group_kept,
    require_manager_left,
    require_reach,
)
from firmware.errors import Refused
from firmware.store.connection import write


@dataclass(frozen=True, slots=True)
class Records:
    """The answer to: do the records come along into the other group? If not, ``to`` of the old group takes them."""

    come_along: bool
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """Who shall have which settings: ``old`` as somebody saw them, and ``wanted`` with the same staff number."""

    old: Operator
    wanted: Operator
    records: Records | None

    @property
    def handed_over(self) -> Wanted | None:
        """What has to be handed over first; None: the records stay with the person."""
        if self.records is None or self.records.to is None:
            return None
        return Wanted((self.records.to,), all_of=self.old.staff_no)

    def check(self, crm: sqlite_utils.Database, grantor: Operator) -> None:
        """Inside a transaction: whether it may be done, and nobody did something else meanwhile.

        Raises BadInput, Refused.
        """
        if get_operator(crm, self.old.staff_no) != self.old:
            raise Refused("somebody changed this operator meanwhile: look again")
        now = grantor_now(crm, grantor)
        require_reach(self.old, now)
        check_grant(self.wanted, now)
        require_group_kept(self.old, self.wanted, now)
        check_channels(crm, self.wanted, self.old.channels, now)
        check_group(crm, self.wanted.group)
        if not replace(self.wanted, active=self.old.active).manages_all:
            require_manager_left(crm, self.old)

    def carry_out(
        self, crm: sqlite_utils.Database, connection: sqlite3.Connection, actor: Actor, grantor: Operator
    ) -> None:
        """Delete the operator and add the person anew, inside the caller's transaction. Raises BadInput, Refused."""
        self.check(crm, grantor)
        old, records = self.old, self.records
        hashed = connection.execute(
            "SELECT password_hash FROM operators WHERE staff_no = ? AND deleted_ms IS NULL", (old.staff_no,)
        ).fetchone()[0]
        note_permissions(connection)
        saw = news.who_sees_any(crm, [old.staff_no])
        dismiss(connection, old.staff_no)
        new = replace(self.wanted, active=old.active, must_change_password=old.must_change_password)
        appoint(connection, new, hashed)
        data = {
            "before": old.audited,
            "after": replace(self.wanted, active=old.active).audited,
            "records": None if records is None else {"come_along": records.come_along, "to": records.to},
        }
        audit.append(connection, actor, "operator.replace", old.staff_no, data)
        if old.group != new.group:
            news.tell_those(connection, "group_changed", saw | news.who_sees_any(crm, [old.staff_no]))


def plan_replacement(crm: sqlite_utils.Database, wanted: Operator, records: Records | None) -> Replacement:
    """``records`` is asked for when the group becomes another one, and only then.

    Raises NotFound, BadInput, Invalid.
    """
    check_form(wanted)
    old = get_operator(crm, wanted.staff_no)
    _check_answer(crm, old, wanted, records)
    return Replacement(old, wanted, records)


def replace_operator(
    crm: sqlite_utils.Database, planned: Replacement, actor: Actor, grantor: Operator, leave: Leave
) -> list[int]:
    """Give somebody other settings. Records that stay with the old group are handed over first: what of that one
    transaction does not take is left to ``leave``, and the replacement with it.

    Returns the ids of hand-overs. Raises NotFound, BadInput, Invalid, LevelMissing, Refused.
    """

    def renew(connection: sqlite3.Connection) -> None:
        planned.carry_out(crm, connection, actor, grantor)

    wanted = planned.handed_over
    if wanted is None:
        with write(crm) as connection:
            renew(connection)
        return []
    return begin_hand_over(
        crm, wanted, actor, grantor.viewer, leave,
        at_first=lambda _connection: planned.check(crm, grantor), at_last=renew,
    )  # fmt: skip


def _check_answer(crm: sqlite_utils.Database, old: Operator, wanted: Operator, records: Records | None) -> None:
    if old.group == wanted.group:
        if records is not None:
            raise Invalid("records_not_asked", "the group stays, and so do the records")
        return
    if records is None:
        raise Invalid("records_asked", "into another group: say whether the records come along")
    if records.come_along != (records.to is None):
        raise Invalid("records_to", "name a colleague who takes the records, if and only if they do not come along")
    if records.to is not None and get_operator(crm, records.to).group != old.group:
        raise Invalid("records_to", "the colleague who takes the records is of the old group")
