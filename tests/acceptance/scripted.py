"""Scripted days for the acceptance tests, and the box that records them: real processes over a real pty."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soundfile

from drivers.exchange.calls import CallTruth, Happening, IncomingCall, LineSettings, OutgoingCall
from drivers.exchange.script import Script, dump_script
from drivers.g711 import decode_alaw, encode_alaw
from firmware.config import Home
from firmware.store.connection import open_store

RATE_HZ = 8000
TOLERANCE_MS = 100


def mixed_day(calls: int, seed: int, lines: int = 8) -> Script:
    """``calls`` calls over ``lines`` lines: answered, missed, abandoned, outgoing; FSK and DTMF caller ID.

    Outgoing calls are answered on the lines with answer supervision: elsewhere nothing on the line says when.
    """
    dice = random.Random(seed)
    settings = tuple(
        LineSettings(
            caller_id="dtmf" if line % 4 == 1 else "fsk",
            polarity_reversal=line >= lines // 2,
            noise_dbm0=dice.uniform(-70, -58),
            speech_dbm0=dice.uniform(-22, -15),
            loss_db=dice.uniform(0, 4),
        )
        for line in range(lines)
    )
    free_s = [dice.uniform(1, 4) for _ in range(lines)]
    happenings: list[Happening] = []
    for index in range(calls):
        line = index % lines
        call, length_s = _one_call(dice, line, round(free_s[line], 3), settings[line].polarity_reversal)
        happenings.append(call)
        free_s[line] += length_s + dice.uniform(8, 12)
    return Script(lines, tuple(happenings), seed, settings)


def _one_call(dice: random.Random, line: int, at_s: float, supervised: bool) -> tuple[Happening, float]:
    number = dice.choice(["13", "15", "18", "010", "0755", "021"]) + "".join(dice.choices("0123456789", k=8))
    kind = dice.random()
    talk_s = round(dice.uniform(2, 9), 3)
    if kind < 0.45:
        after_s = round(dice.uniform(4.5, 9.5), 3)
        return IncomingCall(line, at_s, number, answer_after_s=after_s, talk_s=talk_s), after_s + talk_s + 3
    if kind < 0.55:
        return IncomingCall(line, at_s, number, rings=3), 16
    if kind < 0.63:
        return IncomingCall(line, at_s, number, give_up_after_s=round(dice.uniform(1.5, 4.8), 3)), 7
    if kind < 0.9 and supervised:
        after_s = round(dice.uniform(3, 7), 3)
        return OutgoingCall(line, at_s, number, answer_after_s=after_s, talk_s=talk_s), after_s + talk_s + 4
    busy = dice.random() < 0.5
    return OutgoingCall(line, at_s, number, busy=busy, give_up_after_s=round(dice.uniform(4, 9), 3)), 13


@dataclass(frozen=True)
class Sent:
    """What the exchange sent on every line after G.711 coding, int16 (lines, samples), and the truth."""

    pcm: npt.NDArray[np.int16]
    truth: list[CallTruth]


def what_was_sent(script: Script) -> Sent:
    """Render the script once more, beside the box: the same day, sample by sample."""
    exchange = script.exchange()
    last = max(exchange.free_from(line) for line in range(exchange.lines)) + 15 * RATE_HZ
    parts = []
    while exchange.position < last:
        audio = np.ascontiguousarray(exchange.render(8000).audio)
        parts.append(decode_alaw(encode_alaw(audio)))
    return Sent(np.hstack(parts), list(exchange.truth))


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true value of ``condition``."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)


def tapdeck(home: Home, *argv: str) -> subprocess.Popen[bytes]:
    """Start a ``tapdeck`` command on a home."""
    return subprocess.Popen([sys.executable, "-m", "firmware", "--home", str(home.root), *argv])


@contextmanager
def running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End it at the end, whatever happened."""
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for one that does not listen."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class RealTimeExchange:
    """An emulated line card at ``link`` that plays a script in real time, from the moment ``began``."""

    def __init__(self, home: Home, folder: Path, script: Script) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file, self.link = folder / "script.json", folder / "line-card"
        file.write_text(dump_script(script))
        self.process = tapdeck(home, "exchange", "--link", str(self.link), "--script", str(file))

    def __enter__(self) -> Self:
        wait_until(lambda: os.path.lexists(self.link), 30, "the emulated card's port")
        self.began = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        end(self.process)

    def at(self, seconds: float) -> float:
        """How long until the exchange's clock shows ``seconds``."""
        return max(0.0, self.began + seconds - time.monotonic())


