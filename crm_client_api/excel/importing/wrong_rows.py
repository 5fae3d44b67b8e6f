"""The rows that were not taken, as a workbook to correct and to send again."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import msgspec

from crm_client_api.excel.columns import FURTHER_PHONES, Column, Language, SheetShape
from crm_client_api.excel.importing.kind import RecordKind
from crm_client_api.excel.importing.reasons import reason
from crm_client_api.excel.importing.stage import Stage
from crm_client_api.excel.writing import BookWriter

_REASONS = SheetShape(
    "reasons", "错误原因", "Reasons",
    (
        Column("sheet", "工作表", "Sheet"),
        Column("row", "行号", "Row", "number", 8),
        Column("place", "本文件行号", "Row in this file", "number", 12),
        Column("column", "列", "Column"),
        Column("text", "原因", "Reason", width=60),
    ),
)  # fmt: skip
_BATCH = 500


def headings_of(shape: SheetShape, language: Language) -> dict[str, str]:
    """What stands above the columns of a workbook, by their keys."""
    return {column.key: column.heading(language) for column in (*FURTHER_PHONES.columns, *shape.columns)}


def write_wrong_rows(folder: Path, kind: RecordKind, language: Language) -> None:
    """Write ``wrong-rows.xlsx`` beside the stage: the rows as they were, and on a sheet of its own what is wrong.

    The first sheet has the fixed columns, and what the file's other sheets say of these rows is on such sheets again:
    once corrected, the file is imported as it is. Raises StoreError.
    """
    headings = headings_of(kind.shape, language)
    stage = Stage(folder / "stage.db", new=False)
    try:
        with BookWriter(folder / "wrong-rows.xlsx", language) as book:
            rows = book.sheet(kind.shape)
            beside = [(book.sheet(one.shape, one.columns), one) for one in kind.side_sheets()]
            reasons = book.sheet(_REASONS)
            n, place = 0, 1
            while batch := stage.after(n, ("wrong",), _BATCH):
                n = batch[-1].n
                for one in batch:
                    place += 1
                    rows.write(msgspec.msgpack.decode(one.data))
                    for sheet, row, problem in stage.problems(100, n=one.n):
                        text = reason(problem.code, problem.detail, language)
                        reasons.write([sheet, row, place, headings.get(problem.column, problem.column), text])
            for (sheet, row), found in groupby(stage.problems(-1, n=0), key=lambda one: one[:2]):
                for _, _, problem in found:
                    reasons.write([sheet, row, None, problem.column, reason(problem.code, problem.detail, language)])
            rows.end()
            for written, one_sheet in beside:
                for cells in one_sheet.rows(stage):
                    written.write(cells)
                written.end()
            reasons.end()
    finally:
        stage.close()
