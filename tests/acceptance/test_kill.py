"""``kill -9`` of every daemon in the middle of calls: nothing finished is lost, nothing is doubled."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from office import Person, Watcher, office, verified_log
from scripted import RATE_HZ, settled, wait_until, what_was_sent

from drivers.exchange.calls import Happening, IncomingCall, LineSettings, OutgoingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]
LINES = 8
FIRST_CALL_S = 14
KILLS = (
    (18.5, ("recorder",)), (21.0, ("api",)), (24.0, ("recorder",)), (25.0, ("keeper",)),
    (30.0, ("api",)), (31.5, ("recorder",)), (36.0, ("recorder",)),
)  # fmt: skip
LATEST_MISSING_SAMPLES = RATE_HZ
"""The issue allows 1 s of a running call; the card's buffer should make it none."""


def busy_minute() -> Script:
    """Overlapping calls, so that every kill meets some ringing, some dialling and some talking."""
    calls: list[Happening] = []
    for line in range(LINES):
        at_s = FIRST_CALL_S + 1.3 * line
        number = f"1390013900{line}"
        if line % 4 == 3:
            calls.append(OutgoingCall(line, at_s, number, answer_after_s=5.0, talk_s=14.0))
        elif line == 6:
            calls.append(IncomingCall(line, at_s, number, rings=3))
        else:
            calls.append(IncomingCall(line, at_s, number, answer_after_s=7.0, talk_s=16.0 + line))
    settings = tuple(
        LineSettings(caller_id="dtmf" if line == 1 else "fsk", polarity_reversal=True) for line in range(LINES)
    )
    return Script(LINES, tuple(calls), 3, settings)


def test_killed_daemons_lose_nothing(home: Home, tmp_path: Path) -> None:
    script = busy_minute()
    with office(home, tmp_path, script) as (box, exchange):
        person = Person(box.url, *box.one_time_password())
        watcher = Watcher(person)
        wait_until(lambda: len(person.call("GET", "/channels")["channels"]) == LINES, 20, "the channels")
        assert exchange.at(FIRST_CALL_S) > 0, "the box was up too late for this script"
        for at_s, words in KILLS:
            time.sleep(exchange.at(at_s))
            box.kill(*words)
        time.sleep(exchange.at(54))
        settled(home)
        events = wait_until(lambda: _all_told(watcher), 20, "the last call's end at the client")
        watcher.stop()
    _check_records(home, script)
    _check_recordings(home, script)
    _check_evidence(home)
    _check_stream(home, events, watcher)


def _all_told(watcher: Watcher) -> list[tuple[str, str, object]] | None:
    ended = {call["id"] for call in watcher.of("call") if call["state"] == "ended"}
    return list(watcher.events) if len(ended) == LINES else None


def _rows(home: Home, query: str) -> list[dict[str, object]]:
    db = open_store(home.calls_db, readonly=True)
    try:
        return [dict(row) for row in db.query(query)]
    finally:
        db.conn.close()


def _check_records(home: Home, script: Script) -> None:
    calls = _rows(home, "SELECT * FROM calls ORDER BY channel, started_ms")
    truths = sorted(what_was_sent(script).truth, key=lambda truth: truth.line)
    assert [call["channel"] for call in calls] == list(range(1, LINES + 1))
    for truth, call in zip(truths, calls, strict=True):
        assert call["direction"] == ("incoming" if truth.direction == "in" else "outgoing")
        assert (call["caller_number"], call["dialled_number"]) == (truth.number, truth.dialled)
        assert call["result"] == truth.result
        assert abs(int(str(call["ring_ms"])) - truth.ring_ms) <= 100
        assert abs(int(str(call["talk_ms"])) - truth.talk_ms) <= 100
        assert call["simulated"] == 0
    kinds = Counter(
        (row["call_id"], row["kind"]) for row in _rows(home, "SELECT call_id, kind FROM events WHERE call_id NOT NULL")
    )
    assert set(kinds.values()) == {1}, "no event of a call was written twice"


def _check_recordings(home: Home, script: Script) -> None:
    recordings = _rows(home, "SELECT r.*, c.result FROM recordings r JOIN calls c ON c.id = r.call_id")
    assert len(recordings) == LINES - 1
    assert {row["state"] for row in recordings} == {"ready"}
    sent = what_was_sent(script)
    for row in recordings:
        path = home.recordings / str(row["path"])
        audio, _ = soundfile.read(path, dtype="int16")
        manifest = json.loads(path.with_suffix(".json").read_text())["manifest"]
        missing = sum(gap["to_sample"] - gap["from_sample"] for gap in manifest["gaps"])
        assert missing == manifest["missing_samples"] == row["missing_samples"]
        assert missing <= LATEST_MISSING_SAMPLES
        heard = np.ones(len(audio), bool)
        for gap in manifest["gaps"]:
            heard[gap["from_sample"] : gap["to_sample"]] = False
        line = sent.pcm[int(str(row["channel"])) - 1]
        assert _stands_in(line, audio, heard), f"channel {row['channel']}: not what was sent"


def _stands_in(line: np.ndarray, audio: np.ndarray, heard: np.ndarray) -> bool:  # type: ignore[type-arg]
    probe = np.flatnonzero(heard)[:64]
    for start in range(len(line) - len(audio) + 1):
        if line[start + probe[0]] == audio[probe[0]] and np.array_equal(line[start + probe], audio[probe]):
            window = line[start : start + len(audio)]
            if np.array_equal(window[heard], audio[heard]):
                return True
    return False


def _check_evidence(home: Home) -> None:
    (log,) = (log for log in (home.evidence / "device").glob("*.log") if log.stem != "library")
    begun, *entries = verified_log(log)
    assert begun["kind"] == "log_begun"
    named = [entry["manifest_id"] for entry in entries]
    recordings = {str(row["id"]) for row in _rows(home, "SELECT id FROM recordings")}
    missed = {str(row["id"]) for row in _rows(home, "SELECT id FROM calls WHERE result <> 'answered'")}
    assert len(named) == len(set(named))
    assert set(named) == recordings | missed
    assert {log.stem for log in (home.evidence / "practice").glob("*.log")} <= {"library"}


def _check_stream(home: Home, events: list[tuple[str, str, object]], watcher: Watcher) -> None:
    assert watcher.reconnects >= 2, "both kills of the API were felt"
    ids = [position for _, position, _ in events if position]
    numbers = [int(position.rpartition("-")[2]) for position in ids]
    assert numbers == sorted(numbers)
    incoming = {str(row["id"]) for row in _rows(home, "SELECT id FROM calls WHERE direction = 'incoming'")}
    popped = Counter(popup["call"]["id"] for popup in watcher.of("popup"))
    assert set(popped) == incoming, "every incoming call popped up"
    assert set(popped.values()) == {1}, "no pop-up came twice"
