"""Daemons that are killed at random moments, again and again, make the same day of it as ones that never were."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from scripted import assert_day_is_exact, end, mixed_day, recorder, running, settled, tapdeck, wait_until

from crm_client_api.courier.jobs import add_job
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level
from drivers.exchange.script import dump_script
from firmware.config import Home
from firmware.store.connection import open_store, write
from recorder.library.archive.office import add_place

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]
KILLS = 12
DAYS = 17
"""With --soak: over two hundred kills of recorders in all."""
OTHERS = {"keeper": ("keeper", "--no-exchange"), "api": ("api", "--port", "0"), "courier": ("courier",)}
ASKER = Actor("1000")


def _kill_now_and_then(home: Home, port: Path, exchange: subprocess.Popen[bytes], dice: random.Random) -> int:
    """Kill recorders until ``KILLS`` were killed or the day is over; returns how many were."""
    killed = 0
    while killed < KILLS and exchange.poll() is None:
        with running(recorder(home, port, "--simulated", "--simulated-time")) as victim:
            time.sleep(dice.uniform(0.3, 2.2))
            if exchange.poll() is None:
                victim.kill()
                killed += 1
    return killed


def _ask(home: Home) -> None:
    """Ask the courier for a workbook of all calls."""
    crm = open_store(home.crm_db)
    with closing(crm.conn), write(crm) as connection:
        add_job(connection, "export_calls", ASKER, {"language": "zh"}, ALL_PERMISSIONS)


@contextmanager
def _others_killed_too(home: Home, dice: random.Random) -> Iterator[Counter[str]]:
    """Keeper, API and courier at work beside the recorder, one of them killed every few seconds and started again."""
    killed: Counter[str] = Counter()
    over = threading.Event()

    def kill() -> None:
        alive = {name: tapdeck(home, *argv) for name, argv in OTHERS.items()}
        while not over.wait(dice.uniform(0.5, 2.5)):
            name = dice.choice(sorted(OTHERS))
            alive[name].kill()
            alive[name].wait()
            killed[name] += 1
            _ask(home)
            alive[name] = tapdeck(home, *OTHERS[name])
        for process in alive.values():
            end(process)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def _office(home: Home, archive: Path) -> None:
    """Work for keeper and courier: an archive, and somebody who asks for workbooks."""
    archive.mkdir()
    calls, crm = open_store(home.calls_db), open_store(home.crm_db)
    with closing(calls.conn), closing(crm.conn):
        add_place(calls, crm, "second", f"file://{archive}", required=True, by="1000")
        boss = Operator(ASKER.staff_no, "王芳", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)
        add_operator(crm, boss, Actor(CONSOLE), grantor=None)


def _count(home: Home, store: str, query: str) -> int:
    db = open_store(home.root / store, readonly=True)
    with closing(db.conn):
        return int(db.conn.execute(query).fetchone()[0])


def _others_finish(home: Home, archive: Path) -> None:
    """What was asked for before and between the kills is done: every copy, every workbook."""
    _ask(home)
    uncopied = (
        "SELECT count(*) FROM recordings r WHERE state = 'ready' AND NOT EXISTS"
        " (SELECT 1 FROM archive_copies WHERE recording_id = r.id AND target = 'second' AND state = 'verified')"
    )
    undone = "SELECT count(*) FROM jobs WHERE state <> 'done'"
    with ExitStack() as alive:
        daemons = [alive.enter_context(running(tapdeck(home, *argv))) for argv in OTHERS.values()]
        wait_until(lambda: not _count(home, "calls.db", uncopied), 120, "everything is archived")
        wait_until(lambda: not _count(home, "crm.db", undone), 60, "every job is done")
        assert [daemon.poll() for daemon in daemons] == [None] * len(OTHERS)
    for recording in home.recordings.rglob("*.flac"):
        assert (archive / recording.relative_to(home.recordings)).read_bytes() == recording.read_bytes()
    workbooks = len(list((home.root / "jobs").rglob("export.xlsx")))
    assert workbooks == _count(home, "crm.db", "SELECT count(*) FROM jobs")


def _everything_verifies(home: Home) -> None:
    for store in ("calls.db", "crm.db"):
        assert _count(home, store, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") == 0
    argv = [sys.executable, "-m", "firmware", "--home", str(home.root), "verify", "--all", "--json"]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    findings = [json.loads(line) for line in said.stdout.splitlines()]
    assert findings, said.stderr
    summary = findings[-1]["summary"]
    assert summary["errors"] == 0, (findings, said.stderr)
    assert summary["manifests"] >= _count(home, "calls.db", "SELECT count(*) FROM recordings WHERE state = 'ready'") > 0


@pytest.mark.parametrize("day", [0, *(pytest.param(day, marks=pytest.mark.soak) for day in range(1, DAYS))])
def test_random_kills_change_nothing(home: Home, tmp_path: Path, day: int) -> None:
    script = mixed_day(400, seed=99 + day)
    file, link, archive = tmp_path / "script.json", tmp_path / "line-card", tmp_path / "second"
    file.write_text(dump_script(script))
    _office(home, archive)
    argv = ("--link", str(link), "--speed", "max", "--script", str(file), "--exit-when-done")
    with running(tapdeck(home, "exchange", *argv)) as exchange:
        wait_until(lambda: os.path.lexists(link), 60, "the emulated card's port")
        with _others_killed_too(home, random.Random(1000 + day)) as killed_too:
            killed = _kill_now_and_then(home, link, exchange, random.Random(5 + day))
            with running(recorder(home, link, "--simulated", "--simulated-time")):
                wait_until(lambda: exchange.poll() is not None, 240, "the exchange's day is over")
                settled(home)
    print(f"killed: recorder {killed}, {dict(killed_too)}")
    assert killed >= (KILLS if day else KILLS // 2), "the day was over too soon for this test"
    assert all(killed_too[name] for name in OTHERS), f"not everybody was killed: {killed_too}"
    assert_day_is_exact(home, script)
    _others_finish(home, archive)
    _everything_verifies(home)
