"""128 lines and a disk or a store that fails under them: no sample is lost, and all goes on without help."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import faulty_disk
import numpy as np
import pytest
import soundfile
from bench_card import RATE_HZ, BenchCard
from faulty_disk import Fault, FaultyDisk
from scripted import running, settled, tapdeck, wait_until

from firmware.config import Home
from firmware.store.connection import open_store
from firmware.store.migrations import migrate
from recorder.journal import TROUBLE_S
from recorder.tape.care import STORE_ALARM
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader, spill_folder

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(faulty_disk.available()), reason=faulty_disk.available()),
]
PORTS, BUSY = 128, 12
CALL_MS = 3000
TAPE_MINUTES = 3


class Office:
    """The box on a faulty disk, its card, and what must be true in the end."""

    def __init__(self, home: Home, disk: FaultyDisk, card: BenchCard) -> None:
        self.home, self.disk, self.card = home, disk, card
        self.tape = home.tapes / "bench.tape"

    def rows(self, query: str) -> list[dict[str, Any]]:
        db = open_store(self.home.calls_db, readonly=True)
        with closing(db.conn):
            return [dict(row) for row in db.query(query)]

    def for_s(self, seconds: float) -> None:
        """Let the card hear so much more, and calls with it."""
        until = self.card.heard + int(seconds * RATE_HZ)
        wait_until(lambda: self.card.heard >= until, seconds + 60, "the card hears")

    def alarm_is_told_and_cleared(self) -> None:
        told = "SELECT * FROM alarms WHERE code = 'tape_failing' AND cleared_ms IS NOT NULL"
        wait_until(lambda: self.rows(told), 60, "the alarm was raised, and cleared")
        wait_until(lambda: not self.rows("SELECT * FROM alarms WHERE cleared_ms IS NULL"), 20, "no alarm stands")

    def nothing_is_lost(self) -> None:
        """Every sample of every port up to now is on the tape, every call recorded, exact and in order."""
        self.card.quiet.set()
        self.for_s(CALL_MS / 1000 + 2)
        end = self.card.heard // 800 - 20
        settled(self.home)
        assert self.card.lost == 0
        with closing(TapeReader(self.tape)) as reader:
            for number in range(end):
                block = reader.block(number)
                assert block is not None, f"block {number} is not on the tape"
                assert block.gaps == (), f"block {number} has gaps"
                assert np.array_equal(block.samples, self.card.sound_of_all(block.first_sample, 800)), number
        self._recordings_are_exact()

    def _recordings_are_exact(self) -> None:
        calls = self.rows("SELECT * FROM calls ORDER BY channel, started_ms")
        recordings = self.rows("SELECT * FROM recordings ORDER BY channel, started_ms")
        assert len(calls) == len(recordings) >= BUSY
        for call, row in zip(calls, recordings, strict=True):
            assert call["id"] == row["call_id"]
            assert abs(call["ended_ms"] - call["started_ms"] - CALL_MS) <= 1
            assert (row["state"], row["missing_samples"]) == ("ready", 0)
            audio, _ = soundfile.read(self.home.recordings / row["path"], dtype="int16")
            size = row["to_sample"] - row["from_sample"]
            assert np.array_equal(audio, self.card.sound(row["channel"] - 1, row["from_sample"], size))
        (twice,) = self.rows(
            "SELECT max(times) AS most FROM (SELECT count(*) AS times FROM events"
            " WHERE call_id NOT NULL GROUP BY call_id, kind)"
        )
        assert twice["most"] == 1, "an event was told twice"


@contextmanager
def office(folder: Path, *options: str) -> Iterator[Office]:
    with FaultyDisk(folder) as disk, BenchCard(folder / "card.sock", PORTS, BUSY, CALL_MS / 1000) as card:
        home = Home(disk.root / "home")
        home.create()
        migrate(home)
        argv = ("--name", "bench", "--driver", "pcm_socket", "--address", str(card.address), "--simulated")
        with running(tapdeck(home, "recorder", *argv, "--tape-minutes", str(TAPE_MINUTES), *options)) as recorder:
            made = Office(home, disk, card)
            wait_until(lambda: made.tape.exists() and card.heard > 2 * RATE_HZ, 60, "the recorder reads the card")
            yield made
            assert recorder.poll() is None, "the recorder did not live through it"


def lasting(quick_s: int, long_s: int) -> Any:
    """So long in CI, and so long as the issue asks with --soak."""
    return pytest.mark.parametrize("lasts_s", [quick_s, pytest.param(long_s, marks=pytest.mark.soak)])


@lasting(6, 30)
@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EIO"])
def test_a_disk_that_takes_nothing(tmp_path: Path, error: str, lasts_s: int) -> None:
    with office(tmp_path) as box:
        box.disk.behave(Fault("write", error=error), Fault("sync", error=error))
        box.for_s(lasts_s)
        box.disk.behave()
        box.alarm_is_told_and_cleared()
        box.nothing_is_lost()


def _told(box: Office, lasts_s: int) -> None:
    """Nothing but the store's alarm, when it lasted; it is over."""
    wait_until(lambda: not box.rows("SELECT * FROM alarms WHERE cleared_ms IS NULL"), 20, "no alarm stands")
    codes = {row["code"] for row in box.rows("SELECT * FROM alarms")}
    assert codes == ({STORE_ALARM} if lasts_s > 1.5 * TROUBLE_S else set())


