"""PCM in → tape → detectors → calls → recordings, in real time, as one figure a question."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import psutil

from firmware.config import Home
from firmware.errors import BoxError
from firmware.store.connection import open_store
from firmware.store.migrations import migrate
from recorder.bench.generator import Generated
from recorder.tape.reader import TapeReader

SAMPLE_EVERY_S = 0.5


class PipelineResult(msgspec.Struct, frozen=True):
    """One run. ``cpu_cores``: mean cores used by the recorder's process tree while the generator played.

    ``box_cores``, ``box_peak_rss_mb``: the same (PSS) with keeper and API beside it, when these ran.
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
    generator_late_ms: float
    calls: int
    recordings: int
    recordings_with_gaps: int
    caller_ids: int


class _TreeMeter:
    """CPU time and peak PSS of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.peak_pss_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        total = 0.0
        for process in self._tree():
            times = process.cpu_times()
            total += times.user + times.system
        return total

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            try:
                pss = sum(process.memory_full_info().pss for process in self._tree())
            except psutil.Error:
                return
            self.peak_pss_bytes = max(self.peak_pss_bytes, pss)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def run_pipeline(channels: int, seconds: int, seed: int, *, box: bool = False) -> PipelineResult:
    """Run generator and recorder side by side, with ``box`` keeper and API too. Raises BoxError when one fails."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-bench-") as folder:
        home = Home(Path(folder) / "home")
        home.create()
        migrate(home)
        return _run(home, Path(folder), channels, seconds, seed, _BOX if box else ())


_BOX = (("keeper", "--no-exchange"), ("api", "--port", "0"))


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
        meters = [_TreeMeter(process.pid) for process in (recorder, *beside)]
        began = time.monotonic()
        _wait_for(report, generator, seconds + 60)
        cpu = [meter.cpu_seconds() for meter in meters]
        wall = time.monotonic() - began
        _wait_until_cut(home, recorder)
        for meter in meters:
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
    result = _result(home, channels, seconds, generated, cpu[0], wall, meters[0].peak_pss_bytes)
    if not others:
        return result
    peak_bytes = sum(meter.peak_pss_bytes for meter in meters)
    return msgspec.structs.replace(
        result, box_cores=round(sum(cpu) / wall, 3), box_peak_rss_mb=round(peak_bytes / 1e6, 1)
    )


def _wait_for(path: Path, process: subprocess.Popen[bytes], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        if process.poll() not in (None, 0) or time.monotonic() > deadline:
            raise BoxError(f"the generator did not make {path.name}")
        time.sleep(0.05)


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
    home: Home, channels: int, seconds: int, generated: Generated, cpu: float, wall: float, peak_bytes: int
) -> PipelineResult:
    db = open_store(home.calls_db, readonly=True)

    def count(query: str) -> int:
        return int(db.conn.execute(query).fetchone()[0])

    lost = generated.lost_samples + _tape_losses(home.tapes / "bench.tape", generated.samples)
    cores = cpu / wall
    result = PipelineResult(
        bench="pipeline",
        channels=channels,
        seconds=seconds,
        lost_samples=lost * channels,
        cpu_cores=round(cores, 3),
        generator_cores=round(generated.cpu_seconds / wall, 3),
        cpu_seconds_per_channel_hour=round(cores * 3600 / channels, 2),
        peak_rss_mb=round(peak_bytes / 1e6, 1),
        box_cores=None,
        box_peak_rss_mb=None,
        generator_late_ms=round(generated.late_ms, 1),
        calls=count("SELECT count(*) FROM calls WHERE state = 'ended'"),
        recordings=count("SELECT count(*) FROM recordings WHERE state = 'ready'"),
        recordings_with_gaps=count("SELECT count(*) FROM recordings WHERE missing_samples > 0 OR state = 'lost'"),
        caller_ids=count("SELECT count(*) FROM calls WHERE caller_number IS NOT NULL"),
    )
    db.conn.close()
    return result


def _tape_losses(path: Path, samples: int) -> int:
    """Samples (per channel) that were generated and are not on the tape."""
    tape = TapeReader(path)
    size = tape.geometry.block_samples
    lost = 0
    for number in range(samples // size):
        head = tape.head(number)
        lost += size if head is None else sum(high - low for low, high in head.gaps())
    tape.close()
    return lost
