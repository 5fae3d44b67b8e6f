"""Thresholds of the line that change while a call runs, through the pty card: the call goes on to its own end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from scripted import RATE_HZ, RealTimeExchange, recorder, running, settled, wait_until

from drivers.exchange.calls import LineSettings, OutgoingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance]

TALK_S = 6.0
CUTS_V = 10.0
"""A line in use has some 7 V: told now, the card takes it for cut."""


def test_a_threshold_that_would_cut_the_call_waits_for_its_end(home: Home, tmp_path: Path) -> None:
    call = OutgoingCall(0, 4.0, "110", answer_after_s=2.0, talk_s=TALK_S)
    script = Script(1, (call,), 3, (LineSettings(polarity_reversal=True),))
    crm, calls = open_store(home.crm_db), open_store(home.calls_db, readonly=True)
    with RealTimeExchange(home, tmp_path, script) as exchange, running(recorder(home, exchange.link, "--simulated")):
        wait_until(lambda: calls.conn.execute("SELECT 1 FROM calls WHERE state = 'talking'").fetchone(), 60, "the call")
        set_value(crm, "channel", "line_lost_v", CUTS_V, subject="1")
        time.sleep(1)
        settled(home)
    [row] = calls.query("SELECT end_reason, talk_ms FROM calls")
    [recording] = calls.query("SELECT state, duration_ms, to_sample - from_sample AS samples FROM recordings")
    assert row["end_reason"] == "on_hook"
    assert row["talk_ms"] == pytest.approx(TALK_S * 1000, abs=200)
    assert recording["state"] == "ready"
    assert recording["samples"] > TALK_S * RATE_HZ
    for db in (crm, calls):
        db.conn.close()
