"""A consistent copy of a store that is in use: SQLite's online backup within one read transaction, in small steps.

The read transaction shows one moment of the store however long the copy takes, so writers neither wait nor make it
begin anew; meanwhile only the write-ahead log grows.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from firmware.errors import StoreError

_STEP_PAGES = 512
"""2 MiB: a step keeps the disk busy for some milliseconds."""
_LONGEST_REST_S = 0.05


def snapshot(stores: Sequence[Path], folder: Path, told: Callable[[int, int], None]) -> None:
    """Copy stores into ``folder`` under their own names, all as they were at nearly the same moment, in this order.

    ``told``: how many pages are there, of how many; what it raises ends the copy. Raises StoreError.
    """
    with ExitStack() as opened:
        sources = [_as_it_is_now(opened, path) for path in stores]
        all_pages = sum(int(one.execute("PRAGMA page_count").fetchone()[0]) for one in sources)
        before = 0
        for path, source in zip(stores, sources, strict=True):
            _copy(source, folder / path.name, partial(_tell, told, before, all_pages))
            before += int(source.execute("PRAGMA page_count").fetchone()[0])


def _tell(told: Callable[[int, int], None], before: int, all_pages: int, done: int) -> None:
    told(before + done, all_pages)


def _as_it_is_now(opened: ExitStack, path: Path) -> sqlite3.Connection:
    try:
        source = opened.enter_context(closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)))
        source.execute("PRAGMA busy_timeout = 5000").fetchall()
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the transaction begins with what it reads
        return source
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error


def _copy(source: sqlite3.Connection, target: Path, told: Callable[[int], None]) -> None:
    begun_s = time.monotonic()

    def step(_status: int, left: int, pages: int) -> None:
        nonlocal begun_s
        told(pages - left)
        time.sleep(min((time.monotonic() - begun_s) / 2, _LONGEST_REST_S))
        begun_s = time.monotonic()

    try:
        with closing(sqlite3.connect(target)) as copy:
            source.backup(copy, pages=_STEP_PAGES, progress=step)
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, with nothing beside it
    except sqlite3.Error as error:
        raise StoreError(f"{target}: {error}") from error


def look_through(store: Path) -> Mapping[str, int]:
    """The rows of every table of a store that nobody else uses. Raises StoreError: it is not sound."""
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
            if said != ["ok"]:
                raise StoreError(f"{store.name}: {said[0]}")
            names = [
                str(row[0])
                for row in connection.execute(
                    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                    " AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
                )
            ]
            return {name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in names}
    except sqlite3.Error as error:
        raise StoreError(f"{store.name}: {error}") from error


def applied_steps(store: Path) -> list[tuple[str, str]]:
    """The steps of its schema that a store has had. Raises StoreError."""
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT migration_set, name FROM _sqlite_migrations ORDER BY migration_set, name")
            return [(str(row[0]), str(row[1])) for row in rows]
    except sqlite3.Error as error:
        raise StoreError(f"{store.name}: {error}") from error


def unfinished_jobs(crm: Path) -> list[str]:
    """The jobs that have taken effect and go on to their end, which need their files for it. Raises StoreError."""
    try:
        with closing(sqlite3.connect(f"{crm.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT id FROM jobs WHERE phase = 'applying' AND state IN ('waiting', 'running')"
            )
            return [str(row[0]) for row in rows]
    except sqlite3.Error as error:
        raise StoreError(f"{crm.name}: {error}") from error
