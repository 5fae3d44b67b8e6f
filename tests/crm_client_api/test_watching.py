"""Unusual behaviour is noticed once, told to who may read the audit log, and usual work never is."""

from __future__ import annotations

import json
import threading

import pytest
from crm_office import Listener, hire

from crm_client_api import daemon
from crm_client_api.domain import audit
from crm_client_api.domain.audit import BOX, CONSOLE, Actor
from crm_client_api.domain.operators import set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.watching import Tally, Watcher, WatchRules, kind_of
from crm_client_api.stores import StorePool
from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import write

RULES = WatchRules(3_600_000, {"exports": 3, "deletions": 100, "reads": 1000})


def note(crm, actor: str, action: str, **data: object) -> None:
    with write(crm) as connection:
        audit.append(connection, Actor(actor), action, "", data)


def told(crm) -> list[tuple[str, str, dict[str, object]]]:
    rows = crm.conn.execute("SELECT actor, subject, data FROM audit WHERE action = 'watch.unusual' ORDER BY id")
    return [(row[0], row[1], json.loads(row[2])) for row in rows]


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("customer.export", "exports"), ("recording.download", "exports"), ("customer.delete", "deletions"),
        ("customer.clear", "deletions"), ("recording.delete", "deletions"), ("customer.read", "reads"),
        ("recording.listen", "reads"), ("customer.add", None), ("session.log_in", None), ("audit.read", None),
        ("watch.unusual", None), ("odd", None),
    ],
)  # fmt: skip
def test_what_is_watched(action, kind):
    assert kind_of(action) == kind


def test_more_than_the_limit_within_the_span_is_told_once_a_span():
    tally = Tally()
    found = [tally.note("1", "customer.export", at, {}, RULES) for at in range(0, 9000, 1000)]
    assert [one is not None for one in found] == [False] * 3 + [True] + [False] * 5
    again = [tally.note("1", "customer.export", 4_000_000 + at, {}, RULES) for at in range(5)]
    assert [one is not None for one in again] == [False] * 3 + [True, False]


def test_the_same_spread_over_time_is_usual():
    tally = Tally()
    for turn in range(50):
        assert tally.note("1", "customer.export", turn * 1_800_000, {}, RULES) is None


def test_each_operator_and_kind_counts_alone_and_records_count_each():
    tally = Tally()
    for number in range(40):
        assert tally.note(str(number % 20), "customer.export", number, {}, RULES) is None
    assert tally.note("1", "customer.clear", 50, {"count": 100}, RULES) is None
    unusual = tally.note("1", "customer.delete", 51, {}, RULES)
    assert unusual is not None
    assert (unusual.kind, unusual.count, unusual.limit) == ("deletions", 101, 100)
    assert tally.note("2", "customer.read", 60, {"count": 1001}, RULES) is not None


@pytest.mark.parametrize(("rows", "told_at_once"), [(1, False), (3000, False), (3001, True), (1_000_000, True)])
def test_one_export_of_very_many_is_as_unusual_as_many(rows, told_at_once):
    unusual = Tally().note("1", "customer.export", 0, {"rows": rows}, RULES)
    assert (unusual is not None) is told_at_once


def test_only_who_oversees_somebody_is_told_of_them(crm):
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 1)
    hire(crm, "3", "leader", 2)
    hire(crm, "4", "leader", None)
    hire(crm, "5", "ordinary", 1)
    hire(crm, "6", "ordinary", 1)
    set_value(crm, "system", "watch_exports", 3)
    note(crm, "6", "customer.export", rows=20_000)
    assert len(Watcher().look(crm, now_ms())) == 1
    event = crm.conn.execute("SELECT data FROM events WHERE kind = 'watch_unusual'").fetchone()
    assert json.loads(event[0])["to"] == ["1", "2", "6"], "as GET /audit"


def test_the_box_and_its_console_are_not_watched_and_0_switches_off():
    tally = Tally()
    off = WatchRules(3_600_000, {"exports": 0, "deletions": 0, "reads": 0})
    for number in range(50):
        for actor in (BOX, CONSOLE, ""):
            assert tally.note(actor, "customer.export", number, {}, RULES) is None
        assert tally.note("1", "customer.export", number, {"count": 10**9}, off) is None


