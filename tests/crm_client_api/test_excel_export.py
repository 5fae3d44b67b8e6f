"""What exports hold, and how they are written."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from crm_office import START_MS, hire
from excel_office import (
    cells,
    communication,
    communications_book,
    customer,
    customers_book,
    export,
    preview,
    take_in,
    work,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_client_api.domain.customers.record import Phone
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.recycling import RecycleBin
from crm_client_api.excel.cells import local_of_ms
from crm_client_api.excel.columns import CALLS, COMMUNICATIONS, CUSTOMERS
from crm_client_api.excel.phone_columns import gather, spread
from crm_client_api.excel.reading import open_book
from crm_client_api.excel.writing import BookWriter
from firmware.store.connection import write
from firmware.time_zone import in_zone

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=40)
NUMBERS = st.sampled_from(["110", "13812345678", "010-62345678", "1/2", " 7"])
PHONES = st.lists(
    st.builds(
        Phone, st.sampled_from(["", "", "前台", "b"]), NUMBERS, st.sampled_from(["phone", "mobile", "fax", "other"])
    ),
    max_size=12,
)


@settings(deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=1, max_size=4), max_size=6))
def test_every_text_comes_back_and_nothing_is_a_formula(tmp_path_factory, rows):
    rows = [*rows, ["=1+1", "+1", "-1", "@x"], ["\t=1", "\r=1", "<r><t>x</t></r>", "<r>&</r>"], ["_x0041_", "x_x000D_"]]
    folder = tmp_path_factory.mktemp("texts")
    with BookWriter(folder / "t.xlsx", "zh") as writer:
        sheet = writer.sheet(CUSTOMERS)
        for row in rows:
            sheet.write([*row, "end"])
        sheet.end()
    with open_book(folder / "t.xlsx", folder) as [sheet]:
        found = [row.cells for row in sheet.rows()][1:]
    assert found == [[*(text or None for text in row), "end"] for row in rows]
    if not any("\x00" <= c < " " and c not in "\t\n" for row in rows[:-3] for text in row for c in text):
        book = openpyxl.load_workbook(folder / "t.xlsx")
        assert all(cell.data_type in ("s", "inlineStr", "n") for row in book.active.iter_rows() for cell in row)


@settings(deadline=None)
@given(PHONES)
def test_numbers_put_into_columns_come_back_the_same(old):
    seen = spread(old)
    kinds = ("phone", "phone", "phone", "mobile", "mobile", "fax")
    typed = [(kind, number) for kind, number in zip(kinds, seen.columns, strict=True) if number]
    assert gather(typed, seen.further, old) == gather(typed, None, old) == tuple(old)
    fewer = gather(typed[1:], None, old)
    assert {one.number for one in fewer} >= {number for _, number in typed[1:] if "/" not in number}


def test_changed_numbers_keep_their_descriptions():
    old = (Phone("前台", "1", "phone"), Phone("", "2", "phone"), Phone("家", "3", "other"), Phone("", "4/5", "fax"))
    typed = [("phone", "2"), ("phone", "1"), ("mobile", "6;7"), ("fax", "4/5")]
    assert gather(typed, None, old) == (
        Phone("", "2", "phone"),
        Phone("前台", "1", "phone"),
        Phone("", "6", "mobile"),
        Phone("", "7", "mobile"),
        Phone("", "4/5", "fax"),
        Phone("家", "3", "other"),
    )
    assert gather(typed[:1], [("1", "新"), ("8", "")], old) == (
        Phone("", "2", "phone"),
        Phone("新", "1", "phone"),
        Phone("", "8", ""),
    )
    assert gather([("phone", "2")], None, old) == (Phone("", "2", "phone"), Phone("家", "3", "other"))


def test_the_form_of_a_workbook(tmp_path):
    at = datetime(2026, 1, 2, 8, 30, 15, 250_000)
    with BookWriter(tmp_path / "t.xlsx", "en", rows_a_sheet=3) as writer:
        sheet = writer.sheet(CALLS)
        for i in range(7):
            sheet.write([str(i), at, None, i, "", None, None, None, "013812345678"])
        sheet.end()
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["Calls", "Calls 2", "Calls 3"]
    assert [one.max_row for one in book] == [4, 4, 2]
    for one in book:
        assert [cell.value for cell in one[1]] == CALLS.headings("en")
        assert (one.freeze_panes, one.auto_filter.ref) == ("A2", f"A1:Y{one.max_row}")
    assert book.worksheets[2]["B2"].value == at
    assert book.worksheets[0]["B2"].is_date
    assert (book.active["I2"].value, book.active["I2"].number_format) == ("013812345678", "@")
    assert book.custom_doc_props["tapdeck-columns"].value == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["t.xlsx"]


def test_an_empty_export_has_its_header_in_both_languages(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for kind, shape in (("customers", CUSTOMERS), ("communications", COMMUNICATIONS), ("calls", CALLS)):
        for language in ("zh", "en"):
            found = cells(export(home, browser, kind, language=language))
            assert found[shape.title(language)] == [tuple(shape.headings(language))]
    assert [len(one.columns) for one in (CUSTOMERS, COMMUNICATIONS, CALLS)] == [26, 19, 25]


def test_only_what_is_wanted_and_in_scope_is_exported(home, crm, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    take_in(home, browse("1"), customers_book(customer(name="别人的", category="A")))
    mine = browse("2")
    take_in(home, mine, customers_book(customer(name="甲", category="A"), customer(name="乙", category="B")))
    assert [row[1] for row in cells(export(home, mine))["客户资料"][1:]] == ["甲", "乙"]
    found = cells(export(home, mine, customers={"category": "A"}))
    assert [row[1] for row in found["客户资料"][1:]] == ["甲"]
    cards = export(home, mine, format="vcard").decode()
    assert cards.count("BEGIN:VCARD") == 2
    assert "别人的" not in cards


def test_visiting_cards_come_back(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    wanted = customer(
        name="张;伟,明", company="北京" * 40, title="经理", email="a@b.cn", wechat="wx", region="北京", address="路1号",
        postcode="100000", note="一\n二", category="A", phone1="010-62345678转801", mobile1="13812345678", fax="110",
    )  # fmt: skip
    take_in(home, browser, customers_book(wanted))
    cards = export(home, browser, format="vcard")
    assert max(map(len, cards.split(b"\r\n"))) <= 75
    take_in(home, browser, cards)
    one, other = (
        {name: value for name, value in found.items() if name not in ("id", "created_at", "changed_at")}
        for found in browser.get("/customers")["customers"]
    )
    assert one == other


def test_communication_records_go_out_and_in(home, crm, browse, exchange):
    hire(crm, "1", "super")
    browser = browse("1")
    exchange.wire(1)
    call = exchange.call()
    exchange.end(call)
    recording = exchange.recording(call, None)
    take_in(home, browser, customers_book(customer(name="张伟", company="公司")))
    number = browser.get("/customers")["customers"][0]["id"]
    at = datetime(2026, 1, 2, 8, 30)
    rows = [
        communication(customer_id=number, at=at, subject="咨询", content="=内容", number="13812345678", method="电话",
                      direction="呼入", talk=61.5, channel=1, recording="nonsense"),
        communication(customer_id=999, at=at, subject="无客户"),
        communication(customer_id=number, subject="无时间", direction="横向", talk="lang"),
        communication(customer_id=number, at=at),
    ]  # fmt: skip
    job = take_in(home, browser, communications_book(*rows), kind="communications")
    assert [(one["row"], one["code"]) for one in job["problems"]] == [
        (3, "customer_missing"),
        (4, "direction_wrong"),
        (4, "number_wrong"),
        (4, "required"),
        (5, "communication_empty"),
    ]
    with write(crm) as connection:
        connection.execute("UPDATE communications SET call_id = ?", (call["id"],))
    first = export(home, browser, "communications")
    [row] = cells(first)["沟通记录"][1:]
    values = dict(zip((one.key for one in COMMUNICATIONS.columns), row, strict=True))
    assert (values["customer_name"], values["company"], values["content"]) == ("张伟", "公司", "=内容")
    assert (values["at"], values["talk"], values["channel"]) == (at, 61.5, 1)
    assert (values["direction"], values["author_name"], values["recording"]) == ("呼入", "name of 1", recording)
    assert preview(home, browser, first, kind="communications")["counts"]["unchanged"] == 1

    assert browser.ask("DELETE", f"/communications/{values['id']}").status == 204
    assert take_in(home, browser, first, kind="communications")["counts"]["restored"] == 1
    assert cells(export(home, browser, "communications")) == cells(first)

    changed = (*row[:8], "改了", *row[9:18], "another recording")
    assert take_in(home, browser, communications_book(changed), kind="communications")["counts"]["changed"] == 1
    [after] = cells(export(home, browser, "communications"))["沟通记录"][1:]
    assert (after[8], after[18]) == ("改了", recording)


def test_calls(home, crm, browse, exchange):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", channels=(2,))
    browser = browse("1")
    exchange.wire(1, 2)
    for channel, number in ((1, "13812345678"), (2, None)):
        call = exchange.call(channel, number)
        exchange.answer(call)
        exchange.end(call)
        exchange.recording(call, f"2026/{channel}.wav", missing_samples=4000)
        note = {"text": f"=要回电{channel}", "position_ms": 65_000}
        assert browser.ask("POST", f"/calls/{call['id']}/notes", note).status == 201
        assert browser.ask("POST", f"/calls/{call['id']}/notes", {"score": 5}).status == 201
    take_in(home, browser, customers_book(customer(name="张伟", mobile1="+86 138 1234 5678")))
    hold = {"kind": "number", "subject": "13812345678", "reason": "纠纷"}
    assert browser.ask("POST", "/holds", hold).status == 201
    keys = [one.key for one in CALLS.columns]
    found = [dict(zip(keys, row, strict=True)) for row in cells(export(home, browser, "calls"))["通话记录"][1:]]
    assert [(one["channel"], one["caller"], one["customer_name"], one["held"]) for one in found] == [
        (2, None, None, "否"),
        (1, "13812345678", "张伟", "是"),
    ]
    assert (found[1]["file"], found[1]["missing"], found[1]["sha256"]) == ("2026/1.wav", 0.5, "ab" * 32)
    with in_zone(ZoneInfo("Asia/Shanghai")):  # the box's, not the machine's
        assert local_of_ms(START_MS) <= found[1]["started"] <= local_of_ms(call["started_ms"])
    assert found[1]["note"] == "name of 1: 1:05 =要回电1\nname of 1: (评分 5)"
    theirs = cells(export(home, browse("2"), "calls", language="en"))["Calls"][1:]
    assert [(row[3], row[-1]) for row in theirs] == [(2, "name of 1: 1:05 =要回电2\nname of 1: (score 5)")]
    assert BytesIO(export(home, browser, "calls", calls={"channel": 1})).getvalue()


def test_places_of_calls_are_in_the_language_of_the_workbook(home, crm, browse, exchange):
    hire(crm, "1", "super")
    exchange.wire(1)
    exchange.end(exchange.call(1, "95588"))
    place = [one.key for one in CALLS.columns].index("place")
    shown = {
        language: list(cells(export(home, browse("1"), "calls", language=language)).values())
        for language in ("zh", "en")
    }
    assert {language: rows[0][1][place] for language, rows in shown.items()} == {"zh": "中国工商银行", "en": "ICBC"}


def test_clearing_begins_with_a_backup_that_brings_all_back(home, crm, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    take_in(home, browse("1"), customers_book(customer(name="别人的", category="A")))
    mine = browse("2")
    rows = [customer(name=f"甲{i}", category="A" if i % 2 else "B", mobile1=f"1381234{i:04}") for i in range(320)]
    take_in(home, mine, customers_book(*rows))
    before = cells(export(home, mine))
    for wrong in ("", "clear", "yes"):
        assert mine.ask("POST", "/clearings", {"kind": "customers", "confirm": wrong}).status == 400
    job = mine.ask("POST", "/clearings", {"kind": "customers", "confirm": "清除", "customers": {"category": "A"}}).json
    work(home)
    job = mine.get(f"/jobs/{job['id']}")
    assert (job["state"], job["done_rows"]) == ("done", 160)
    assert {row[16] for row in cells(export(home, mine))["客户资料"][1:]} == {"B"}
    assert browse("1").get("/customers?category=A")["customers"][0]["name"] == "别人的"

    backup = mine.ask("GET", f"/jobs/{job['id']}/file").body
    assert len(cells(backup)["客户资料"]) == 161
    assert take_in(home, mine, backup)["counts"]["restored"] == 160
    assert cells(export(home, mine)) == before


def test_communication_records_are_cleared_and_brought_back(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="张伟")))
    number = browser.get("/customers")["customers"][0]["id"]
    rows = [communication(customer_id=number, at=datetime(2026, 1, 2, 8, i), subject=f"第{i}次") for i in range(30)]
    take_in(home, browser, communications_book(*rows), kind="communications")
    first = export(home, browser, "communications")
    job = browser.ask("POST", "/clearings", {"kind": "communications", "confirm": "CLEAR"}).json
    work(home)
    assert len(cells(export(home, browser, "communications"))["沟通记录"]) == 1
    backup = browser.ask("GET", f"/jobs/{job['id']}/file").body
    assert cells(backup) == cells(first)
    assert take_in(home, browser, backup, kind="communications")["counts"]["restored"] == 30
    assert cells(export(home, browser, "communications")) == cells(first)


def test_clearing_that_was_cut_off_goes_on_with_the_backup_that_it_has(home, crm, browse, monkeypatch):
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(*[customer(name=f"甲{i}") for i in range(400)]))
    job = browser.ask("POST", "/clearings", {"kind": "customers", "confirm": "CLEAR"}).json
    real, calls = RecycleBin.put_in, 0

    def put_in(*arguments):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt  # as sudden as a kill
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RecycleBin, "put_in", put_in)
        with pytest.raises(KeyboardInterrupt):
            work(home)
    assert browser.ask("POST", "/customers", {"name": "新来的"}).status == 201
    work(home)
    assert browser.get(f"/jobs/{job['id']}")["state"] == "done"
    assert [one["name"] for one in browser.get("/customers")["customers"]] == ["新来的"]
    backup = browser.ask("GET", f"/jobs/{job['id']}/file").body
    assert len(cells(backup)["客户资料"]) == 401
