"""What an import will do, in a SQLite file of its job's folder: written once while reading, then only read."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crm_client_api.excel.importing.reasons import Problem
from firmware.durable import sync_folder
from firmware.errors import StoreError, StoreFull

_STATEMENTS = (
    "CREATE TABLE rows (n INTEGER PRIMARY KEY, sheet TEXT NOT NULL, row INTEGER NOT NULL, kind TEXT NOT NULL,"
    " record INTEGER, data BLOB NOT NULL, key TEXT) STRICT",
    "CREATE TABLE problems (n INTEGER NOT NULL, sheet TEXT NOT NULL, row INTEGER NOT NULL, field TEXT NOT NULL,"
    " code TEXT NOT NULL, detail TEXT NOT NULL, wrong INTEGER NOT NULL) STRICT",
    # used: a row of the main sheet has this key. code: why the row cannot be taken, "" if it can.
    "CREATE TABLE further (key TEXT NOT NULL, number TEXT NOT NULL, label TEXT NOT NULL, code TEXT NOT NULL,"
    " sheet TEXT NOT NULL, row INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) STRICT",
    "CREATE TABLE custom (key TEXT NOT NULL, data BLOB NOT NULL, sheet TEXT NOT NULL, row INTEGER NOT NULL,"
    " used INTEGER NOT NULL DEFAULT 0) STRICT",
    # E.164 without its plus: the row of the file in which a new record first has the number.
    "CREATE TABLE numbers (number INTEGER PRIMARY KEY, row INTEGER NOT NULL) STRICT",
)
_CACHE_KIB = 32_768
GONE = Problem("id", "record_gone")
"""Of a row whose record, or whose customer, went between the preview and the import."""
CLASH = "record_clash"
"""The code of a row that makes no sense together with what somebody changed since the preview."""


@dataclass(frozen=True, slots=True)
class Staged:
    """One row of the file that does something. ``kind``: new, known, changed, restored or wrong; ``record`` an existing
    id. Known: new, with a number that a customer has already.
    """

    n: int
    sheet: str
    row: int
    kind: str
    record: int | None
    data: bytes


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to stage; see ``Staged``. ``key``: of a wrong row the number that it has."""

    sheet: str
    row: int
    kind: str
    record: int | None
    data: bytes
    problems: Sequence[Problem]
    key: str | None = None


class Stage:
    """The file. Its rows count from 1 in the order of reading. Raises StoreError, StoreFull."""

    def __init__(self, file: Path, *, new: bool) -> None:
        self._file = file
        if new:
            file.unlink(missing_ok=True)
        self.connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        if new:
            self.connection.execute("PRAGMA journal_mode = OFF")  # killed while reading: it is written anew
            self.connection.execute("PRAGMA synchronous = OFF")
            self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            for statement in _STATEMENTS:
                self.connection.execute(statement)
            self.connection.execute("BEGIN")
        self._n = 0

    def add(self, rows: Iterable[NewRow]) -> None:
        """Stage rows in the order of the file."""
        numbered = list(enumerate(rows, self._n + 1))
        self._n += len(numbered)
        try:
            self.connection.executemany(
                "INSERT INTO rows VALUES (?,?,?,?,?,?,?)",
                [(n, one.sheet, one.row, one.kind, one.record, one.data, one.key) for n, one in numbered],
            )
            for n, one in numbered:
                for problem in one.problems:
                    self._problem(n, *(problem.place or (one.sheet, one.row)), problem)
        except sqlite3.Error as error:
            raise _translated(error) from error

    def _problem(self, n: int, sheet: str, row: int, one: Problem) -> None:
        self.connection.execute(
            "INSERT INTO problems VALUES (?,?,?,?,?,?,?)",
            (n, sheet, row, one.column, one.code, one.detail, one.wrong),
        )

    def note(self, sheet: str, row: int, problem: Problem) -> None:
        """Keep a problem of a row that is not staged."""
        try:
            self._problem(0, sheet, row, problem)
        except sqlite3.Error as error:
            raise _translated(error) from error

    def note_late(self, rows: Sequence[tuple[int, Problem]]) -> None:
        """Keep that rows (by ``n``) do nothing, for what happened since the preview. Said twice, it counts once."""
        try:
            self.connection.execute("BEGIN")
            self.connection.executemany(
                "INSERT INTO problems SELECT 0, r.sheet, r.row, ?1, ?2, ?3, 1 FROM rows r WHERE r.n = ?4 AND NOT EXISTS"
                " (SELECT 1 FROM problems WHERE (n, sheet, row, code) = (0, r.sheet, r.row, ?2))",
                [(why.column, why.code, why.detail, n) for n, why in rows],
            )
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _translated(error) from error

    def late(self) -> Counter[str]:
        """How many rows were noted so, by what they would have done."""
        rows = self.connection.execute(
            "SELECT kind, count(*) FROM problems p JOIN rows r ON (r.sheet, r.row) = (p.sheet, p.row)"
            " WHERE p.n = 0 AND p.code IN (?, ?) GROUP BY kind",
            (GONE.code, CLASH),
        )
        return Counter(dict(rows))

    def first_rows_of(self, numbers: Sequence[tuple[str, int]]) -> dict[str, int]:
        """For each E.164 number, given with the row that has it, the row that had it first: this one or an earlier."""
        wanted = {int(number): number for number, _ in numbers}
        self.connection.executemany(
            "INSERT OR IGNORE INTO numbers VALUES (?,?)", [(int(number), row) for number, row in numbers]
        )
        rows = self.connection.execute(
            f"SELECT number, row FROM numbers WHERE number IN ({','.join('?' * len(wanted))})", tuple(wanted)
        )
        return {wanted[number]: row for number, row in rows}

    def finish(self) -> None:
        """Make it durable: from now on a crash finds it whole."""
        try:
            self.connection.execute("CREATE INDEX wrong_keys ON rows (key) WHERE kind = 'wrong'")
            self.connection.execute("COMMIT")
            self.connection.close()
            descriptor = os.open(self._file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self._file.parent)
        except (sqlite3.Error, OSError) as error:
            raise _translated(error) from error

    def after(self, n: int, kinds: Sequence[str], limit: int) -> list[Staged]:
        """The next rows of some kinds behind row ``n``."""
        rows = self.connection.execute(
            f"SELECT n, sheet, row, kind, record, data FROM rows WHERE n > ? AND kind IN ({','.join('?' * len(kinds))})"
            " ORDER BY n LIMIT ?",
            (n, *kinds, limit),
        )
        return [Staged(*row) for row in rows]

    def problems(self, limit: int, *, n: int | None = None) -> Iterator[tuple[str, int, Problem]]:
        """Problems with sheet and row, those of wrong rows first, or only those of staged row ``n``."""
        rows = self.connection.execute(
            "SELECT sheet, row, field, code, detail, wrong FROM problems WHERE n = coalesce(?, n)"
            " ORDER BY wrong DESC, code IN (?, ?) DESC, rowid LIMIT ?",
            (n, GONE.code, CLASH, limit),
        )
        return ((row[0], row[1], Problem(row[2], row[3], row[4], bool(row[5]))) for row in rows)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _translated(error: Exception) -> StoreError:
    text = str(error)
    return StoreFull(text) if "full" in text or "No space" in text else StoreError(text)


def packed(value: object) -> bytes:
    """A value as a staged row keeps it."""
    return msgspec.msgpack.encode(value)
