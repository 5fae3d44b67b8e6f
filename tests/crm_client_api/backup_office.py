"""An office that is worth a backup: people, customers, calls with recordings and evidence, keys, parameters.

A file of tests takes the fixtures that it needs: ``office, disk = backup_office.office, backup_office.disk``.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from crm_office import ROOT, Exchange, hire
from stick_office import StickOffice

from crm_client_api.backup.asking import BACKUP, wanted_at
from crm_client_api.backup.keys import make_key
from crm_client_api.backup.records import set_key
from crm_client_api.backup.restoring import Restored, restore
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.jobs import Job, add_job, get_job
from crm_client_api.courier.kinds import BACKUPS
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.stores import open_stores
from firmware.clock import now_ms
from firmware.config import Home
from firmware.parameters import set_value
from firmware.store.connection import open_store, write
from recorder.library.audio.vault_keys import own_device_key

sys.path.append(str(Path(__file__).parents[1] / "recorder"))

from test_cutter import Office  # noqa: F401  the recorder's own office, with the real cutter

PASSPHRASE = "正确的马 battery staple"
CHEAP_LOG2_N = 10


@contextmanager
def office_in(home: Home) -> Iterator[StickOffice]:
    """People, a customer, two channels, a parameter, keys of the vault, and the key of backups."""
    exchange = Exchange(home)
    crm = open_store(home.crm_db)
    with closing(crm.conn), closing(exchange):
        hire(crm, "1", "super")
        hire(crm, "2", "ordinary", channels=(1,))
        exchange.wire(1, 2)
        with write(crm) as connection:
            connection.execute(
                "INSERT INTO customers (name, company, title, category, level, note, author, owner, created_ms,"
                " changed_ms) VALUES ('张三', '远大公司', '', '', '', 'likes tea', '1', '1', 1, 1)"
            )
        set_value(crm, "system", "site_area_code", "021", changed_by="1")
        set_key(crm, make_key(PASSPHRASE, CHEAP_LOG2_N), ROOT)
        (home.root / "cards.json").write_text("{}")
        own_device_key(home)
        office = StickOffice(home, exchange)
        with closing(office):
            yield office


@pytest.fixture
def office(home: Home) -> Iterator[StickOffice]:
    with office_in(home) as one:
        yield one


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A second disk, empty."""
    folder = tmp_path / "第二块盘"
    folder.mkdir()
    return folder


@pytest.fixture
def blank(tmp_path: Path) -> Home:
    """Where a backup can be brought back."""
    return Home(tmp_path / "blank")


def ask_for(home: Home, address: str, *, recordings: bool = False) -> int:
    """Ask for a backup; the job's number."""
    stores = open_stores(home)
    with closing(stores):
        wanted = msgspec.to_builtins(wanted_at(address, recordings=recordings))
        with write(stores.crm) as connection:
            return add_job(connection, BACKUP, Actor(CONSOLE), wanted, frozenset())


def job_of(home: Home, job_id: int) -> Job:
    crm = open_store(home.crm_db)
    with closing(crm.conn):
        return get_job(crm, job_id)


def back_up(home: Home, address: str, *, recordings: bool = False) -> Job:
    """Make a backup with a daemon of this moment; the job as it ended."""
    job_id = ask_for(home, address, recordings=recordings)
    Courier(home, BACKUPS).turn()
    return job_of(home, job_id)


def file_of(folder: Path, job: Job) -> Path:
    assert job.state == "done", (job.error_code, job.error, job.held)
    return folder / "tapdeck-backup" / job.result["name"]


def bring_back(home: Home, file: Path, passphrase: str = PASSPHRASE, *, replace: bool = False) -> Restored:
    return restore(home, file, passphrase, replace=replace, told=lambda *_: None)


def files_below(folder: Path) -> list[str]:
    """All files but locks and sockets of what runs."""
    return sorted(
        str(one.relative_to(folder))
        for one in folder.rglob("*")
        if one.is_file() and one.relative_to(folder).parts[0] != "run"
    )


def rows_of(store: Path, without: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
        ]
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
            for name in names
            if name not in without
        }


def tomorrow_ms(days: int = 1) -> int:
    return now_ms() + days * 86_400_000
