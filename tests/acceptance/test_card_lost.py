"""A line card that vanishes in the middle of a call, and comes back as after a power cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from scripted import RealTimeExchange, recorder, running, settled, wait_until

from drivers.exchange.calls import IncomingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]


def _query(home: Home, query: str) -> list[dict[str, Any]]:
    db = open_store(home.calls_db, readonly=True)
    try:
        return [dict(row) for row in db.query(query)]
    finally:
        db.conn.close()


def _script(digit: int) -> Script:
    return Script(1, (IncomingCall(0, 3.0, f"1380013800{digit}", answer_after_s=6.5, talk_s=6.0),), 7)


def test_lost_card_ends_the_call_raises_an_alarm_and_is_taken_up_again(home: Home, tmp_path: Path) -> None:
    def ended() -> list[dict[str, Any]]:
        return _query(home, "SELECT * FROM calls WHERE state = 'ended'")

    with RealTimeExchange(home, tmp_path, _script(1)) as first, running(recorder(home, first.link)):
        wait_until(lambda: _query(home, "SELECT 1 FROM calls WHERE state = 'talking'"), 40, "the call is answered")
        first.process.kill()
        first.process.wait()
        first.link.unlink()
        (alarm,) = wait_until(lambda: _query(home, "SELECT * FROM alarms"), 40, "an alarm")
        assert (alarm["code"], alarm["cleared_ms"]) == ("card_lost", None)
        (call,) = wait_until(ended, 20, "the call's end")
        assert (call["result"], call["end_reason"]) == ("answered", "card_lost")
        with RealTimeExchange(home, tmp_path, _script(2)):
            wait_until(lambda: len(ended()) == 2, 60, "the next call")
            settled(home)
        assert _query(home, "SELECT 1 FROM alarms WHERE cleared_ms IS NULL AND code = 'card_lost'") == []
    calls = _query(home, "SELECT * FROM calls ORDER BY started_ms")
    assert [call["caller_number"] for call in calls] == ["13800138001", "13800138002"]
    assert (calls[1]["result"], calls[1]["end_reason"]) == ("answered", "on_hook")
    assert abs(calls[1]["talk_ms"] - 6000) <= 100
    for row in _query(home, "SELECT * FROM recordings"):
        audio, _ = soundfile.read(home.recordings / row["path"], dtype="int16")
        manifest = json.loads((home.recordings / row["path"]).with_suffix(".json").read_text())["manifest"]
        assert len(audio) == manifest["audio"]["samples"]
        assert manifest["missing_samples"] == sum(gap["to_sample"] - gap["from_sample"] for gap in manifest["gaps"])
    kinds = [row["kind"] for row in _query(home, "SELECT kind FROM events WHERE kind LIKE 'card_%' ORDER BY id")]
    assert kinds == ["card_present", "card_lost", "card_present"]
