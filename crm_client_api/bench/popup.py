"""``tapdeck bench popup``: from the last bit of a caller ID on the line to the card painted in a browser."""

from __future__ import annotations

import json
import random
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from crm_client_api.bench.popup_line import Handed
from crm_client_api.bench.popup_page import Painted, cards_painted, opened_page
from crm_client_api.bench.push import following
from crm_client_api.bench.push_clients import Seen
from crm_client_api.bench.push_office import add_person
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.customers import Phone, add_customer
from crm_client_api.push.board import read_board
from drivers.exchange.calls import IncomingCall
from drivers.exchange.script import Script, dump_script
from firmware.config import Home
from firmware.doorbell import Doorbell
from firmware.errors import BoxError
from firmware.store.connection import open_store, write
from firmware.store.event_log import read_after
from firmware.store.migrations import migrate
from recorder.numbers import Site

LINES = 8
_STAFF_NO = "1000"
_FIRST_CALL_S = 1.0
_PERIOD_S = 1.75
_RINGS = 2
_ENDS_S = 3.0
_START_TIMEOUT_S = 60.0
_PARTS = ("last bit to event log", "event log to a client", "that to the page", "event to card", "card to painted")


class Stage(msgspec.Struct, frozen=True):
    """A part of the way, in ms."""

    name: str
    p50_ms: float
    p99_ms: float
    max_ms: float


class PopupFigures(msgspec.Struct, frozen=True):
    """What was seen. ``wrong``: cards without the number that called, or without the customer who has it.

    ``stages``: the whole way first, then its parts; "a client" is a plain one that has a stream beside the browser's.
    """

    calls: int
    painted: int
    doubled: int
    wrong: int
    stages: list[Stage]


