"""The store is damaged under a running recorder: the tape goes on, and the next start makes a new store of it all."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import soundfile
from scripted import (
    TOLERANCE_MS,
    RealTimeExchange,
    mixed_day,
    recorder,
    running,
    settled,
    tapdeck,
    wait_until,
    what_was_sent,
)

from drivers.exchange.script import Script, dump_script
from firmware.config import Home
from firmware.store.connection import open_store

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]
PAGE = 4096
CALLS, LINES = 60, 8
SEED = 11
"""The emulated card is the same one when it plays another script of the same seed."""


def _damage_what_is_at_rest(home: Home) -> None:
    """A page that the recorder never touches: only the next start notices."""
    with closing(sqlite3.connect(home.calls_db)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'archive_copies'").fetchone()[0]
    _overwrite(home.calls_db, [page])


def _damage_everything(home: Home) -> None:
    for path in (home.calls_db, home.root / "calls.db-wal"):
        _overwrite(path, list(range(1, path.stat().st_size // PAGE + 1)))


def _overwrite(path: Path, pages: list[int]) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(b"\xff" * PAGE)


def _rows(home: Home, query: str) -> list[dict[str, Any]]:
    with closing((db := open_store(home.calls_db, readonly=True)).conn):
        return [dict(row) for row in db.query(query)]


def _damaged_in_the_middle(home: Home, folder: Path, script: Script, damage: Callable[[Home], None]) -> None:
    file, link = folder / "script.json", folder / "line-card"
    file.write_text(dump_script(script))
    argv = ("--link", str(link), "--speed", "max", "--script", str(file), "--exit-when-done")
    with running(tapdeck(home, "exchange", *argv)) as exchange:
        wait_until(lambda: os.path.lexists(link), 60, "the emulated card's port")
        with running(recorder(home, link, "--simulated", "--simulated-time")) as first:
            ready = "SELECT 1 FROM recordings WHERE state = 'ready'"
            wait_until(lambda: len(_rows(home, ready)) > 5, 60, "some recordings")
            damage(home)
            wait_until(lambda: exchange.poll() is not None, 120, "the exchange's day is over")
            assert (exchange.returncode, first.poll()) == (0, None)
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "migrate"]
    assert "calls: made anew" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with RealTimeExchange(home, folder, Script(LINES, (), SEED)) as idle:  # noqa: SIM117 - the card comes first
        with running(recorder(home, idle.link, "--simulated")):
            ended = "SELECT DISTINCT channel, started_ms FROM calls WHERE state = 'ended'"
            wait_until(lambda: len(_rows(home, ended)) >= CALLS, 60, "the tape was played to its end")
            settled(home)


@pytest.mark.parametrize("damage", [_damage_what_is_at_rest, _damage_everything])
def test_every_call_is_there_after_the_next_start(home: Home, tmp_path: Path, damage: Callable[[Home], None]) -> None:
    script = mixed_day(CALLS, seed=SEED, lines=LINES)
    _damaged_in_the_middle(home, tmp_path, script, damage)
    sent = what_was_sent(script)
    calls: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in _rows(home, "SELECT * FROM calls ORDER BY channel, started_ms"):
        calls.setdefault((row["channel"], row["started_ms"]), []).append(row)
    if damage is _damage_what_is_at_rest:  # the checkpoint could still be read: nothing is played twice
        assert {len(same) for same in calls.values()} == {1}
    truths = sorted(sent.truth, key=lambda truth: (truth.line, truth.start_sample))
    recordings: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(home, "SELECT * FROM recordings"):
        recordings.setdefault(row["call_id"], []).append(row)
    assert len(calls) == len(truths) == CALLS
    for truth, same in zip(truths, calls.values(), strict=True):
        for call in same:
            found = (call["result"], call["caller_number"], call["dialled_number"])
            assert found == (truth.result, truth.number, truth.dialled)
            assert abs(call["talk_ms"] - truth.talk_ms) <= TOLERANCE_MS
            if truth.result == "answered":
                (recording,) = recordings[call["id"]]
                assert (recording["state"], recording["missing_samples"]) == ("ready", 0)
                audio = soundfile.read(home.recordings / recording["path"], dtype="int16")[0].tobytes()
                assert audio in sent.pcm[truth.line].tobytes(), "not the samples that were sent"
    (alarm,) = _rows(home, "SELECT * FROM alarms WHERE code = 'store_rebuilt' AND cleared_ms IS NULL")
    assert alarm["subject"] == "calls.db"
