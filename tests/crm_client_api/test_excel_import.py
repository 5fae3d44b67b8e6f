"""Importing customers over HTTP: preview, effect, and what is refused row by row."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from urllib.parse import quote
from zoneinfo import ZoneInfo

import openpyxl
from crm_office import hire
from excel_office import book, cells, confirm, customer, customers_book, export, preview, take_in, work

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.excel.columns import CUSTOMERS

NEXT = datetime(2026, 12, 24, 9, 30)


def names(browser) -> list[str]:
    return sorted(one["name"] for one in browser.get("/customers?limit=500")["customers"])


def test_new_rows_appear_only_once_they_are_confirmed(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    data = customers_book(
        customer(name="张伟明", company="北京兴业", phone1="010-62345678转801", mobile1="13812345678/13912345678",
                 category="A", note="第一行\n第二行", next_contact=NEXT),
        customer(id="ABC-7", name="Ann Lee", phone1="62345679", email="ann@example.com"),
        customer(company="只有公司"),
    )  # fmt: skip
    job = preview(home, browser, data)
    assert (job["state"], job["question"]) == ("needs_answer", "confirm")
    assert job["counts"] == {
        "rows": 3, "new": 3, "changed": 0, "restored": 0, "unchanged": 0, "duplicate": 0, "wrong": 0,
        "known": 0, "skipped": 0,
    }  # fmt: skip
    assert names(browser) == []

    job = confirm(home, browser, job)
    assert job["state"] == "done"
    assert names(browser) == ["", "Ann Lee", "张伟明"]
    found = browser.get(f"/customers?q={quote('张伟明')}")["customers"][0]
    assert [(one["number"], one["kind"]) for one in found["phones"]] == [
        ("010-62345678转801", "phone"),
        ("13812345678", "mobile"),
        ("13912345678", "mobile"),
    ]
    assert (found["author"], found["owner"], found["category"]) == ("1", "1", "A")
    assert found["note"] == "第一行\n第二行"
    at = datetime.fromisoformat(found["next_contact_at"])
    assert at.astimezone(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None) == NEXT  # the box's zone, not the machine's


def test_an_export_imported_again_changes_nothing(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(
        home,
        browser,
        customers_book(
            customer(name="=1+1", company="<r>x</r>", note="@SUM(A1)\t+1", phone1="1、2;3/4;5", fax="010-1234567"),
            language="en",
        ),
    )
    odd = {"name": "_x0041_", "address": " \x0b", "phones": [{"number": "-7", "label": "后门", "kind": "other"}]}
    assert browser.ask("POST", "/customers", odd).status == 201
    first = export(home, browser)
    assert cells(first)["客户资料"][1][1:4:2] == ("=1+1", "<r>x</r>")
    job = preview(home, browser, first)
    assert job["counts"]["unchanged"] == 2, job
    assert confirm(home, browser, job)["state"] == "done"
    assert cells(export(home, browser)) == cells(first)


def test_export_clear_import_export_gives_the_same_cells(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    rows = [customer(name=f"客户{i}", mobile1=f"1381234{i:04}", phone1=f"0106234{i:04}", note="=x") for i in range(30)]
    take_in(home, browser, customers_book(*rows))
    labelled = {"name": "标签", "phones": [{"number": "13800138000", "label": "秘书"}, {"number": "1/2"}]}
    assert browser.ask("POST", "/customers", labelled).status == 201
    first = export(home, browser)
    for one in browser.get("/customers?limit=500")["customers"]:
        assert browser.ask("DELETE", f"/customers/{one['id']}").status == 204
    assert names(browser) == []
    assert len(cells(export(home, browser))["客户资料"]) == 1  # its header

    job = preview(home, browser, first)
    assert job["counts"]["restored"] == 31, job
    assert confirm(home, browser, job)["state"] == "done"
    assert cells(export(home, browser)) == cells(first)


def test_a_known_number_changes_that_row_and_nothing_else(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="甲", note="旧"), customer(name="乙")))
    before = {one["name"]: one for one in browser.get("/customers")["customers"]}
    first = cells(export(home, browser))["客户资料"]
    first[1] = (*first[1][:1], "甲方", *first[1][2:20], "新", *first[1][21:])
    job = take_in(home, browser, customers_book(*first[1:]))
    assert job["counts"] | {"rows": 0} == {
        "rows": 0, "new": 0, "changed": 1, "restored": 0, "unchanged": 1, "duplicate": 0, "wrong": 0,
        "known": 0, "skipped": 0,
    }  # fmt: skip
    after = {one["name"]: one for one in browser.get("/customers")["customers"]}
    assert after["乙"] == before["乙"]
    assert (after["甲方"]["id"], after["甲方"]["note"]) == (before["甲"]["id"], "新")
    assert after["甲方"]["changed_at"] > before["甲"]["changed_at"]
    entry = crm.conn.execute("SELECT data FROM audit WHERE action = 'customer.change'").fetchone()[0]
    assert '"before":{' in entry


def test_out_of_scope_a_number_is_unknown_and_only_its_telephone_is_hinted_at(home, crm, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    theirs = browse("1")
    take_in(home, theirs, customers_book(customer(name="秘密", mobile1="13812345678")))
    secret = theirs.get("/customers")["customers"][0]
    mine = browse("2")
    data = customers_book(customer(id=int(secret["id"]), name="我的", mobile1="+86 138 1234 5678"))
    job = preview(home, mine, data)
    assert (job["counts"]["new"], job["counts"]["duplicate"]) == (1, 1)
    assert [(one["code"], one["wrong"]) for one in job["problems"]] == [("number_known_elsewhere", False)]
    assert "秘密" not in str(job)
    confirm(home, mine, job)
    assert mine.get("/customers")["customers"][0]["id"] != secret["id"]
    again = theirs.get(f"/customers/{secret['id']}")
    assert again == secret


def test_staff_numbers_of_others_are_for_super_operators(home, crm, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary")
    rows = (customer(name="甲", author="2", owner="2"), customer(name="乙", author="3"), customer(name="丙"))
    job = preview(home, browse("2"), customers_book(*rows[:1], customer(name="丁", owner="1")))
    assert [(one["row"], one["column"], one["code"]) for one in job["problems"]] == [(3, "归属工号", "super_only")]
    browser = browse("1")
    job = take_in(home, browser, customers_book(*rows))
    assert [(one["row"], one["code"]) for one in job["problems"]] == [(3, "staff_no_unknown")]
    owners = {one["name"]: (one["author"], one["owner"]) for one in browser.get("/customers")["customers"]}
    assert owners == {"甲": ("2", "2"), "丙": ("1", "1")}
    number = next(one["id"] for one in browser.get("/customers")["customers"] if one["name"] == "甲")
    job = preview(home, browser, customers_book(customer(id=number, name="甲", author="1", owner="1")))
    assert [one["code"] for one in job["problems"]] == ["author_fixed", "owner_fixed"]


def test_wrong_rows_come_back_to_be_corrected(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    data = customers_book(
        customer(name="好"),
        customer(name="x" * 201, next_contact="03/04/2026", created="2026年1月2日"),
        customer(title="无名"),
        customer(name="时间", next_contact="2026-13-01"),
        customer(name="日期", next_contact="2026/3/4 8:05"),
    )
    job = preview(home, browser, data, language="en")
    assert (job["counts"]["new"], job["counts"]["wrong"]) == (2, 3)
    assert [(one["row"], one["column"], one["code"]) for one in job["problems"]] == [
        (3, "Name", "too_long"),
        (3, "Next contact", "time_wrong"),
        (4, "", "customer_empty"),
        (5, "Next contact", "time_wrong"),
    ]
    wrong = cells(browser.ask("GET", f"/jobs/{job['id']}/file").body)
    assert [row[1] for row in wrong["Customers"][1:]] == ["x" * 201, None, "时间"]
    assert wrong["Reasons"][1][:4] == ("客户资料", 3, 2, "Name")
    assert confirm(home, browser, job)["state"] == "done"
    assert names(browser) == ["好", "日期"]
    corrected = [(*row[:1], "改好", *row[2:21], None, *row[22:]) for row in wrong["Customers"][1:]]
    take_in(home, browser, customers_book(*corrected))
    assert names(browser) == ["好", "改好", "改好", "改好", "日期"]


def test_an_altered_order_is_refused_with_the_first_wrong_column(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    header = CUSTOMERS.headings("zh")
    for wrong, said in (
        ([*header[:3], header[4], header[3], *header[5:]], "column 4 is '职务'"),
        (header[:-1], "column 26 is nothing"),
        ([*header, "我的列"], "column 27 is '我的列'"),
        ([*header[:5], "", *header[5:]], "column 6 is nothing"),
    ):
        job = preview(home, browser, book({"x": [wrong, ["1"]]}))
        assert (job["state"], job["error_code"]) == ("failed", "header_altered")
        assert said in job["error"]


def test_a_foreign_header_is_mapped_first(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    data = book({"Sheet1": [["联系人", "Tel", "爱好", "邮编"], ["王芳", 13900139000, "棋", "010010"]]})
    job = preview(home, browser, data)
    assert (job["question"], job["header"]) == ("mapping", ["联系人", "Tel", "爱好", "邮编"])
    assert job["proposal"] == ["name", "phone1", None, "postcode"]
    assert job["examples"] == [["王芳", "13900139000", "棋", "010010"]]
    for wrong in (None, ["name"], ["name", "name", None, None], [None] * 4, ["nose", None, None, None]):
        answer = browser.ask("POST", f"/jobs/{job['id']}/confirm", {"mapping": wrong})
        if answer.status == 200:
            work(home)
            assert browser.get(f"/jobs/{job['id']}")["error_code"] == "mapping_wrong"
            job = preview(home, browser, data)
        else:
            assert (answer.status, answer.code) == (400, "mapping_wrong")
    job = confirm(home, browser, job, mapping=["name", "mobile1", "note", "postcode"])
    assert (job["question"], job["counts"]["new"]) == ("confirm", 1)
    confirm(home, browser, job)
    found = browser.get("/customers")["customers"][0]
    assert (found["name"], found["note"], found["postcode"]) == ("王芳", "棋", "010010")
    assert [one["number"] for one in found["phones"]] == ["13900139000"]


def test_further_numbers_and_own_fields_stand_on_sheets_of_their_own(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    crm.conn.execute(
        "INSERT INTO custom_fields (name_en, name_zh, type, choices, required, position) VALUES"
        " ('Colour', '颜色', 'choice', '[\"红\",\"蓝\"]', 0, 1), ('Birthday', '生日', 'date', '[]', 0, 2),"
        " ('Score', '', 'number', '[]', 0, 3)"
    )
    crm.conn.commit()
    take_in(
        home,
        browser,
        customers_book(
            customer(id="K1", name="甲"),
            customer(id="K2", name="乙"),
            更多号码=[["客户编号", "号码", "说明"], ["K1", "62345678", "前台"], ["K1", "110", ""], ["K9", "1", ""]],
            自定义字段=[
                ["客户编号", "生日", "颜色", "Score"],
                ["K1", datetime(1980, 5, 6), "蓝", 7],
                ["K2", None, "绿", None],
            ],
        ),
    )
    [found] = browser.get("/customers")["customers"]
    assert [(one["number"], one["label"]) for one in found["phones"]] == [("62345678", "前台"), ("110", "")]
    assert found["custom"] == {"1": "蓝", "2": "1980-05-06", "3": 7.0}
    data = export(home, browser)
    sheets = cells(data)
    assert sheets["更多号码"][1:] == [(found["id"], "62345678", "前台")]
    assert sheets["自定义字段"] == [
        ("客户编号", "颜色", "生日", "Score"),
        (found["id"], "蓝", datetime(1980, 5, 6), 7),
    ]
    assert preview(home, browser, data)["counts"]["unchanged"] == 1


def test_merged_cells_are_refused(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for rows, merge, said in (
        ([["联系方式", None], ["姓名", "电话"], ["张", "1"]], "A1:B1", "header_merged"),
        ([CUSTOMERS.headings("zh"), customer(name="张"), customer(name="李")], "B2:B3", "cells_merged"),
    ):
        made = openpyxl.load_workbook(BytesIO(book({"x": rows})))
        made.active.merge_cells(merge)
        target = BytesIO()
        made.save(target)
        assert preview(home, browser, target.getvalue())["error_code"] == said


def test_the_same_customer_twice_in_a_file_is_a_wrong_row(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="甲")))
    number = browser.get("/customers")["customers"][0]["id"]
    job = preview(home, browser, customers_book(customer(id=number, name="乙"), customer(id=number, name="丙")))
    assert [(one["row"], one["code"]) for one in job["problems"]] == [(3, "key_twice")]


def test_a_number_twice_in_a_file_is_a_possible_duplicate(home, crm, browse):
    hire(crm, "1", "super")
    rows = [customer(name="甲", mobile1="13812345678"), customer(name="乙", mobile1="+86 138-1234-5678", phone1="110")]
    rows += [customer(name="丙", phone1="110")]
    job = preview(home, browse("1"), customers_book(*rows))
    assert (job["counts"]["new"], job["counts"]["duplicate"]) == (3, 1)
    assert [(one["row"], one["code"], one["text"]) for one in job["problems"]] == [
        (3, "number_twice", "号码可能重复：第 2 行已有")
    ]


def test_rows_whose_number_a_customer_has_already_are_left_out_when_asked(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    take_in(home, browser, customers_book(customer(name="甲", mobile1="13812345678")))
    twice = (customer(name="又甲", mobile1="138 1234 5678"), customer(name="乙", phone1="62345679"))
    job = preview(home, browser, customers_book(*twice))
    assert [job["counts"][name] for name in ("new", "duplicate", "known", "skipped")] == [2, 1, 1, 0]
    done = confirm(home, browser, job, known="skip")
    assert [done["counts"][name] for name in ("new", "known", "skipped")] == [1, 0, 1]
    assert names(browser) == ["乙", "甲"]
    again = take_in(home, browser, customers_book(twice[0]))  # not asked: a row without a number of its own is new
    assert (again["counts"]["known"], names(browser)) == (1, ["乙", "又甲", "甲"])


def test_a_long_import_is_prepared_in_a_second_process(home, crm, browse, monkeypatch):
    hire(crm, "1", "super")
    browser = browse("1")
    monkeypatch.setattr("crm_client_api.excel.importing.ahead.LONG_ROWS", 100)
    rows = [customer(name=f"客户{i}", mobile1=f"1381234{i:04}") for i in range(700)]
    assert take_in(home, browser, customers_book(*rows))["state"] == "done"
    assert crm.conn.execute("SELECT count(*) FROM living_customers").fetchone()[0] == 700
    assert [one["name"] for one in browser.get("/customers?number=13812340699")["customers"]] == ["客户699"]
    assert len(browser.get(f"/customers?q={quote('客户699')}")["customers"]) == 1


def test_what_is_no_telephone_number_is_told_in_the_preview_and_taken_as_it_stands(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    good = ["+44 (0)20 7946 0958", "021-5555 0199 / 13911112222", "010-62345678转801", "95588", "8001 ext. 12"]
    odd = ["abc", "13812345678, 13912345678", "13812345678 13912345678", "问王总", "7"]
    rows = [customer(name=f"客户{n}", phone1=cell) for n, cell in enumerate([*good, *odd])]
    job = preview(home, browser, customers_book(*rows), language="en")
    assert (job["counts"]["new"], job["counts"]["duplicate"], job["counts"]["wrong"]) == (10, 0, 0)
    told = [(one["row"], one["code"], one["wrong"]) for one in job["problems"]]
    assert told == [(row, "number_doubtful", False) for row in range(7, 12)]
    assert "abc" in job["problems"][0]["text"]
    confirm(home, browser, job)
    phones = {
        one["name"]: [phone["number"] for phone in one["phones"]] for one in browser.get("/customers")["customers"]
    }
    assert phones["客户1"] == ["021-5555 0199", "13911112222"]
    assert phones["客户5"] == ["abc"]
