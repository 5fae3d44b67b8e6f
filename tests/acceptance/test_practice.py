"""Practice beside a real line: made-up calls are recorded and pop up, marked; the real line loses nothing; then it ends
as if it had never been.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from office import Box, Person, Watcher, office
from scripted import wait_until

from drivers.exchange.calls import IncomingCall
from drivers.exchange.script import Script
from firmware.config import Home
from firmware.store.connection import open_store
from recorder.library.evidence.public_key import read_public_device

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(600)]
TALK_S = 45.0
REAL = "13800138000"


def rows(home: Home, query: str) -> list[dict[str, Any]]:
    db = open_store(home.calls_db, readonly=True)
    try:
        return [dict(row) for row in db.query(query)]
    finally:
        db.conn.close()


def daemons(box: Box) -> list[str]:
    found = []
    for process in psutil.Process(box.process.pid).children(recursive=True):
        try:
            found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def of_practice(box: Box) -> list[str]:
    return [line for line in daemons(box) if " exchange --link " in line or " --simulated" in line]


def signed_by(home: Home, recording: dict[str, Any]) -> tuple[str, bool]:
    manifest = json.loads((home.recordings / recording["path"]).with_suffix(".json").read_bytes())["manifest"]
    return manifest["device"], manifest["simulated"]


def test_practice_beside_a_real_line(home: Home, tmp_path: Path) -> None:
    script = Script(1, (IncomingCall(0, 80.0, REAL, answer_after_s=5.0, talk_s=TALK_S),), 7)
    with office(home, tmp_path / "card", script) as (box, _exchange):
        person = Person(box.url, *box.one_time_password())
        wait_until(lambda: [one for one in person.call("GET", "/channels")["channels"] if one["line"] == "present"], 40,
                   "the real line")  # fmt: skip
        assert person.call("GET", "/practice") | {"needed": True, "until": None} == person.call("GET", "/practice")
        recorder = box.daemon("recorder", "desk").pid
        watcher = Watcher(person)
        assert person.call("PUT", "/practice", {"minutes": 30, "lines": 8})["lines"] == 8

        def made_up_popups() -> list[Any]:
            return [one for one in watcher.of("popup") if one["call"]["simulated"]]

        practised = wait_until(made_up_popups, 120, "a pop-up of practice")[0]["call"]
        cards = {one["simulated"]: one for one in person.call("GET", "/cards")["cards"]}
        assert cards[False]["connected"]
        assert cards[True]["connected"]
        channels = {one["number"]: one["simulated"] for one in person.call("GET", "/channels")["channels"]}
        assert len(channels) == 9
        assert channels[practised["channel"]]
        ready = "SELECT * FROM recordings WHERE simulated = {} AND state = 'ready' AND kind = 'call'"
        made_up = wait_until(lambda: rows(home, ready.format(1)), 200, "a recording of practice")[0]
        (real,) = wait_until(lambda: rows(home, ready.format(0)), 200, "the recording of the real call")
        assert signed_by(home, made_up) == (read_public_device(home, True), True)
        assert signed_by(home, real) == (read_public_device(home, False), False)
        assert read_public_device(home, True) != read_public_device(home, False)
        assert {one.parent.name for one in home.evidence.glob(f"*/{cards[True]['card_id']}.log")} == {"practice"}
        assert real["missing_samples"] == 0
        (call,) = rows(home, "SELECT * FROM calls WHERE simulated = 0")
        assert (call["caller_number"], call["result"], call["end_reason"]) == (REAL, "answered", "on_hook")
        assert person.call("GET", f"/calls/{call['id']}/popup")["call"]["simulated"] is False, "it popped up"
        assert abs(call["talk_ms"] - TALK_S * 1000) <= 100
        assert of_practice(box)
        person.call("DELETE", "/practice")
        wait_until(lambda: not of_practice(box), 30, "the processes of practice are gone")
        watcher.stop()
        assert {one["simulated"] for one in person.call("GET", "/channels")["channels"]} == {False}
        assert [one["simulated"] for one in person.call("GET", "/cards")["cards"]] == [False]
        assert not os.path.lexists(home.run / "exchange.tty")
        assert {one["subject"] for one in person.call("GET", "/daemons")["daemons"]} & {cards[True]["card_id"]} == set()
        told = person.call("GET", "/statistics/calls?from=2020-01-01&to=2029-12-31&by=month")
        assert told["total"]["calls"] == 1
        wait_until(lambda: not rows(home, "SELECT 1 FROM calls WHERE state <> 'ended'"), 200, "its calls have ended")
        assert rows(home, "SELECT * FROM alarms") == []
        assert box.daemon("recorder", "desk").pid == recorder, "the real card's recorder was never touched"
