"""``tapdeck bench backup``: a box of many calls backed up, and brought back onto a new one."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from crm_client_api.backup.asking import BACKUP, wanted_at
from crm_client_api.backup.contents import STORES
from crm_client_api.backup.keys import make_key
from crm_client_api.backup.places import FOLDER
from crm_client_api.backup.records import set_key
from crm_client_api.backup.restoring import restore
from crm_client_api.bench.seed import seed
from crm_client_api.bench.seed_calls import DAY_MS, Size
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.jobs import add_job, get_job
from crm_client_api.courier.kinds import BACKUPS
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.stores import open_stores
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BoxError
from firmware.store.connection import write

GOAL_S = 900.0
"""Backup and restore of 100,000 calls together."""
_MANIFEST_BYTES = 4_000  # of a call of a minute
_A_FOLDER = 500
_TABLES = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name <> 'sqlite_schema'"
_MOVED_ON = ("meta", "sessions", "jobs", "audit", "events", "backups", "backup_recordings", "sqlite_sequence")


class Figures(msgspec.Struct, frozen=True):
    """Seconds, bytes; ``differences``: tables of the stores whose rows are not the same afterwards, and files."""

    calls: int
    manifests: int
    store_bytes: int
    backup_bytes: int
    backup_s: float
    restore_s: float
    differences: list[str]

    @property
    def good(self) -> bool:
        """Whether everything came back in time."""
        return not self.differences and self.backup_s + self.restore_s <= GOAL_S


def measure(calls: int, manifests: bool, place: Path | None, say: Callable[[str], None]) -> Figures:
    """Make a home, back it up, restore it into a new one, compare. Raises BoxError."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-", dir=place) as root:
        midnight_ms = now_ms() // DAY_MS * DAY_MS - DAY_MS // 3
        size = Size(calls, max(1, calls // 10), calls // 3, 32, 365, midnight_ms, 1)
        say(f"makes {calls} calls")
        home = seed(Path(root) / "home", size, lambda what, done, whole: None)
        count = _add_manifests(home, calls) if manifests else 0
        passphrase, target = secrets.token_urlsafe(24), Path(root) / "second disk"
        target.mkdir()
        say("makes the backup")
        begun_s = time.monotonic()
        name = _back_up(home, target, passphrase)
        backup_s = time.monotonic() - begun_s
        say(f"{backup_s:.1f} s; restores it into a new home")
        new = Home(Path(root) / "new")
        file = target / FOLDER / name
        begun_s = time.monotonic()
        restore(new, file, passphrase, replace=False, told=lambda what, done, whole: None)
        restore_s = time.monotonic() - begun_s
        say(f"{restore_s:.1f} s; compares")
        stores = sum((home.root / one).stat().st_size for one in STORES)
        return Figures(calls, count, stores, file.stat().st_size, backup_s, restore_s, _differences(home, new))


def _add_manifests(home: Home, count: int) -> int:
    """Papers as a recorder leaves them, as large and as hard to compress."""
    for first in range(0, count, _A_FOLDER):
        folder = home.recordings / "2026" / f"{first:07d}"
        folder.mkdir(parents=True)
        for number in range(first, min(first + _A_FOLDER, count)):
            (folder / f"{number:07d}.json").write_text(f'{{"seconds":"{os.urandom(_MANIFEST_BYTES // 2).hex()}"}}')
    return count


def _back_up(home: Home, target: Path, passphrase: str) -> str:
    stores = open_stores(home)
    with closing(stores):
        set_key(stores.crm, make_key(passphrase), Actor(CONSOLE))
        wanted = msgspec.to_builtins(wanted_at(target.as_uri(), recordings=False))
        with write(stores.crm) as connection:
            job_id = add_job(connection, BACKUP, Actor(CONSOLE), wanted, frozenset())
        courier = Courier(home, BACKUPS)
        courier.turn()
        courier.close()
        job = get_job(stores.crm, job_id)
        if job.state != "done":
            raise BoxError(f"the backup did not end well: {job.state} {job.error}")
        return str(job.result["name"])


def _differences(home: Home, new: Home) -> list[str]:
    found = [name for store in STORES for name in _other_tables(home.root / store, new.root / store)]
    papers = {one.relative_to(home.recordings): one for one in home.recordings.rglob("*.json")}
    for place, paper in papers.items():
        other = new.recordings / place
        if not other.is_file() or other.read_bytes() != paper.read_bytes():
            found.append(str(place))
    return found


def _other_tables(one: Path, other: Path) -> list[str]:
    """Tables whose rows differ, either way."""
    with closing(sqlite3.connect(one)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        names = [str(row[0]) for row in connection.execute(_TABLES) if str(row[0]) not in _MOVED_ON]
        return [
            name
            for name in names
            if any(
                connection.execute(
                    f'SELECT 1 FROM (SELECT * FROM {a}."{name}" EXCEPT SELECT * FROM {b}."{name}")'
                ).fetchone()
                for a, b in (("main", "other"), ("other", "main"))
            )
        ]
