"""An office for ``bench push``: operators with sessions, customers, and a recorder that writes calls to a timetable."""

from __future__ import annotations

import hashlib
import heapq
import random
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crm_client_api.domain.customers import index
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware import doorbell
from firmware.clock import now_ms, uuid7
from firmware.config import Home
from firmware.live_file import write_live
from firmware.parameters import set_value
from firmware.store import event_log
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site, match_key

CARD = "bench"
KNOWN_CUSTOMERS = 2000
_BOARD_PERIOD_S = 0.25
_STEPS_S = (("caller_id", 1.0), ("call_answered", 3.0), ("call_ended", 8.0))


@dataclass(frozen=True, slots=True)
class Size:
    """How many clients and channels, and how many clients a channel concerns."""

    clients: int
    channels: int
    concerned: int

    def operators_of(self, channel: int) -> list[int]:
        """The clients whom a channel (from 1) concerns."""
        first = (channel - 1) * self.clients // self.channels
        return [(first + step) % self.clients for step in range(min(self.concerned, self.clients))]


def furnish(home: Home, size: Size) -> list[str]:
    """Fill a fresh home; returns the session token of each client."""
    home.create()
    migrate(home)
    crm, calls = open_store(home.crm_db), open_store(home.calls_db)
    channels: list[list[int]] = [[] for _ in range(size.clients)]
    for channel in range(1, size.channels + 1):
        for client in size.operators_of(channel):
            channels[client].append(channel)
    tokens = [secrets.token_urlsafe(32) for _ in range(size.clients)]
    now = now_ms()
    with write(crm) as connection:
        for client, token in enumerate(tokens):
            add_person(connection, _staff_no(client), "ordinary", channels[client], token)
    with write(crm) as connection:
        for number in range(KNOWN_CUSTOMERS):
            row = connection.execute(
                "INSERT INTO customers (name, company, title, category, level, note, author, owner, created_ms,"
                " changed_ms) VALUES (?,?,'','','','',?,?,?,?) RETURNING id",
                (f"客户 {number}", "Bench Ltd", *[_staff_no(number % size.clients)] * 2, now, now),
            ).fetchone()
            connection.execute(
                "INSERT INTO customer_phones (customer_id, position, label, number, match_key) VALUES (?,0,'',?,?)",
                (row[0], _number(number), match_key(_number(number), Site())),
            )
    index.mark_outdated(crm)
    index.renew_stale(crm)
    set_value(crm, "system", "customers_shared_by_all", True)
    with write(calls) as connection:
        connection.execute(
            "INSERT INTO cards VALUES (?, 'bench', '', 'Bench', ?, 8000, 1, 0, 0)", (CARD, size.channels)
        )
        for number in range(1, size.channels + 1):
            connection.execute("INSERT INTO channels VALUES (?, ?, ?, 1)", (number, CARD, number - 1))
    crm.conn.close()
    calls.conn.close()
    return tokens


def add_person(
    connection: sqlite3.Connection,
    staff_no: str,
    level: str,
    channels: list[int],
    token: str,
    granted: frozenset[Permission] = ALL_PERMISSIONS,
) -> None:
    """Add an operator without a password, who is logged in with ``token``. Inside a transaction."""
    now, permissions = now_ms(), msgspec.json.encode(sorted(granted)).decode()
    connection.execute(
        "INSERT INTO operators (staff_no, name, level, channels, permissions, password_hash, must_change_password,"
        " created_ms) VALUES (?,?,?,?,?,'',0,?)",
        (staff_no, f"操作员 {staff_no}", level, msgspec.json.encode(channels).decode(), permissions, now),
    )
    connection.execute(
        "INSERT INTO sessions (token_hash, staff_no, address, created_ms, last_used_ms) VALUES (?,?,'',?,?)",
        (hashlib.sha256(token.encode()).hexdigest(), staff_no, now, now),
    )


def _staff_no(client: int) -> str:
    return f"B{client:04}"


def _number(index: int) -> str:
    return f"138{index:08}"


