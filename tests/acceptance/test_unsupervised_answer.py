"""Outgoing calls on lines without answer supervision: the answer is taken from the called party's first words."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import record_script, what_was_sent

from drivers.exchange.calls import LineSettings, OutgoingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance]
FIRST_WORD_WITHIN_MS = 1000


def test_answer_is_found_by_voice(home: Home, tmp_path: Path) -> None:
    lines = 4
    settings = tuple(LineSettings(speech_dbm0=-16.0 - 2 * line) for line in range(lines))
    calls = tuple(
        OutgoingCall(
            line, 1.0 + 30 * turn, f"1380013{line}{turn}00", answer_after_s=4.0 + 0.7 * turn + line, talk_s=8.0
        )
        for turn in range(4)
        for line in range(lines)
    )
    script = Script(lines, calls, 5, settings)
    record_script(home, script, tmp_path)
    db = open_store(home.calls_db, readonly=True)
    rows = list(db.query("SELECT * FROM calls ORDER BY channel, started_ms"))
    db.conn.close()
    truths = sorted(what_was_sent(script).truth, key=lambda truth: (truth.line, truth.start_sample))
    assert [row["result"] for row in rows] == ["answered"] * len(calls)
    assert {row["answer_basis"] for row in rows} == {"voice"}
    for truth, row in zip(truths, rows, strict=True):
        assert row["dialled_number"] == truth.dialled
        assert -50 <= row["ring_ms"] - truth.ring_ms <= FIRST_WORD_WITHIN_MS
        assert -50 <= truth.talk_ms - row["talk_ms"] <= FIRST_WORD_WITHIN_MS
