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
from crm_client_api.domain.handing_over.orders import Wanted, hand_over
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.staff.new_permissions import note_permissions
from crm_client_api.domain.staff.people import Operator, appoint, dismiss, get_operator
from crm_client_api.domain.staff.rights import (
    check_form,
    check_grant,
    check_group,
    grantor_now,
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


def replace_operator(
    crm: sqlite_utils.Database, wanted: Operator, records: Records | None, actor: Actor, grantor: Operator
) -> Operator:
    """Give somebody other settings; ``wanted`` has the staff number of who is replaced. Returns what is set now.

    ``records`` is asked for when the group becomes another one, and only then. Often everything is one transaction;
    with many records to hand over, all but the last of them go before. Raises NotFound, BadInput, Invalid, Refused.
    """
    check_form(wanted)
    old = get_operator(crm, wanted.staff_no)
    stay_with = _stay_with(crm, old, wanted, records)

    def check(_connection: sqlite3.Connection) -> None:
        _check(crm, old, wanted, grantor)

    def renew(connection: sqlite3.Connection) -> None:
        check(connection)
        hashed = connection.execute(
            "SELECT password_hash FROM operators WHERE staff_no = ? AND deleted_ms IS NULL", (old.staff_no,)
        ).fetchone()[0]
        note_permissions(connection)
        dismiss(connection, old.staff_no)
        appoint(connection, replace(wanted, active=old.active, must_change_password=old.must_change_password), hashed)
        data = {
            "before": old.audited,
            "after": replace(wanted, active=old.active).audited,
            "records": None if records is None else {"come_along": records.come_along, "to": records.to},
        }
        audit.append(connection, actor, "operator.replace", old.staff_no, data)

    if stay_with is None:
        with write(crm) as connection:
            renew(connection)
    else:
        all_records = Wanted((stay_with,), all_of=old.staff_no)
        hand_over(crm, all_records, actor, grantor.viewer, at_first=check, at_last=renew)
    return get_operator(crm, old.staff_no)


def _check(crm: sqlite_utils.Database, old: Operator, wanted: Operator, grantor: Operator) -> None:
    """Inside the transaction: whether it may be done, and nobody did something else meanwhile."""
    if get_operator(crm, old.staff_no) != old:
        raise Refused("somebody changed this operator meanwhile: look again")
    now = grantor_now(crm, grantor)
    require_reach(old, now)
    check_grant(wanted, now)
    check_group(crm, wanted.group)
    if not replace(wanted, active=old.active).manages_all:
        require_manager_left(crm, old)


def _stay_with(crm: sqlite_utils.Database, old: Operator, wanted: Operator, records: Records | None) -> str | None:
    if old.group == wanted.group:
        if records is not None:
            raise Invalid("records_not_asked", "the group stays, and so do the records")
        return None
    if records is None:
        raise Invalid("records_asked", "into another group: say whether the records come along")
    if records.come_along != (records.to is None):
        raise Invalid("records_to", "name a colleague who takes the records, if and only if they do not come along")
    if records.to is not None and get_operator(crm, records.to).group != old.group:
        raise Invalid("records_to", "the colleague who takes the records is of the old group")
    return records.to
