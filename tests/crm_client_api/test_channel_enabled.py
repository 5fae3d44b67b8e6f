"""A channel that is switched off, and parameters that wait for the end of a call, as the API shows them."""

from __future__ import annotations

import json

import pytest
from crm_office import hire
from live_line import line

from crm_client_api.push.board import read_waiting
from firmware.clock import now_ms
from firmware.live_file import write_live
from firmware.parameters import get_value


@pytest.fixture
def boss(crm, exchange, browse):
    hire(crm, "1", "super")
    exchange.wire(1, 2)
    return browse("1")


def channel(browser, number: int):
    return next(one for one in browser.get("/channels")["channels"] if one["number"] == number)


def tell(home, **port) -> None:
    report = {"card_id": "test-1", "at_ms": now_ms() + 60_000, "connected": True, "ports": [{"channel": 1} | port]}
    write_live(home.status / "test-1.live", json.dumps(report).encode())


def test_a_channel_is_switched_off_and_on(home, crm, boss):
    with line(home) as tape:
        tape.speak(800)
        assert channel(boss, 1)["enabled"] is True
        answer = boss.ask("PATCH", "/channels/1/parameters", {"values": {"enabled": False}})
        assert answer.status == 200, answer.body
        tell(home, level_dbm0=None)
        shown = channel(boss, 1)
        assert (shown["enabled"], shown["line"], shown["level_dbm0"]) == (False, "unknown", None)
        assert channel(boss, 2)["enabled"] is True
        for path in ("/channels/1/live", "/live?channels=1,2"):
            assert (answer := boss.ask("GET", path)).status == 409, answer.body
        trial = boss.ask("POST", "/channels/1/recording-test", {"number": "10086"}).json
        assert (trial["kept"], trial["reason"]) == (False, "switched_off")
        told = crm.conn.execute("SELECT count(*) FROM events WHERE kind = 'channel_changed'").fetchone()[0]
        assert boss.ask("PATCH", "/channels/1/parameters", {"reset": ["enabled"]}).status == 200
        assert channel(boss, 1)["enabled"] is True
        assert get_value(crm, "channel", "enabled", "1") is True
        assert crm.conn.execute("SELECT count(*) FROM events WHERE kind = 'channel_changed'").fetchone()[0] == told + 1


def test_what_waits_for_the_end_of_the_call_says_so(home, boss):
    tell(home, waiting=["line_lost_v", "record_mode"])
    found = {one["key"]: one["waits"] for one in boss.get("/channels/1/parameters")["settings"]}
    assert {key for key, waits in found.items() if waits} == {"line_lost_v", "record_mode"}
    assert not any(one["waits"] for one in boss.get("/channels/2/parameters")["settings"])
    assert not any(one["waits"] for one in boss.get("/system-parameters")["settings"])
    write_live(home.status / "test-1.live", json.dumps({"card_id": "test-1", "at_ms": 1, "ports": []}).encode())
    assert read_waiting(home, 1) == frozenset()