def write_event(connection: sqlite3.Connection, kind: str, row: dict[str, Any]) -> None:
    """Write a call and its event as recorders do. Inside a transaction of the store of calls."""
    names = ", ".join(row)
    renewed = ", ".join(f"{name} = excluded.{name}" for name in row)
    connection.execute(
        f"INSERT INTO calls ({names}) VALUES ({','.join('?' * len(row))}) ON CONFLICT (id) DO UPDATE SET {renewed}",
        list(row.values()),
    )
    event_log.append(connection, at_ms=now_ms(), kind=kind, channel=row["channel"], call_id=row["id"], data=row)


@dataclass(slots=True)
class Recorder:
    """Writes calls as recorders do, ``calls_per_s``, and a board that changes all the time. Thread: one of its own.

    ``committed_ns``: when the caller ID of a call was committed, by the monotonic clock, which all processes share.
    """

    home: Home
    size: Size
    calls_per_s: float
    committed_ns: dict[str, int] = field(default_factory=dict)
    channel_of: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin no more calls, and end those that run."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        db = open_store(self.home.calls_db)
        dice = random.Random(1)
        begun = time.monotonic()
        due: list[tuple[float, int, str, dict[str, Any]]] = []
        count, next_board = 0, begun
        while not self._stop.is_set() or due:
            now = time.monotonic()
            if now >= next_board:
                self._show_board({call["channel"] for *_, call in due}, dice)
                next_board = now + _BOARD_PERIOD_S
            next_call = begun + count / self.calls_per_s
            if not self._stop.is_set() and now >= next_call:
                call = self._call(dice)
                self._tell(db, "call_started", call)
                count += 1
                for step, (kind, after_s) in enumerate(_STEPS_S):
                    heapq.heappush(due, (next_call + after_s, count * 4 + step, kind, call))
            elif due and now >= due[0][0]:
                _, _, kind, call = heapq.heappop(due)
                self._advance(kind, call)
                self._tell(db, kind, call)
            else:
                time.sleep(min(0.005, max(0.0, min([next_call, *(due[0][:1] if due else [])]) - now)))
        db.conn.close()

    def _call(self, dice: random.Random) -> dict[str, Any]:
        now = now_ms()
        known = dice.random() < 0.5
        call: dict[str, Any] = {
            "id": uuid7(now), "channel": dice.randint(1, self.size.channels), "card_id": CARD,
            "direction": "incoming", "state": "ringing", "result": None, "caller_number": None, "started_ms": now,
            "answered_ms": None, "ended_ms": None, "ring_ms": 0, "talk_ms": 0, "simulated": 1,
        }  # fmt: skip
        self.channel_of[call["id"]] = call["channel"]
        call["next_number"] = _number(dice.randrange(KNOWN_CUSTOMERS) if known else dice.randrange(10**6, 10**7))
        return call

    def _advance(self, kind: str, call: dict[str, Any]) -> None:
        if kind == "caller_id":
            call |= {"caller_number": call["next_number"], "caller_key": match_key(call["next_number"], Site())}
        elif kind == "call_answered":
            call |= {"state": "talking", "answered_ms": now_ms(), "ring_ms": 3000}
        else:
            call |= {"state": "ended", "result": "answered", "ended_ms": now_ms(), "talk_ms": 5000}

    def _tell(self, db: Any, kind: str, call: dict[str, Any]) -> None:
        row = {name: value for name, value in call.items() if name != "next_number"}
        with write(db) as connection:
            write_event(connection, kind, row)
        if kind == "caller_id":
            self.committed_ns[row["id"]] = time.monotonic_ns()
        doorbell.ring(self.home.doorbells)

    def _show_board(self, busy: set[int], dice: random.Random) -> None:
        ports = [
            {
                "channel": number, "line": "present", "hook": "off" if number in busy else "on", "ringing": False,
                "volts": -48.0, "level_dbm0": round(dice.uniform(-40, -10), 1) if number in busy else -60.0,
                "recording": number in busy,
            }
            for number in range(1, self.size.channels + 1)
        ]  # fmt: skip
        status = {"card_id": CARD, "connected": True, "at_ms": now_ms(), "ports": ports}
        write_live(self.home.status / f"{CARD}.live", msgspec.json.encode(status))