def measure(calls: int, say: Callable[[str], None]) -> PopupFigures:
    """Measure a box in a home of its own, which is removed. Raises BoxError."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-popup-") as folder:
        place = Path(folder)
        home, link, handed_file, seen_file = Home(place / "home"), place / "card", place / "handed", place / "seen"
        script, customers = _day(calls)
        token = _furnish(home, link, customers)
        (place / "script.json").write_text(dump_script(script))
        with _Commits(home) as commits:
            line = [sys.executable, "-m", "crm_client_api.bench.popup_line"]
            with (
                _running([*line, str(link), str(place / "script.json"), str(handed_file)]) as playing,
                _box(home) as url,
                following(_port(url), seen_file, [token]),
                opened_page(url, token) as page,
            ):
                _wait_for_card(home)
                say("the box and the browser are up")
                assert playing.stdin is not None
                playing.stdin.close()
                last_s = max(call.at_s for call in script.calls)
                page.wait_for_timeout(1000 * (last_s + 5 * _RINGS + _ENDS_S))
                painted = cards_painted(page)
        handed = msgspec.json.decode(handed_file.read_bytes(), type=Handed)
        seen = msgspec.json.decode(seen_file.read_bytes(), type=Seen)
        return figures(handed, commits.at_ns, seen, painted, customers)


def figures(
    handed: Handed, committed_ns: dict[str, int], seen: Seen, painted: Sequence[Painted], customers: dict[str, str]
) -> PopupFigures:
    """What follows from all that was noted. ``committed_ns``: when each call's caller ID was found in the event log.

    ``seen``: by a plain client beside the browser. ``customers``: their names, by number. Raises BoxError when nothing
    was painted.
    """
    sent_ns = {call_id: at_ns for _, call_id, at_ns in seen.popups}
    first: dict[str, Painted] = {}
    for card in painted:
        first.setdefault(card.number, card)
    ways: list[tuple[float, ...]] = []
    for number, sample in handed.last_bits:
        one = first.get(number)
        if one is not None and one.came and one.call in committed_ns and one.call in sent_ns:
            noted_ns = (handed.at_ns(sample), committed_ns[one.call], sent_ns[one.call])
            ways.append((*(at_ns / 1e6 for at_ns in noted_ns), one.came, one.added, one.painted))
    if not ways:
        raise BoxError("no card was painted")
    called = {number for number, _ in handed.last_bits}
    wrong = sum(card.number not in called or customers.get(card.number, "") not in card.text for card in painted)
    return PopupFigures(
        calls=len(called),
        painted=len(called & first.keys()),
        doubled=len(painted) - len({card.call for card in painted}),
        wrong=wrong,
        stages=[
            _stage("last bit to painted card", [way[-1] - way[0] for way in ways]),
            *(_stage(name, [way[part + 1] - way[part] for way in ways]) for part, name in enumerate(_PARTS)),
        ],
    )


def _stage(name: str, took_ms: list[float]) -> Stage:
    took = sorted(took_ms)
    rank = min(len(took) - 1, int(len(took) * 0.99))
    return Stage(name, round(took[len(took) // 2], 1), round(took[rank], 1), round(took[-1], 1))


def _day(calls: int) -> tuple[Script, dict[str, str]]:
    """Calls with numbers of their own, and the customers who have every second one."""
    dice = random.Random(1)
    numbers = [f"138{index:04}{dice.randrange(10**4):04}" for index in range(calls)]
    happenings = tuple(
        IncomingCall(
            index % LINES,
            round(_FIRST_CALL_S + index * _PERIOD_S + dice.uniform(0, 0.2), 3),
            number,
            rings=_RINGS,
        )
        for index, number in enumerate(numbers)
    )
    return Script(LINES, happenings, seed=1), {number: f"王客户{number[-4:]}" for number in numbers[::2]}


def _furnish(home: Home, link: Path, customers: dict[str, str]) -> str:
    """A box with one operator, who is logged in, and the card at ``link``; returns the session token."""
    home.create()
    migrate(home)
    token = secrets.token_urlsafe(32)
    crm = open_store(home.crm_db)
    with write(crm) as connection:
        add_person(connection, _STAFF_NO, "super", [], token)
    for number, name in customers.items():
        add_customer(crm, {"name": name}, (Phone("", number),), Actor(_STAFF_NO), Site())
    crm.conn.close()
    cards = [{"name": "bench", "driver": "serial_card", "address": str(link)}]
    (home.root / "cards.json").write_text(json.dumps(cards))
    return token


class _Commits:
    """Notes when the caller ID of each call stands in the event log. Thread: one of its own."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.at_ns: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="commits", daemon=True)

    def __enter__(self) -> _Commits:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        db, last = open_store(self._home.calls_db, readonly=True), 0
        with Doorbell(self._home.doorbells, "bench") as bell:
            while not self._stop.is_set():
                for event in read_after(db, last):
                    last = event.id
                    if event.kind == "caller_id" and event.call_id is not None:
                        self.at_ns[event.call_id] = time.monotonic_ns()
                bell.wait(0.2)
        db.conn.close()


def _wait_for_card(home: Home) -> None:
    """Raises BoxError when its recorder does not come up."""
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not any(card.connected for card in read_board(home).cards.values()):
        if time.monotonic() > deadline_s:
            raise BoxError("the recorder does not start")
        time.sleep(0.05)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


@contextmanager
def _running(argv: list[str], out: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    target = (out or Path("/dev/null")).open("wb")
    with target, subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=target, stderr=target) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _box(home: Home) -> Iterator[str]:
    """``tapdeck run``; yields where its web UI is. Raises BoxError."""
    said = home.root.parent / "box.log"
    run = [sys.executable, "-m", "firmware", "--home", str(home.root), "run", "--port", "0", "--no-exchange"]
    with _running(run, said) as process:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while (found := re.search(r"http://[0-9.]+:[0-9]+", said.read_text(errors="replace"))) is None:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise BoxError(f"the box does not start: {said.read_text(errors='replace')[-500:]}")
            time.sleep(0.05)
        yield found[0]
