"""A telephone that dials with its hook switch, through the pty card whose hook debounce the channel sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import record_script, what_was_sent

from drivers.exchange.calls import LineSettings, OutgoingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance]


def test_a_dialled_number_is_read_from_the_pulses_where_the_card_lets_them_through(home: Home, tmp_path: Path) -> None:
    crm = open_store(home.crm_db)
    set_value(crm, "channel", "hook_debounce_ms", 30, subject="1")
    crm.conn.close()
    numbers = ("01062345678", "9870")
    calls = tuple(
        OutgoingCall(line, 30.0 + 40 * turn, number, answer_after_s=4.0, talk_s=5.0, pulses=True)
        for turn, number in enumerate(numbers)
        for line in range(2)
    )
    script = Script(2, calls, 3, (LineSettings(polarity_reversal=True),) * 2)
    record_script(home, script, tmp_path)
    db = open_store(home.calls_db, readonly=True)
    rows = list(db.query("SELECT * FROM calls ORDER BY channel, started_ms"))
    db.conn.close()
    assert [row["dialled_number"] for row in rows] == [*numbers, None, None]
    assert [row["result"] for row in rows[:2]] == ["answered"] * 2
    truths = sorted(what_was_sent(script).truth, key=lambda truth: (truth.line, truth.start_sample))
    for truth, row in zip(truths[:2], rows[:2], strict=True):
        assert abs(row["talk_ms"] - truth.talk_ms) <= 100
