"""``tapdeck bench excel``: a large workbook of customers in and out, through a real courier."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
import psutil
import sqlite_utils

from crm_client_api.courier.jobs import Job, add_job, answer_job, get_job, job_folder, wake_courier
from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level
from crm_client_api.excel.columns import CUSTOMERS
from crm_client_api.excel.importing.run import UPLOAD
from crm_client_api.excel.sheet_markup import Value
from crm_client_api.excel.writing import BookWriter
from firmware.config import Home
from firmware.errors import BoxError, ConfigError
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate

IMPORT_GOAL_S, IMPORT_GOAL_MB = 360, 300
EXPORT_GOAL_S, EXPORT_GOAL_MB = 240, 200
_GOAL_ROWS = 1_000_000
_STAFF_NO = "1000"
_LOOK_EVERY_S = 0.2
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂兰玉梅建国文华志红晓燕"


class ExcelFigures(msgspec.Struct, frozen=True):
    """What was measured. Memory is the resident memory of the courier and its children; goals hold for a million rows.

    ``*_cpu_s``: processor time of the courier and its children. ``write_p99_ms``: how long others waited to write into
    the store meanwhile.
    """

    rows: int
    file_mb: float
    read_s: float
    insert_s: float
    import_s: float
    import_cpu_s: float
    import_mb: float
    export_s: float
    export_cpu_s: float
    export_mb: float
    write_p50_ms: float
    write_p99_ms: float
    import_good: bool
    export_good: bool


def measure(rows: int, place: Path | None, tell: Callable[[str], None]) -> ExcelFigures:
    """Import and export ``rows`` customers in a home made below ``place``. Raises ConfigError, StoreError."""
    with tempfile.TemporaryDirectory(prefix="tapdeck-bench-excel-", dir=place) as folder:
        home = Home(Path(folder) / "home")
        home.create()
        migrate(home)
        crm = open_store(home.crm_db)
        try:
            boss = Operator(_STAFF_NO, "Bench", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)
            add_operator(crm, boss, Actor(CONSOLE), grantor=None)
            return _measure(home, crm, rows, tell)
        finally:
            crm.conn.close()


def _measure(home: Home, crm: sqlite_utils.Database, rows: int, tell: Callable[[str], None]) -> ExcelFigures:
    actor = Actor(_STAFF_NO)
    book = home.root / "customers.xlsx"
    tell(f"writing a workbook of {rows} customers")
    _write_book(book, rows)
    file_mb = book.stat().st_size / 1e6
    with write(crm) as connection:
        job_id = add_job(connection, "import_customers", actor, {}, ALL_PERMISSIONS)
        job_folder(home, job_id).mkdir(parents=True)
        book.rename(job_folder(home, job_id) / UPLOAD)
    with _courier(home) as courier:
        watch = _Watch(crm, courier)
        tell("reading it")
        read_s = watch.until_settled(job_id)
        tell("importing it")
        answer_job(crm, job_id, actor, {"confirmed": True})
        wake_courier(home)
        insert_s = watch.until_settled(job_id)
        import_mb, import_cpu_s = watch.peak_mb, watch.cpu_s
        watch.peak_mb, watch.cpu_s = 0.0, 0.0
    with _courier(home) as courier:  # memory that the import freed but kept is not the export's
        watch.courier = courier
        tell("exporting them")
        with write(crm) as connection:
            job_id = add_job(connection, "export_customers", actor, {}, ALL_PERMISSIONS)
        wake_courier(home)
        export_s = watch.until_settled(job_id)
    waits = sorted(watch.waits_ms) or [0.0]
    share = rows / _GOAL_ROWS
    return ExcelFigures(
        rows=rows, file_mb=round(file_mb, 1), read_s=round(read_s, 1), insert_s=round(insert_s, 1),
        import_s=round(read_s + insert_s, 1), import_cpu_s=round(import_cpu_s, 1), import_mb=round(import_mb),
        export_s=round(export_s, 1), export_cpu_s=round(watch.cpu_s, 1), export_mb=round(watch.peak_mb),
        write_p50_ms=round(waits[len(waits) // 2], 1), write_p99_ms=round(waits[len(waits) * 99 // 100], 1),
        import_good=read_s + insert_s <= IMPORT_GOAL_S * share and import_mb <= IMPORT_GOAL_MB,
        export_good=export_s <= EXPORT_GOAL_S * share and watch.peak_mb <= EXPORT_GOAL_MB,
    )  # fmt: skip


@contextmanager
def _courier(home: Home) -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-m", "firmware", "--home", str(home.root), "courier"])
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


class _Watch:
    """Waits for jobs, and looks at the courier and at the store meanwhile."""

    def __init__(self, crm: sqlite_utils.Database, courier: psutil.Process) -> None:
        self._crm = crm
        self.courier = courier
        self.peak_mb = 0.0
        self.cpu_s = 0.0
        self.waits_ms: list[float] = []

    def until_settled(self, job_id: int) -> float:
        """Seconds until a job asks or is done. Raises ConfigError when it failed."""
        begun_s = time.monotonic()
        while (job := self._look(job_id)).state in ("waiting", "running"):
            time.sleep(_LOOK_EVERY_S)
        if job.state not in ("needs_answer", "done"):
            raise ConfigError(f"the job ended as {job.state}: {job.error}")
        return time.monotonic() - begun_s

    def _look(self, job_id: int) -> Job:
        try:
            family = [self.courier, *self.courier.children(recursive=True)]
            self.peak_mb = max(self.peak_mb, sum(one.memory_info().rss for one in family) / 1e6)
            self.cpu_s = max(self.cpu_s, sum(sum(one.cpu_times()[:4]) for one in family))
        except psutil.Error as error:
            raise ConfigError(f"the courier is gone: {error}") from error
        begun_s = time.monotonic()
        try:
            with write(self._crm) as connection:
                connection.execute("UPDATE jobs SET address = address WHERE id = ?", (job_id,))
        except BoxError:
            tries_s = time.monotonic() - begun_s
            self.waits_ms.append(tries_s * 1000)
            return get_job(self._crm, job_id)
        self.waits_ms.append((time.monotonic() - begun_s) * 1000)
        return get_job(self._crm, job_id)


def _write_book(target: Path, rows: int) -> None:
    chance = random.Random(1)

    def pick(text: str) -> str:
        return text[int(chance.random() * len(text))]

    at = datetime(2026, 1, 5, 9, 30)
    with BookWriter(target, "zh") as book:
        sheet = book.sheet(CUSTOMERS)
        for i in range(rows):
            name = pick(_SURNAMES) + pick(_GIVEN) + pick(_GIVEN)
            row: list[Value] = [
                None, name, pick("男女"), f"北京{pick(_GIVEN)}{pick(_GIVEN)}科技{i}有限公司", "经理",
                f"010{60_000_000 + i % 30_000_000:08}", None, None, f"138{i % 100_000_000:08}", None, None, f"wx{i}",
                f"user{i}@example.cn", "北京市", f"朝阳区建国路{i % 999}号", "100000", pick("ABC"), "VIP", "正常",
                "网络", f"备注 {i}", at,
            ]  # fmt: skip
            sheet.write(row)
        sheet.end()
