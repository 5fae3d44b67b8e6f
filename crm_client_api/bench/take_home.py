"""Taking recordings home against ``cp`` + sync + cold read-back hash of the same bytes to the same medium."""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec

from crm_client_api.bench.recording_meanwhile import Recorded, recording
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.jobs import add_job, get_job
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.calls import CallFilter
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level
from crm_client_api.stores import open_stores
from crm_client_api.take_home.choice import Wanted
from crm_client_api.take_home.job import TAKE_HOME
from crm_client_api.take_home.landing import read_back
from firmware.clock import now_ms, uuid7
from firmware.config import Home
from firmware.errors import BoxError
from firmware.media.keeping import MediaThread
from firmware.media.medium import Medium, read_media
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate

_STAFF_NO = "1"
_A_FOLDER = 200
_PATIENCE_S = 20.0
_ROOM = 1.8
"""A recorder runs so much longer than the rounds should take: it slows them down, and files are removed between."""


class Figures(msgspec.Struct, frozen=True):
    """What came of it; rates in MB/s, medians of the rounds. ``percent``: ours of the plain copy's. ``…_cpu_ms``:
    processor time for each recording, the reading back included. ``recorder``: what the recorder beside lost, null
    without one; ``recorder_outlasted``: it recorded to the end of the last round.
    """

    recordings: int
    bytes: int
    rounds: int
    plain_mb_s: float
    ours_mb_s: float
    percent: float
    rounds_percent: list[float]
    plain_cpu_ms: float
    ours_cpu_ms: float
    recorder: Recorded | None = None
    recorder_outlasted: bool | None = None


class _Took(NamedTuple):
    """Seconds by the clock, and of the processor."""

    wall_s: float
    cpu_s: float


