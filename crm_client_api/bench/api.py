"""``tapdeck bench api``: how long people wait for the API, over HTTP, with everything it keeps."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import msgspec

from crm_client_api.bench.questions import Material, Question, questions
from crm_client_api.bench.seed_office import PASSWORD
from crm_client_api.domain.calls import call_of
from crm_client_api.domain.operators import list_operators
from crm_client_api.domain.settings import read_settings
from crm_client_api.push.popup_cards import decide_for, matches_of, ring_of
from crm_client_api.stores import open_stores
from firmware.config import Home
from firmware.errors import BoxError, ConfigError

POPUP_GOAL_MS = 5.0
_START_TIMEOUT_S = 60.0
_PREPARE_TIMEOUT_S = 3600.0
_PREFIX = "/api/v1"
_CONNECTION_AGE_S = 5.0
_SLOW_MS = 1000.0
"""Whatever takes this long is asked a few times only."""


class Figure(msgspec.Struct, frozen=True):
    """How long one kind of question takes. ``absent``: this version answers no such question.

    ``cpu_ms``: the mean processor time of the API for one of them; on a machine that does other things beside, it tells
    more than the clock.
    """

    name: str
    requests: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    goal_ms: float
    good: bool
    cpu_ms: float = 0.0
    path: str = ""
    absent: bool = False


class Figures(msgspec.Struct, frozen=True):
    """The whole result; ``good``: every p99 is within its goal. ``prepare_s``: until the statistics were ready."""

    calls: int
    recordings: int
    customers: int
    communications: int
    prepare_s: float
    api_rss_mib: float
    good: bool
    questions: list[Figure]


@dataclass
class _Client:
    port: int
    cookie: str = ""
    csrf: str = ""
    used_s: float = 0.0
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def log_in(self, staff_no: str) -> None:
        body = json.dumps({"staff_no": staff_no, "password": PASSWORD})
        self.connection.request("POST", _PREFIX + "/session", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise ConfigError(f"{staff_no} cannot log in; was this home made by 'bench seed'? {text.decode()[:200]}")
        self.csrf = json.loads(text)["csrf"]
        self.cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]

    def ask(self, path: str, body: dict[str, object] | None = None) -> tuple[int, bytes, float]:
        """Status, body, ms."""
        if time.monotonic() > self.used_s + _CONNECTION_AGE_S:  # the API closes what is idle
            self.connection.close()
            self.connection.connect()
        self.used_s = time.monotonic()
        begun = time.perf_counter()
        if body is None:
            self.connection.request("GET", _PREFIX + path, headers={"Cookie": self.cookie})
        else:
            headers = {"Cookie": self.cookie, "X-Tapdeck-CSRF": self.csrf, "Content-Type": "application/json"}
            self.connection.request("POST", _PREFIX + path, json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, text, (time.perf_counter() - begun) * 1000


def _logged_in(port: int, staff_no: str) -> _Client:
    client = _Client(port)
    client.log_in(staff_no)
    return client


def measure(directory: Path, requests: int, only: str, tell: Callable[[str], None]) -> Figures:
    """Start an API in this home and ask it everything whose name has ``only`` in it. Raises ConfigError, StoreError."""
    home = Home(directory.absolute())
    with open_material(home) as material, _running(home) as (port, pid):
        begun = time.perf_counter()
        _wait_for_statistics(_logged_in(port, material.super_operator), tell)
        prepare_s = time.perf_counter() - begun
        found = [_popup_look_up(home, material, requests)]
        wanted = [one for one in questions(material) if only in one.name]
        for who, asked in groupby(wanted, lambda one: one.who):
            client = _logged_in(port, who)  # not before: a session that nobody uses ends
            for one in asked:
                found.append(_ask(client, pid, one, requests))
                tell(
                    f"{found[-1].name}: p99 {found[-1].p99_ms:.1f} ms, processor {found[-1].cpu_ms:.1f} ms"
                    + (" (no such route)" if found[-1].absent else "")
                )
        return Figures(
            calls=material.count("calls.calls"),
            recordings=material.count("calls.recordings"),
            customers=material.count("crm.customers"),
            communications=material.count("crm.communications"),
            prepare_s=round(prepare_s, 1),
            api_rss_mib=round(_rss_mib(pid), 1),
            good=all(one.good for one in found),
            questions=found,
        )


@contextmanager
def open_material(home: Home) -> Iterator[Material]:
    """What to ask for, drawn from what is there."""
    connection = sqlite3.connect(f"{home.calls_db.as_uri()}?mode=ro", uri=True)
    try:
        connection.execute("ATTACH ? AS crm", (f"{home.crm_db.as_uri()}?mode=ro",))
        yield Material(connection)
    finally:
        connection.close()


@contextmanager
def _running(home: Home) -> Iterator[tuple[int, int]]:
    told = home.run / "api.json"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "api", "--port", "0"]
    process = subprocess.Popen(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    try:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not told.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ConfigError("the API does not start in this home")
            time.sleep(0.05)
        yield int(json.loads(told.read_text())["port"]), process.pid
    finally:
        process.terminate()
        process.wait(30)


def _wait_for_statistics(client: _Client, tell: Callable[[str], None]) -> None:
    deadline, said = time.monotonic() + _PREPARE_TIMEOUT_S, 0.0
    while time.monotonic() < deadline:
        status, body, _ = client.ask("/statistics/calls?from=2000-01-01&to=2099-12-31&by=month")
        if status != 503:
            return
        if time.monotonic() > said + 10:
            tell(json.loads(body)["error"]["message"])
            said = time.monotonic()
        time.sleep(0.5)


def _ask(client: _Client, pid: int, one: Question, requests: int) -> Figure:
    took: list[float] = []
    used_ms = _cpu_ms(pid)
    slowest = ""
    for number in range(requests):
        path = one.path(number)
        status, body, ms = client.ask(path, one.body(number) if one.body else None)
        if status in (404, 405) and number == 0 and b"no such route" in body:
            return Figure(one.name, 0, 0.0, 0.0, 0.0, one.goal_ms, True, 0.0, path, absent=True)
        if status != 200:
            raise BoxError(f"{path} answers {status}: {body[:300].decode(errors='replace')}")
        if not took or ms > max(took):
            slowest = path
        took.append(ms)
        if sum(took) > _SLOW_MS * 10 and number >= 5:
            break
    return _figure(one.name, took, one.goal_ms, slowest, (_cpu_ms(pid) - used_ms) / len(took))


def _figure(name: str, took: list[float], goal_ms: float, slowest: str = "", cpu_ms: float = 0.0) -> Figure:
    ordered = sorted(took)
    p99 = ordered[-(-len(ordered) * 99 // 100) - 1]  # by nearest rank
    return Figure(
        name, len(took), round(ordered[len(ordered) // 2], 2), round(p99, 2), round(ordered[-1], 2), goal_ms,
        p99 <= goal_ms,
        round(cpu_ms, 2),
        slowest,
    )  # fmt: skip


def _popup_look_up(home: Home, material: Material, requests: int) -> Figure:
    """Who has the number, and the rules for one operator: what stands between a caller ID and its card."""
    stores = open_stores(home)
    try:
        settings = read_settings(stores.crm)
        operators = list_operators(stores.crm)
        took = []
        for number in range(requests):
            call = call_of(
                stores.calls.conn.execute("SELECT * FROM calls WHERE id = ?", (material.call_id(number),)).fetchone()
            )
            begun = time.perf_counter()
            matches = matches_of(stores, settings, ring_of(call))
            decide_for(stores, settings, operators[number % len(operators)], ring_of(call), matches)
            took.append((time.perf_counter() - begun) * 1000)
    finally:
        stores.close()
    return _figure("pop-up look-up (in the API)", took, POPUP_GOAL_MS)


def _cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
