"""Setting and lifting holds (保全): one person sets a hold, two different people lift it. Every step is audited.

Who may do so (``hold_manage``) is checked where the request comes in. The box's console is no person: it lifts nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.operators import get_operator, list_operators
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import Sql
from firmware.clock import now_ms, uuid7
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from recorder.library.storage.holds import HoldKind
from recorder.numbers import Site, match_key

_LONGEST_REASON_CHARACTERS = 1000
_LONGEST_SUBJECT_CHARACTERS = 60
_ALL: Sql = ("1", ())
EVENT = "hold_changed"
"""A hold was set, lifted, or is about to be; with the call that it is on, if it is on one."""


class SecondPersonNeeded(Refused):
    """A hold is lifted by two different people."""


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A hold with its history. Times are Unix ms UTC; ``released_ms`` None: it protects."""

    id: str
    kind: HoldKind
    subject: str | None
    from_ms: int | None
    to_ms: int | None
    channel: int | None
    reason: str
    set_by: str
    set_ms: int
    release_asked_by: str | None
    release_asked_ms: int | None
    released_by: str | None
    released_ms: int | None


@dataclass(frozen=True, slots=True)
class WantedHold:
    """What to hold. ``subject``: call id, number in any spelling, or customer id; a period has bounds instead."""

    kind: HoldKind
    reason: str
    subject: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    channel: int | None = None


def list_holds(crm: sqlite_utils.Database, *, released: bool = False, scope: Sql = _ALL) -> list[HoldRecord]:
    """The holds in scope (a condition on ``holds``) that protect, oldest first; with ``released`` the others too."""
    condition = "1" if released else "released_ms IS NULL"
    rows = crm.conn.execute(f"SELECT * FROM holds WHERE {condition} AND {scope[0]} ORDER BY set_ms, id", scope[1])
    return [HoldRecord(**dict(row)) for row in rows]


def get_hold(crm: sqlite_utils.Database, hold_id: str, scope: Sql = _ALL) -> HoldRecord:
    """Raises NotFound, also for one out of scope."""
    row = crm.conn.execute(f"SELECT * FROM holds WHERE id = ? AND {scope[0]}", (hold_id, *scope[1])).fetchone()
    if row is None:
        raise NotFound("there is no such hold")
    return HoldRecord(**dict(row))


def set_hold(crm: sqlite_utils.Database, wanted: WantedHold, actor: Actor, site: Site) -> HoldRecord:
    """Protect recordings from now on; that a held call exists is the caller's to check. Raises Invalid, NotFound.

    For a customer the audit log keeps the present numbers, which stay held whatever becomes of the customer.
    """
    _check(wanted, site)
    hold_id, at_ms = uuid7(now_ms()), now_ms()
    about: dict[str, object] = {"kind": wanted.kind, "subject": wanted.subject, "reason": wanted.reason}
    with write(crm) as connection:
        if wanted.kind == "period":
            about |= {"from_ms": wanted.from_ms, "to_ms": wanted.to_ms, "channel": wanted.channel}
        elif wanted.kind == "customer":
            about["numbers"] = _numbers_of(connection, wanted.subject or "")
        connection.execute(
            "INSERT INTO holds (id, kind, subject, from_ms, to_ms, channel, reason, set_by, set_ms)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            (
                hold_id, wanted.kind, wanted.subject, wanted.from_ms, wanted.to_ms, wanted.channel,
                wanted.reason.strip(), actor.staff_no, at_ms,
            ),
        )  # fmt: skip
        audit.append(connection, actor, "hold.set", hold_id, about)
        return _told(crm, connection, hold_id)


def ask_release(crm: sqlite_utils.Database, hold_id: str, actor: Actor, scope: Sql = _ALL) -> HoldRecord:
    """The first person asks for the release; it protects until another confirms. Raises NotFound, Refused."""
    _require_person(actor)
    with write(crm) as connection:
        _standing(crm, hold_id, scope, asked=False)
        connection.execute(
            "UPDATE holds SET release_asked_by = ?, release_asked_ms = ? WHERE id = ?",
            (actor.staff_no, now_ms(), hold_id),
        )
        audit.append(connection, actor, "hold.release_ask", hold_id)
        return _told(crm, connection, hold_id)


