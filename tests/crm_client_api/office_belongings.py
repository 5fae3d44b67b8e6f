"""What people of the office own, for the tests of those who come, change and go."""

from __future__ import annotations

import sqlite_utils
from office_records import add_customer_of

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
