"""The power goes at any instant of an import: it is whole or nothing of it is to be seen, and a second try works.

All that a courier writes during an import is logged. Then, for many moments of that log, the disk is laid out as it may
be after a cut, and another courier is started on it.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import faulty_disk
import pytest
import sqlite_utils
from excel_office import customer, customers_book
from faulty_disk import FaultyDisk, Op
from power_cut import rebuild
from scripted import running, tapdeck, wait_until

from crm_client_api.courier.jobs import Job, add_job, answer_job, get_job, job_folder, wake_courier
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.customers import add_customer
from crm_client_api.domain.customers.record import Phone
from crm_client_api.domain.customers.search import Filter, list_customers
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level
from crm_client_api.domain.scope import RecordScope
from crm_client_api.excel.importing.run import UPLOAD
from firmware.config import Home
from firmware.durable import sync_folder
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.numbers import Site

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(faulty_disk.available()), reason=faulty_disk.available()),
]
KNOWN, NEW = 60, 400
IMPORTER = Actor("1000")
SETTLED = ("needs_answer", "done", "failed", "cancelled")


@dataclass(frozen=True)
class Logged:
    """An import from its upload to its end: the log of all that was written, and the job's number."""

    ops: Sequence[Op]
    job_id: int


@contextmanager
def _office(home: Home) -> Iterator[sqlite_utils.Database]:
    crm = open_store(home.crm_db)
    with closing(crm.conn):
        yield crm


def _import(folder: Path) -> Logged:
    """``/told/asked`` and ``/told/done`` are made when the job says so."""
    with FaultyDisk(folder) as disk:
        home, told = Home(disk.root / "home"), disk.root / "told"
        home.create()
        told.mkdir()
        migrate(home)
        with _office(home) as crm:
            boss = Operator(IMPORTER.staff_no, "王芳", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)
            add_operator(crm, boss, Actor(CONSOLE), grantor=None)
            known = [
                add_customer(crm, {"name": f"旧{i}", "note": "old"}, (Phone("", f"139{i:08}"),), IMPORTER, Site()).id
                for i in range(KNOWN)
            ]
            changed = [customer(id=key, name=f"改{i}", mobile1=f"139{i:08}") for i, key in enumerate(known)]
            new = [customer(name=f"新{i}", company="Acme 公司", mobile1=f"138{i:08}") for i in range(NEW)]
            job_id = _upload(home, crm, customers_book(*changed, *new))
            (told / "sent").touch()
            with running(tapdeck(home, "courier")):
                _settle(crm, job_id)
                (told / "asked").touch()
                answer_job(crm, job_id, IMPORTER, {"confirmed": True})
                wake_courier(home)
                assert _settle(crm, job_id).state == "done"
                (told / "done").touch()
        return Logged(disk.ops(), job_id)


def _upload(home: Home, crm: sqlite_utils.Database, book: bytes) -> int:
    """As the API takes a file."""
    with write(crm) as connection:
        job_id = add_job(
            connection, "import_customers", IMPORTER, {"language": "zh", "name": "名单.xlsx"}, ALL_PERMISSIONS
        )
        folder = job_folder(home, job_id)
        folder.mkdir(parents=True)
        with (folder / UPLOAD).open("xb") as file:
            file.write(book)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
    return job_id


def _settle(crm: sqlite_utils.Database, job_id: int) -> Job:
    """The job when it asks or is over."""

    def settled() -> Job | None:
        job = get_job(crm, job_id)
        return job if job.state in SETTLED else None

    found = wait_until(settled, 300, "the courier has done what it can")
    assert isinstance(found, Job)
    return found


def _seen(crm: sqlite_utils.Database) -> Counter[str]:
    """Customers that are to be seen, by the first character of their names; by 找 those that a search finds."""
    seen = Counter(str(row[0])[0] for row in crm.conn.execute("SELECT name FROM living_customers"))
    everything = RecordScope(everything=True)
    seen["找"] = len(list_customers(crm, Filter(text="acme", limit=NEW + 1), everything, Site()))
    return seen


WHOLE = Counter({"改": KNOWN, "新": NEW, "找": NEW})
NOTHING = Counter({"旧": KNOWN, "找": 0})


def _check(folder: Path, logged: Logged, cut: int, seed: int) -> str:
    """Cut the power after ``cut`` operations; what the job says after the next start."""
    where = f"cut {cut}, seed {seed}"
    disk = folder / f"cut-{cut}-{seed}"
    rebuild(logged.ops[:cut], disk, random.Random(seed))
    told = {op.path.rpartition("/")[2] for op in logged.ops[:cut] if op.kind == "create" and "/told/" in op.path}
    home = Home(disk / "home")
    home.create()
    migrate(home)  # as at every start of the box
    with _office(home) as crm:
        _is_intact(crm, where)
        at_once = _seen(crm)
        assert (at_once["新"], at_once["找"]) in ((0, 0), (NEW, NEW)), where
        assert "done" not in told or at_once == WHOLE, f"what was told to be done is gone, {where}"
        with running(tapdeck(home, "courier")):
            job = _settle(crm, logged.job_id)
            said = job.state
            if job.state == "needs_answer":
                assert job.result["question"] == "confirm", where
                assert job.result["counts"]["new"] == NEW, where
                assert _seen(crm) == NOTHING, where
                answer_job(crm, job.id, IMPORTER, {"confirmed": True})
                wake_courier(home)
                job = _settle(crm, job.id)
            assert (job.state, job.error) == ("done", None), where
        assert _seen(crm) == WHOLE, where
        assert not crm.conn.execute("SELECT 1 FROM imports WHERE finished_ms IS NULL").fetchone(), where
        _is_intact(crm, where)
    return f"{said} after {len(told)}"


def _is_intact(crm: sqlite_utils.Database, where: str) -> None:
    assert [row[0] for row in crm.conn.execute("PRAGMA integrity_check")] == ["ok"], where
    assert not crm.conn.execute("PRAGMA foreign_key_check").fetchall(), where


@pytest.mark.parametrize("cuts", [8, pytest.param(50, marks=pytest.mark.soak)])
def test_the_power_goes_at_any_instant_of_an_import(tmp_path: Path, cuts: int) -> None:
    logged = _import(tmp_path)
    sent, asked = (
        next(index for index, op in enumerate(logged.ops) if op.path == f"/told/{mark}") for mark in ("sent", "asked")
    )
    spans = [(sent + 1, asked), (asked + 1, len(logged.ops)), (asked + 1, len(logged.ops))]  # reading writes little
    dice = random.Random(cuts)
    outcomes = Counter(_check(tmp_path, logged, dice.randint(*spans[seed % 3]), seed) for seed in range(cuts))
    print(f"{len(logged.ops) - sent} instants; the job said: {dict(outcomes)}")
    assert {one.partition(" ")[0] for one in outcomes} == {"needs_answer", "done"}, "the cuts met one moment only"