def test_odd_counts_count_as_one():
    tally = Tally()
    for number, count in enumerate((None, "many", True, -5, {})):
        assert tally.note("1", "customer.read", number, {"count": count}, RULES) is None


def test_it_is_audited_and_told_to_who_may_read_the_log(crm):
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 1, permissions=ALL_PERMISSIONS - {Permission.AUDIT_READ})
    hire(crm, "3", "leader", 1)
    hire(crm, "4", "super")
    set_active(crm, "4", False, Actor(CONSOLE), None)
    set_value(crm, "system", "watch_exports", 3)
    watcher = Watcher()
    for _ in range(4):
        note(crm, "3", "customer.export", count=10)
    assert [one.staff_no for one in watcher.look(crm, now_ms())] == ["3"]
    assert told(crm) == [(BOX, "3", {"kind": "exports", "count": 4, "limit": 3, "window_min": 60})]
    event = crm.conn.execute("SELECT data FROM events WHERE kind = 'watch_unusual'").fetchone()
    assert json.loads(event[0]) == {"to": ["1", "3"], "staff_no": "3", "kind": "exports", "count": 4, "limit": 3}
    note(crm, "3", "customer.export")
    assert watcher.look(crm, now_ms()) == []


def test_a_box_that_starts_anew_forgets_nothing_and_tells_nothing_twice(crm):
    hire(crm, "1", "super")
    set_value(crm, "system", "watch_exports", 3)
    for _ in range(3):
        note(crm, "1", "customer.export")
    assert Watcher().look(crm, now_ms()) == []
    note(crm, "1", "customer.export")
    assert len(Watcher().look(crm, now_ms())) == 1, "the three before the start count"
    note(crm, "1", "customer.export")
    assert Watcher().look(crm, now_ms()) == []
    assert len(told(crm)) == 1


def test_the_entries_of_hours_ago_are_not_read_again(crm):
    set_value(crm, "system", "watch_exports", 3)
    for _ in range(9):
        note(crm, "1", "customer.export")
    assert Watcher().look(crm, now_ms() + 4_000_000) == []


def test_more_entries_than_one_look_reads_are_all_counted(crm):
    hire(crm, "1", "super")
    watcher = Watcher()
    watcher.look(crm, now_ms())
    with write(crm) as connection:
        for _ in range(1201):
            audit.append(connection, Actor("1"), "customer.delete", "", {})
    found = watcher.look(crm, now_ms())
    assert [(one.kind, one.count) for one in found] == [("deletions", 201)]


def test_who_may_read_the_log_is_told_on_the_stream(crm, server, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary")
    boss = browse("1")
    stream = Listener(boss)
    set_value(crm, "system", "watch_reads", 5)
    browser = browse("2")
    watcher = Watcher()
    watcher.look(crm, now_ms())
    for number in range(6):
        browser.ask("POST", "/customers", {"name": f"客户 {number}"})
    browser.get("/customers")
    watcher.look(crm, now_ms())
    for _ in range(6):
        event = stream.next("office")
        assert event is not None
        assert event.data["kind"] == "customer_changed"
    event = stream.next("office")
    assert event is not None
    assert event.data["kind"] == "watch_unusual"
    assert event.data["data"] == {"staff_no": "2", "kind": "reads", "count": 6, "limit": 5}
    stream.close()


def test_the_api_daemon_watches_all_the_time(home, crm, monkeypatch):
    hire(crm, "1", "super")
    set_value(crm, "system", "watch_exports", 3)
    monkeypatch.setattr(daemon, "_WATCH_PERIOD_S", 0.02)
    pool, stop = StorePool(home), threading.Event()
    watching = threading.Thread(target=daemon._watch, args=(pool, stop))
    watching.start()
    try:
        for _ in range(4):
            note(crm, "1", "customer.export")
        patience = threading.Event()
        for _ in range(500):
            if told(crm):
                break
            patience.wait(0.02)
        assert len(told(crm)) == 1
    finally:
        stop.set()
        watching.join()
        pool.close()
