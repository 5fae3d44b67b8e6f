"""The office that ``bench page`` looks at: two people, channels that all talk, and a list of a million customers."""

from __future__ import annotations

import json
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from crm_client_api.bench.push_office import CARD, Size, add_person, furnish, write_event
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level, Permission
from firmware.clock import now_ms, uuid7
from firmware.config import Home
from firmware.live_file import write_live
from firmware.parameters import set_value
from firmware.store.connection import open_store, write

if TYPE_CHECKING:
    from playwright.sync_api import Route

STAFF_NO, PASSWORD = "1", "a long night shift"
"""Who logs in with a password, and gets the pop-ups."""
_WATCHER = "2"
_BOARD_PERIOD_S = 0.25
_TEXTS = (
    "gender", "title", "wechat", "email", "region", "address", "postcode", "status", "source", "note", "consent",
)  # fmt: skip


def furnish_page(home: Home, channels: int) -> str:
    """Fill a fresh home; returns the session token of somebody who sees every channel and gets no pop-ups."""
    furnish(home, Size(1, channels, 1))
    token = secrets.token_urlsafe(32)
    crm = open_store(home.crm_db)
    operator = Operator(STAFF_NO, "Bench", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)
    add_operator(crm, operator, Actor(CONSOLE), grantor=None, password=PASSWORD)
    with write(crm) as connection:
        connection.execute("UPDATE operators SET must_change_password = 0 WHERE staff_no = ?", (STAFF_NO,))
        add_person(connection, _WATCHER, "super", [], token, ALL_PERMISSIONS - {Permission.NET_POPUP})
    set_value(crm, "system", "setup_done", True)
    crm.conn.close()
    return token


@contextmanager
def everybody_talks(home: Home, channels: int) -> Iterator[None]:
    """A call runs on every channel; levels and voltages change four times a second."""
    db = open_store(home.calls_db)
    with write(db) as connection:
        for number in range(1, channels + 1):
            at_ms = now_ms()
            call = {
                "id": uuid7(at_ms), "channel": number, "card_id": CARD, "direction": "incoming", "state": "talking",
                "caller_number": f"139{number:08}", "started_ms": at_ms, "answered_ms": at_ms, "ring_ms": 0,
                "talk_ms": 0, "simulated": 1,
            }  # fmt: skip
            write_event(connection, "call_answered", call)
    db.conn.close()
    stop = threading.Event()
    talking = threading.Thread(target=_talk, args=(home, channels, stop), name="talking", daemon=True)
    talking.start()
    try:
        yield
    finally:
        stop.set()
        talking.join()


def _talk(home: Home, channels: int, stop: threading.Event) -> None:
    dice = random.Random(1)
    while not stop.wait(_BOARD_PERIOD_S):
        ports = [
            {
                "channel": number, "line": "present", "hook": "off", "ringing": False, "recording": True,
                "volts": round(7 + dice.uniform(-0.3, 0.3), 1), "level_dbm0": round(dice.uniform(-55, -5), 1),
            }
            for number in range(1, channels + 1)
        ]  # fmt: skip
        status = {"card_id": CARD, "connected": True, "at_ms": now_ms(), "ports": ports}
        write_live(home.status / f"{CARD}.live", msgspec.json.encode(status))


def customers_of(count: int) -> Callable[[Route], None]:
    """Answers as the API does that has ``count`` customers."""

    def answer(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        begin, limit = int(query.get("after", ["0"])[0]), int(query["limit"][0])
        end = min(begin + limit, count)
        back = "backwards" in query
        page = {
            "customers": [_customer(count - 1 - number if back else number) for number in range(begin, end)],
            "next": str(end) if end < count else None,
        }
        route.fulfill(status=200, content_type="application/json", body=json.dumps(page))

    return answer


def _customer(number: int) -> dict[str, Any]:
    return {
        **dict.fromkeys(_TEXTS, ""),
        "id": str(number + 1),
        "name": f"客户{number}",
        "company": f"某某贸易公司{number % 977}",
        "category": "老客户",
        "level": "A",
        "phones": [{"number": f"138{number:08d}", "label": "", "kind": "mobile", "e164": f"+86138{number:08d}"}],
        "tags": ["重点"],
        "custom": {},
        "next_contact_at": None,
        "author": STAFF_NO,
        "owner": STAFF_NO,
        "created_at": "2026-11-03T08:00:00.000Z",
        "changed_at": "2026-11-03T08:00:00.000Z",
    }
