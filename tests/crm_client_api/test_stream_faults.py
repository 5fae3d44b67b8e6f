"""One bad row holds up nobody, and nobody gets what was found out long ago or for another scope."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from crm_office import PASSWORD, Listener, hire

from crm_client_api.answers.lines import PortState
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.popup import PopupRules
from crm_client_api.domain.sessions import Session, log_in
from crm_client_api.domain.settings import ChannelSettings, Settings
from crm_client_api.push import delivery
from crm_client_api.push.audience import Audience, Client, Queued
from crm_client_api.push.delivery import Hub
from crm_client_api.push.event_cards import card_key
from crm_client_api.push.store_trouble import is_of_store
from crm_client_api.push.stream import Stream
from crm_client_api.stores import StorePool, Stores
from firmware import doorbell
from firmware.clock import now_ms
from firmware.errors import StoreBusy
from firmware.store.connection import write
from firmware.store.event_log import Event
from recorder.numbers import Site

ONE = Operator("1", "王伟", Level.ORDINARY, 1, frozenset({1, 2}), frozenset({Permission.NET_POPUP}))
MALFORMED = Event(1_000_000, 10**18, "line_lost", 1, None, {})
"""At a time that no clock shows."""


@pytest.fixture
def pool(home) -> Iterator[StorePool]:
    one = StorePool(home)
    yield one
    one.close()


@pytest.fixture
def stores(pool: StorePool) -> Iterator[Stores]:
    with pool.use() as found:
        yield found


@pytest.fixture
def hub(pool: StorePool) -> Iterator[Hub]:
    """One that follows nothing."""
    one = Hub(pool, 5)
    yield one
    one.stop()


def settings_of(groups: dict[int, int]) -> Settings:
    """With these groups of channels."""
    channels = {number: ChannelSettings("", group, True) for number, group in groups.items()}
    return Settings(PopupRules(), Site(), 60_000, ChannelSettings("", 1, True), channels)


def write_malformed(home, crm, exchange) -> None:
    call = exchange.call(1)
    rows = [
        (exchange.db, "line_lost", 1, None, 10**18, '{"channel":1}'),
        (exchange.db, "line_lost", 1, None, 0, "not json"),
        (exchange.db, "call_answered", 1, call["id"], 0, '{"state":{},"caller_number":[7]}'),
        (exchange.db, "call_answered", 1, call["id"], 0, '["不是对象"]'),
        (exchange.db, "recording_ready", 1, None, 0, '{"id":[]}'),
        (crm, "popup_handed", 1, call["id"], 0, '{"to":[["1"]]}'),
        (crm, "task_due", None, None, 0, "{"),
        (crm, "task_due", None, None, 10**18, '{"to":["1"]}'),
    ]
    for db, kind, channel, call_id, at_ms, data in rows:
        with write(db) as connection:
            connection.execute(
                "INSERT INTO events (at_ms, kind, channel, call_id, data) VALUES (?,?,?,?,?)",
                (at_ms, kind, channel, call_id, data),
            )
    doorbell.ring(home.doorbells)


def test_trouble_with_a_store_is_tried_again_and_an_event_that_fails_is_not(home):
    with (
        closing(sqlite3.connect(home.crm_db, timeout=0)) as one,
        closing(sqlite3.connect(home.crm_db, timeout=0)) as two,
    ):
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as locked:
            two.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as wrong:
            two.execute("SELECT * FROM json_each('{')").fetchall()
    assert is_of_store(locked.value)
    assert is_of_store(StoreBusy("held by another"))
    assert not is_of_store(wrong.value)
    assert not is_of_store(KeyError("id"))


@pytest.mark.timeout(60)
def test_a_malformed_event_is_left_out_and_holds_up_nobody(home, crm, exchange, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    before = browser.get("/popups")["position"]
    live = Listener(browser)
    write_malformed(home, crm, exchange)
    task = browser.ask("POST", "/tasks", {"subject": "回电"}).json["id"]
    last = exchange.call(2, "62345678")
    for listener in (live, Listener(browser, f"/events?after={before}")):
        ids = set()
        while not {task, last["id"]} <= ids:
            event = listener.next("call", "office")
            assert event is not None, "the stream was ended"
            ids.add(event.data["data"].get("id") if event.event == "office" else event.data["id"])
        listener.close()


def test_an_event_of_which_nothing_is_sent_is_a_step_of_its_own(hub, pool, stores, crm):
    hire(crm, "1", "super")
    _, session = log_in(stores.crm, "1", PASSWORD, "", now_ms())
    stream = Stream(hub, pool, stores, session, None)
    for event in (MALFORMED, replace(MALFORMED, id=MALFORMED.id + 1, at_ms=0, kind="call_started")):
        stream.client.put_event(Queued("calls", event, settings_of({})))
    live = stream.live()
    assert [next(live) for _ in range(3)] == [None, None, b""]
    stream.close()


def test_what_was_missed_is_worked_through_step_by_step(hub, pool, stores, crm, exchange):
    hire(crm, "1", "super")
    _, session = log_in(stores.crm, "1", PASSWORD, "", now_ms())
    start = str(hub.position_behind(stores))
    for _ in range(3):
        exchange.event("call_started", 1, call_id="nobody knows it")
    again = Hub(pool, 5)
    stream = Stream(again, pool, stores, session, start)
    assert [piece for piece in stream.missed() if not piece] == [b""] * 3
    stream.close()
    again.stop()


def test_what_streams_share_of_a_missed_event_is_not_kept_alive_by_use(hub, monkeypatch):
    first = hub.queued("calls", MALFORMED)
    assert hub.queued("calls", MALFORMED) is first
    monkeypatch.setattr(delivery, "_SHARED_FOR_S", 0.1)
    deadline = time.monotonic() + 5
    while hub.queued("calls", MALFORMED) is first and time.monotonic() < deadline:
        time.sleep(0.01)
    assert hub.queued("calls", MALFORMED) is not first


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, group=2),
        lambda one: replace(one, level=Level.LEADER),
        lambda one: replace(one, channels=frozenset({1})),
        lambda one: replace(one, permissions=frozenset()),
    ],
)
def test_a_card_is_shared_only_by_streams_of_the_same_scope(change: Callable[[Operator], Operator]):
    other = change(ONE)
    assert card_key(other) != card_key(ONE)
    assert card_key(replace(ONE)) == card_key(ONE)
    audience = Audience(settings_of({1: 1}), 5, 5)
    for one in (ONE, ONE, other):
        audience.add(Client(Session("t", "", one), 5))
    event = Event(1, 0, "card_lost", None, None, {})
    assert {one.viewer for one in audience.operators_of("calls", event)} == {ONE.viewer, other.viewer}
    assert len(audience.operators_of("calls", event)) == 2


def test_the_board_of_a_channel_just_out_of_scope_is_not_sent():
    leader = replace(ONE, level=Level.LEADER)
    audience = Audience(settings_of({1: 1, 2: 1}), 5, 5)
    client = Client(Session("t", "", leader), 5)
    audience.add(client)

    def board(volts: float) -> dict[int, PortState]:
        return {number: PortState(number, volts=volts) for number in (1, 2)}

    def taken() -> list[int]:
        return [port.number for port in client.take().ports]

    audience.put_board(board(-48.0))
    audience.take_settings(settings_of({1: 1, 2: 2}))
    assert taken() == [1]
    audience.put_board(board(-48.0))
    assert taken() == []
    audience.take_settings(settings_of({1: 1, 2: 1}))
    audience.put_board(board(-48.0))
    assert taken() == [2], "back in scope, and not known to the client any more"


def test_a_session_that_ended_before_its_stream_joined_gets_nothing(hub, pool, stores, crm):
    hire(crm, "1", "super")
    _, session = log_in(stores.crm, "1", PASSWORD, "", now_ms())
    stream = Stream(hub, pool, stores, session, None)
    assert not stream.client.closed
    stream.close()
    with write(crm) as connection:
        connection.execute("DELETE FROM sessions")
    late = Stream(hub, pool, stores, session, None)
    assert late.client.closed
    late.close()
