"""A recorder that records many lines in real time while something else is measured, and what it lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from firmware.errors import BoxError

_START_S = 10
"""Until lines are rendered and the recorder has begun."""
_END_S = 900
"""Until everything that was recorded is cut and compared."""


class Recorded(msgspec.Struct, frozen=True):
    """What ``tapdeck bench pipeline`` says of its run; see there."""

    channels: int
    seconds: int
    lost_samples: int
    recordings: int
    recordings_with_gaps: int
    recordings_not_exact: int


class Recording:
    """A recorder at work in a home of its own. ``outlasted``: it still recorded when the block ended."""

    def __init__(self, channels: int, seconds: int) -> None:
        self._seconds = seconds
        self._begun_s = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "firmware", "bench", "pipeline", "--channels", str(channels), "--seconds",
             str(seconds), "--json"],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        self.outlasted = False
        self.found: Recorded | None = None

    def finish(self) -> None:
        """Wait for it. Raises BoxError: it failed."""
        self.outlasted = time.monotonic() < self._begun_s + self._seconds
        try:
            told, _ = self._process.communicate(timeout=self._seconds + _END_S)
        except subprocess.TimeoutExpired as error:
            raise BoxError("the recorder beside did not come to its end") from error
        if self._process.returncode:
            raise BoxError("the recorder beside failed")
        self.found = msgspec.json.decode(told, type=Recorded)

    def kill(self) -> None:
        """End it when it is still there, with what it started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # it ends its own
            self._process.wait()


@contextmanager
def recording(channels: int, seconds: int) -> Iterator[Recording]:
    """Record for so long; when the block has ended, wait for what came of it. Raises BoxError."""
    beside = Recording(channels, seconds)
    try:
        time.sleep(_START_S)
        yield beside
        beside.finish()
    finally:
        beside.kill()
