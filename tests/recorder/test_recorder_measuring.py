"""What the line card is told of how to measure, and what is told of lines whose card is gone."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
import pytest
from test_recorder import BOOT_B, SLICE, MemoryCard, recording, wait_until

from drivers.api import EventKind, LineEvent
from firmware.config import Home
from firmware.errors import ConfigError
from firmware.live_file import read_live
from firmware.parameters import set_value
from firmware.store.connection import open_store
from recorder.daemon import Recorder, RecorderOptions
from recorder.status import CardStatus, PortStatus


class AdjustableMemoryCard(MemoryCard):
    """Remembers what it was told of how to measure."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int | None, dict[str, object]]] = []
        self.refuses = False

    def apply(self, settings: Mapping[str, object], port: int | None = None) -> None:
        self.told.append((port, dict(settings)))
        if self.refuses:
            raise ConfigError("not with this card")


def port_status(home: Home) -> PortStatus | None:
    try:
        return msgspec.json.decode(read_live(home.status / "t.live") or b"", type=CardStatus).ports[0]
    except (OSError, msgspec.DecodeError):
        return None


def in_call(home: Home, wanted: bool) -> bool:
    found = port_status(home)
    return found is not None and (found.call_id is not None) == wanted


def test_a_running_call_is_measured_to_its_end_as_it_began(home: Home) -> None:
    crm, card = open_store(home.crm_db), AdjustableMemoryCard()
    card.now = 10 * SLICE
    with recording(home, card) as box:
        wait_until(lambda: card.told, "the settings")
        before = len(card.told)
        card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 10 * SLICE))
        card.now = 60 * SLICE
        wait_until(lambda: in_call(home, True), "a call")
        set_value(crm, "channel", "line_lost_v", 10.0, subject="1")
        set_value(crm, "channel", "hook_debounce_ms", 30, subject="1")
        set_value(crm, "channel", "record_mode", "none", subject="1")
        for piece in range(61, 100):
            card.now = piece * SLICE
            time.sleep(0.02)
        wait_until(lambda: (found := port_status(home)) and len(found.waiting) == 3, "it is told that the changes wait")
        found = port_status(home)
        assert found is not None
        assert found.waiting == ["record_mode", "line_lost_v", "hook_debounce_ms"]
        assert len(card.told) == before, "the card was told in mid-call"
        card.gone = True  # and it comes back with what was in force
        wait_until(lambda: len(card.resumed) > 1, "the loss")
        card.gone = False
        wait_until(lambda: len(card.told) > before, "the settings in force again")
        assert card.told[before][1]["line_lost_v"] == 3.0
        card.events.append(LineEvent(EventKind.ON_HOOK, 0, 110 * SLICE))
        card.now = 400 * SLICE
        box.wait_for(390 * SLICE)
        wait_until(lambda: in_call(home, False), "the end of the call")
        wait_until(lambda: len(card.told) > before + 1, "the new settings")
        assert card.told[before + 1 :] == [(0, {"line_lost_v": 10.0, "hook_debounce_ms": 30})]
        wait_until(lambda: (found := port_status(home)) and not found.waiting, "nothing waits any more")


def test_a_recorder_that_begins_in_mid_call_leaves_the_card_as_it_is(home: Home) -> None:
    crm, card = open_store(home.crm_db), AdjustableMemoryCard()
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 5 * SLICE))
    card.now = 60 * SLICE
    with recording(home, card):
        wait_until(lambda: in_call(home, True), "a call")
    set_value(crm, "channel", "line_lost_v", 10.0, subject="1")
    before = len(card.told)
    with recording(home, card):
        card.now = 70 * SLICE
        wait_until(lambda: (home.status / "t.quality").exists(), "a first look at the settings")
        time.sleep(0.5)
        assert len(card.told) == before
        card.events.append(LineEvent(EventKind.ON_HOOK, 0, 80 * SLICE))
        card.now = 400 * SLICE
        wait_until(lambda: len(card.told) > before, "the settings")
        assert card.told[-1][1]["line_lost_v"] == 10.0


def test_a_card_that_was_powered_up_meanwhile_is_told_though_its_line_looks_in_use(home: Home) -> None:
    crm, card = open_store(home.crm_db), AdjustableMemoryCard()
    card.now = 60 * SLICE
    with recording(home, card):
        wait_until(lambda: card.told, "the settings")
    set_value(crm, "channel", "off_hook_v", 10.0, subject="1")
    hidden, before = home.crm_db.with_suffix(".hidden"), len(card.told)
    home.crm_db.rename(hidden)  # until the call that the factory's threshold makes of the line
    card.restarted(BOOT_B, 0)
    card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 0))
    card.now = 60 * SLICE
    with recording(home, card):
        wait_until(lambda: in_call(home, True), "a call")
        hidden.rename(home.crm_db)
        wait_until(lambda: len(card.told) > before, "the settings")
        assert card.told[-1][1]["off_hook_v"] == 10.0


