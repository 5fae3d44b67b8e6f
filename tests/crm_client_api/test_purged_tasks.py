"""A customer is removed for good: what others still have to do stays, and says so."""

from __future__ import annotations

import json

from crm_office import hire
from office_belongings import set_task, write_note
from office_records import add_customer_of

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import bin as customer_bin
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.scope import RecordScope
from firmware.clock import now_ms
from firmware.store.connection import write
from recorder.numbers import Site

UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE}


def told(crm) -> list[tuple[str, str, list[str]]]:
    rows = crm.conn.execute("SELECT data FROM events WHERE kind = 'task_changed' ORDER BY id")
    return [(data["id"], data["what"], data["to"]) for data in (json.loads(row[0]) for row in rows)]


def test_open_tasks_stay_and_tell_that_their_customer_is_gone(crm, server, browse):
    for staff_no, level in (("9", "super"), ("1", "ordinary"), ("2", "ordinary")):
        hire(crm, staff_no, level, permissions=UNSHARED)
    boss, one, other = browse("9"), browse("1"), browse("2")
    customer, living = add_customer_of(crm, "1", "王伟"), add_customer_of(crm, "1", "李娜")
    note = write_note(crm, customer, "1")
    mine = one.ask("POST", "/tasks", {"subject": "回电", "customer_id": customer, "communication_id": note}).json
    theirs = set_task(crm, "2", customer)
    beside = set_task(crm, "1", living)
    done, deleted = set_task(crm, "2", customer, done=True), set_task(crm, "1", customer)
    one.ask("DELETE", f"/tasks/{deleted}")
    boss.ask("POST", "/customers/delete", {"ids": [customer]})
    assert one.get(f"/tasks/{mine['id']}")["customer_purged_at"] is None
    said = len(told(crm))
    answer = boss.ask("POST", "/customers/purge", {"ids": [customer]})
    assert (answer.status, answer.json) == (200, {"count": 1, "tasks_kept": 2, "tasks_gone": 2})

    left = one.get(f"/tasks/{mine['id']}")
    assert left["customer_purged_at"]
    assert left == mine | {
        "customer_id": None, "customer_name": "", "communication_id": None,
        "customer_purged_at": left["customer_purged_at"], "changed_at": left["changed_at"],
    }  # fmt: skip
    assert {task["id"] for task in one.get("/tasks")["tasks"]} == {mine["id"], beside}
    hidden = other.get(f"/tasks/{theirs}")  # to whom the customer never was one
    assert (hidden["subject"], hidden["customer_id"], hidden["customer_purged_at"]) == ("回电", None, None)
    assert boss.get(f"/tasks/{theirs}")["customer_purged_at"]
    assert other.ask("GET", f"/tasks/{done}").status == 404
    assert one.get("/tasks?state=deleted")["tasks"] == []
    assert sorted(told(crm)[said:]) == sorted([(mine["id"], "changed", ["1"]), (theirs, "changed", ["2"])])
    rows = crm.conn.execute("SELECT subject, data FROM audit WHERE action = 'task.change' AND actor = '9' ORDER BY id")
    expected = {"before": {"customer_id": int(customer)}, "after": {"customer_id": None}}
    assert {row[0]: json.loads(row[1]) for row in rows} == {mine["id"]: expected, theirs: expected}
    assert one.ask("PATCH", f"/tasks/{mine['id']}", {"done": True}).json["done_by"] == "1"


def test_what_the_box_purges_by_itself_leaves_tasks_as_well(crm):
    hire(crm, "1", "super")
    customer = add_customer_of(crm, "1", "王伟")
    task = set_task(crm, "1", customer)
    scope = RecordScope(everything=True)
    customer_bin.delete_many(crm, [customer], Actor("1"), scope)
    assert customer_bin.purge_old(crm, now_ms() + 1, Site()) == 1
    row = crm.conn.execute("SELECT customer_id, customer_purged_owner FROM tasks WHERE id = ?", (task,)).fetchone()
    assert tuple(row) == (None, "1")


def test_who_is_erased_takes_the_tasks_along(crm):
    """Erasing is not purging: what people wrote about somebody goes with them."""
    hire(crm, "1", "super")
    customer = add_customer_of(crm, "1", "王伟")
    set_task(crm, "1", customer)
    with write(crm) as connection:
        customer_bin.forget(connection, int(customer))
    assert crm.conn.execute("SELECT count(*) FROM tasks").fetchone()[0] == 0
