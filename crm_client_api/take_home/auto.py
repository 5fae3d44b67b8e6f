"""Known sticks onto which recordings go by themselves: what, for whom, and what happens when one is plugged in.

Who set it up answers for it: the job is theirs, in their scope and with their permissions as they are at that moment.
Once they may not take recordings home any more, nothing is written, and everybody who oversees them is alarmed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import sqlite_utils

from crm_client_api.courier.exports import require_export_level
from crm_client_api.courier.jobs import PAUSED, Job, add_job, get_job, set_job
from crm_client_api.domain import audit
from crm_client_api.domain.audit import BOX, Actor
from crm_client_api.domain.calls import CallFilter
from crm_client_api.domain.media import give_up_auto_job, list_known
from crm_client_api.domain.operators import Operator, get_operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.watching import tell_unusual
from crm_client_api.excel.columns import Language
from crm_client_api.stores import Stores
from crm_client_api.take_home.choice import Wanted
from crm_client_api.take_home.forms import Form
from crm_client_api.take_home.job import TAKE_HOME, needed_for
from crm_client_api.take_home.media import PASSING
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.media.medium import Medium, find_medium
from firmware.parameters import get_all
from firmware.store.connection import write

Problem = Literal["", "asker_gone", "permission_missing", "level_missing", "paused"]
"""Why nothing was begun: who set it up works here no more, lacks a permission, or is below the level for customers;
the last job waits, for somebody paused it, and plugging the stick in again does not mend that."""


class AutoContents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes onto the stick: what is new on it since the last time, of these calls. ``from_ms``: those that began
    then or later (Unix ms UTC), which only the first time matters."""

    channel: int | None = None
    direction: Literal["incoming", "outgoing"] | None = None
    from_ms: int | None = None
    language: Language = "zh"
    form: Form = "original"
    evidence: bool = True
    customers: bool = False
    communications: bool = False


@dataclass(frozen=True, slots=True)
class AutoExport:
    """A stick's rule. Times: Unix ms UTC; ``permissions``: what who set it up could do by then."""

    medium: str
    staff_no: str
    address: str
    permissions: frozenset[Permission]
    contents: AutoContents
    set_ms: int
    seen_ms: int
    ran_ms: int | None
    job_id: int | None
    problem: Problem


def list_auto_exports(crm: sqlite_utils.Database) -> dict[str, AutoExport]:
    """All of them, by the stick's id."""
    rows = crm.conn.execute(
        "SELECT medium, staff_no, address, permissions, contents, set_ms, seen_ms, ran_ms, job_id, problem"
        " FROM auto_exports ORDER BY medium"
    )
    return {row["medium"]: _of(row) for row in rows}


def _of(row: sqlite3.Row) -> AutoExport:
    values = dict(row)
    permissions = msgspec.json.decode(values["permissions"], type=frozenset[Permission])
    return AutoExport(
        **values | {"permissions": permissions, "contents": msgspec.json.decode(values["contents"], type=AutoContents)}
    )


def wanted_of(medium: str, contents: AutoContents, until_ms: int) -> Wanted:
    """What the job shall write: only what is new on this stick."""
    return Wanted(
        medium=medium,
        filter=CallFilter(channel=contents.channel, direction=contents.direction, from_ms=contents.from_ms),
        since_last=True,
        until_ms=until_ms,
        language=contents.language,
        form=contents.form,
        evidence=contents.evidence and contents.form == "original",
        customers=contents.customers,
        communications=contents.communications,
        auto=True,
    )


def set_auto_export(
    crm: sqlite_utils.Database,
    medium: str,
    contents: AutoContents,
    actor: Actor,
    permissions: frozenset[Permission],
    plugged_ms: int,
) -> AutoExport:
    """Let a known stick be filled from the next time on that it is plugged in; who says so answers for it.

    ``plugged_ms``: since when it is plugged in now, 0: it is not. Raises NotFound: no known stick.
    """
    one = AutoExport(medium, actor.staff_no, actor.address, permissions, contents, now_ms(), plugged_ms, None, None, "")
    with write(crm) as connection:
        if all(known.id != medium for known in list_known(crm)):
            raise NotFound("this stick is not a known one")
        before = list_auto_exports(crm).get(medium)
        connection.execute(
            "INSERT INTO auto_exports VALUES (?,?,?,?,?,?,?,NULL,NULL,'') ON CONFLICT (medium) DO UPDATE SET"
            " staff_no = excluded.staff_no, address = excluded.address, permissions = excluded.permissions,"
            " contents = excluded.contents, set_ms = excluded.set_ms, seen_ms = excluded.seen_ms, problem = ''",
            (
                medium, one.staff_no, one.address, msgspec.json.encode(sorted(permissions)).decode(),
                msgspec.json.encode(contents).decode(), one.set_ms, one.seen_ms,
            ),
        )  # fmt: skip
        give_up_auto_job(connection, medium, actor)
        change = {"before": _audited(before), "after": _audited(one)}
        audit.append(connection, actor, "medium.auto_export_set", medium, change)
    return one


