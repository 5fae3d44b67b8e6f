"""Runs the daemons of the box on a developer's machine, as systemd does on the appliance."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points

from firmware.child import Child, Launch, OutputLog
from firmware.config import Home
from firmware.errors import BadInput, ConfigError
from firmware.supervise import DaemonSpec, read_wanted, take_restart, wanted_names

_TICK_S = 0.1
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def registered_daemons() -> list[DaemonSpec]:
    """The daemons that always run, of all rooms."""
    points = sorted(entry_points(group="tapdeck.daemons"), key=lambda point: point.name)
    return [spec for point in points for spec in point.load()]


@contextlib.contextmanager
def only_supervisor(home: Home) -> Iterator[None]:
    """Hold the home's supervisor lock; it ends with the process. Raises ConfigError when another one has it."""
    descriptor = os.open(home.run / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(descriptor, 20).decode(errors="replace").strip()
            raise ConfigError(
                f"the box in {home.root} is running already (process {other}): stop it first,"
                f" or choose another --home. 该目录的录音盒已在运行(进程 {other})。"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


class Supervisor:
    """Keeps daemons and wanted processes running until SIGTERM, SIGINT or SIGHUP.

    ``program`` is the command line in front of every ``argv``; ``environment`` is added to every child's.
    ``watchdog_s``: a daemon that says nothing for so long is killed and started again.
    ``on_ready`` is called with a daemon's name each time it says READY. ``between``: what is done while all are stopped
    because somebody wants the box started again; what it raises ends ``run``.
    """

    def __init__(
        self,
        home: Home,
        daemons: Sequence[DaemonSpec],
        *,
        program: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        watchdog_s: float = 10.0,
        echo: bool = True,
        on_ready: Callable[[str], None] = lambda name: None,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._home = home
        self._fixed = {spec.name: spec for spec in daemons}
        self._program = tuple(program) or (sys.executable, "-m", "firmware", "--home", str(home.root))
        self._environment = dict(environment or {})
        self._watchdog_s = watchdog_s
        self._echo = echo
        self._on_ready = on_ready
        self._between = between
        self._selector = selectors.DefaultSelector()
        self._running: dict[str, tuple[DaemonSpec, Child]] = {}
        self._refused: dict[str, str] = {}
        self._stop = False

    def run(self) -> None:
        """Start everything, keep it running, stop it all in the end.

        Thread: the main thread, for its signals. Hold ``only_supervisor`` meanwhile.
        """
        with self._signals():
            try:
                while not self._stop:
                    if take_restart(self._home):
                        self.say("starting again … 正在重新启动 …")
                        self._stop_all()
                        self._between()
                        continue
                    self._follow({**self._fixed, **self._wanted()})
                    self._turn()
            finally:
                self._stop_all()

    def say(self, text: str) -> None:
        """A line of the supervisor itself."""
        if self._echo:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"tapdeck | {text}\n")
                sys.stderr.flush()

    def _wanted(self) -> dict[str, DaemonSpec]:
        found: dict[str, DaemonSpec] = {}
        refused: dict[str, str] = {}
        for name in wanted_names(self._home):
            try:
                found[name] = read_wanted(self._home, name)
            except ConfigError:  # gone between listing and reading
                continue
            except BadInput as error:
                refused[name] = str(error)
                if self._refused.get(name) != str(error):
                    self.say(str(error))
        self._refused = refused
        return found

    def _follow(self, wanted: Mapping[str, DaemonSpec]) -> None:
        for name, (spec, child) in list(self._running.items()):
            if wanted.get(name) != spec:
                child.stop()
            if child.finished:
                self._forget(name)
        for name, spec in wanted.items():
            if name not in self._running:
                self._running[name] = (spec, self._child(spec))

    def _child(self, spec: DaemonSpec) -> Child:
        launch = Launch(spec.name, (*self._program, *spec.argv), self._environment, self._watchdog_s)
        folder = self._home.run / "logs"
        folder.mkdir(exist_ok=True)
        log = OutputLog(spec.name, folder / f"{spec.name}.log", echo=self._echo)
        return Child(launch, log, self._selector, self._on_ready)

    def _forget(self, name: str) -> None:
        self._running.pop(name)[1].close()

    def _turn(self) -> None:
        now_s = time.monotonic()
        for _, child in self._running.values():
            child.tick(now_s)
        for key, _ in self._selector.select(_TICK_S):
            key.data()

    def _stop_all(self) -> None:
        if self._running:
            self.say("stopping … 正在停止 …")
        for turn in (False, True):  # those that others are connected to come last
            for spec, child in self._running.values():
                if spec.last is turn:
                    child.stop()
            while any(not child.finished for spec, child in self._running.values() if spec.last is turn):
                self._turn()
        for name in list(self._running):
            self._forget(name)
        self.say("stopped 已停止")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._selector.register(reader, selectors.EVENT_READ, lambda: reader.recv(64))
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._asked_to_stop) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            self._selector.unregister(reader)
            reader.close()
            writer.close()
            self._selector.close()

    def _asked_to_stop(self, number: int, frame: object) -> None:
        self._stop = True
