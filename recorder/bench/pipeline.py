"""PCM in → tape → detectors → calls → recordings, in real time, as one figure a question."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

import msgspec
import psutil

from firmware.config import Home
from firmware.errors import BoxError
from firmware.store.connection import open_store
from firmware.store.migrations import migrate
from recorder.bench.exactness import losses
from recorder.bench.generator import FedLines, Generated

SAMPLE_EVERY_S = 0.5
SAMPLE_RATE_HZ = 8000


class PipelineResult(msgspec.Struct, frozen=True):
    """One run. ``cpu_cores``: mean cores used by the recorder's process tree while the generator played.

    ``peak_rss_mb``: highest PSS of that tree. ``box_…``: the same with the other daemons beside it, when these ran;
    ``box_rest_rss_mb`` is the median. ``behind_s``: how far the store was behind the tape when the generator ended,
    ``CHECKPOINT_S`` and the store's own time included. ``lost_samples``: of all channels together, what was fed and is
    not on the tape, bit for bit; ``recordings_not_exact``: recordings that do not decode to what was fed. Both are
    looked at after the run, so that they cost its CPU time nothing.
    """

    bench: str
    channels: int
    seconds: int
    lost_samples: int
    cpu_cores: float
    generator_cores: float
    cpu_seconds_per_channel_hour: float
    peak_rss_mb: float
    box_cores: float | None
    box_peak_rss_mb: float | None
    box_rest_rss_mb: float | None
    behind_s: float
    generator_late_ms: float
    calls: int
    recordings: int
    recordings_with_gaps: int
    recordings_not_exact: int
    caller_ids: int


class _Meter:
    """CPU time and memory of processes and their children, the recorder first."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._pss_bytes: list[list[int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def cpu_seconds(self) -> list[float]:
        """Of each tree, from its start on."""
        return [sum(_cpu_seconds(process) for process in _tree(root)) for root in self._roots]

    @property
    def recorder_bytes(self) -> list[int]:
        """PSS of the recorder's tree, one sample after the other."""
        return [sample[0] for sample in self._pss_bytes]

    @property
    def all_bytes(self) -> list[int]:
        """PSS of all trees together."""
        return [sum(sample) for sample in self._pss_bytes]

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            try:
                self._pss_bytes.append([sum(map(_pss_bytes, _tree(root))) for root in self._roots])
            except psutil.Error:  # a child came to its end just now
                continue

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def _tree(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    """Its own and that of its children that have come to their end."""
    return float(sum(process.cpu_times()[:4]))


def _pss_bytes(process: psutil.Process) -> int:
    return int(process.memory_full_info().pss)


def run_pipeline(channels: int, seconds: int, seed: int, *, box: bool = False) -> PipelineResult:
    """Run generator and recorder side by side, with ``box`` all other daemons too. Raises BoxError when one fails."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-bench-") as folder:
        home = Home(Path(folder) / "home")
        home.create()
        migrate(home)
        return _run(home, Path(folder), channels, seconds, seed, _BOX if box else ())


_BOX = (("keeper", "--no-exchange"), ("api", "--port", "0"), ("courier",), ("integrations",))


def _run(
    home: Home, folder: Path, channels: int, seconds: int, seed: int, others: tuple[tuple[str, ...], ...]
) -> PipelineResult:
    address, report = folder / "card.sock", folder / "report.json"
    base = [sys.executable, "-m", "firmware", "--home", str(home.root)]
    generator = subprocess.Popen(
        [*base, "bench", "generator", str(address), str(channels), str(seconds), str(seed), str(report)]
    )
    beside: list[subprocess.Popen[bytes]] = []
    recorder = None
    try:
        _wait_for(address, generator)
        beside += [subprocess.Popen([*base, *argv], stderr=subprocess.DEVNULL) for argv in others]
        minutes = max(1.0, seconds / 60 + 1)
        recorder = subprocess.Popen(
            [*base, "recorder", "--name", "bench", "--driver", "pcm_socket", "--address", str(address), "--simulated",
             "--tape-minutes", str(minutes)],
        )  # fmt: skip
        meter = _Meter([process.pid for process in (recorder, *beside)])
        began = time.monotonic()
        _wait_for(report, generator, seconds + 60)
        cpu = meter.cpu_seconds()
        wall = time.monotonic() - began
        position = _position(home)
        _wait_until_cut(home, recorder)
        meter.stop()
        recorder.terminate()
        recorder.wait(30)
        generator.wait(10)
    finally:
        for process in (generator, recorder, *beside):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
    generated = msgspec.json.decode(report.read_bytes(), type=Generated)
    fed = FedLines(channels, seed)
    result = _result(home, fed, channels, seconds, generated, cpu[0], wall, meter.recorder_bytes)
    result = msgspec.structs.replace(result, behind_s=round((generated.samples - position) / SAMPLE_RATE_HZ, 2))
    if not others:
        return result
    return msgspec.structs.replace(
        result,
        box_cores=round(sum(cpu) / wall, 3),
        box_peak_rss_mb=round(max(meter.all_bytes) / 1e6, 1),
        box_rest_rss_mb=round(median(meter.all_bytes) / 1e6, 1),
    )


def _wait_for(path: Path, process: subprocess.Popen[bytes], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        if process.poll() not in (None, 0) or time.monotonic() > deadline:
            raise BoxError(f"the generator did not make {path.name}")
        time.sleep(0.05)


def _position(home: Home) -> int:
    """Sample up to which the store knows everything."""
    db = open_store(home.calls_db, readonly=True)
    with closing(db.conn):
        row = db.conn.execute("SELECT position FROM recorder_state").fetchone()
    return 0 if row is None else int(row[0])


def _wait_until_cut(home: Home, recorder: subprocess.Popen[bytes]) -> None:
    db = open_store(home.calls_db, readonly=True)
    deadline = time.monotonic() + 30
    quiet = 0
    while quiet < 5 and time.monotonic() < deadline and recorder.poll() is None:
        time.sleep(0.3)
        pending = db.conn.execute("SELECT count(*) FROM recordings WHERE state = 'pending'").fetchone()[0]
        quiet = 0 if pending else quiet + 1
    db.conn.close()


def _result(
    home: Home,
    fed: FedLines,
    channels: int,
    seconds: int,
    generated: Generated,
    cpu: float,
    wall: float,
    pss_bytes: list[int],
) -> PipelineResult:
    db = open_store(home.calls_db, readonly=True)

    def count(query: str) -> int:
        return int(db.conn.execute(query).fetchone()[0])

    lost, not_exact = losses(home, db, fed, generated.samples)
    cores = cpu / wall
    result = PipelineResult(
        bench="pipeline",
        channels=channels,
        seconds=seconds,
        lost_samples=lost,
        cpu_cores=round(cores, 3),
        generator_cores=round(generated.cpu_seconds / wall, 3),
        cpu_seconds_per_channel_hour=round(cores * 3600 / channels, 2),
        peak_rss_mb=round(max(pss_bytes) / 1e6, 1),
        box_cores=None,
        box_peak_rss_mb=None,
        box_rest_rss_mb=None,
        behind_s=0.0,
        generator_late_ms=round(generated.late_ms, 1),
        calls=count("SELECT count(*) FROM calls WHERE state = 'ended'"),
        recordings=count("SELECT count(*) FROM recordings WHERE state = 'ready'"),
        recordings_with_gaps=count("SELECT count(*) FROM recordings WHERE missing_samples > 0 OR state = 'lost'"),
        recordings_not_exact=not_exact,
        caller_ids=count("SELECT count(*) FROM calls WHERE caller_number IS NOT NULL"),
    )
    db.conn.close()
    return result
