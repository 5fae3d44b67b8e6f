"""The office's own events in the stream: to whom they were told, resumed together with the recorder's, and trimmed."""

from __future__ import annotations

import threading

import pytest
from crm_office import Browser, Exchange, Listener, hire

from crm_client_api.domain import office_events
from crm_client_api.domain.office_events import KEPT_MS, tell, trim
from firmware import doorbell
from firmware.clock import now_ms
from firmware.store.connection import open_store, write
from firmware.store.event_log import last_id


def told(home, crm, *to: str, kind: str = "task_due", call_id: str | None = None, **data) -> None:
    with write(crm) as connection:
        tell(connection, kind, data, to=to, call_id=call_id)
    doorbell.ring(home.doorbells)


def of_kind(events, *kinds):
    """What says which event it was, in order; the box's own news about log-ins left out."""
    return [one.data.get("task", one.data.get("id")) for one in events if one.event in kinds]


def only_tasks(listener: Listener, count: int) -> list:
    found: list = []
    while len(found) < count:
        event = listener.next("call", "popup", "office")
        assert event is not None
        if event.event != "office" or event.data["kind"] == "task_due":
            found.append(event)
    return found


def test_an_event_reaches_whom_it_was_told_to_and_nobody_else(home, crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    first, again, other = Listener(browse("1")), Listener(browse("1")), Listener(browse("2"))
    told(home, crm, "2", task="给王先生回电")
    told(home, crm, "1", "1", task="call Li back", call_id="c1")
    for listener in (first, again):
        (event,) = only_tasks(listener, 1)
        assert event.data == {
            "kind": "task_due", "at": event.data["at"], "call_id": "c1", "data": {"task": "call Li back"},
        }  # fmt: skip
    assert [one.data["data"]["task"] for one in only_tasks(other, 1)] == ["给王先生回电"]
    call = exchange.call(1)
    assert only_tasks(first, 1)[0].data["id"] == call["id"], "told twice, sent once"
    for listener in (first, again, other):
        listener.close()


def interleaved(home, crm, exchange, count: int) -> None:
    for number in range(count):
        exchange.end(exchange.call(1, "13812345678"))
        told(home, crm, "1", task=number)


def names(events) -> list[tuple]:
    """Calls' states and tasks; what may come again when a stream is cut inside a row is named only once."""
    found: list[tuple] = []
    for one in events:
        name: tuple
        if one.event == "office":
            name = ("task", one.data["data"]["task"])
        elif one.event == "popup":
            name = ("popup", one.data["call"]["id"])
        else:
            name = ("call", one.data["id"], one.data["state"], one.data["caller_number"])
        if name[0] != "call" or name not in found:
            found.append(name)
    return found


def test_both_logs_go_on_at_every_id_without_gap_or_double(home, crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    start = browser.get("/popups")["position"]
    interleaved(home, crm, exchange, 3)
    listener = Listener(browser, f"/events?after={start}")
    whole = only_tasks(listener, 15)
    listener.close()
    expected = names(whole)
    assert len(expected) == 15
    for cut in range(14):
        resumed = Listener(browser, f"/events?after={start}", last_id=whole[cut].id)
        seen = [*whole[: cut + 1], *only_tasks(resumed, 15 - cut - 1)]
        resumed.close()
        assert len(names(seen)) == len({*names(seen)})
        if whole[cut].event == "call" and whole[cut + 1].event == "popup":
            continue  # the call's state came again before its pop-up: one event of the rest is still on its way
        assert sorted(map(str, names(seen))) == sorted(map(str, expected))


def test_live_and_resumed_while_both_logs_are_written(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    position = browser.get("/popups")["position"]
    count = 40

    def write_calls() -> None:
        writer = Exchange(home)
        for _ in range(count):
            writer.end(writer.call(1, "13812345678"))
        writer.close()

    def write_tasks() -> None:
        own = open_store(home.crm_db)
        for number in range(count):
            told(home, own, "1", task=number)
        own.conn.close()

    writers = [threading.Thread(target=write_calls), threading.Thread(target=write_tasks)]
    for thread in writers:
        thread.start()
    tasks, popups = [], []
    while len(tasks) < count or len(popups) < count:
        listener = Listener(browser, "/events", last_id=position)
        for _ in range(9):
            if len(tasks) == len(popups) == count:
                break
            event = listener.next("popup", "office", "call")
            if event.event == "popup":
                popups.append(event.data["call"]["id"])
            elif event.event == "office" and event.data["kind"] == "task_due":
                tasks.append(event.data["data"]["task"])
        position = listener.last_id
        listener.close()
    for thread in writers:
        thread.join()
    assert tasks == list(range(count))
    assert len(set(popups)) == len(popups) == count


def test_through_a_restart_of_the_api(home, crm, exchange, serve):
    hire(crm, "1", "super")
    first = serve()
    browser = Browser(first.port)
    browser.log_in("1")
    listener = Listener(browser)
    told(home, crm, "1", task="before")
    before = exchange.call(1)
    seen = only_tasks(listener, 4)
    listener.close()
    first.stop()
    told(home, crm, "1", task="between")
    between = exchange.call(2)
    again = Browser(serve().port, browser.cookie, browser.csrf)
    listener = Listener(again, "/events", last_id=listener.last_id)
    told(home, crm, "1", task="behind")
    seen += only_tasks(listener, 5)
    listener.close()
    assert [one.data["data"]["task"] for one in seen if one.event == "office"] == ["before", "between", "behind"]
    assert [one.data["call"]["id"] for one in seen if one.event == "popup"] == [before["id"], between["id"]]


@pytest.mark.parametrize("store", ["calls", "crm"])
def test_a_rebuilt_store_resets_and_goes_on(home, crm, exchange, serve, store):
    hire(crm, "1", "super")
    first = serve()
    browser = Browser(first.port)
    browser.log_in("1")
    exchange.call(1)
    position = browser.get("/popups")["position"]
    first.stop()
    db = exchange.db if store == "calls" else crm
    with write(db) as connection:
        connection.execute("UPDATE meta SET value = 'rebuilt' WHERE key = 'epoch'")
    again = Browser(serve().port, browser.cookie, browser.csrf)
    listener = Listener(again, "/events", last_id=position)
    reset = listener.next()
    assert reset.event == "reset"
    told(home, crm, "1", task="new")
    assert only_tasks(listener, 1)[0].data["data"] == {"task": "new"}
    listener.close()
    resumed = Listener(again, f"/events?after={reset.data['position']}")
    assert only_tasks(resumed, 1)[0].data["data"] == {"task": "new"}
    resumed.close()


def test_a_store_that_is_rebuilt_under_way_resets_open_streams(home, crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    listener = Listener(browser)
    exchange.call(1)
    only_tasks(listener, 3)
    with write(exchange.db) as connection:
        connection.execute("UPDATE meta SET value = 'rebuilt' WHERE key = 'epoch'")
    doorbell.ring(home.doorbells)
    while (event := listener.next()) is not None:
        assert event.event in ("board", "office")
    again = Listener(browser, "/events", last_id=listener.last_id)
    assert again.next().event == "reset"
    call = exchange.call(2)
    assert again.next("popup").data["call"]["id"] == call["id"]
    for one in (listener, again):
        one.close()


def test_a_position_from_before_the_office_had_a_log_goes_on_in_the_recorders(home, crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    told(home, crm, "1", task="old news")
    old = browser.get("/popups")["position"].partition(".")[0]
    call = exchange.call(1)
    listener = Listener(browser, "/events", last_id=old)
    told(home, crm, "1", task="news")
    events = only_tasks(listener, 4)
    assert [one.data["id"] for one in events if one.event == "call"] == [call["id"]] * 2
    assert [one.data["data"]["task"] for one in events if one.event == "office"] == ["news"]
    listener.close()


def test_old_events_of_the_office_are_forgotten_and_who_needs_them_is_reset(home, crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    start = browser.get("/popups")["position"]
    told(home, crm, "1", task="old")
    told(home, crm, "1", task="older by its clock")
    told(home, crm, "1", task="young")
    upto = last_id(crm)
    with write(crm) as connection:
        connection.execute("UPDATE events SET at_ms = at_ms - ? WHERE id < ?", (KEPT_MS + 60_000, upto))
    assert trim(crm, now_ms()) >= 2
    assert [row[0] for row in crm.conn.execute("SELECT id FROM events")] == [upto]
    listener = Listener(browser, "/events", last_id=start)
    assert listener.next().event == "reset"
    listener.close()


def test_forgetting_tears_no_hole_and_takes_many_steps(crm):
    now = now_ms()
    rows = [(now - KEPT_MS - 1, "x")] * 1200 + [(now, "young"), (now - KEPT_MS - 1, "by a clock that was set back")]
    with write(crm) as connection:
        connection.executemany("INSERT INTO events (at_ms, kind) VALUES (?,?)", rows)
    assert trim(crm, now) == 1200
    kinds = [row[0] for row in crm.conn.execute("SELECT kind FROM events ORDER BY id")]
    assert kinds == ["young", "by a clock that was set back"]
    assert trim(crm, now) == 0
    assert trim(crm, now + KEPT_MS + 1) == 2
    assert office_events.trim(crm, now) == 0


def test_an_operator_opens_so_many_streams_and_no_more(crm, serve):
    hire(crm, "1", "super")
    hire(crm, "2", "super")
    port = serve(max_streams=6, streams_of_an_operator=2).port
    one, two = Browser(port), Browser(port)
    one.log_in("1")
    two.log_in("2")
    listeners = [Listener(one), Listener(one)]
    refused = one.ask("GET", "/events")
    assert (refused.status, refused.code) == (503, "streams_full")
    listeners.append(Listener(two))
    assert listeners[-1].status == 200
    listeners[0].close()
    listeners.append(Listener(one))
    assert listeners[-1].status == 200, "the place of a stream that hung up is taken"
    for listener in listeners:
        listener.close()