def measure(
    recordings: int, each_bytes: int, rounds: int, place: Path | None, channels: int, say: Callable[[str], None]
) -> Figures:
    """Make a home, then copy by turns. ``place``: a folder on the medium, else a temporary one. ``channels``: as many
    lines are recorded meanwhile, 0: none. Raises BoxError."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-") as root, tempfile.TemporaryDirectory(dir=place) as medium:
        home = Home(Path(root) / "home")
        home.create()
        migrate(home)
        say(f"makes {recordings} recordings of {each_bytes} bytes")
        files = _make(home, recordings, each_bytes)
        sticks = Path(medium) / "sticks"
        (sticks / "bench").mkdir(parents=True)
        thread = MediaThread(home, sticks)
        thread.start()
        plain, ours, beside = list[_Took](), list[_Took](), None
        try:
            with ExitStack() as open_until:
                if channels:
                    seconds = _seconds_of(rounds, _plain(home, files, Path(medium) / "plain").wall_s)
                    say(f"records {channels} lines for {seconds} s meanwhile")
                    beside = open_until.enter_context(recording(channels, seconds))
                for number in range(rounds):
                    plain.append(_plain(home, files, Path(medium) / "plain"))
                    ours.append(_ours(home, sticks / "bench", recordings))
                    say(f"round {number + 1}: plain {plain[-1].wall_s:.1f} s, ours {ours[-1].wall_s:.1f} s")
        finally:
            thread.stop()
    size = recordings * each_bytes
    each = [100 * before.wall_s / after.wall_s for before, after in zip(plain, ours, strict=True)]
    return Figures(
        recordings,
        size,
        rounds,
        size / statistics.median(one.wall_s for one in plain) / 1e6,
        size / statistics.median(one.wall_s for one in ours) / 1e6,
        statistics.median(each),
        each,
        1000 * statistics.median(one.cpu_s for one in plain) / recordings,
        1000 * statistics.median(one.cpu_s for one in ours) / recordings,
        None if beside is None else beside.found,
        None if beside is None else beside.outlasted,
    )


def _seconds_of(rounds: int, plain_s: float) -> int:
    """How long a recorder shall run beside so many rounds, by what a plain copy took alone."""
    return 60 + round(_ROOM * rounds * 2 * plain_s)


def _cpu_s() -> float:
    """Of this process and those that it waited for."""
    return sum(os.times()[:4])


def _make(home: Home, recordings: int, each_bytes: int) -> list[Path]:
    """Recordings of noise that no medium can shrink, as the recorder leaves them."""
    calls = open_store(home.calls_db)
    crm = open_store(home.crm_db)
    at_ms, files = now_ms() - recordings * 60_000 - 60_000, []
    person = Operator(_STAFF_NO, "bench", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)
    add_operator(crm, person, Actor(CONSOLE), grantor=None, password=os.urandom(12).hex())
    crm.conn.close()
    for first in range(0, recordings, 500):
        with write(calls) as connection:
            for number in range(first, min(first + 500, recordings)):
                began_ms = at_ms + number * 60_000
                call, recording = uuid7(began_ms), uuid7(began_ms + 1)
                path = f"{number // _A_FOLDER:04d}/{recording}.flac"
                file = home.recordings / path
                file.parent.mkdir(exist_ok=True)
                content = os.urandom(each_bytes)
                file.write_bytes(content)
                files.append(file)
                connection.execute(
                    "INSERT INTO calls (id, channel, card_id, direction, state, result, caller_number, caller_key,"
                    " started_ms, answered_ms, ended_ms, ring_ms, talk_ms, simulated)"
                    " VALUES (?, ?, 'bench', 'incoming', 'ended', 'answered', ?, ?, ?, ?, ?, 0, 50000, 1)",
                    (
                        call, number % 8 + 1, f"139{number:08d}", f"+86139{number:08d}", began_ms, began_ms,
                        began_ms + 50_000,
                    ),
                )  # fmt: skip
                connection.execute(
                    "INSERT INTO recordings (id, call_id, channel, segment, state, card_id, tape_epoch, from_sample,"
                    " to_sample, sample_rate_hz, started_ms, duration_ms, tracks, path, format, bytes, sha256,"
                    " missing_samples, simulated)"
                    " VALUES (?, ?, ?, 0, 'ready', 'bench', 'e', 0, 400000, 8000, ?, 50000, 2, ?, 'flac', ?, ?, 0, 1)",
                    (
                        recording, call, number % 8 + 1, began_ms, path, each_bytes,
                        hashlib.sha256(content).hexdigest(),
                    ),
                )  # fmt: skip
    calls.conn.close()
    os.sync()
    return files


def _forget(files: list[Path]) -> None:
    """What was read before comes from the disk again."""
    for file in files:
        with file.open("rb") as open_file:
            os.posix_fadvise(open_file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _plain(home: Home, files: list[Path], target: Path) -> _Took:
    """What copy, sync, and reading back with a hash take."""
    _forget(files)
    begun_s, cpu_s = time.monotonic(), _cpu_s()
    subprocess.run(["cp", "--reflink=never", "-r", str(home.recordings), str(target)], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)
    for file in files:
        read_back(target / file.relative_to(home.recordings))
    took = _Took(time.monotonic() - begun_s, _cpu_s() - cpu_s)
    shutil.rmtree(target)
    subprocess.run(["sync", "-f", str(target.parent)], check=True)
    return took


def _ours(home: Home, stick: Path, recordings: int) -> _Took:
    """What a job of the courier takes for everything: choice, copies, lists, flush."""
    stick.mkdir(exist_ok=True)
    medium = _mounted(home)
    _forget(list(home.recordings.rglob("*.flac")))
    stores = open_stores(home)
    try:
        wanted = Wanted(medium=medium.id, filter=CallFilter(), until_ms=now_ms(), evidence=False)
        with write(stores.crm) as connection:
            asked = msgspec.to_builtins(wanted)
            job_id = add_job(connection, TAKE_HOME, Actor(_STAFF_NO), asked, ALL_PERMISSIONS)
        begun_s, cpu_s = time.monotonic(), _cpu_s()
        Courier(home).turn()
        took = _Took(time.monotonic() - begun_s, _cpu_s() - cpu_s)
        job = get_job(stores.crm, job_id)
        if job.state != "done" or job.result["recordings"] != recordings:
            raise BoxError(f"the job did not end well: {job.state} {job.held} {job.error} {job.result}")
    finally:
        stores.close()
    shutil.rmtree(stick)
    subprocess.run(["sync", "-f", str(stick.parent)], check=True)
    end_s = time.monotonic() + _PATIENCE_S
    while read_media(home) and time.monotonic() < end_s:  # ejected: it is used again when it comes back
        time.sleep(0.05)
    return took


def _mounted(home: Home) -> Medium:
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s:
        for one in read_media(home):
            if one.state == "mounted":
                return one
        time.sleep(0.05)
    raise BoxError("the stick did not appear")
