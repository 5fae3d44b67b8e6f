"""A whole box for the acceptance tests: ``tapdeck run`` and a person who logs in and watches the stream."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
from scripted import RealTimeExchange, wait_until

from drivers.exchange.script import Script
from firmware.config import Home

PASSWORD = "a-good-password-2026"


def _free_port() -> int:
    """A port that stays the same when the API is restarted, as browsers expect."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Box:
    """``tapdeck run`` on a home of its own; ``url`` once it is up."""

    def __init__(self, home: Home, *options: str) -> None:
        self.home = home
        self.log = home.root.parent / "run.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "firmware",
                    "--home",
                    str(home.root),
                    "run",
                    "--port",
                    str(_free_port()),
                    *options,
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        try:
            self.url = wait_until(self._url, 60, f"the box is up, see {self.log}")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        """Interrupt it; what does not end then is killed with all its daemons."""
        if self.process.poll() is None:
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
            finally:
                for daemon in family:
                    with suppress(psutil.NoSuchProcess):
                        daemon.kill()

    def text(self) -> str:
        """Everything printed so far."""
        return self.log.read_text(errors="replace")

    def _url(self) -> str | None:
        found = re.search(r"(http://[0-9.]+:[0-9]+)", self.text())
        assert self.process.poll() is None, self.text()[-2000:]
        return found.group(1) if found else None

    def daemon(self, *words: str) -> psutil.Process:
        """The daemon whose command line has all ``words``."""

        def look() -> psutil.Process | None:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                try:
                    if set(words) <= set(process.cmdline()):
                        return process
                except psutil.Error:
                    continue
            return None

        found: psutil.Process = wait_until(look, 20, f"a process {words}")
        return found

    def kill(self, *words: str) -> None:
        """SIGKILL a daemon."""
        self.daemon(*words).kill()

    def one_time_password(self) -> tuple[str, str]:
        """Staff number and one-time password of the first super operator, as printed."""
        text = self.text()
        found = re.search(r"(?P<staff>\b1000\b).*?(?P<password>[a-z0-9]{4}(?:-[a-z0-9]{4})+)", text, re.DOTALL)
        assert found, text
        return found["staff"], found["password"]


@contextmanager
def office(home: Home, folder: Path, script: Script) -> Iterator[tuple[Box, RealTimeExchange]]:
    """A box whose line card hangs on a scripted exchange in real time; the box takes the card for a real one."""
    with RealTimeExchange(home, folder, script) as exchange:
        cards = [{"name": "desk", "driver": "serial_card", "address": str(exchange.link)}]
        (home.root / "cards.json").write_text(json.dumps(cards))
        with Box(home, "--no-exchange") as box:
            yield box, exchange


class Person:
    """An operator at a client: one session, JSON in and out."""

    def __init__(self, url: str, staff_no: str, password: str) -> None:
        self._at = urlsplit(url)
        self._cookie = ""
        self._csrf = ""
        answer = self.call("POST", "/session", {"staff_no": staff_no, "password": password})
        self._csrf = answer["csrf"]
        if answer["must_change_password"]:
            passwords = {"old_password": password, "new_password": PASSWORD}
            self._csrf = self.call("POST", "/session/password", passwords)["csrf"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; asserts success."""
        status, answer = self.try_call(method, path, body)
        assert status < 300, (method, path, status, answer)
        return answer

    @property
    def cookie(self) -> str:
        """Name and value of the session's cookie."""
        return self._cookie

    def try_call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request; status and decoded body."""
        link = http.client.HTTPConnection(self._at.hostname or "", self._at.port, timeout=20)
        link.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, self.headers())
        answer = link.getresponse()
        raw = answer.read()
        cookie = answer.headers.get("Set-Cookie")
        if cookie:
            self._cookie = cookie.split(";")[0]
        link.close()
        return answer.status, json.loads(raw) if raw and "json" in (answer.headers["Content-Type"] or "") else raw

    def headers(self) -> dict[str, str]:
        """What every request of this session says."""
        own = {"Content-Type": "application/json", "Origin": f"http://{self._at.netloc}"}
        return {**own, "Cookie": self._cookie, "X-Tapdeck-CSRF": self._csrf}

    def stream(self, last_id: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Open the event stream after ``last_id``."""
        link = http.client.HTTPConnection(self._at.hostname or "", self._at.port, timeout=25)
        link.request("GET", "/api/v1/events", None, {**self.headers(), "Last-Event-ID": last_id})
        return link, link.getresponse()


class Watcher:
    """Follows the event stream as a browser does: reconnects for ever with the last id it saw."""

    def __init__(self, person: Person) -> None:
        snapshot = person.call("GET", "/popups")
        self.events: list[tuple[str, str, Any]] = []
        self.reconnects = 0
        self._person = person
        self._last_id: str = snapshot["position"]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def of(self, kind: str) -> list[Any]:
        """Data of all events of one type, in order."""
        return [data for event, _, data in list(self.events) if event == kind]

    def stop(self) -> None:
        """End."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                link, answer = self._person.stream(self._last_id)
                if answer.status == 200:
                    self._read(answer)
                link.close()
            except (OSError, http.client.HTTPException):
                pass
            self.reconnects += 1
            time.sleep(0.2)

    def _read(self, answer: http.client.HTTPResponse) -> None:
        fields: dict[str, str] = {}
        while not self._stop.is_set():
            line = answer.readline()
            if not line.endswith(b"\n"):
                return
            text = line.decode().rstrip("\r\n")
            if text:
                name, _, value = text.partition(":")
                fields[name] = value.removeprefix(" ")
                continue
            if "id" in fields:
                self._last_id = fields["id"]
            if "data" in fields:
                self.events.append((fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"])))
            fields = {}


def verified_log(path: Path) -> list[dict[str, Any]]:
    """The entries of an evidence log whose chain holds."""
    import hashlib

    entries, previous = [], "0" * 64
    for index, line in enumerate(path.read_bytes().splitlines()):
        entry = json.loads(line)
        assert entry["index"] == index
        assert entry["previous"] == previous
        previous = hashlib.sha256(line).hexdigest()
        entries.append(entry)
    return entries