def test_a_call_that_only_the_new_settings_can_end_does_not_hold_them_for_ever(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.daemon.HELD_MOST_S", 0.5)
    crm, card = open_store(home.crm_db), AdjustableMemoryCard()
    card.now = 10 * SLICE
    with recording(home, card):
        wait_until(lambda: card.told, "the settings")
        before = len(card.told)
        card.events.append(LineEvent(EventKind.OFF_HOOK, 0, 10 * SLICE))
        card.now = 60 * SLICE
        wait_until(lambda: in_call(home, True), "a call")
        set_value(crm, "channel", "off_hook_v", 10.0, subject="1")
        wait_until(lambda: (found := port_status(home)) and found.waiting, "the change waits")
        wait_until(lambda: len(card.told) > before, "the change")
        assert card.told[before:] == [(0, {"off_hook_v": 10.0})]
        assert in_call(home, True)
        wait_until(lambda: (found := port_status(home)) and not found.waiting, "nothing waits any more")


def test_a_store_that_cannot_be_read_tells_the_card_nothing(home: Home) -> None:
    card, hidden = AdjustableMemoryCard(), home.crm_db.with_suffix(".hidden")
    card.now = 10 * SLICE
    home.crm_db.rename(hidden)
    with recording(home, card) as box:
        box.wait_for(8 * SLICE)
        wait_until(lambda: (home.status / "t.quality").exists(), "a first look at the settings")
        assert card.told == []
        hidden.rename(home.crm_db)
        wait_until(lambda: card.told, "the settings")


def test_a_card_with_many_ports_is_told_a_few_at_a_time_and_all_in_the_end(home: Home) -> None:
    card = AdjustableMemoryCard()
    recorder = Recorder(home, RecorderOptions("t", "memory", ""), card)
    recorder._measuring = [{"gain_db": float(port)} for port in range(20)]
    for told in (8, 16, 20):
        recorder._adjust()
        assert card.told == [(port, {"gain_db": float(port)}) for port in range(told)]
        assert (recorder._measured is recorder._measuring) == (told == 20)
    recorder._measuring = [{"gain_db": 1.0}, *recorder._measuring[1:]]
    recorder._adjust()
    assert card.told[20:] == [(0, {"gain_db": 1.0})]


def test_a_setting_that_the_card_refuses_ends_nothing(home: Home) -> None:
    card = AdjustableMemoryCard()
    card.refuses, card.now = True, SLICE
    with recording(home, card) as box:
        wait_until(lambda: card.told, "the settings")
        card.now = 10 * SLICE
        box.wait_for(8 * SLICE)
        assert len(card.told) == 1


def test_how_good_the_lines_sound_is_not_told_of_a_card_that_is_gone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.daemon.QUALITY_S", 0.0)
    card, file = MemoryCard(), home.status / "t.quality"
    card.now = 10 * SLICE
    with recording(home, card):
        wait_until(file.exists, "a report")
        card.gone = True
        wait_until(lambda: len(card.resumed) > 1, "the loss")
        time.sleep(0.6)
        before = file.read_bytes()
        time.sleep(0.6)
        assert file.read_bytes() == before


def test_the_card_measures_as_the_channel_says_at_once_and_after_each_opening(home: Home) -> None:
    crm, card = open_store(home.crm_db), AdjustableMemoryCard()
    card.now = SLICE
    factory = {
        "off_hook_v": 20.0, "line_lost_v": 3.0, "ring_vrms": 35.0, "ring_min_ms": 100, "hook_debounce_ms": 100,
        "gain_db": 0.0,
    }  # fmt: skip
    with recording(home, card):
        wait_until(lambda: card.told, "the settings")
        assert card.told == [(0, factory)]
        set_value(crm, "channel", "hook_debounce_ms", 30, subject="1")
        wait_until(lambda: len(card.told) > 1, "the change")
        assert card.told[1:] == [(0, {"hook_debounce_ms": 30})]
        card.gone = True
        wait_until(lambda: len(card.resumed) > 1, "the loss")
        card.gone = False
        wait_until(lambda: len(card.told) > 2, "the settings again")
        assert card.told[2:] == [(0, factory | {"hook_debounce_ms": 30})]