def end_auto_export(crm: sqlite_utils.Database, medium: str, actor: Actor) -> None:
    """Nothing goes onto the stick by itself any more, and what the rule began is given up. Raises NotFound."""
    with write(crm) as connection:
        before = list_auto_exports(crm).get(medium)
        if before is None:
            raise NotFound("nothing goes onto this stick by itself")
        give_up_auto_job(connection, medium, actor)
        connection.execute("DELETE FROM auto_exports WHERE medium = ?", (medium,))
        change = {"before": _audited(before), "after": None}
        audit.append(connection, actor, "medium.auto_export_end", medium, change)


def _audited(one: AutoExport | None) -> dict[str, Any] | None:
    return None if one is None else {"set_by": one.staff_no, **msgspec.to_builtins(one.contents)}


def begin_auto_exports(stores: Stores) -> None:
    """A job for every stick with a rule that was plugged in since the last look. Raises StoreError."""
    for one in list_auto_exports(stores.crm).values():
        medium = None
        with suppress(OSError):
            medium = find_medium(stores.home, one.medium)
        if medium is not None and medium.state == "mounted" and medium.since_ms != one.seen_ms:
            _plugged(stores, one.medium, medium)


def _plugged(stores: Stores, name: str, medium: Medium) -> None:
    crm = stores.crm
    with write(crm) as connection:
        one = list_auto_exports(crm).get(name)
        if one is None or one.seen_ms == medium.since_ms:  # somebody changed it meanwhile
            return
        about: dict[str, object] = {"set_by": one.staff_no}
        job = _open_job(crm, one)
        problem = _problem(crm, one) or ("paused" if job is not None and job.held == PAUSED else "")
        if problem:
            audit.append(connection, Actor(BOX), "medium.auto_export_refused", name, about | {"why": problem})
            tell_unusual(connection, crm, one.staff_no, "auto_exports", {"count": 1, "limit": 0, "medium": name})
            connection.execute(
                "UPDATE auto_exports SET seen_ms = ?, problem = ? WHERE medium = ?", (medium.since_ms, problem, name)
            )
            return
        if job is None:
            wanted: Mapping[str, Any] = msgspec.to_builtins(wanted_of(name, one.contents, now_ms()))
            job_id = add_job(connection, TAKE_HOME, Actor(one.staff_no, one.address), wanted, one.permissions)
        else:
            job_id = job.id
            if job.held not in ("", *PASSING):  # somebody may have made room, or mended the stick
                set_job(connection, job_id, held="", error=None)
        audit.append(connection, Actor(BOX), "medium.auto_export", name, about | {"job": job_id})
        connection.execute(
            "UPDATE auto_exports SET seen_ms = ?, ran_ms = ?, job_id = ?, problem = '' WHERE medium = ?",
            (medium.since_ms, now_ms(), job_id, name),
        )


def _open_job(crm: sqlite_utils.Database, one: AutoExport) -> Job | None:
    """The last job of this stick, when it was cut off or set aside."""
    if one.job_id is None:
        return None
    with suppress(NotFound):
        job = get_job(crm, one.job_id)
        if job.state in ("waiting", "running") and not job.cancel_asked:
            return job
    return None


def _problem(crm: sqlite_utils.Database, one: AutoExport) -> Problem:
    """Whether who set it up may still do so."""
    operator = operator_now(crm, one)
    if operator is None:
        return "asker_gone"
    if not operator.permissions.issuperset(needed_for(wanted_of(one.medium, one.contents, 0))):
        return "permission_missing"
    if one.contents.customers:
        try:
            require_export_level(get_all(crm, "system")["customer_export_level"], operator)
        except Refused:
            return "level_missing"
    return ""


def operator_now(crm: sqlite_utils.Database, one: AutoExport) -> Operator | None:
    """Who set it up, with no more than they set it up by; None: works here no more."""
    try:
        operator = get_operator(crm, one.staff_no)
    except NotFound:
        return None
    return replace(operator, permissions=operator.permissions & one.permissions) if operator.may_log_in else None
