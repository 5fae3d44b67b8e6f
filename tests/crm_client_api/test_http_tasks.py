"""Tasks and reminders over HTTP, and that due ones are told once."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from crm_office import Listener, hire
from office_records import add_customer_of, show_popup

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.tasks import tell_due
from crm_client_api.push.reminders import Reminders
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.store.connection import open_store, write


def iso(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat(timespec="milliseconds")


def told(crm, kind: str) -> list[tuple[str, list[str]]]:
    rows = crm.conn.execute("SELECT data FROM events WHERE kind = ? ORDER BY id", (kind,))
    return [(data["id"], data["to"]) for data in (json.loads(row[0]) for row in rows)]


def test_add_change_finish_delete_restore(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    added = browser.ask(
        "POST", "/tasks", {"subject": " 回访王小明 ", "note": "带合同", "due_at": "2026-12-01T09:00:00+08:00"}
    )
    assert added.status == 201, added.body
    one = added.json
    assert (one["subject"], one["note"], one["due_at"]) == ("回访王小明", "带合同", "2026-12-01T01:00:00.000Z")
    assert (one["author"], one["owner"], one["owner_name"], one["done_at"]) == ("1", "1", "name of 1", None)
    path = f"/tasks/{one['id']}"
    assert browser.get(path) == one
    later = browser.ask("PATCH", path, {"due_at": "2026-12-02T01:00:00Z"}).json
    assert later["due_at"] == "2026-12-02T01:00:00.000Z"
    done = browser.ask("PATCH", path, {"done": True}).json
    assert (done["done_by"], bool(done["done_at"]), done["overdue"]) == ("1", True, False)
    assert browser.ask("PATCH", path, {"done": True}).json == done
    assert browser.get("/tasks")["tasks"] == []
    assert [t["id"] for t in browser.get("/tasks?state=done")["tasks"]] == [one["id"]]
    assert browser.ask("PATCH", path, {"done": False}).json["done_at"] is None
    assert browser.ask("DELETE", path).status == 204
    for method, body in (("GET", None), ("PATCH", {"done": True}), ("DELETE", None)):
        assert browser.ask(method, path, body).status == 404
    assert [t["id"] for t in browser.get("/tasks?state=deleted")["tasks"]] == [one["id"]]
    assert browser.ask("POST", f"{path}/restore").json["deleted_at"] is None
    assert browser.ask("POST", f"{path}/restore").status == 404
    changes = crm.conn.execute("SELECT data FROM audit WHERE action = 'task.change' ORDER BY id").fetchall()
    assert len(changes) == 3
    assert json.loads(changes[0][0])["before"]["due_ms"] == 1_796_086_800_000


def test_lists_by_due_time_and_filters(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明")
    dues = [iso(days=2), iso(days=-1), None, iso(days=1), iso(days=1), None, iso(hours=-1)]
    ids = [
        browser.ask("POST", "/tasks", {"subject": f"任务{n}", "due_at": due}).json["id"] for n, due in enumerate(dues)
    ]
    expected = [ids[n] for n in (1, 6, 3, 4, 0, 2, 5)]
    page, seen = browser.get("/tasks?limit=2"), []
    while True:
        seen += [one["id"] for one in page["tasks"]]
        if page["next"] is None:
            break
        page = browser.get(f"/tasks?limit=2&after={page['next']}")
    assert seen == expected
    assert [one["id"] for one in browser.get("/tasks?overdue=true")["tasks"]] == expected[:2]
    assert all(one["overdue"] for one in browser.get("/tasks?overdue=true")["tasks"])
    soon = (datetime.now(UTC) + timedelta(days=1.5)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert [one["id"] for one in browser.get(f"/tasks?due_before={soon}")["tasks"]] == expected[:4]
    with_customer = browser.ask("POST", "/tasks", {"subject": "x", "customer_id": customer}).json
    assert (with_customer["customer_id"], with_customer["customer_name"]) == (customer, "王小明")
    assert [one["id"] for one in browser.get(f"/tasks?customer={customer}")["tasks"]] == [with_customer["id"]]
    assert browser.ask("GET", "/tasks?customer=99").status == 404
    for query in ("limit=0", "after=1", "after=x.1", "whose=other", "state=x", "due_before=now", "owner=%20"):
        assert browser.ask("GET", f"/tasks?{query}").status == 400, query


def test_who_gives_tasks_to_whom(crm, server, browse):
    hire(crm, "1", "ordinary", 1)
    hire(crm, "2", "leader", 1)
    hire(crm, "3", "ordinary", 2)
    hire(crm, "4", "super")
    hire(crm, "5", "leader", None)
    plain, leader, stranger, boss, alone = (browse(staff_no) for staff_no in "12345")
    for browser, reached in ((plain, "1"), (leader, "12"), (stranger, "3"), (boss, "12345"), (alone, "5")):
        for owner in "12345":
            answer = browser.ask("POST", "/tasks", {"subject": f"给{owner}", "owner": owner})
            assert answer.status == (201 if owner in reached else 409), (reached, owner)
        assert browser.ask("POST", "/tasks", {"subject": "x", "owner": "9"}).status == 409
    mine = {staff_no: len(browse(staff_no).get("/tasks?limit=99")["tasks"]) for staff_no in "12345"}
    assert mine == {"1": 3, "2": 2, "3": 2, "4": 1, "5": 2}
    assert len(leader.get("/tasks?whose=group")["tasks"]) == 5
    assert len(boss.get("/tasks?whose=all")["tasks"]) == 10
    assert len(alone.get("/tasks?whose=group")["tasks"]) == 0
    hidden = stranger.get("/tasks")["tasks"][0]["id"]
    assert leader.ask("GET", f"/tasks/{hidden}").status == 404
    assert leader.ask("PATCH", f"/tasks/{hidden}", {"done": True}).body == leader.ask("GET", "/tasks/999").body
    own = plain.get("/tasks")["tasks"][0]["id"]
    assert plain.ask("PATCH", f"/tasks/{own}", {"owner": "2"}).code == "refused"
    given = leader.ask("PATCH", f"/tasks/{own}", {"owner": "2"}).json
    assert given["owner"] == "2"
    assert told(crm, "task_changed")[-1] == (own, ["1", "2"])


def test_born_from_records_and_calls_in_scope_only(crm, exchange, server, browse):
    unshared = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
    hire(crm, "1", "ordinary", 1, (1,), unshared)
    hire(crm, "2", "leader", 1, (), unshared)
    hire(crm, "3", "ordinary", 2, (3,), unshared)
    hire(crm, "4", "super")
    own, other, boss = browse("1"), browse("3"), browse("4")
    customer = add_customer_of(crm, "1", "王小明")
    record = own.ask("POST", "/communications", {"customer_id": customer, "subject": "问价"}).json["id"]
    call = exchange.call(1)["id"]
    from_record = own.ask("POST", "/tasks", {"subject": "x", "communication_id": record}).json
    assert (from_record["communication_id"], from_record["customer_id"]) == (record, customer)
    from_call = own.ask("POST", "/tasks", {"subject": "x", "call_id": call}).json
    assert from_call["call_id"] == call
    for source in ({"customer_id": customer}, {"communication_id": record}, {"call_id": call}):
        assert other.ask("POST", "/tasks", {"subject": "x"} | source).status == 404
    given = boss.ask("POST", "/tasks", {"subject": "x", "owner": "3", "call_id": call, "communication_id": record}).json
    assert (given["call_id"], given["customer_name"]) == (call, "王小明")
    seen = other.get(f"/tasks/{given['id']}")
    assert (seen["customer_id"], seen["customer_name"], seen["communication_id"], seen["call_id"]) == (
        None,
        "",
        None,
        None,
    )
    show_popup(crm, call, "3")
    assert other.get(f"/tasks/{given['id']}")["call_id"] == call


WRONG = (
    ({"subject": " "}, "task_empty"), ({"subject": "x" * 201}, "field_too_long"),
    ({"subject": "x", "note": "x" * 5001}, "field_too_long"), ({}, "bad_input"),
    ({"subject": "x", "due_at": "2026-01-01T00:00:00"}, "bad_input"),
    ({"subject": "x", "due_at": "2200-01-01T00:00:00Z"}, "time_outside"), ({"subject": "x", "done": True}, "bad_input"),
)  # fmt: skip


def test_wrong_tasks_are_refused(crm, server, browse):
    hire(crm, "1", "ordinary")
    browser = browse("1")
    for body, code in WRONG:
        answer = browser.ask("POST", "/tasks", body)
        assert (answer.status, answer.code) == (400, code), body
    assert browser.get("/tasks?whose=all")["tasks"] == []
    task = browser.ask("POST", "/tasks", {"subject": "x"}).json["id"]
    assert browser.ask("PATCH", f"/tasks/{task}", {"subject": ""}).code == "task_empty"
    for strange in ("0", "-1", "x", "9" * 30):
        assert browser.ask("GET", f"/tasks/{strange}").status in (400, 404), strange


@pytest.fixture
def due_task(crm, server, browse):
    hire(crm, "1", "ordinary")
    return browse("1").ask("POST", "/tasks", {"subject": "到期", "due_at": iso(seconds=-1)}).json["id"]


def test_a_due_task_is_told_once(home, crm, due_task, browse):
    pool = StorePool(home)
    reminders = Reminders(pool)
    reminders.look(now_ms())
    reminders.look(now_ms())
    assert told(crm, "task_due") == [(due_task, ["1"])]
    browser = browse("1")
    browser.ask("PATCH", f"/tasks/{due_task}", {"due_at": iso(hours=1)})
    reminders.look(now_ms())
    assert len(told(crm, "task_due")) == 1
    reminders.look(now_ms() + 3_700_000)
    assert len(told(crm, "task_due")) == 2
    browser.ask("PATCH", f"/tasks/{due_task}", {"due_at": iso(seconds=-1), "done": True})
    reminders.look(now_ms())
    assert len(told(crm, "task_due")) == 2
    pool.close()


def test_a_due_task_reaches_its_owners_streams_and_nobody_else(home, crm, due_task, browse):
    hire(crm, "2", "super")
    pool = StorePool(home)
    own, other = Listener(browse("1")), Listener(browse("2"))
    for _ in range(3):
        Reminders(pool).look(now_ms())
    browse("2").ask("POST", "/tasks", {"subject": "last"})
    for listener, count in ((own, 1), (other, 0)):
        seen = []
        while not seen or seen[-1]["kind"] not in ("task_changed", "task_due"):
            seen.append(listener.next("office").data)
        assert [one["data"]["id"] for one in seen if one["kind"] == "task_due"] == [due_task] * count
        listener.close()
    pool.close()


def test_two_programs_tell_each_task_once(home, crm, server, browse):
    hire(crm, "1", "ordinary")
    with write(crm) as connection:
        connection.executemany(
            "INSERT INTO tasks (subject, author, owner, due_ms, created_ms, changed_ms)"
            " VALUES ('x', '1', '1', ?, 0, 0)",
            [(n,) for n in range(300)],
        )

    def tell() -> None:
        db = open_store(home.crm_db)
        while tell_due(db, now_ms(), limit=7):
            pass
        db.conn.close()

    threads = [threading.Thread(target=tell) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(one) for one, _ in told(crm, "task_due")) == list(range(1, 301))


def test_a_cut_between_telling_and_marking_leaves_neither(crm, due_task, monkeypatch):
    def fail(*_arguments, **_named):
        raise RuntimeError("power cut")

    monkeypatch.setattr("crm_client_api.domain.office_events.tell", fail)
    with pytest.raises(RuntimeError):
        tell_due(crm, now_ms())
    monkeypatch.undo()
    assert told(crm, "task_due") == []
    assert tell_due(crm, now_ms()) == 1
    assert told(crm, "task_due") == [(due_task, ["1"])]
