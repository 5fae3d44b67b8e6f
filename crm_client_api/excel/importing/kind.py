"""What the importer needs to know of a kind of record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from crm_client_api.excel.columns import SheetShape
from crm_client_api.excel.importing.reasons import Problem
from crm_client_api.excel.importing.stage import Stage
from crm_client_api.excel.reading import Sheet
from crm_client_api.excel.sheet_rows import Row


@dataclass(slots=True)
class Verdict:
    """What a row will do: new, changed, restored, unchanged or wrong; ``data`` as the kind itself understands it."""

    row: Row
    kind: str
    record: int | None = None
    data: bytes = b""
    problems: list[Problem] = field(default_factory=list)


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

    def preparer(self) -> Preparer:
        """Makes staged new records ready: all that can be done before the store is locked. Fit for another process."""

    def unpacked(self, prepared: bytes) -> Sequence[Any]:
        """What the preparer made, for ``insert``."""

    def insert(self, connection: sqlite3.Connection, ready: Sequence[Any], import_id: int, at_ms: int) -> Sequence[int]:
        """Add records where nobody sees them yet; their ids in rising order."""

    def apply(self, connection: sqlite3.Connection, record: int, kind: str, data: bytes, import_id: int) -> int:
        """Change or restore a record; how many fields stayed because somebody changed them meanwhile."""

    def remove(self, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
        """Take away records that were never seen."""
