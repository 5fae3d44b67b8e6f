"""An import from the file to its effect: reading, a question, inserting what nobody sees, publication, changes.

Rows are inserted under an import that is not published: the views of living records leave them out. One update of
``imports`` publishes them all, in one transaction with the changes to rows that exist, as far as these fit into a
moment. More of them are made after that instant, in batches that a crash resumes: once published, an import is always
finished; before, it is always taken back.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from crm_client_api.courier.context import Context, Pace, SteadyPace, long_writing
from crm_client_api.courier.jobs import set_job
from crm_client_api.domain import audit
from crm_client_api.domain.invalid import Invalid
from crm_client_api.excel.cells import text_of
from crm_client_api.excel.columns import Language
from crm_client_api.excel.importing.ahead import prepared_batches
from crm_client_api.excel.importing.headers import ForeignHeader, Mapping, chosen_mapping, read_header
from crm_client_api.excel.importing.kind import RecordKind, Verdict, typed_cells
from crm_client_api.excel.importing.late import forget_late, move_late, note_late
from crm_client_api.excel.importing.reasons import DUPLICATES, KNOWN, Problem, reason
from crm_client_api.excel.importing.stage import GONE, NewRow, Stage, Staged, packed
from crm_client_api.excel.importing.wrong_rows import headings_of, write_wrong_rows
from crm_client_api.excel.reading import Sheet, open_book
from crm_client_api.excel.refusal import damaged
from crm_client_api.excel.sheet_rows import Row
from firmware.clock import now_ms
from firmware.store.connection import write

BATCH_ROWS = 200
AT_ONCE_ROWS = 500
"""So many changes are tried within the transaction that publishes."""
_AT_ONCE_S = 0.03
CHANGES = ("changed", "restored")
_ADDED = ("new", "known")
SHOWN_PROBLEMS = 200
UPLOAD, STAGE, WRONG_ROWS = "upload", "stage.db", "wrong-rows.xlsx"
_EXAMPLE_ROWS = 5


def run_import(context: Context, kind: RecordKind) -> None:
    """One step of an import: up to the next question, or to its end. Raises BoxError."""
    if not context.job.wanted.get("confirmed"):
        _read(context, kind)
        return
    _insert(context, kind)
    finish_import(context, kind)


def _read(context: Context, kind: RecordKind) -> None:
    folder = context.folder
    if not (folder / UPLOAD).exists():  # the power went before its name was on the medium
        raise damaged("it is not there any more, send it again")
    with open_book(folder / UPLOAD, folder) as sheets:
        tables = [(sheet, header) for sheet in sheets if (header := next(iter(sheet.rows()), None)) is not None]
        if not tables:
            raise Invalid("file_empty", "there is nothing in the file")
        mapping = _mapping(context, kind, *tables[0])
        if mapping is None:
            return
        main = [sheet for sheet, header in tables if _same_header(header, tables[0][1])]
        others = [sheet for sheet, _ in tables if sheet not in main]
        stage = Stage(folder / STAGE, new=True)
        try:
            notes = kind.begin(stage, others)
            counts = _judge_all(context, kind, stage, main, [_key(kind, place) for place in mapping.columns])
            kind.end()
            counts["wrong"] += _wrong_elsewhere(stage)
            stage.finish()
        finally:
            stage.close()
    language: Language = context.job.wanted.get("language", "zh")
    result = _preview(folder / STAGE, kind, counts, language)
    if counts["wrong"]:
        write_wrong_rows(folder, kind, language)
        result["file"] = WRONG_ROWS
    context.ask("confirm", {**result, "ignored_sheets": notes}, phase="reading", done_rows=counts["rows"])


def _same_header(one: Row, other: Row) -> bool:
    return [text_of(cell) for cell in one.cells] == [text_of(cell) for cell in other.cells]


def _mapping(context: Context, kind: RecordKind, sheet: Sheet, header: Row) -> Mapping | None:
    """What the columns hold; None when that was asked. Raises Invalid."""
    chosen = context.job.wanted.get("mapping")
    found = read_header(header.cells, kind.shape)
    if isinstance(found, Mapping):
        return found
    if chosen is not None:
        return chosen_mapping(chosen, kind.shape)
    for _ in sheet.rows():  # only at its end does a sheet say which cells are merged
        pass
    if any(_in_first_rows(one, header.number) for one in sheet.merged):
        raise Invalid("header_merged", f"cells of the header are merged ({sheet.merged[0][:40]}): split them")
    context.ask("mapping", _question(kind, sheet, found), phase="reading")
    return None


def _question(kind: RecordKind, sheet: Sheet, found: ForeignHeader) -> dict[str, Any]:
    examples = [
        [text_of(cell)[:80] for cell in row.cells[: len(found.found)]]
        for row in islice(sheet.rows(), 1, _EXAMPLE_ROWS + 1)
    ]
    return {
        "header": list(found.found),
        "proposal": [_key(kind, place) for place in found.proposal.columns],
        "columns": [{"key": one.key, "zh": one.zh, "en": one.en} for one in kind.shape.columns],
        "examples": examples,
    }


def _key(kind: RecordKind, place: int | None) -> str | None:
    return None if place is None else kind.shape.columns[place].key


def _in_first_rows(merged: str, header_row: int) -> bool:
    digits = "".join(c for c in merged.split(":")[0] if c.isdecimal())
    return not digits or int(digits) <= header_row


def _judge_all(
    context: Context, kind: RecordKind, stage: Stage, sheets: Sequence[Sheet], keys: Sequence[str | None]
) -> Counter[str]:
    counts: Counter[str] = Counter(rows=0)
    for sheet in sheets:
        rows = iter(sheet.rows())
        next(rows, None)
        for batch in _batches(rows):
            verdicts = list(kind.judge(batch, keys))
            counts["rows"] += len(verdicts)
            counts.update(verdict.kind for verdict in verdicts)
            counts["duplicate"] += sum(any(one.code in DUPLICATES for one in verdict.problems) for verdict in verdicts)
            counts["known"] += sum(_is_known(verdict) for verdict in verdicts)
            stage.add(_staged(sheet.name, one, kind, keys) for one in verdicts if one.kind != "unchanged")
            context.step("reading", counts["rows"], None)
        if sheet.merged:
            raise Invalid("cells_merged", f"{sheet.name}: cells {sheet.merged[0][:40]} are merged: split them")
    return counts


def _is_known(verdict: Verdict) -> bool:
    """Whether a new record would have a number that a customer of the box has."""
    return verdict.kind == "new" and any(one.code in KNOWN for one in verdict.problems)


def _staged(sheet: str, verdict: Verdict, kind: RecordKind, keys: Sequence[str | None]) -> NewRow:
    """What is kept of a row; of a wrong one its cells as they were, in our order."""
    data, key, does = verdict.data, None, "known" if _is_known(verdict) else verdict.kind
    if verdict.kind == "wrong":
        cells = {**typed_cells(verdict.row, keys), **verdict.stay}
        data, key = packed([cells.get(column.key, "") for column in kind.shape.columns]), cells.get("id", "")
    return NewRow(sheet, verdict.row.number, does, verdict.record, data, verdict.problems, key)


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _wrong_elsewhere(stage: Stage) -> int:
    row = stage.connection.execute("SELECT count(*) FROM (SELECT DISTINCT sheet, row FROM problems WHERE n = 0)")
    return int(row.fetchone()[0])


def _preview(file: Path, kind: RecordKind, counts: Counter[str], language: Language) -> dict[str, Any]:
    headings = headings_of(kind.shape, language)
    stage = Stage(file, new=False)
    try:
        problems = [
            {
                "sheet": sheet,
                "row": row,
                "column": headings.get(one.column, one.column),
                "code": one.code,
                "text": reason(one.code, one.detail, language),
                "wrong": one.wrong,
            }
            for sheet, row, one in stage.problems(SHOWN_PROBLEMS)
        ]
    finally:
        stage.close()
    names = ("rows", "new", "changed", "restored", "unchanged", "duplicate", "wrong", "known", "skipped")
    return {"counts": {name: counts[name] for name in names}, "problems": problems}


def _skips(context: Context) -> bool:
    """Whether who imports leaves out the rows whose number a customer has already."""
    return context.job.wanted.get("known") == "skip"


def _counts(context: Context) -> Counter[str]:
    """What the rows do, by the answer to the preview."""
    counts = Counter[str](context.job.result["counts"])
    if _skips(context):
        known = counts["known"]
        counts.update(new=-known, known=-known, skipped=known)
    return counts


def _insert(context: Context, kind: RecordKind) -> None:
    """Add the new rows where nobody sees them; a courier that was killed in between goes on behind its last batch."""
    import_id, inserted, published = _begin(context)
    if published:
        return
    stage = Stage(context.folder / STAGE, new=False)
    counts = _counts(context)
    kinds = _ADDED[:1] if _skips(context) else _ADDED
    done = 0
    pace = SteadyPace()
    batches = prepared_batches(stage, inserted, counts["new"], kinds, kind.preparer(), lambda: pace.rows)
    try:
        with long_writing(context.crm) as bring_home:
            for batch, prepared in batches:
                ready = kind.unpacked(prepared)
                with pace, write(context.crm) as connection:
                    ids = kind.insert(connection, ready, import_id, now_ms())
                    added = [one for one in ids if one is not None]
                    connection.execute(
                        "UPDATE imports SET inserted = ?, first_id = coalesce(first_id, ?),"
                        " last_id = coalesce(?, last_id) WHERE id = ?",
                        (batch[-1].n, min(added, default=None), max(added, default=None), import_id),
                    )
                    if len(added) < len(ids):
                        gone = [(one, GONE) for one, id_ in zip(batch, ids, strict=True) if id_ is None]
                        note_late(connection, import_id, gone)
                bring_home()
                done += len(batch)
                context.step("inserting", done, counts["new"])
    finally:
        batches.close()
        stage.close()
    _publish(context, kind, import_id)


def _begin(context: Context) -> tuple[int, int, bool]:
    """The import of this job: its id, its last inserted row, whether it was published."""
    with write(context.crm) as connection:
        row = connection.execute(
            "SELECT id, inserted, published_ms FROM imports WHERE job_id = ? AND finished_ms IS NULL", (context.job.id,)
        ).fetchone()
        if row is not None:
            return row["id"], row["inserted"], row["published_ms"] is not None
        cursor = connection.execute(
            "INSERT INTO imports (kind, by, begun_ms, job_id) VALUES (?,?,?,?)",
            (context.job.kind, context.job.staff_no, now_ms(), context.job.id),
        )
        return int(cursor.lastrowid or 0), 0, False


def _publish(context: Context, kind: RecordKind, import_id: int) -> None:
    """The instant in which the import takes effect; nobody can cancel it any more."""
    counts = _counts(context)
    context.step("inserting", counts["new"], counts["new"])
    about = {
        "import": import_id,
        "file": context.job.wanted.get("name", ""),
        "sha256": context.job.wanted.get("sha256"),
    }
    stage = Stage(context.folder / STAGE, new=False)
    try:
        changes = stage.after(0, CHANGES, AT_ONCE_ROWS + 1)
        with write(context.crm) as connection:
            connection.execute("UPDATE imports SET published_ms = ? WHERE id = ?", (now_ms(), import_id))
            set_job(connection, context.job.id, phase="applying", done_rows=0, all_rows=None)
            what = kind.shape.name.removesuffix("s")
            audit.append(connection, context.job.actor, f"{what}.import", str(import_id), {**about, "counts": counts})
            if changes and len(changes) <= AT_ONCE_ROWS:
                _apply_at_once(connection, kind, changes, import_id)
    finally:
        stage.close()


def _apply_at_once(connection: sqlite3.Connection, kind: RecordKind, changes: Sequence[Staged], import_id: int) -> None:
    """Make all changes within the transaction that publishes; none of them when that takes too long."""
    until_s = time.monotonic() + _AT_ONCE_S
    connection.execute("SAVEPOINT at_once")
    if not _apply(connection, kind, changes, import_id, until_s):
        connection.execute("ROLLBACK TO at_once")
    connection.execute("RELEASE at_once")


def _apply(
    connection: sqlite3.Connection,
    kind: RecordKind,
    changes: Sequence[Staged],
    import_id: int,
    until_s: float = math.inf,
) -> bool:
    """Make some changes and note how far it came; False, and half done, behind ``until_s`` (monotonic)."""
    late: list[tuple[Staged, Problem]] = []
    kept = 0
    for one in changes:
        if time.monotonic() > until_s:
            return False
        connection.execute("SAVEPOINT change")
        done = kind.apply(connection, one.record or 0, one.kind, one.data, import_id)
        if isinstance(done, Problem):
            connection.execute("ROLLBACK TO change")
            late.append((one, done))
        else:
            kept += done
        connection.execute("RELEASE change")
    if late:
        note_late(connection, import_id, late)
    connection.execute(
        "UPDATE imports SET applied = ?, kept_newer = kept_newer + ? WHERE id = ?", (changes[-1].n, kept, import_id)
    )
    return True


def finish_import(context: Context, kind: RecordKind) -> None:
    """Make the changes of a published import, behind those that are made. Raises StoreError, Stopping."""
    context.cancellable = False
    row = context.crm.conn.execute(
        "SELECT id, applied FROM imports WHERE job_id = ? AND published_ms IS NOT NULL ORDER BY id DESC LIMIT 1",
        (context.job.id,),
    ).fetchone()
    import_id, applied = row["id"], row["applied"]
    counts = _counts(context)
    stage = Stage(context.folder / STAGE, new=False)
    done = 0
    try:
        pace = Pace()
        while batch := stage.after(applied, CHANGES, pace.rows):
            with pace, write(context.crm) as connection:
                _apply(connection, kind, batch, import_id)
            applied = batch[-1].n
            done += len(batch)
            context.step("applying", done, counts["changed"] + counts["restored"])
        move_late(context.crm, stage, import_id)
        lost = stage.late()
    finally:
        stage.close()
    told: dict[str, Any] = {"counts": dict(counts)}
    if lost:
        lost["new"] += lost["known"]
        now = Counter({**counts, **{name: counts[name] - lost[name] for name in lost}})
        now["wrong"] += lost.total()
        told = _preview(context.folder / STAGE, kind, now, context.job.wanted.get("language", "zh"))
    with write(context.crm) as connection:
        connection.execute("UPDATE imports SET finished_ms = ? WHERE id = ?", (now_ms(), import_id))
        [kept] = connection.execute("SELECT kept_newer FROM imports WHERE id = ?", (import_id,)).fetchone()
        result = {**context.job.result, **told, "kept_newer": kept, "import_id": import_id}
        set_job(connection, context.job.id, state="done", phase="", result=result)


def take_back(context: Context, kind: RecordKind) -> bool:
    """Remove what an import that was not published has inserted; False when it was published and must be finished."""
    row = context.crm.conn.execute(
        "SELECT id, first_id, last_id, published_ms FROM imports WHERE job_id = ? AND finished_ms IS NULL",
        (context.job.id,),
    ).fetchone()
    if row is None:
        return True
    if row["published_ms"] is not None:
        return False
    forget_late(context.crm, row["id"])
    pace = Pace()
    while True:
        with pace, write(context.crm) as connection:
            ids = [
                one[0]
                for one in connection.execute(
                    f"SELECT id FROM {kind.shape.name} WHERE id BETWEEN ? AND ? AND import_id = ? LIMIT ?",
                    (row["first_id"] or 0, row["last_id"] or -1, row["id"], pace.rows),
                )
            ]
            kind.remove(connection, ids)
            if not ids:  # published_ms stays empty: were a row left over, nobody would ever see it
                connection.execute("UPDATE imports SET finished_ms = ? WHERE id = ?", (now_ms(), row["id"]))
                return True
