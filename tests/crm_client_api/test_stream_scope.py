"""No stream reveals what is out of scope, neither live nor what it missed; and misses nothing that is in scope."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import sqlite_utils
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.popup import PopupRules
from crm_client_api.domain.sessions import Session
from crm_client_api.domain.settings import ChannelSettings, Settings
from crm_client_api.push.audience import CALL_EVENTS, PUSHED_EVENTS, Audience, Client, Queued
from crm_client_api.push.replay import missed_events
from crm_client_api.stores import Stores
from firmware.config import Home
from firmware.store.event_log import Event
from firmware.store.schema import create_event_log
from recorder.numbers import Site

STAFF = ("A", "B", "C")
CALLS = ("x", "y", "z")
kinds = st.sampled_from([*sorted(PUSHED_EVENTS), "call_waiting", "order_done", "caller_unknown", "task_due"])
events = st.lists(
    st.tuples(
        st.sampled_from(["calls", "office"]),
        kinds,
        st.none() | st.integers(1, 4),
        st.none() | st.sampled_from(CALLS),
        st.lists(st.sampled_from(STAFF), max_size=2),
    ),
    max_size=25,
)
groups = st.none() | st.integers(1, 2)
operators = st.builds(
    lambda level, group, channels: Operator("A", "a", level, group, frozenset(channels), frozenset()),
    st.sampled_from(Level),
    groups,
    st.sets(st.integers(1, 4)),
)
channel_groups = st.dictionaries(st.integers(1, 4), groups)
handed = st.sets(st.sampled_from(CALLS))


def settings_of(by_channel: dict[int, int | None]) -> Settings:
    channels = {number: ChannelSettings("", group, True) for number, group in by_channel.items()}
    return Settings(PopupRules(), Site(), 60_000, ChannelSettings("", 1, True), channels)


def stores() -> Stores:
    dbs = []
    for _ in range(2):
        connection = sqlite3.connect(":memory:")
        connection.row_factory = sqlite3.Row
        db = sqlite_utils.Database(connection)
        create_event_log(db)
        dbs.append(db)
    return Stores(Home(Path("/nowhere")), *dbs)


def may_see(one: Operator, channel: int | None, by_channel: dict[int, int | None]) -> bool:
    """Calls by their channel, as the rules say it."""
    if channel is None:
        return False
    if one.level is Level.SUPER:
        return True
    if one.level is Level.LEADER:
        return one.group is not None and by_channel.get(channel, 1) == one.group
    return channel in one.channels


def is_for_them(one: Operator, event: Event, log: str, by_channel: dict[int, int | None], passed_on: set[str]) -> bool:
    if log == "office":
        told = "A" in event.data.get("to", [])
        if event.kind == "caller_unknown":
            return may_see(one, event.channel, by_channel)
        return told
    if event.kind not in PUSHED_EVENTS:
        return False
    if event.kind in ("card_lost", "card_present"):
        return True
    return may_see(one, event.channel, by_channel) or (event.kind in CALL_EVENTS and event.call_id in passed_on)


@given(events, operators, channel_groups, handed)
def test_missed_and_live_are_what_the_rules_allow(written, one, by_channel, passed_on):
    where, settings = stores(), settings_of(by_channel)
    expected: dict[str, list[int]] = {"calls": [], "office": []}
    audience = Audience(settings, 5, 5)
    client = Client(Session("t", "", one), 100)
    audience.add(client)
    for call_id in passed_on:
        audience.hand(call_id, "A")
    ended: set[str] = set()
    live_expected = []
    for log, kind, channel, call_id, to in written:
        db = where.calls if log == "calls" else where.crm
        data = {} if log == "calls" or kind == "caller_unknown" else {"to": to}
        row = db.conn.execute(
            "INSERT INTO events (at_ms, kind, channel, call_id, data) VALUES (0,?,?,?,?) RETURNING id",
            (kind, channel, call_id, json.dumps(data)),
        ).fetchone()
        event = Event(row[0], 0, kind, channel, call_id, data)
        if is_for_them(one, event, log, by_channel, passed_on):
            expected[log].append(event.id)
        if is_for_them(one, event, log, by_channel, passed_on - ended):
            live_expected.append((log, event.id))
        audience.put_event(Queued(log, event, settings))
        if (log, kind) == ("calls", "call_ended") and call_id is not None:
            ended.add(call_id)  # nobody follows a call beyond its end
    scope = settings.channel_scope(one.viewer)
    for log in ("calls", "office"):
        missed = missed_events(where, log, 0, 10**9, "A", scope, passed_on)
        assert [event.id for event in missed] == expected[log]
        half = len(expected[log]) // 2
        upto = expected[log][half] if expected[log] else 0
        again = missed_events(where, log, 0, upto, "A", scope, passed_on)
        assert [event.id for event in again] == [number for number in expected[log] if number <= upto]
    assert [(one.log, one.event.id) for one in client.take().events] == live_expected
    where.close()
