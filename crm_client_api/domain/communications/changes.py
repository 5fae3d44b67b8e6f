"""What operators do with communication records; each change audited and told to whoever sees the record."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import tzinfo
from typing import Any

import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.communications.lists import Reach, get_communication
from crm_client_api.domain.communications.record import Communication, Values, correctable_until_ms
from crm_client_api.domain.communications.write import insert, supplement, update
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.scope import RecordScope, communication_scope
from crm_client_api.domain.witnesses import who_sees_record
from firmware.clock import now_ms
from firmware.errors import NotFound, Refused
from firmware.store.connection import write
from recorder.numbers import Site

EVENT = "communication_changed"
"""``id`` of the record and ``what`` was done: added, corrected, supplemented, deleted, restored, purged."""
_LONGEST_SUPPLEMENT_CHARACTERS = 10_000
_MOST_SUPPLEMENTS = 200
_WRITTEN = RecordScope(everything=True)


def add_communication(
    crm: sqlite_utils.Database,
    values: Values,
    actor: Actor,
    reach: Reach,
    site: Site,
    on_card: Collection[int] = (),
) -> Communication:
    """Add a record to a customer in reach, or ``on_card``; author and owner are the actor. Raises NotFound, Invalid.

    Who writes is told what was written, also a leader without a group, in whose scope nothing is.
    """
    with write(crm) as connection:
        _require_customer(connection, values.customer_id, reach, on_card)
        added = insert(connection, values, actor.staff_no, actor.staff_no, now_ms(), site=site)
        audit.append(connection, actor, "communication.add", str(added), {"call": values.call_id})
        tell_changed(crm, connection, added, actor.staff_no, "added")
        return get_communication(crm, str(added), replace(reach, records=_WRITTEN))


def correct_communication(
    crm: sqlite_utils.Database,
    communication_id: str,
    changes: Mapping[str, Any],
    actor: Actor,
    reach: Reach,
    site: Site,
    zone: tzinfo,
    on_card: Collection[int] = (),
) -> Communication:
    """Change what the author said on the same day; ``changes`` by names of ``Values``, a customer as when one is added.

    Raises NotFound, Invalid; Refused: somebody else wrote it, or midnight is past.
    """
    with write(crm) as connection:
        old = get_communication(crm, communication_id, reach)
        if old.author != actor.staff_no:
            raise Refused("only its author corrects a communication record: add a supplement")
        at_ms = now_ms()
        if at_ms >= correctable_until_ms(old.created_ms, zone):
            raise Refused("a communication record is corrected on the day it was written: add a supplement")
        values = replace(old.values, **changes)
        if "customer_id" in changes and not (old.customer_named and values.customer_id == old.values.customer_id):
            _require_customer(connection, values.customer_id, reach, on_card)
        before = asdict(update(connection, old.id, values, actor.staff_no, at_ms, site=site))
        changed = [name for name, value in asdict(values).items() if value != before[name]]
        if changed:
            audit.append(
                connection,
                actor,
                "communication.correct",
                communication_id,
                {
                    "before": {name: before[name] for name in changed},
                    "after": {name: getattr(values, name) for name in changed},
                },
            )
            tell_changed(crm, connection, old.id, old.owner, "corrected")
    return get_communication(crm, communication_id, reach)


def add_supplement(
    crm: sqlite_utils.Database, communication_id: str, content: str, actor: Actor, reach: Reach, site: Site
) -> None:
    """Say something more about a record in scope, at any time. Raises NotFound, Invalid, Refused."""
    if not content.strip() or len(content) > _LONGEST_SUPPLEMENT_CHARACTERS:
        raise Invalid("supplement_length", f"a supplement has 1 to {_LONGEST_SUPPLEMENT_CHARACTERS} characters")
    with write(crm) as connection:
        old = get_communication(crm, communication_id, reach)
        count = connection.execute(
            "SELECT count(*) FROM communication_supplements WHERE communication_id = ?", (old.id,)
        ).fetchone()[0]
        if count >= _MOST_SUPPLEMENTS:
            raise Refused(f"a communication record has at most {_MOST_SUPPLEMENTS} supplements")
        added = supplement(connection, old.id, content, actor.staff_no, now_ms(), site=site)
        audit.append(connection, actor, "communication.supplement", communication_id, {"supplement": added})
        tell_changed(crm, connection, old.id, old.owner, "supplemented")


def _require_customer(connection: sqlite3.Connection, customer_id: int, reach: Reach, on_card: Collection[int]) -> None:
    condition, given = ("1", ()) if customer_id in on_card else reach.customers.sql("owner")
    found = connection.execute(
        f"SELECT 1 FROM living_customers WHERE id = ? AND {condition}", (customer_id, *given)
    ).fetchone()
    if found is None:
        raise NotFound("there is no such customer")


def tell_changed(
    crm: sqlite_utils.Database, connection: sqlite3.Connection, record: int, owner: str, what: str
) -> None:
    """Tell everybody who has the record in scope, inside the caller's transaction."""
    to = who_sees_record(crm, communication_scope, Permission.COMMUNICATION_MANAGE, owner)
    office_events.tell(connection, EVENT, {"id": str(record), "what": what}, to=to)