def confirm_release(crm: sqlite_utils.Database, hold_id: str, actor: Actor, scope: Sql = _ALL) -> HoldRecord:
    """The second person lifts the hold, while the first may still ask for it.

    Raises NotFound, Refused, SecondPersonNeeded (audited too).
    """
    _require_person(actor)
    with write(crm) as connection:
        hold = _standing(crm, hold_id, scope, asked=True)
        alone = hold.release_asked_by == actor.staff_no
        if alone:
            audit.append(connection, actor, "hold.release_refused", hold_id)
        else:
            _require_asker(crm, hold.release_asked_by or "")
            connection.execute(
                "UPDATE holds SET released_by = ?, released_ms = ? WHERE id = ?", (actor.staff_no, now_ms(), hold_id)
            )
            audit.append(connection, actor, "hold.release", hold_id, {"asked_by": hold.release_asked_by})
            _told(crm, connection, hold_id)
    if alone:
        raise SecondPersonNeeded("who asked for the release cannot confirm it: a second person is needed")
    return get_hold(crm, hold_id)


def cancel_release(crm: sqlite_utils.Database, hold_id: str, actor: Actor, scope: Sql = _ALL) -> HoldRecord:
    """Take back the request: the hold stands as before. Anybody may, for it only protects. Raises NotFound, Refused."""
    with write(crm) as connection:
        _standing(crm, hold_id, scope, asked=True)
        connection.execute("UPDATE holds SET release_asked_by = NULL, release_asked_ms = NULL WHERE id = ?", (hold_id,))
        audit.append(connection, actor, "hold.release_cancel", hold_id)
        return _told(crm, connection, hold_id)


def _told(crm: sqlite_utils.Database, connection: sqlite3.Connection, hold_id: str) -> HoldRecord:
    """The hold as it is now, of which everybody is told who manages holds; scope is asked when it is sent."""
    hold = get_hold(crm, hold_id)
    to = [one.staff_no for one in list_operators(crm) if one.may_log_in and Permission.HOLD_MANAGE in one.permissions]
    call_id = hold.subject if hold.kind == "call" else None
    office_events.tell(connection, EVENT, {"on_channel": hold.channel}, to=to, call_id=call_id)
    return hold


def _standing(crm: sqlite_utils.Database, hold_id: str, scope: Sql, *, asked: bool) -> HoldRecord:
    """The hold, inside the write transaction, if the step may be taken."""
    hold = get_hold(crm, hold_id, scope)
    if hold.released_ms is not None:
        raise Refused("this hold is released already")
    if asked and hold.release_asked_by is None:
        raise Refused("nobody has asked for the release of this hold")
    if not asked and hold.release_asked_by is not None:
        raise Refused(f"{hold.release_asked_by} has asked for the release already")
    return hold


def _require_asker(crm: sqlite_utils.Database, staff_no: str) -> None:
    """Raises Refused once the first person left, or may not lift holds any more: two people have to want it."""
    try:
        asker = get_operator(crm, staff_no)
    except NotFound:
        asker = None
    if asker is None or not asker.may_log_in or Permission.HOLD_MANAGE not in asker.permissions:
        raise Refused(f"{staff_no} may not ask for the release any more: take the request back, and ask anew")


def _require_person(actor: Actor) -> None:
    if actor.staff_no == CONSOLE:
        raise Refused("a hold is lifted by two people who log in, not from the console")


def _check(wanted: WantedHold, site: Site) -> None:
    if not 0 < len(wanted.reason.strip()) <= _LONGEST_REASON_CHARACTERS:
        raise Invalid("hold_reason", f"a hold needs a reason of at most {_LONGEST_REASON_CHARACTERS} characters")
    bounds = (wanted.from_ms, wanted.to_ms, wanted.channel)
    if wanted.kind == "period":
        _check_period(wanted)
    elif bounds != (None, None, None):
        raise Invalid("hold_bounds", "only a period has bounds and a channel")
    elif not wanted.subject or len(wanted.subject) > _LONGEST_SUBJECT_CHARACTERS:
        raise Invalid("hold_subject", f"a hold of kind {wanted.kind} names what it holds")
    elif wanted.kind == "number" and not match_key(wanted.subject, site):
        raise Invalid("hold_number", "there are no digits in this number")


def _check_period(wanted: WantedHold) -> None:
    if wanted.subject is not None or wanted.from_ms is None:
        raise Invalid("hold_period", "a period has a beginning, perhaps an end and a channel, and nothing else")
    if wanted.to_ms is not None and wanted.to_ms < wanted.from_ms:
        raise Invalid("hold_period", "the period ends before it begins")


def _numbers_of(connection: sqlite3.Connection, customer_id: str) -> list[str]:
    """Raises NotFound."""
    exists = connection.execute("SELECT 1 FROM customers WHERE id = ? AND deleted_ms IS NULL", (customer_id,))
    if exists.fetchone() is None:
        raise NotFound("there is no such customer")
    rows = connection.execute(
        "SELECT number FROM customer_phones WHERE customer_id = ? ORDER BY position", (customer_id,)
    )
    return [str(row[0]) for row in rows]
