"""``tapdeck bench push``: from the event log to the clients, over real HTTP, through a restart of the API."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from crm_client_api.bench.push_clients import Seen
from crm_client_api.bench.push_office import Recorder, Size, furnish
from firmware.config import Home
from firmware.errors import BoxError

_START_TIMEOUT_S = 120.0
_SETTLE_S = 10.0
"""Calls end 8 s after they began."""
_AROUND_RESTART_S = 3.0
_STATES = ("ringing ", "ringing numbered", "talking numbered", "ended numbered")


class PushFigures(msgspec.Struct, frozen=True):
    """What was seen. ``*_ms``: from the commit of a caller ID to its pop-up at a client, without those around the
    restart. ``lost``, ``doubled``: pop-ups and call events, the restart included."""

    clients: int
    calls: int
    calls_per_s: float
    popups: int
    events: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    lost: int
    doubled: int
    strangers: int
    board_updates_per_s: float
    restart_s: float | None
    """From the end of the old process until the last client has its stream again."""
    resets: int
    api_cpu_percent: float
    api_rss_mib: float
    api_threads: int


def measure(
    clients: int,
    channels: int,
    concerned: int,
    calls_per_s: float,
    seconds: float,
    restart: bool,
    say: Callable[[str], None],
) -> PushFigures:
    """Measure in a home of its own, which is removed. Raises BoxError."""
    size = Size(clients, channels, concerned)
    with tempfile.TemporaryDirectory(prefix="tapdeck-push-") as folder:
        home = Home(Path(folder) / "home")
        say("making the office")
        tokens = furnish(home, size)
        return _run(home, size, tokens, calls_per_s, seconds, restart, say)


def _run(
    home: Home,
    size: Size,
    tokens: list[str],
    calls_per_s: float,
    seconds: float,
    restart: bool,
    say: Callable[[str], None],
) -> PushFigures:
    port, file = _free_port(), home.root / "seen.json"
    pause: tuple[int, int] | None = None
    api = _start_api(home, port)
    try:
        with following(port, file, tokens) as watching:
            say(f"{size.clients} streams are open")
            recorder = Recorder(home, size, calls_per_s)
            recorder.start()
            time.sleep(3.0)  # until as many calls run as end
            process = psutil.Process(api.pid)
            process.cpu_percent()
            time.sleep(seconds)
            cpu, rss, threads = process.cpu_percent(), process.memory_info().rss, process.num_threads()
            if restart:
                say("restarting the API")
                begun = time.monotonic_ns()
                _end(api)
                api = _start_api(home, port)
                pause = (begun, time.monotonic_ns())
                time.sleep(_AROUND_RESTART_S + seconds / 2)
            recorder.stop()
            say("letting the last calls end")
            time.sleep(2.0)
            _end(watching)
    finally:
        _end(api)
    seen = msgspec.json.decode(file.read_bytes(), type=Seen)
    if pause is not None:
        pause = (pause[0], max(pause[1], seen.accepted_ns))
    return _figures(size, recorder, seen, seconds, pause, (cpu, rss / 2**20, threads))


def _figures(
    size: Size,
    recorder: Recorder,
    seen: Seen,
    seconds: float,
    pause: tuple[int, int] | None,
    process: tuple[float, float, int],
) -> PushFigures:
    expected = Counter(
        (client, call_id) for call_id, channel in recorder.channel_of.items() for client in size.operators_of(channel)
    )
    popups = Counter((client, call_id) for client, call_id, _ in seen.popups)
    told = Counter(((client, call_id), state) for client, call_id, state in seen.calls)
    wanted = [(one, state) for one in expected for state in _STATES]
    lost = sum(one not in popups for one in expected) + sum(one not in told for one in wanted)
    # A row that is cut off between its call and its pop-up sends the call's state again: that is no doubled news.
    doubled = sum(count - 1 for count in popups.values()) + sum(
        count - 1 for (_, state), count in told.items() if state != "ringing numbered"
    )
    strangers = sum(one not in expected for one in popups)
    around = int(_AROUND_RESTART_S * 1e9)
    took = []
    for _, call_id, at_ns in seen.popups:
        committed = recorder.committed_ns[call_id]
        if pause is None or not pause[0] - around <= committed <= pause[1] + around:
            took.append((at_ns - committed) / 1e6)
    took.sort()
    if not took:
        raise BoxError("no pop-up was seen")
    return PushFigures(
        clients=size.clients,
        calls=len(recorder.channel_of),
        calls_per_s=recorder.calls_per_s,
        popups=len(seen.popups),
        events=len(seen.calls),
        p50_ms=round(took[len(took) // 2], 1),
        p99_ms=round(took[int(len(took) * 0.99)], 1),
        max_ms=round(took[-1], 1),
        lost=lost,
        doubled=doubled,
        strangers=strangers,
        board_updates_per_s=round(seen.boards / (seconds + _SETTLE_S), 1),
        restart_s=None if pause is None else round((pause[1] - pause[0]) / 1e9, 2),
        resets=seen.resets,
        api_cpu_percent=round(process[0], 1),
        api_rss_mib=round(process[1], 1),
        api_threads=process[2],
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _start_api(home: Home, port: int) -> subprocess.Popen[bytes]:
    """Raises BoxError."""
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware", "--home", str(home.root), "api", "--port", str(port)],
        stdin=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not (home.run / "api.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            _end(process)
            raise BoxError("the API does not start")
        time.sleep(0.02)
    return process


@contextmanager
def following(port: int, file: Path, tokens: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a stream for each session; what they saw is in ``file`` once it has ended. Raises BoxError."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crm_client_api.bench.push_clients", str(port), str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("\n".join(tokens).encode())
        process.stdin.close()
        if process.stdout.readline() != b"ready\n":
            raise BoxError("the clients do not get their streams")
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