@lasting(6, 40)
def test_a_full_disk_does_not_reach_the_tape(tmp_path: Path, lasts_s: int) -> None:
    """The ring has its room: only recordings wait, and no alarm of the tape is raised."""
    with office(tmp_path) as box:
        box.disk.behave(Fault("write", "home/tapes/*"), Fault("write", error="ENOSPC"))
        box.for_s(lasts_s)
        box.disk.behave()
        box.nothing_is_lost()
        _told(box, lasts_s)


def test_syncs_that_fail(tmp_path: Path) -> None:
    with office(tmp_path) as box:
        box.disk.behave(Fault("sync", "home/tapes/*", "EIO"))
        box.for_s(5)
        box.disk.behave()
        box.alarm_is_told_and_cleared()
        box.nothing_is_lost()


def test_a_bad_place_on_the_disk(tmp_path: Path) -> None:
    """Two slots never take anything: their blocks get files of their own."""
    geometry = geometry_for(PORTS, RATE_HZ, TAPE_MINUTES)
    bad = Fault("write", "home/tapes/bench.tape", "EIO", low=geometry.slot_offset(60), high=geometry.slot_offset(62))
    with office(tmp_path) as box:
        box.disk.behave(bad)
        wait_until(lambda: box.card.heard > 75 * 800, 60, "the card was heard across the bad place")
        box.alarm_is_told_and_cleared()
        box.nothing_is_lost()
        assert sorted(file.name for file in spill_folder(box.tape).iterdir()) == ["60.block", "61.block"]


@lasting(8, 30)
def test_a_disk_a_hundred_times_slower(tmp_path: Path, lasts_s: int) -> None:
    with office(tmp_path) as box:
        box.disk.behave(Fault("write", delay_s=0.4), Fault("sync", delay_s=0.8))
        box.for_s(lasts_s)
        box.disk.behave()
        box.alarm_is_told_and_cleared()
        box.nothing_is_lost()


def test_calls_are_told_while_the_tape_stands_still(tmp_path: Path) -> None:
    """Only the tape's disk hangs: pop-ups and live board do not wait for it, recordings do."""
    with office(tmp_path) as box:
        box.disk.behave(Fault("write", "home/tapes/*", delay_s=1.0))
        stands_at = box.card.heard
        box.for_s(9)
        started = box.rows("SELECT max(at_ms) AS at_ms FROM events WHERE kind = 'call_started'")[0]["at_ms"]
        with closing(TapeReader(box.tape)) as reader:
            last = reader.last_head()
        assert last is not None
        assert (last.number + 1) * 800 < stands_at + 5 * RATE_HZ, "the tape went on: the test tests nothing"
        assert started > last.wall_ns // 1_000_000 + 1000
        box.disk.behave()
        box.nothing_is_lost()


@lasting(8, 60)
def test_a_store_that_is_locked(tmp_path: Path, lasts_s: int) -> None:
    with office(tmp_path) as box:
        with closing(sqlite3.connect(box.home.calls_db, isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            box.for_s(lasts_s)
            lock.execute("ROLLBACK")
        box.nothing_is_lost()
        _told(box, lasts_s)
