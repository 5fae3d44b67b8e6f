"""Workbooks for the tests, and a courier that works inside the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import openpyxl
from crm_office import Answer, Browser

from crm_client_api.courier.daemon import Courier
from crm_client_api.excel.columns import COMMUNICATIONS, CUSTOMERS, SheetShape
from firmware.config import Home


def work(home: Home) -> None:
    """Let a courier do all that can be done."""
    courier = Courier(home)
    while courier.turn():
        pass


def row_of(shape: SheetShape, **values: Any) -> list[Any]:
    """A row with values by the columns' keys."""
    keys = [column.key for column in shape.columns]
    assert values.keys() <= set(keys), values.keys() - set(keys)
    return [values.get(key) for key in keys]


def customer(**values: Any) -> list[Any]:
    return row_of(CUSTOMERS, **values)


def communication(**values: Any) -> list[Any]:
    return row_of(COMMUNICATIONS, **values)


def book(sheets: Mapping[str, Iterable[Sequence[Any]]]) -> bytes:
    """A workbook as openpyxl, which is none of ours, writes it."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
            for cell in sheet[sheet.max_row]:
                if cell.data_type == "f":  # openpyxl takes a text that begins with = for a formula
                    cell.data_type = "s"
    target = BytesIO()
    made.save(target)
    return target.getvalue()


def customers_book(*rows: Sequence[Any], language: str = "zh", **more: Iterable[Sequence[Any]]) -> bytes:
    header = CUSTOMERS.headings(language)  # type: ignore[arg-type]
    return book({"客户资料": [header, *rows], **more})


def communications_book(*rows: Sequence[Any]) -> bytes:
    return book({"沟通记录": [COMMUNICATIONS.headings("zh"), *rows]})


def cells(data: bytes | Path) -> dict[str, list[tuple[Any, ...]]]:
    """All cells of a workbook, by sheet, as openpyxl reads them."""
    read = openpyxl.load_workbook(BytesIO(data) if isinstance(data, bytes) else data)
    return {sheet.title: [tuple(row) for row in sheet.iter_rows(values_only=True)] for sheet in read.worksheets}


def send(browser: Browser, data: bytes, kind: str = "customers", name: str = "名单.xlsx", **more: str) -> Answer:
    """Upload a file."""
    query = "".join(f"&{key}={quote(value)}" for key, value in more.items())
    return browser.ask(
        "POST", f"/imports?kind={kind}&name={quote(name)}{query}", raw=data, Content_Type="application/octet-stream"
    )


def preview(home: Home, browser: Browser, data: bytes, kind: str = "customers", **more: str) -> Any:
    """Upload a file and let it be read; the job."""
    answer = send(browser, data, kind, **more)
    assert answer.status == 202, answer.body
    work(home)
    return browser.get(f"/jobs/{answer.json['id']}")


def confirm(home: Home, browser: Browser, job: Any, **answer: Any) -> Any:
    """Answer a job's question and let it be done; the job."""
    assert job["state"] == "needs_answer", job
    sent = browser.ask("POST", f"/jobs/{job['id']}/confirm", answer)
    assert sent.status == 200, sent.body
    work(home)
    return browser.get(f"/jobs/{job['id']}")


def take_in(home: Home, browser: Browser, data: bytes, kind: str = "customers") -> Any:
    """Import a file whole; the job."""
    return confirm(home, browser, preview(home, browser, data, kind))


def export(home: Home, browser: Browser, kind: str = "customers", **wanted: Any) -> bytes:
    """Export, and fetch the file."""
    answer = browser.ask("POST", "/exports", {"kind": kind, **wanted})
    assert answer.status == 202, answer.body
    work(home)
    job = browser.get(f"/jobs/{answer.json['id']}")
    assert job["state"] == "done", job
    return browser.ask("GET", f"/jobs/{job['id']}/file").body
