"""200 calls on the line, many people at their clients: who sees which card is as the rules' table says, once each."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crm_office import Browser, Listener, hire
from popup_table import rows_that_hold
from scripted import record_script

from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.domain.office_events import tell
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.http.server import ApiServer
from drivers.exchange.calls import Happening, IncomingCall, LineSettings, OutgoingCall
from drivers.exchange.script import Script
from firmware import doorbell
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.numbers import Site

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]
CALLS = 100
LINES = 8
SILENT = {4, 8}
GROUPS: dict[int, int | None] = {4: 2, 5: 2, 6: None, 8: 2}
"""The other channels are in group 1."""
OWNERS = {
    "13800000001": ["O1s"],
    "13800000002": ["L1s"],
    "13800000003": ["L2", "O2"],
    "13800000004": ["O1", "S", "L2s"],
    "13800000005": ["O2s", "O1"],
    "13800000006": ["Ln"],
    "13900000007": [],
    "01062345678": [],
}
"""Whose customers have a number; staff numbers are made of level, group and what is held."""


def people() -> list[tuple[str, str, int | None, tuple[int, ...], frozenset[Permission]]]:
    """Every level, with and without net_popup and customer_share."""
    desks = [
        ("S", "super", None, ()),
        ("L1", "leader", 1, (5,)),
        ("L2", "leader", 2, (1,)),
        ("Ln", "leader", None, (1, 2)),
        ("O1", "ordinary", 1, (1, 2, 3, 4)),
        ("O2", "ordinary", 2, (3, 5, 6, 8)),
        ("O3", "ordinary", None, (7,)),
    ]
    without = {"": {Permission.CUSTOMER_SHARE}, "s": set(), "q": {Permission.NET_POPUP}}
    return [
        (name + ending, level, group, channels, ALL_PERMISSIONS - lacking)
        for name, level, group, channels in desks
        for ending, lacking in without.items()
    ]


def day(seed: int) -> Script:
    """Calls over all lines: answered, missed and given up, withheld, without caller ID, and some that go out."""
    dice = random.Random(seed)
    numbers = list(OWNERS)
    free_s = [dice.uniform(1, 3) for _ in range(LINES)]
    happenings: list[Happening] = []
    for index in range(CALLS):
        line = index % LINES
        at_s, kind, number = round(free_s[line], 3), dice.random(), numbers[index // LINES % len(numbers)]
        call: Happening
        if kind < 0.1:
            call, length_s = OutgoingCall(line, at_s, number, busy=True, give_up_after_s=6.0), 12.0
        elif kind < 0.16:
            call, length_s = IncomingCall(line, at_s, absence="withheld", rings=2), 12.0
        elif kind < 0.22:
            call, length_s = IncomingCall(line, at_s, rings=2), 12.0
        elif kind < 0.6:
            call, length_s = IncomingCall(line, at_s, number, answer_after_s=5.0, talk_s=2.0), 11.0
        else:
            call, length_s = IncomingCall(line, at_s, number, rings=2), 12.0
        happenings.append(call)
        free_s[line] += length_s + dice.uniform(6, 8)
    settings = tuple(LineSettings(caller_id="dtmf" if line == 1 else "fsk") for line in range(LINES))
    return Script(LINES, tuple(happenings), seed, settings)


@dataclass(frozen=True)
class Card:
    rows: tuple[str, ...]
    owners: tuple[str, ...]


def expected(channel: int, number: str | None, incoming: bool, one: Operator, shared: bool, groups: dict[str, Any]):
    """The card by the table, None for none."""
    owners = OWNERS.get(number or "", [])
    channel_group = GROUPS.get(channel, 1)
    of_group = [owner for owner in owners if one.group is not None and groups[owner] == one.group]
    facts = {
        "channel popup is Y": channel not in SILENT,
        "call is incoming": incoming,
        "call has a number": number is not None,
        "operator has net_popup": Permission.NET_POPUP in one.permissions,
        "customer exists": bool(owners),
        "operator's group is channel's group": one.group is not None and one.group == channel_group,
        "operator's group is owner's group": bool(of_group),
        "channel is associated": channel in one.channels,
        "operator is owner": one.staff_no in owners,
        "operator has customer_share": Permission.CUSTOMER_SHARE in one.permissions,
        "customers_shared_by_all is Y": shared,
    }
    rows = rows_that_hold(one.level.value, {name for name, true in facts.items() if true})
    if not rows:
        return None
    shown = set(owners) if {"A", "C", "E"} & set(rows) else set()
    shown |= set(of_group) if "B" in rows else set()
    shown |= {one.staff_no} & set(owners) if "D" in rows else set()
    return Card(tuple(rows), tuple(owner for owner in owners if owner in shown))


class Watching:
    """A client that collects its cards until it is told that all is over."""

    def __init__(self, port: int, staff_no: str) -> None:
        browser = Browser(port)
        assert browser.log_in(staff_no).status == 200
        self.cards: list[Any] = []
        self._listener = Listener(browser)
        self._listener._socket.settimeout(800)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while (event := self._listener.next("popup", "office")) is not None:
            if event.event == "popup":
                self.cards.append(event.data)
            elif event.data["kind"] == "all_over":
                return

    def over(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._listener.close()


@pytest.mark.parametrize("shared", [False, True])
def test_who_sees_which_card(home: Home, tmp_path: Path, shared: bool) -> None:
    crm = open_store(home.crm_db)
    operators = {row[0]: hire(crm, *row) for row in people()}
    for number, owners in OWNERS.items():
        for owner in owners:
            add_customer(crm, {"name": f"客户 of {owner}"}, (Phone("", number),), Actor(owner), Site())
    set_value(crm, "system", "customers_shared_by_all", shared)
    for channel, group in GROUPS.items():
        set_value(crm, "channel", "group", group, subject=str(channel))
    for channel in SILENT:
        set_value(crm, "channel", "popup", False, subject=str(channel))
    server = ApiServer(home, "127.0.0.1", 0, max_streams=40)
    server.start()
    script = day(2026 + shared)
    try:
        clients = {staff_no: Watching(server.port, staff_no) for staff_no in operators}
        record_script(home, script, tmp_path, timeout_s=600)
        with write(crm) as connection:
            tell(connection, "all_over", {}, to=operators)
        doorbell.ring(home.doorbells)
        for client in clients.values():
            client.over()
    finally:
        server.stop()
        crm.conn.close()
    pairs = _pairs(home, script)
    assert len(pairs) == CALLS
    groups = {staff_no: one.group for staff_no, one in operators.items()}
    shown = 0
    for staff_no, one in operators.items():
        wanted = {}
        for call_id, (channel, number, incoming) in pairs.items():
            card = expected(channel, number, incoming, one, shared, groups)
            if card is not None:
                wanted[call_id] = card
        cards = clients[staff_no].cards
        ids = [card["call"]["id"] for card in cards]
        assert len(ids) == len(set(ids)), staff_no
        got = {
            card["call"]["id"]: Card(tuple(card["rows"]), tuple(one["owner"] for one in card["customers"]))
            for card in cards
        }
        assert got == wanted, staff_no
        shown += len(got)
    assert shown > 2 * CALLS, "hardly anything popped up: the day is not worth much"


def _pairs(home: Home, script: Script) -> dict[str, tuple[int, str | None, bool]]:
    """Channel, number and direction of every call as they were on the line, by the id that the recorder gave it."""
    db = open_store(home.calls_db, readonly=True)
    rows = [dict(row) for row in db.query("SELECT * FROM calls ORDER BY started_ms")]
    db.conn.close()
    found = {}
    for line in range(LINES):
        sent = [one for one in script.calls if one.line == line]
        heard = [row for row in rows if row["channel"] == line + 1]
        assert len(sent) == len(heard), line
        for one, row in zip(sent, heard, strict=True):
            incoming = isinstance(one, IncomingCall)
            number = one.number if isinstance(one, IncomingCall) else one.digits
            heard_number = row["caller_number"] if incoming else row["dialled_number"]
            assert (row["direction"] == "incoming", heard_number) == (incoming, number), (line, one)
            found[row["id"]] = (line + 1, number, incoming)
    return found
