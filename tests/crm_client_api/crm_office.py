"""An office for the tests: people, calls as the recorder writes them, and a client that speaks real HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass, field
from typing import Any

import sqlite_utils

from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level, Permission
from crm_client_api.domain.settings import Settings, read_settings
from firmware import doorbell
from firmware.clock import uuid7
from firmware.config import Home
from firmware.store import event_log
from firmware.store.connection import open_store, write
from recorder.numbers import Site, match_key

PASSWORD = "correct horse"
START_MS = 1_790_000_000_000
ROOT = Actor(CONSOLE)


def hire(
    crm: sqlite_utils.Database,
    staff_no: str,
    level: str = "ordinary",
    group: int | None = None,
    channels: tuple[int, ...] = (),
    permissions: frozenset[Permission] = ALL_PERMISSIONS,
    *,
    fresh: bool = False,
) -> Operator:
    """Add somebody whose password is PASSWORD; unless ``fresh``, it need not be changed any more."""
    with write(crm) as connection:
        if group is not None:
            connection.execute("INSERT OR IGNORE INTO groups (number, name, created_ms) VALUES (?, '', 0)", (group,))
    one = Operator(staff_no, f"name of {staff_no}", Level(level), group, frozenset(channels), permissions)
    add_operator(crm, one, ROOT, grantor=None, password=PASSWORD)
    if not fresh:
        with write(crm) as connection:
            connection.execute("UPDATE operators SET must_change_password = 0 WHERE staff_no = ?", (staff_no,))
    return one


def settings_of(home: Home) -> Settings:
    crm = open_store(home.crm_db)
    try:
        return read_settings(crm)
    finally:
        crm.conn.close()


def stored_bytes(home: Home) -> bytes:
    """All that the office's store holds on the disk, also what is not merged into it yet."""
    return b"".join(file.read_bytes() for file in sorted(home.crm_db.parent.glob(home.crm_db.name + "*")))


OF_CALLS = ("caller", "dialled")


