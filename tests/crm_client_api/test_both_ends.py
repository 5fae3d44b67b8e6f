"""Long lists are read from both ends: backwards the same rows come in the opposite order, page by page."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from crm_office import hire
from office_records import add_customer_of

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.push.reminders import Reminders
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.store.connection import write


def read(browser, path: str, rows: str, **query: str) -> list[str]:
    """The ids of all rows, two on a page."""
    found: list[str] = []
    before: str | None = None
    for _ in range(40):
        asked = query | {"limit": "2"} | ({} if before is None else {"before": before})
        page = browser.get(f"{path}?{urlencode(asked)}")
        assert len(page[rows]) <= 2
        found += [one["id"] for one in page[rows]]
        before = page["next"]
        if before is None:
            return found
    raise AssertionError("it has no end")


def both_ways(browser, path: str, rows: str, count: int, **query: str) -> None:
    forward = read(browser, path, rows, **query)
    assert len(forward) == count
    assert read(browser, path, rows, backwards="true", **query) == forward[::-1], query


@pytest.fixture
def boss(crm, browse):
    hire(crm, "1", "super")
    return browse("1")


def test_calls(home, exchange, boss):
    exchange.wire(1, 2)
    pool = StorePool(home)
    reminders = Reminders(pool)
    reminders.look(now_ms())  # begins with what there is
    for at in range(7):
        exchange.end(exchange.call(1 + at % 2, f"1390000000{at}"))
    reminders.look(now_ms())
    pool.close()
    both_ways(boss, "/calls", "calls", 7)
    both_ways(boss, "/calls", "calls", 4, channel="1")
    both_ways(boss, "/calls", "calls", 7, call_back="open")


def test_communications(crm, boss):
    customer = add_customer_of(crm, "1", "王伟")
    for at in range(7):
        body = {"customer_id": customer, "content": "合同" if at % 2 else "报价", "at": f"2026-09-01T08:00:0{at // 2}Z"}
        assert boss.ask("POST", "/communications", body).status == 201
    both_ways(boss, "/communications", "communications", 7)
    both_ways(boss, "/communications", "communications", 3, q="合同")
    both_ways(boss, "/communications", "communications", 7, customer=str(customer), owner="1")
    ids = read(boss, "/communications", "communications")
    boss.ask("POST", "/communications/delete", {"ids": ids[:5]})
    both_ways(boss, "/communications/bin", "communications", 5)


def test_the_audit_log(crm, boss, browse):
    hire(crm, "2", "leader")
    with write(crm) as connection:
        for at in range(7):
            audit.append(connection, Actor("12"[at % 2]), "group.change", str(at), {})
    both_ways(boss, "/audit", "entries", 7, action="group.change")
    both_ways(boss, "/audit", "entries", 3, action="group.change", actor="2")
    assert browse("2").ask("GET", "/audit?backwards=true&before=x").status == 400
