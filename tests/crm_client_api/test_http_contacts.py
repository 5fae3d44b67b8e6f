"""A customer's time line, and who is to be contacted next."""

from __future__ import annotations

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import iso_utc, now_ms

UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}
DAY_MS = 86_400_000


def entries(browser, customer: str, limit: int = 50) -> list[tuple[str, str]]:
    path = f"/customers/{customer}/timeline?limit={limit}"
    page, seen = browser.get(path), []
    while True:
        seen += [(one["kind"], one[one["kind"]]["id"]) for one in page["entries"]]
        times = [one["at"] for one in page["entries"]]
        assert times == sorted(times, reverse=True)
        if page["next"] is None:
            return seen
        page = browser.get(f"{path}&before={page['next']}")


def write(browser, customer: str, at_ms: int, **more: object) -> str:
    body = {"customer_id": customer, "subject": "联系", "at": iso_utc(at_ms), **more}
    return str(browser.ask("POST", "/communications", body).json["id"])


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_the_time_line_has_everything_once_in_order(crm, exchange, server, browse, limit):
    hire(crm, "1", "super")
    browser = browse("1")
    customer = add_customer_of(crm, "1", "王小明", numbers=("+8613812345678", "+862161234567"))
    other = add_customer_of(crm, "1", "李雷", numbers=("+8613900000000",))
    exchange.now_ms = now_ms() - DAY_MS
    calls = [exchange.call(1), exchange.call(2, "02161234567"), exchange.call(1, "13812345678", "outgoing")]
    exchange.call(1, "13900000000")
    exchange.call(1, None)
    at_ms = calls[1]["started_ms"] // 1000 * 1000
    records = [write(browser, customer, at_ms) for _ in range(3)]
    old = write(browser, customer, at_ms - DAY_MS)
    write(browser, other, at_ms)
    tasks = [browser.ask("POST", "/tasks", {"subject": "x", "customer_id": customer}).json["id"] for _ in range(3)]
    browser.ask("POST", "/tasks", {"subject": "x", "customer_id": other})
    newest = [("task", one) for one in reversed(tasks)]
    by_time = [("call", calls[2]["id"]), ("call", calls[1]["id"]), *(("communication", r) for r in reversed(records))]
    rest = [("call", calls[0]["id"]), ("communication", old)]
    assert entries(browser, customer, limit) == [*newest, *by_time, *rest]


def test_the_time_line_shows_what_is_in_scope(crm, exchange, server, browse):
    hire(crm, "1", "ordinary", None, (1,), UNSHARED | {Permission.CUSTOMER_SHARE})
    hire(crm, "2", "super")
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.COMMUNICATION_MANAGE})
    plain, boss = browse("1"), browse("2")
    customer = add_customer_of(crm, "2", "王小明", numbers=("+8613812345678",))
    own, hidden = exchange.call(1)["id"], exchange.call(2)["id"]
    record, secret = write(plain, customer, now_ms()), write(boss, customer, now_ms())
    task = plain.ask("POST", "/tasks", {"subject": "x", "customer_id": customer}).json["id"]
    secret_task = boss.ask("POST", "/tasks", {"subject": "x", "customer_id": customer}).json["id"]
    seen = set(entries(plain, customer))
    assert seen == {("call", own), ("communication", record), ("task", task)}
    everything = set(entries(boss, customer))
    assert everything - seen == {("call", hidden), ("communication", secret), ("task", secret_task)}
    assert {kind for kind, _ in entries(browse("3"), customer)} == {"call", "task"}


def test_no_time_line_without_the_customer(crm, server, browse):
    hire(crm, "1", "ordinary", permissions=UNSHARED)
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE})
    customer = add_customer_of(crm, "2", "王小明")
    stranger = browse("1")
    hidden, missing = (stranger.ask("GET", f"/customers/{one}/timeline") for one in (customer, "999"))
    assert (hidden.status, hidden.body) == (404, missing.body)
    assert browse("2").ask("GET", f"/customers/{customer}/timeline").code == "permission_missing"
    own = add_customer_of(crm, "1", "李雷")
    for before in ("x", "1.call", "--1.task.1", "1.task.x", "1.call.%20", "1.note.1", "9" * 30 + ".task.1"):
        assert stranger.ask("GET", f"/customers/{own}/timeline?before={before}").status == 400, before


def contacts(browser, query: str = "") -> list[tuple[str, str]]:
    path, seen = f"/next-contacts?limit=2{query}", []
    page = browser.get(path)
    while True:
        seen += [(one["kind"], one["id"]) for one in page["contacts"]]
        if page["next"] is None:
            return seen
        page = browser.get(f"{path}&before={page['next']}")


def test_who_is_to_be_contacted(crm, server, browse):
    hire(crm, "1", "ordinary", permissions=UNSHARED)
    hire(crm, "2", "super")
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_MANAGE})
    hire(crm, "4", "super", permissions=frozenset())
    plain, boss = browse("1"), browse("2")
    now = now_ms() // 1000 * 1000
    due = add_customer_of(crm, "1", "王小明", "百货公司", next_contact_ms=now - 3 * DAY_MS)
    later = add_customer_of(crm, "1", "李雷", next_contact_ms=now + DAY_MS)
    foreign = add_customer_of(crm, "2", "韩梅梅", next_contact_ms=now - DAY_MS)
    never = add_customer_of(crm, "1", "赵四")
    settled = write(plain, due, now - 9 * DAY_MS, next_contact_at=iso_utc(now - 8 * DAY_MS))
    record = write(plain, due, now - 8 * DAY_MS, next_contact_at=iso_utc(now - 2 * DAY_MS))
    ahead = write(plain, never, now, next_contact_at=iso_utc(now + 2 * DAY_MS))
    same = write(boss, foreign, now - 5 * DAY_MS, next_contact_at=iso_utc(now - DAY_MS))
    assert contacts(plain) == [("communication", record), ("customer", due)]
    assert contacts(boss) == [
        ("communication", same),
        ("customer", foreign),
        ("communication", record),
        ("customer", due),
    ]
    assert contacts(boss, "&owner=1") == [("communication", record), ("customer", due)]
    future = iso_utc(now + 3 * DAY_MS)
    assert contacts(plain, f"&due_before={future}")[:2] == [("communication", ahead), ("customer", later)]
    first = plain.get("/next-contacts")["contacts"]
    assert [(one["customer_id"], one["customer_name"], one["company"]) for one in first] == [
        (due, "王小明", "百货公司")
    ] * 2
    assert all(one["overdue"] for one in first)
    # A later record that the reader does not see settles nothing for the reader.
    write(boss, due, now)
    assert contacts(plain) == [("communication", record), ("customer", due)]
    assert contacts(boss, "&owner=1") == [("customer", due)]
    assert ("communication", settled) not in contacts(boss)
    unnamed = browse("3").get("/next-contacts")["contacts"]
    assert [(one["kind"], one["customer_id"], one["customer_name"]) for one in unnamed] == [("communication", None, "")]
    assert browse("4").ask("GET", "/next-contacts").code == "permission_missing"
    for before in ("1.customer", "1.task.1", "x.customer.1", "1.customer.x"):
        assert plain.ask("GET", f"/next-contacts?before={before}").status == 400, before
