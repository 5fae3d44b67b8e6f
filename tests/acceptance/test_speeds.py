"""Real time and full speed give identical results: every time-out counts samples."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile
from scripted import RealTimeExchange, record_script, recorder, running, settled

from drivers.exchange.calls import IncomingCall, LineCut, LineSettings, OutgoingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.store.connection import open_store
from firmware.store.migrations import migrate

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]
SCRIPT = Script(
    4,
    (
        IncomingCall(0, 4.0, "13800138000", "王伟明", answer_after_s=6.5, talk_s=8.0),
        IncomingCall(1, 4.5, "01062345678", rings=2),
        IncomingCall(1, 24.0, None, give_up_after_s=1.0),
        OutgoingCall(2, 4.2, "10086", answer_after_s=4.0, talk_s=7.0),
        OutgoingCall(3, 5.0, "114", busy=True, give_up_after_s=6.0),
        LineCut(3, 24.0, 2.0),
    ),
    21,
    (LineSettings(), LineSettings(caller_id="dtmf"), LineSettings(polarity_reversal=True), LineSettings()),
)
LENGTH_S = 42
_CALLS = """
SELECT channel, direction, result, caller_number, caller_name, absence, dialled_number, answer_basis, end_reason,
       ring_ms, talk_ms, answered_ms - started_ms AS answered_after_ms, ended_ms - started_ms AS length_ms
FROM calls ORDER BY channel, started_ms
"""


def _results(home: Home) -> tuple[list[dict[str, Any]], list[bytes], list[str]]:
    """Calls, the sound of every recording, and what the event log told, line by line."""
    db = open_store(home.calls_db, readonly=True)
    calls = [dict(row) for row in db.query(_CALLS)]
    paths = db.conn.execute("SELECT path FROM recordings ORDER BY channel, started_ms, segment").fetchall()
    told = db.conn.execute("SELECT channel || ' ' || kind FROM events WHERE channel NOT NULL ORDER BY channel, id")
    events = [text for (text,) in told if "recording" not in text]
    sounds = [soundfile.read(home.recordings / path, dtype="int16")[0].tobytes() for (path,) in paths]
    db.conn.close()
    return calls, sounds, events


def _in_real_time(home: Home, folder: Path) -> None:
    with RealTimeExchange(home, folder, SCRIPT) as exchange, running(recorder(home, exchange.link, "--simulated")):
        time.sleep(exchange.at(LENGTH_S))
        settled(home)


def test_both_speeds_give_the_same_calls_recordings_and_events(tmp_path: Path) -> None:
    homes = {}
    for speed in ("real", "max"):
        (tmp_path / speed).mkdir()
        homes[speed] = Home(tmp_path / speed / "home")
        homes[speed].create()
        migrate(homes[speed])
    slow = threading.Thread(target=_in_real_time, args=(homes["real"], tmp_path / "real"))
    slow.start()
    record_script(homes["max"], SCRIPT, tmp_path / "max")
    slow.join()
    real, fast = _results(homes["real"]), _results(homes["max"])
    assert len(real[0]) == 5
    assert real[0] == fast[0]
    assert len(real[1]) == 3
    assert real[1] == fast[1]
    assert real[2] == fast[2]
