"""What people of the office own, for the tests of those who come, change and go."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlite_utils
from crm_office import Answer, Browser
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.handing_over import batches
from crm_client_api.domain.handing_over.orders import begin_hand_over, resume_hand_over
from crm_client_api.domain.handing_over.returning import ReturnWork
from crm_client_api.domain.handing_over.undo import HandOver, begin_undo, get_hand_over
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.scope import Viewer
from crm_client_api.domain.staff.leaving import leavers_records, let_leave
from crm_client_api.domain.staff.replacing import Records, plan_replacement, replace_operator
from firmware.clock import now_ms
from firmware.store.connection import write


def write_note(crm: sqlite_utils.Database, customer: str, owner: str, content: str = "来电咨询") -> str:
    """A communication record of this owner."""
    with write(crm) as connection:
        cursor = connection.execute(
            "INSERT INTO communications (customer_id, at_ms, content, author, owner, created_ms, changed_ms)"
            " VALUES (?,?,?,?,?,?,?)",
            (customer, now_ms(), content, owner, owner, now_ms(), now_ms()),
        )
    return str(cursor.lastrowid)


def set_task(crm: sqlite_utils.Database, owner: str, customer: str | None = None, *, done: bool = False) -> str:
    """A task of this owner."""
    with write(crm) as connection:
        cursor = connection.execute(
            "INSERT INTO tasks (subject, customer_id, author, owner, done_ms, created_ms, changed_ms)"
            " VALUES ('回电', ?, ?, ?, ?, ?, ?)",
            (customer, owner, owner, now_ms() if done else None, now_ms(), now_ms()),
        )
    return str(cursor.lastrowid)


def take_call_back(crm: sqlite_utils.Database, call_id: str, owner: str, state: str = "taken") -> None:
    """A missed call that somebody wants to call back."""
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO call_backs (call_id, channel, match_key, missed_ms, state, owner, changed_ms, changed_by)"
            " VALUES (?, 1, '+8613812345678', ?, ?, ?, ?, ?)",
            (call_id, now_ms(), state, owner, now_ms(), owner),
        )


def keep_draft(crm: sqlite_utils.Database, staff_no: str, key: str, body: str = "草稿") -> None:
    """Text that somebody typed and did not save."""
    with write(crm) as connection:
        connection.execute("INSERT INTO drafts VALUES (?,?,?,?)", (staff_no, key, body, now_ms()))


def furnish(crm: sqlite_utils.Database, staff_no: str) -> str:
    """One customer with a note and an open task, a call-back, two drafts and a saved view; returns the customer."""
    customer = add_customer_of(crm, staff_no, f"客户 of {staff_no}", numbers=("+8613812345678",))
    write_note(crm, customer, staff_no)
    set_task(crm, staff_no, customer)
    set_task(crm, staff_no)
    set_task(crm, staff_no, done=True)
    take_call_back(crm, f"call-of-{staff_no}", staff_no)
    keep_draft(crm, staff_no, "note:7")
    keep_draft(crm, staff_no, "customer:new")
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO saved_views (staff_no, list, name, body, changed_ms) VALUES (?, 'customers', '重点', '{}', 0)",
            (staff_no,),
        )
    return customer


def owner_of(crm: sqlite_utils.Database, table: str, key: str) -> str:
    """Whose record it is."""
    column = "call_id" if table == "call_backs" else "id"
    return str(crm.conn.execute(f"SELECT owner FROM {table} WHERE {column} = ?", (key,)).fetchone()[0])


def owned(crm: sqlite_utils.Database, staff_no: str) -> dict[str, int]:
    """How many rows of each kind are this person's."""
    found = {
        table: crm.conn.execute(f"SELECT count(*) FROM {table} WHERE owner = ?", (staff_no,)).fetchone()[0]
        for table in ("customers", "communications", "tasks", "call_backs")
    }
    found["drafts"] = crm.conn.execute("SELECT count(*) FROM drafts WHERE staff_no = ?", (staff_no,)).fetchone()[0]
    return found


def hand_over(crm: sqlite_utils.Database, wanted: Wanted, actor: Actor, viewer: Viewer) -> list[int]:
    """Hand over to the end, as the courier does; the hand-overs' ids."""
    rest = Rest()
    begun = begin_hand_over(crm, wanted, actor, viewer, rest.leave)
    rest.do(crm, actor, viewer)
    return begun


@dataclass
class Rest:
    """What of hand-overs one transaction did not take."""

    left: list[tuple[Wanted, Mapping[str, int]]] = field(default_factory=list)

    def leave(self, _connection: sqlite3.Connection, wanted: Wanted, hand_overs: Mapping[str, int]) -> int:
        self.left.append((wanted, hand_overs))
        return 0

    def do(self, crm: sqlite_utils.Database, actor: Actor, viewer: Viewer) -> None:
        for wanted, hand_overs in self.left:
            work = resume_hand_over(crm, wanted, hand_overs, actor, viewer)
            while not work.ended:
                batches.run_batch(crm, work)


def replace_by(crm: sqlite_utils.Database, wanted: Operator, grantor: Operator, records: Records | None = None) -> None:
    """Replace somebody whose records need not be handed over."""
    replace_operator(crm, plan_replacement(crm, wanted, records), Actor(grantor.staff_no), grantor, Rest().leave)


def leave_by(crm: sqlite_utils.Database, staff_no: str, to: str, grantor: Operator) -> None:
    """Let somebody leave."""
    rest = Rest()
    let_leave(crm, leavers_records(staff_no, [to], ""), Actor(grantor.staff_no), grantor, rest.leave)
    rest.do(crm, Actor(grantor.staff_no), grantor.viewer)


def take_back(
    crm: sqlite_utils.Database, hand_over_id: int, actor: Actor, viewer: Viewer, at_ms: int | None = None
) -> HandOver:
    """Take back to the end, as the courier does."""
    begin_undo(crm, hand_over_id, actor, viewer, lambda _connection: 0, at_ms)
    work = ReturnWork(crm, hand_over_id, actor)
    while not work.ended:
        batches.run_batch(crm, work)
    return get_hand_over(crm, hand_over_id, viewer)


def finished(browser: Browser, answer: Answer) -> Any:
    """What an answer says, or the job that goes on with it, once that is done."""
    assert answer.status in (200, 201, 202), answer.body
    said = answer.json
    while answer.status == 202 and said["state"] in ("waiting", "running"):
        time.sleep(0.02)
        said = browser.get(f"/jobs/{said['id']}")
    assert said.get("state", "done") == "done", said
    return said


def handed(browser: Browser, answer: Answer) -> list[Any]:
    """The hand-overs of an answer, once all of them are finished or taken back."""
    said = finished(browser, answer)
    ones = said.get("hand_overs", [said])
    return [browser.get(f"/hand-overs/{one['id'] if isinstance(one, dict) else one}") for one in ones]