class Exchange:
    """Writes calls, events and recordings into the store as the recorder does."""

    def __init__(self, home: Home, site: Site = Site()) -> None:  # noqa: B008 - a frozen value
        self.site = site
        self.home = home
        self.db = open_store(home.calls_db)
        self.now_ms = START_MS

    def close(self) -> None:
        self.db.conn.close()

    def wire(self, *channels: int, card_id: str = "test-1") -> None:
        with write(self.db) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO cards VALUES (?, 'serial', '', 'Test', ?, 8000, 1, 0, 0)",
                (card_id, len(channels)),
            )
            for number in channels:
                connection.execute(
                    "INSERT INTO channels VALUES (?, ?, ?, 1)", (number, card_id, channels.index(number))
                )

    def event(self, kind: str, channel: int | None = None, call: dict[str, Any] | None = None, **data: Any) -> None:
        """One row of the event log, with the call's row when there is a call."""
        self.now_ms += 1000
        with write(self.db) as connection:
            if call is not None:
                call |= {f"{of}_key": match_key(call.get(f"{of}_number") or "", self.site) or None for of in OF_CALLS}
                names = ", ".join(call)
                renewed = ", ".join(f"{name} = excluded.{name}" for name in call)
                connection.execute(
                    f"INSERT INTO calls ({names}) VALUES ({','.join('?' * len(call))})"
                    f" ON CONFLICT (id) DO UPDATE SET {renewed}",
                    list(call.values()),
                )
            event_log.append(
                connection,
                at_ms=self.now_ms,
                kind=kind,
                channel=call["channel"] if call else channel,
                call_id=call["id"] if call else data.get("call_id"),
                data=call or {"channel": channel, **data},
            )
        doorbell.ring(self.home.doorbells)

    def call(self, channel: int = 1, number: str | None = "13812345678", direction: str = "incoming") -> dict[str, Any]:
        """A call that begins, with its number decided."""
        self.now_ms += 1000
        call = {
            "id": uuid7(self.now_ms),
            "channel": channel,
            "card_id": "test-1",
            "direction": direction,
            "state": "ringing" if direction == "incoming" else "dialling",
            "result": None,
            "caller_number": None,
            "caller_name": None,
            "absence": None,
            "dialled_number": None,
            "started_ms": self.now_ms,
            "answered_ms": None,
            "ended_ms": None,
            "ring_ms": 0,
            "talk_ms": 0,
            "simulated": 1,
        }
        self.event("call_started", call=call)
        if direction == "incoming":
            call |= {"caller_number": number, "absence": None if number else "withheld"}
            self.event("caller_id", call=call)
        else:
            call |= {"dialled_number": number}
            self.event("dialled_number", call=call)
        return call

    def answer(self, call: dict[str, Any]) -> None:
        call |= {"state": "talking", "answered_ms": self.now_ms}
        self.event("call_answered", call=call)

    def end(self, call: dict[str, Any]) -> None:
        result = "answered" if call["answered_ms"] else "missed"
        call |= {"state": "ended", "result": result, "ended_ms": self.now_ms}
        self.event("call_ended", call=call)

    def recording(self, call: dict[str, Any], path: str | None, **changes: Any) -> str:
        row = {
            "id": uuid7(self.now_ms),
            "call_id": call["id"],
            "channel": call["channel"],
            "segment": 0,
            "state": "ready",
            "card_id": "test-1",
            "tape_epoch": "e",
            "from_sample": 0,
            "to_sample": 8000,
            "sample_rate_hz": 8000,
            "started_ms": call["started_ms"],
            "duration_ms": 1000,
            "path": path,
            "missing_samples": 9,
            "bytes": 1,
            "sha256": "ab" * 32,
            "simulated": 1,
        } | changes
        with write(self.db) as connection:
            names = ", ".join(row)
            connection.execute(
                f"INSERT INTO recordings ({names}) VALUES ({','.join('?' * len(row))})", list(row.values())
            )
            event_log.append(
                connection,
                at_ms=self.now_ms,
                kind="recording_ready",
                channel=call["channel"],
                call_id=call["id"],
                data=row,
            )
        doorbell.ring(self.home.doorbells)
        return str(row["id"])


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass
class Browser:
    """A client with a cookie and the CSRF value of its session."""

    port: int
    cookie: str = ""
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    patience_s: float = 20

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        raw: bytes | None = None,
        prefix: str = "/api/v1",
        **headers: str,
    ) -> Answer:
        """One request; underscores in the names of extra headers stand for hyphens."""
        sent = {"Cookie": self.cookie} if self.cookie else {}
        if self.csrf and method != "GET":
            sent["X-Tapdeck-CSRF"] = self.csrf
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent |= self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.patience_s)
        try:
            connection.request(method, prefix + path, data, sent)
            answer = connection.getresponse()
            got = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            self._keep(got)
            return got
        finally:
            connection.close()

    def _keep(self, answer: Answer) -> None:
        """A session whose token changes goes on with the new one."""
        if self.cookie and answer.status < 300 and "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
            self.csrf = answer.json["csrf"] if answer.body else ""

    def get(self, path: str, **headers: str) -> Any:
        answer = self.ask("GET", path, **headers)
        assert answer.status == 200, answer.body
        return answer.json

    def log_in(self, staff_no: str, password: str = PASSWORD) -> Answer:
        answer = self.ask("POST", "/session", {"staff_no": staff_no, "password": password})
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
            self.csrf = answer.json["csrf"]
        return answer


@dataclass(frozen=True)
class Pushed:
    event: str
    id: str
    data: Any


class Listener:
    """One stream of server-sent events over its own connection."""

    def __init__(self, browser: Browser, path: str = "/events", last_id: str = "", receive_bytes: int = 0) -> None:
        self._socket = socket.socket()
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", browser.port))
        sent = {"Host": "127.0.0.1", "Cookie": browser.cookie} | browser.headers
        if last_id:
            sent["Last-Event-ID"] = last_id
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self._socket.sendall(f"GET /api/v1{path} HTTP/1.1\r\n{lines}\r\n".encode())
        self._response = http.client.HTTPResponse(self._socket)
        self._response.begin()
        self.status = self._response.status
        self.headers = {k.lower(): v for k, v in self._response.getheaders()}
        self.last_id = last_id

    def next(self, *wanted: str) -> Pushed | None:
        """The next event (of the wanted kinds), None at the end of the stream. Comments are skipped."""
        kind, identity, data = "", "", []
        for raw in self._response:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("id: "):
                identity = line[4:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif not line:
                self.last_id = identity or self.last_id
                if data and (not wanted or kind in wanted):
                    return Pushed(kind, identity, json.loads("\n".join(data)))
                kind, identity, data = "", "", []
        return None

    def take(self, count: int, *wanted: str) -> list[Pushed]:
        found = [self.next(*wanted) for _ in range(count)]
        assert None not in found, found
        return found  # type: ignore[return-value]

    def close(self) -> None:
        self._response.close()
        self._socket.close()
