"""Who may appoint, change and dismiss whom. All of it is asked inside the transaction that acts on the answer."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import sqlite_utils

from crm_client_api.domain.audit import CONSOLE
from crm_client_api.domain.groups import group_exists
from crm_client_api.domain.permissions import LEVEL_ORDER, Level, Permission
from crm_client_api.domain.settings import read_settings
from crm_client_api.domain.staff.people import Operator, get_operator, list_operators
from firmware.errors import BadInput, NotFound, Refused

_STAFF_NO = re.compile(r"[0-9A-Za-z]{1,16}")
LONGEST_NAME_CHARACTERS = 100


def check_name(name: str) -> None:
    """Raises BadInput."""
    if not name.strip() or len(name) > LONGEST_NAME_CHARACTERS:
        raise BadInput(f"a name has 1 to {LONGEST_NAME_CHARACTERS} characters")


def check_form(operator: Operator) -> None:
    """Whether staff number, name and channels are such. Raises BadInput."""
    if not _STAFF_NO.fullmatch(operator.staff_no) or operator.staff_no == CONSOLE:
        raise BadInput("a staff number has 1 to 16 letters and digits (A-Z, a-z, 0-9)")
    check_name(operator.name)
    if any(not 1 <= channel <= 9999 for channel in operator.channels):
        raise BadInput("channels are numbered from 1 to 9999")


def check_group(crm: sqlite_utils.Database, group: int | None) -> None:
    """Raises BadInput for a group that does not exist; None is no group."""
    if group is not None and not group_exists(crm.conn, group):
        raise BadInput(f"there is no group {group}")


def grantor_now(crm: sqlite_utils.Database, grantor: Operator | None) -> Operator | None:
    """The grantor with what is still held at this moment, never more than when the request began.

    None is the console of the box, which may do everything. Raises Refused.
    """
    if grantor is None:
        return None
    try:
        now = get_operator(crm, grantor.staff_no)
    except NotFound as error:
        raise Refused("who manages operators has to be one") from error
    held = now.permissions & grantor.permissions
    if not now.may_log_in or Permission.OPERATOR_MANAGE not in held:
        raise Refused("managing operators needs operator_manage")
    return replace(now, permissions=held, level=min(now.level, grantor.level, key=LEVEL_ORDER.index))


def check_grant(operator: Operator, grantor: Operator | None) -> None:
    """Nobody grants a level or a permission that they do not hold themselves, nor a place in a group's scope.

    Raises Refused.
    """
    if grantor is None:
        return
    if grantor.level is not Level.SUPER and operator.group not in (None, grantor.group):
        raise Refused("below a super operator one manages nobody of another group")
    if LEVEL_ORDER.index(operator.level) > LEVEL_ORDER.index(grantor.level):
        raise Refused(f"a {grantor.level} operator cannot make somebody a {operator.level} operator")
    lacking = sorted(operator.permissions - grantor.permissions)
    if lacking:
        raise Refused(f"nobody can grant what they do not hold: {', '.join(lacking)}")


def require_group_kept(before: Operator, wanted: Operator, grantor: Operator | None) -> None:
    """Records count with their owner's group: only a super operator moves people, and with them records, into another.

    Raises Refused.
    """
    if grantor is not None and grantor.level is not Level.SUPER and wanted.group != before.group:
        raise Refused("only a super operator moves somebody, and the records along, into another group")


def check_channels(
    crm: sqlite_utils.Database, wanted: Operator, had: Collection[int], grantor: Operator | None
) -> None:
    """Nobody opens a channel to somebody whose calls they may not hear themselves. Raises Refused."""
    if grantor is None:
        return
    scope = read_settings(crm).channel_scope(grantor.viewer)
    strange = sorted(one for one in wanted.channels.difference(had) if not scope.allows(one))
    if strange:
        raise Refused(f"nobody can associate a channel whose calls they do not hear: {', '.join(map(str, strange))}")


def require_reach(operator: Operator, grantor: Operator | None) -> None:
    """Who may not grant these rights may not take over or lock out the person who has them. Raises Refused."""
    if grantor is not None and grantor.staff_no != operator.staff_no:
        check_grant(operator, grantor)


def require_manager_left(crm: sqlite_utils.Database, going: Operator) -> None:
    """Raises Refused when ``going`` is the last active super operator with ``operator_manage``."""
    others = (one for one in list_operators(crm) if one.staff_no != going.staff_no)
    if going.manages_all and not any(one.manages_all for one in others):
        raise Refused("the last active super operator with operator_manage stays")
