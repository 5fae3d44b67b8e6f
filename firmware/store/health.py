"""Whether a store file is sound, found out in bounded time.

A store is damaged when SQLite says that it is malformed or no database, or when a page of it cannot be read. One
that is locked, forbidden or on a full disk is not damaged, and nobody may put another in its place.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from firmware.durable import write_whole
from firmware.errors import StoreError

ABSENT = "it is not there"
EMPTY = "it has no tables"

_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_UNREADABLE = frozenset((sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS))
_STEPS_BETWEEN_LOOKS = 10_000


@dataclass(frozen=True, slots=True)
class Health:
    """``damage``: what is wrong, None when nothing was found. ``complete``: every page was looked at."""

    damage: str | None
    complete: bool


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is damaged, rather than locked, forbidden or on a full disk."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGE or code in _UNREADABLE


def examine(path: Path, enough: Callable[[], bool]) -> Health:
    """Look at a store file, its smallest tables first, until all of it is seen or ``enough``. Changes nothing.

    Raises StoreError: it cannot be opened or read for another reason than damage.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            tables = _tables(connection)
            if not tables:
                return Health(EMPTY, True)
            connection.set_progress_handler(enough, _STEPS_BETWEEN_LOOKS)
            for table in tables:
                if enough():
                    return Health(None, False)
                for (said,) in connection.execute(f"PRAGMA quick_check('{table}')"):
                    if said != "ok":
                        return Health(said, False)
            return Health(None, True)
    except sqlite3.Error as error:
        if is_damage(error):
            return Health(str(error), False)
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return Health(None, False)
        raise StoreError(f"{path}: {error}") from error


def examine_for(path: Path, seconds: float) -> Health:
    """As ``examine``, for so long at most. SQLite looks at a table's pages in one step that nothing interrupts, so the
    look is left behind on its thread, to end with that table or with the process.
    """
    over = threading.Event()
    found: list[Health | StoreError] = []

    def look() -> None:
        try:
            found.append(examine(path, over.is_set))
        except StoreError as error:
            found.append(error)

    thread = threading.Thread(target=look, name="examining", daemon=True)
    thread.start()
    thread.join(seconds)
    over.set()
    seen = found[0] if found else Health(None, False)
    if isinstance(seen, StoreError):
        raise seen
    return seen


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Tables with those first that have the fewest rows ever given."""
    rows: dict[str, int] = {}
    # A virtual table (full text) has no pages of its own: its shadow tables have, and some of those no row numbers.
    for name, without_rowid in connection.execute(
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')"
        " AND name <> 'sqlite_schema'"
    ).fetchall():
        if without_rowid:
            rows[name] = sys.maxsize
        else:
            rows[name] = int(connection.execute(f'SELECT max(rowid) FROM "{name}"').fetchone()[0] or 0)
    return sorted(rows, key=rows.__getitem__)


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def mark_damaged(path: Path, damage: str) -> None:
    """Note beside a store that it is damaged: whoever starts the box next must not use it. Raises StoreError."""
    write_whole(_mark(path), damage.encode())


def marked_damage(path: Path) -> str | None:
    """What was noted about a store. Raises StoreError."""
    try:
        return _mark(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{_mark(path)}: {error.strerror}") from error


def clear_mark(path: Path) -> None:
    """The store at ``path`` is another one now. Raises OSError."""
    _mark(path).unlink(missing_ok=True)
