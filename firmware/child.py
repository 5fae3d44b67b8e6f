"""One daemon as a child process: started, watched, restarted, its output kept."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import logging.handlers
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firmware.clock import now_ms, uuid7

PARENT_VARIABLE = "TAPDECK_SUPERVISOR_PID"
_PR_SET_PDEATHSIG = 1  # prctl(2)

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
HEALTHY_AFTER_S = 30.0
STOP_TIMEOUT_S = 5.0
START_TIMEOUT_S = 60.0
_LOG_BYTES = 1_000_000
_LOG_FILES = 3


def die_with_parent() -> None:
    """Called by a daemon at its start: when its supervisor is killed, the kernel kills it too.

    Nothing happens in a process that no supervisor started.
    """
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):
        os._exit(1)


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started: its command line, what its environment has beside ours, the watchdog's patience."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    watchdog_s: float = 10.0


class _QuietFile(logging.handlers.RotatingFileHandler):
    """A log file that says nothing when the disk is full: the terminal would drown in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


class OutputLog:
    """A child's output, line by line: to our stderr with its name before it, and to a rotated file with the time."""

    def __init__(self, name: str, file: Path, *, echo: bool) -> None:
        self._name = name
        self._echo = echo
        self._rest = b""
        self._file = _QuietFile(file, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8", delay=True)
        formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self._file.setFormatter(formatter)

    def feed(self, chunk: bytes) -> None:
        """Take bytes as they come."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self.line(line.decode(errors="replace").rstrip("\r"))
        if len(self._rest) > 1 << 16:
            self.flush()

    def line(self, text: str) -> None:
        """Write one line."""
        self._file.emit(logging.LogRecord(self._name, logging.INFO, "", 0, text, None, None))
        if self._echo:
            with contextlib.suppress(OSError, ValueError):  # our own terminal has gone: the file goes on
                sys.stderr.write(f"{self._name} | {text}\n")
                sys.stderr.flush()

    def flush(self) -> None:
        """Write out a last line that has no end."""
        if self._rest:
            self.line(self._rest.decode(errors="replace"))
            self._rest = b""

    def close(self) -> None:
        """Idempotent."""
        self.flush()
        self._file.close()


class Child:
    """A daemon that is kept running until ``stop``.

    Thread: everything happens in the thread that runs the selector; the parent-death signal hangs on it.
    """

    def __init__(
        self, launch: Launch, log: OutputLog, selector: selectors.BaseSelector, on_ready: Callable[[str], None]
    ) -> None:
        self.launch = launch
        self._log = log
        self._selector = selector
        self._on_ready = on_ready
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._ready = False
        self._started_s = 0.0
        self._fed_s = 0.0
        self._delay_s = FIRST_DELAY_S
        self._start_at_s = 0.0
        self._stopping = False
        self._kill_at_s = 0.0
        # An abstract address (unix(7)) has no file to clear away and no 107-byte folder to fit into.
        address = f"tapdeck-{launch.name[:40]}-{uuid7(now_ms())}"
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notified.setblocking(False)
        self._notified.bind("\0" + address)
        self._notify_address = "@" + address
        selector.register(self._notified, selectors.EVENT_READ, self._read_notes)

    @property
    def alive(self) -> bool:
        """Whether its process exists."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Its process id while it is alive."""
        return self._process.pid if self._process else None

    @property
    def finished(self) -> bool:
        """Stopped as asked, nothing left of it."""
        return self._stopping and not self.alive

    def tick(self, now_s: float) -> None:
        """Do what is due at ``now_s`` (monotonic): start, give up waiting, kill what does not move."""
        if self._process is None:
            if not self._stopping and now_s >= self._start_at_s:
                self._start(now_s)
        elif self._stopping:
            if now_s >= self._kill_at_s:
                self._log.line(f"does not stop within {STOP_TIMEOUT_S:g} s: killed")
                self._kill_at_s = now_s + STOP_TIMEOUT_S
                self._signal(signal.SIGKILL)
        elif now_s - self._fed_s > (self.launch.watchdog_s if self._ready else START_TIMEOUT_S):
            self._log.line("watchdog: no sign of life, killed" if self._ready else "does not get ready, killed")
            self._fed_s = now_s
            self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end; ``tick`` kills it when it has not done so in time."""
        if self._stopping:
            return
        self._stopping = True
        self._kill_at_s = time.monotonic() + STOP_TIMEOUT_S
        self._signal(signal.SIGTERM)

    def close(self) -> None:
        """Let go of the log and the notify socket of a finished child."""
        self._selector.unregister(self._notified)
        self._notified.close()
        self._log.close()

    def _start(self, now_s: float) -> None:
        environment = os.environ | dict(self.launch.environment) | {
            "NOTIFY_SOCKET": self._notify_address,
            "WATCHDOG_USEC": str(int(self.launch.watchdog_s * 1_000_000)),
            "PYTHONUNBUFFERED": "1",
            PARENT_VARIABLE: str(os.getpid()),
        }  # fmt: skip
        environment.pop("WATCHDOG_PID", None)
        try:
            process = subprocess.Popen(
                self.launch.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._postpone(now_s, f"cannot be started: {error}")
            return
        assert process.stdout is not None
        self._process, self._ready, self._started_s, self._fed_s = process, False, now_s, now_s
        fcntl.fcntl(process.stdout, fcntl.F_SETFL, os.O_NONBLOCK)
        self._selector.register(process.stdout, selectors.EVENT_READ, self._read_output)
        self._pidfd = os.pidfd_open(process.pid)
        self._selector.register(self._pidfd, selectors.EVENT_READ, self._reap)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _read_notes(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                states = self._notified.recv(4096).decode(errors="replace").split("\n")
                self._fed_s = time.monotonic()
                if "READY=1" in states and not self._ready and self._process is not None:
                    self._ready = True
                    self._on_ready(self.launch.name)

    def _read_output(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        try:
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return
        if chunk:
            self._log.feed(chunk)
        else:  # it closed its output but lives on
            self._selector.unregister(self._process.stdout)
            self._process.stdout.close()
            self._process.stdout = None

    def _reap(self) -> None:
        process = self._process
        if process is None:
            return
        self._signal(signal.SIGKILL)  # whatever it left behind in its process group, while the id is still its own
        code = process.wait()
        self._selector.unregister(self._pidfd)
        os.close(self._pidfd)
        self._drain(process)
        self._process = None
        self._read_notes()  # late words of the dead must not make its successor ready
        now_s = time.monotonic()
        if now_s - self._started_s >= HEALTHY_AFTER_S:
            self._delay_s = FIRST_DELAY_S
        if not self._stopping:
            self._postpone(now_s, f"ended ({_describe(code)})")

    def _postpone(self, now_s: float, reason: str) -> None:
        self._log.line(f"{reason}, starts again in {self._delay_s:g} s")
        self._start_at_s = now_s + self._delay_s
        self._delay_s = min(self._delay_s * 2, LONGEST_DELAY_S)

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        self._selector.unregister(process.stdout)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(process.stdout.fileno(), 1 << 16):
                self._log.feed(chunk)
        self._log.flush()
        process.stdout.close()


def _describe(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
