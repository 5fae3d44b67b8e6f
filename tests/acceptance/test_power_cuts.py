"""The power goes at any instant: what was told to be finished is there and proven, of a running call a second misses.

Everything that a recorder writes in a busy while is logged. Then, for many moments of that log, the disk is laid out
as it may be after a cut, and a recorder is started on it with a card that knows nothing of what was before.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

import faulty_disk
import pytest
from bench_card import RATE_HZ, BenchCard
from faulty_disk import Fault, FaultyDisk, Op
from office import verified_log
from power_cut import rebuild
from scripted import running, settled, tapdeck, wait_until

from firmware.config import Home
from firmware.errors import StoreError
from firmware.store.connection import open_store
from firmware.store.migrations import migrate
from recorder.tape.reader import TapeReader

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(faulty_disk.available()), reason=faulty_disk.available()),
]
PORTS, BUSY = 8, 6
TALK_S = 2.0
PRE_ROLL_SAMPLES = SHORTEST_KEPT_SAMPLES = RATE_HZ
BLOCK = 800
MOST_MISSING_SAMPLES = RATE_HZ
AT_ONCE = 3
LOOKED_EVERY_S = 0.02
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 1 << 30


def _recorder(home: Home, card: BenchCard) -> Any:
    argv = ("--name", "bench", "--driver", "pcm_socket", "--address", str(card.address), "--simulated")
    return running(tapdeck(home, "recorder", *argv, "--tape-minutes", "1"))


def _rows(home: Home, query: str) -> list[dict[str, Any]]:
    db = open_store(home.calls_db, readonly=True)
    with closing(db.conn):
        return [dict(row) for row in db.query(query)]


class Heard:
    """What a card heard by when, looked at every ``LOOKED_EVERY_S``; ``of`` holds (monotonic s, samples)."""

    def __init__(self, card: BenchCard) -> None:
        self._card, self._done = card, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.of: list[tuple[float, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(LOOKED_EVERY_S):
            self.of.append((time.monotonic(), self._card.heard))

    def by(self, at_s: float) -> int:
        """How many samples were heard by then."""
        return self.of[max(0, bisect_right(self.of, at_s, key=itemgetter(0)) - 1)][1]


def _busy_while(folder: Path, calls: int, sync_s: float) -> tuple[list[Op], Heard]:
    """The write log of a recorder, on a disk that takes ``sync_s`` to bring the tape to the medium.

    ``/told/ID`` is made when its event says that recording ID is ready.
    """
    with FaultyDisk(folder) as disk, BenchCard(folder / "card", PORTS, BUSY, TALK_S, 4.0) as card:
        home, told = Home(disk.root / "home"), disk.root / "told"
        home.create()
        told.mkdir()
        migrate(home)
        disk.behave(Fault("sync", "*.tape", delay_s=sync_s))
        with _recorder(home, card), Heard(card) as heard:
            for number in range(calls):
                wait_until(lambda number=number: len(_ready(home)) > number, 60, "a recording is told to be ready")
                for identifier in _ready(home):
                    (told / identifier).touch()
        return disk.ops(), heard


def _ready(home: Home) -> list[str]:
    if not home.calls_db.exists():
        return []
    return [
        json.loads(row["data"])["id"] for row in _rows(home, "SELECT data FROM events WHERE kind='recording_ready'")
    ]


def _missing_samples(home: Home, heard: int) -> int:
    """Of each track, of all that the card had heard."""
    try:
        with closing(TapeReader(home.tapes / "bench.tape")) as tape:
            return sum(_gap(tape, number, heard) for number in range(-(-heard // BLOCK)))
    except StoreError:
        return heard


def _gap(tape: TapeReader, number: int, heard: int) -> int:
    block = tape.block(number)
    return min(BLOCK, heard - number * BLOCK) if block is None or block.gaps else 0


def _check(folder: Path, ops: Sequence[Op], heard: Heard, cut: int, seed: int) -> int:
    """Cut the power after ``cut`` operations; returns how many samples of a running call that cost."""
    where = f"cut {cut}, seed {seed}"
    disk = folder / f"cut-{cut}-{seed}"
    rebuild(ops[:cut], disk, random.Random(seed))
    told = [op.path.rpartition("/")[2] for op in ops[:cut] if op.kind == "create" and op.path.startswith("/told/")]
    home = Home(disk / "home")
    upto = heard.by(ops[cut - 1].done_s)
    missing = _missing_samples(home, upto)
    assert missing <= MOST_MISSING_SAMPLES, where
    home.create()
    migrate(home)  # as at every start of the box
    before, running_calls = len(_ready(home)), _rows(home, "SELECT * FROM calls WHERE state <> 'ended'")
    (folder / f"{cut}-{seed}").mkdir()
    with BenchCard(folder / f"{cut}-{seed}" / "card", PORTS, 1, 0.9, 30.0) as card, _recorder(home, card):
        wait_until(lambda: len(_ready(home)) > before and card.heard > 3 * RATE_HZ, 90, f"a new call, {where}")
        settled(home)
    _finished_are_there(home, told, where)
    _store_is_intact(home, told, where)
    _running_calls_are_recorded(home, running_calls, upto - MOST_MISSING_SAMPLES, where)
    return missing


def _running_calls_are_recorded(home: Home, calls: Sequence[dict[str, Any]], upto: int, where: str) -> None:
    """As far as ``upto``, or to their own end; a call that had only begun is too short to be kept."""
    short = {row["id"] for row in _rows(home, "SELECT id FROM calls WHERE kept_reason = 'too_short'")}
    for call in calls:
        begun = call["from_sample"] + PRE_ROLL_SAMPLES
        if call["id"] in short and begun > upto - SHORTEST_KEPT_SAMPLES:
            continue
        own_end = call["from_sample"] + int(TALK_S * RATE_HZ)
        query = f"SELECT coalesce(max(to_sample), 0) AS upto FROM recordings WHERE call_id = '{call['id']}'"
        (recorded,) = _rows(home, query)
        assert recorded["upto"] >= min(upto, own_end), f"a running call lost its end, {where}"


def _finished_are_there(home: Home, told: Sequence[str], where: str) -> None:
    (log,) = (home.evidence / "practice").glob("*.log")
    assert not list(log.parent.glob("*set-aside*")), f"the evidence is damaged, {where}"
    entered = {entry["manifest_id"] for entry in verified_log(log)}
    for identifier in told:
        (file,) = home.recordings.rglob(f"*_{identifier}.json")
        audio, manifest = file.with_suffix(".flac").read_bytes(), json.loads(file.read_bytes())["manifest"]
        assert hashlib.sha256(audio).hexdigest() == manifest["audio"]["sha256"], f"{identifier}, {where}"
        assert manifest["missing_samples"] == 0
        assert identifier in entered, f"{identifier} is not in the evidence, {where}"


def _store_is_intact(home: Home, told: Sequence[str], where: str) -> None:
    (found,) = _rows(home, "PRAGMA integrity_check")
    assert list(found.values()) == ["ok"], where
    recordings = _rows(home, "SELECT * FROM recordings")
    ready = {row["id"] for row in recordings if row["state"] == "ready"}
    assert set(told) <= ready, f"the store forgot what it had told, {where}"
    for row in recordings:
        assert row["state"] == "ready" or row["to_sample"] - row["from_sample"] <= MOST_MISSING_SAMPLES, where


@pytest.fixture
def steady_folder(tmp_path: Path) -> Iterator[Path]:
    """For a disk that is as slow as it is told to be and no slower: in memory, where there is room."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("calls", "cuts", "sync_s"),
    [
        (6, 8, 0.0),
        pytest.param(30, 200, 0.0, marks=pytest.mark.soak),
        pytest.param(30, 50, 0.4, marks=pytest.mark.soak, id="slow disk"),
    ],
)
def test_the_power_goes_at_any_instant(
    steady_folder: Path, tmp_path: Path, calls: int, cuts: int, sync_s: float
) -> None:
    ops, heard = _busy_while(steady_folder, calls, sync_s)
    first = next(index for index, op in enumerate(ops) if op.path == "/home/tapes/bench.tape")
    dice = random.Random(4)
    chosen = [(dice.randint(first + 1, len(ops)), seed) for seed in range(cuts)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        missing = list(pool.map(lambda one: _check(tmp_path, ops, heard, *one), chosen))
    print(f"missing of a running call: at most {max(missing)}, mean {sum(missing) // len(missing)} samples")
    assert max(missing) > 2 * BLOCK, "no cut cost anything: the test tests nothing"
