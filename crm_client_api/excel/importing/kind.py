"""What the importer needs to know of a kind of record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from crm_client_api.excel.cells import text_of
from crm_client_api.excel.columns import Column, SheetShape
from crm_client_api.excel.importing.reasons import Problem
from crm_client_api.excel.importing.stage import Stage
from crm_client_api.excel.reading import Sheet
from crm_client_api.excel.sheet_rows import Row


@dataclass(slots=True)
class Verdict:
    """What a row will do: new, changed, restored, unchanged or wrong; ``data`` as the kind itself understands it.

    ``stay``: of a wrong row that a file with fewer columns has, by column what stays as it is.
    """

    row: Row
    kind: str
    record: int | None = None
    data: bytes = b""
    problems: list[Problem] = field(default_factory=list)
    stay: Mapping[str, str] = field(default_factory=dict)


def typed_cells(row: Row, keys: Sequence[str | None]) -> dict[str, str]:
    """The cells of a row as text, by the columns' keys."""
    return {key: text_of(cell) for key, cell in zip(keys, row.cells, strict=False) if key is not None}


@dataclass(frozen=True, slots=True)
class SideSheet:
    """A sheet beside the main one as it goes back with the wrong rows. ``rows``: their cells, out of a stage.

    ``columns`` come after those of ``shape``.
    """

    shape: SheetShape
    columns: Sequence[Column]
    rows: Callable[[Stage], Iterable[Sequence[str]]]


Preparer = Callable[[Sequence[bytes]], bytes]
"""From staged rows to what ``RecordKind.unpacked`` takes: packed, for the way from one process to another."""


class RecordKind(Protocol):
    """Customers or communication records on their way in."""

    shape: SheetShape

    def begin(self, stage: Stage, others: Sequence[Sheet]) -> list[str]:
        """Read the sheets beside the main one; names of those that mean nothing. Raises Invalid."""

    def judge(self, rows: Sequence[Row], keys: Sequence[str | None]) -> Iterable[Verdict]:
        """What some rows will do; ``keys`` name the columns of the file."""

    def end(self) -> None:
        """All rows of the main sheet were judged: note what stands alone on the other sheets."""

    def side_sheets(self) -> Sequence[SideSheet]:
        """What the other sheets say of wrong rows, and of none at all."""

    def preparer(self) -> Preparer:
        """Makes staged new records ready: all that can be done before the store is locked. Fit for another process."""

    def unpacked(self, prepared: bytes) -> Sequence[Any]:
        """What the preparer made, for ``insert``."""

    def insert(
        self, connection: sqlite3.Connection, ready: Sequence[Any], import_id: int, at_ms: int
    ) -> Sequence[int | None]:
        """Add records where nobody sees them yet; their ids in rising order, None for what they belong to has gone."""

    def apply(
        self, connection: sqlite3.Connection, record: int, kind: str, data: bytes, import_id: int
    ) -> int | Problem:
        """Change or restore a record; how many fields stayed because somebody changed them meanwhile.

        A problem: it cannot be done any more, and what was done of it has to be undone.
        """

    def remove(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        """Take away records that were never seen."""