Cable = Callable[[Path], AbstractContextManager[Path]]
"""What lies between card and box: given the card's port, the port that the box shall open."""


def record_script(home: Home, script: Script, folder: Path, cable: Cable = nullcontext, timeout_s: float = 240) -> None:
    """Play a script through the pty card at full speed into a recorder until every recording is cut."""
    file, link = folder / "script.json", folder / "line-card"
    file.write_text(dump_script(script))
    with running(
        tapdeck(home, "exchange", "--link", str(link), "--speed", "max", "--script", str(file), "--exit-when-done")
    ) as exchange:
        wait_until(lambda: os.path.lexists(link), 60, "the emulated card's port")
        with cable(link) as port, running(recorder(home, port, "--simulated", "--simulated-time")):
            wait_until(lambda: exchange.poll() is not None, timeout_s, "the exchange's day is over")
            assert exchange.returncode == 0
            settled(home)


def recorder(home: Home, port: Path, *options: str) -> subprocess.Popen[bytes]:
    """A recorder for the serial line card at ``port``."""
    argv = ("--name", "desk", "--driver", "serial_card", "--address", str(port), "--tape-minutes", "8")
    return tapdeck(home, "recorder", *argv, *options)


def settled(home: Home, timeout_s: float = 60) -> None:
    """Wait until no call runs, nothing waits to be cut and every manifest is written."""
    db = open_store(home.calls_db, readonly=True)
    open_work = (
        "SELECT (SELECT count(*) FROM calls WHERE state <> 'ended' OR manifest IS NULL)"
        " + (SELECT count(*) FROM recordings WHERE state = 'pending')"
    )
    try:
        wait_until(lambda: db.conn.execute(open_work).fetchone()[0] == 0, timeout_s, "calls ended and cut")
    finally:
        db.conn.close()


def assert_day_is_exact(home: Home, script: Script) -> None:
    """Every call of the script has one right record, told once, and every answered one its exact recording."""
    sent = what_was_sent(script)
    db = open_store(home.calls_db, readonly=True)
    calls = list(db.query("SELECT * FROM calls ORDER BY channel, started_ms"))
    recordings = {row["call_id"]: row for row in db.query("SELECT * FROM recordings")}
    often = "SELECT count(*) AS times FROM events WHERE call_id NOT NULL GROUP BY call_id, kind ORDER BY times DESC"
    assert db.conn.execute(often).fetchone()[0] == 1, "an event was written twice"
    db.conn.close()
    truths = sorted(sent.truth, key=lambda truth: (truth.line, truth.start_sample))
    assert len(calls) == len(truths) == len(script.calls)
    for truth, call in zip(truths, calls, strict=True):
        found = (call["result"], call["caller_number"], call["dialled_number"])
        assert found == (truth.result, truth.number, truth.dialled)
        assert abs(call["ring_ms"] - truth.ring_ms) <= TOLERANCE_MS
        assert abs(call["talk_ms"] - truth.talk_ms) <= TOLERANCE_MS
        if truth.result == "answered":
            recording = recordings[call["id"]]
            assert recording["missing_samples"] == 0
            audio = soundfile.read(home.recordings / recording["path"], dtype="int16")[0].tobytes()
            assert audio in sent.pcm[truth.line].tobytes(), "not the samples that were sent"
