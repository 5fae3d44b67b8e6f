"""200 scripted calls over 8 lines through the pty card: every call one record, every recording exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scripted import RATE_HZ, TOLERANCE_MS, Sent, mixed_day, record_script, what_was_sent

from drivers.exchange.calls import CallTruth
from firmware.config import Home
from firmware.store.connection import open_store
from firmware.store.migrations import migrate
from recorder.library.evidence.signing import device_id

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
CALLS = 200


class Day:
    """The script, what was sent, and what the box made of it."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.home.create()
        migrate(self.home)
        script = mixed_day(CALLS, seed=2026)
        record_script(self.home, script, folder)
        self.sent: Sent = what_was_sent(script)
        db = open_store(self.home.calls_db, readonly=True)
        self.calls = [dict(row) for row in db.query("SELECT * FROM calls ORDER BY started_ms, channel")]
        self.recordings = {row["call_id"]: dict(row) for row in db.query("SELECT * FROM recordings")}
        self.recording_rows = db.conn.execute("SELECT count(*) FROM recordings").fetchone()[0]
        db.conn.close()
        self.pairs = self._pair()

    def _pair(self) -> list[tuple[CallTruth, dict[str, Any]]]:
        """The nth call of a line is the nth record of its channel."""
        pairs = []
        for line in range(8):
            truths = sorted((t for t in self.sent.truth if t.line == line), key=lambda t: t.start_sample)
            records = [call for call in self.calls if call["channel"] == line + 1]
            assert len(truths) == len(records), f"line {line}: {len(truths)} calls, {len(records)} records"
            pairs += list(zip(truths, records, strict=True))
        return pairs


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return Day(tmp_path_factory.mktemp("day"))


def test_every_call_has_exactly_one_record(day: Day) -> None:
    assert len(day.sent.truth) == CALLS
    assert len(day.pairs) == CALLS
    assert {call["state"] for call in day.calls} == {"ended"}


def test_direction_number_and_result_are_right(day: Day) -> None:
    wrong = []
    for truth, call in day.pairs:
        expected = ("incoming" if truth.direction == "in" else "outgoing", truth.result, truth.number, truth.dialled)
        found = (call["direction"], call["result"], call["caller_number"], call["dialled_number"])
        if expected != found:
            wrong.append((truth.line, truth.start_sample / RATE_HZ, expected, found))
    assert not wrong


def test_ring_and_talk_times_are_within_tolerance(day: Day) -> None:
    wrong = [
        (truth.line, truth.direction, truth.result, truth.ring_ms, call["ring_ms"], truth.talk_ms, call["talk_ms"])
        for truth, call in day.pairs
        if abs(truth.ring_ms - call["ring_ms"]) > TOLERANCE_MS or abs(truth.talk_ms - call["talk_ms"]) > TOLERANCE_MS
    ]
    assert not wrong


def test_every_answered_call_has_one_recording_identical_to_what_was_sent(day: Day) -> None:
    answered = [(truth, call) for truth, call in day.pairs if truth.result == "answered"]
    assert len(answered) > CALLS // 3
    assert len(day.recordings) == day.recording_rows
    for truth, call in answered:
        recording = day.recordings[call["id"]]
        assert recording["state"] == "ready"
        assert recording["missing_samples"] == 0
        audio, rate = soundfile.read(day.home.recordings / recording["path"], dtype="int16")
        assert rate == RATE_HZ
        assert len(audio) == recording["to_sample"] - recording["from_sample"]
        start = _place(day.sent.pcm[truth.line], audio, recording["from_sample"])
        assert start is not None, f"line {truth.line}: not the samples that were sent"
        assert truth.off_hook_sample is not None
        assert truth.on_hook_sample is not None
        assert start <= truth.off_hook_sample - RATE_HZ // 2, "the pre-roll is there"
        assert start + len(audio) >= truth.on_hook_sample


def _place(
    line: np.ndarray[Any, np.dtype[np.int16]], audio: np.ndarray[Any, np.dtype[np.int16]], near: int
) -> int | None:
    """Where ``audio`` stands in what was sent; the tape may have begun up to 60 s into the exchange's day."""
    for start in range(near, min(near + 60 * RATE_HZ, len(line) - len(audio)) + 1, 1):
        if (
            line[start] == audio[0]
            and line[start + 7] == audio[7]
            and np.array_equal(line[start : start + len(audio)], audio)
        ):
            return start
    return None


def test_simulated_calls_are_marked_everywhere(day: Day) -> None:
    assert all(call["simulated"] == 1 for call in day.calls)
    assert all(recording["simulated"] == 1 for recording in day.recordings.values())
    practice = device_id(day.home, True)
    for call in day.calls:
        manifest = json.loads((day.home.recordings / call["manifest"]).read_text())["manifest"]
        assert manifest["simulated"] is True
        assert manifest["call"]["id"] == call["id"]
        assert manifest["device"] == practice
    assert list((day.home.evidence / "practice").glob("*.log"))
    assert not list((day.home.evidence / "device").glob("*.log"))
    assert not (day.home.keys / "device.pem").exists()
