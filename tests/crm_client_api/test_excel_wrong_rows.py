"""The workbook of wrong rows, corrected and imported as it is, loses nothing; and what is told of duplicates."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from urllib.parse import quote

import openpyxl
import pytest
from crm_office import hire
from excel_office import (
    book,
    cells,
    communication,
    communications_book,
    confirm,
    customer,
    customers_book,
    export,
    preview,
    take_in,
)

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission

FURTHER = ["客户编号", "号码", "说明"]


@pytest.fixture
def browser(crm, browse):
    hire(crm, "1", "super")
    crm.conn.execute(
        "INSERT INTO custom_fields (name_en, name_zh, type, choices, required, position) VALUES"
        " ('Colour', '颜色', 'choice', '[\"红\",\"蓝\"]', 0, 1), ('Birthday', '生日', 'date', '[]', 0, 2)"
    )
    crm.conn.commit()
    return browse("1")


def wrong_rows(browser, job) -> bytes:
    return browser.ask("GET", f"/jobs/{job['id']}/file").body


def corrected(data: bytes, sheet: str, cell: str, value: object) -> bytes:
    """The workbook with one cell put right and nothing else touched."""
    made = openpyxl.load_workbook(BytesIO(data))
    made[sheet][cell] = value
    target = BytesIO()
    made.save(target)
    return target.getvalue()


def only(browser, name):
    [found] = browser.get(f"/customers?q={quote(name)}")["customers"]
    return browser.get(f"/customers/{found['id']}")


def phones(found):
    return [(one["number"], one["label"]) for one in found["phones"]]


def test_a_wrong_choice_comes_back_with_its_numbers_and_fields(home, browser):
    job = preview(
        home,
        browser,
        customers_book(
            customer(id="K1", name="甲方", mobile1="13812345678"),
            customer(id="K2", name="乙方"),
            更多号码=[FURTHER, ["K1", "62345678", "前台"], ["K2", "62345679", ""], ["K1", "62345670", "仓库"]],
            自定义字段=[["客户编号", "生日", "颜色"], ["K1", datetime(1980, 5, 6), "绿"], ["K2", None, "红"]],
        ),
    )
    assert [(one["sheet"], one["row"], one["code"]) for one in job["problems"]] == [("自定义字段", 2, "choice_wrong")]
    confirm(home, browser, job)
    back = wrong_rows(browser, job)
    sheets = cells(back)
    assert sheets["更多号码"] == [tuple(FURTHER), ("K1", "62345678", "前台"), ("K1", "62345670", "仓库")]
    assert sheets["自定义字段"] == [("客户编号", "生日", "颜色"), ("K1", "1980-05-06", "绿")]
    take_in(home, browser, corrected(back, "自定义字段", "C2", "蓝"))
    found = only(browser, "甲方")
    assert found["custom"] == {"1": "蓝", "2": "1980-05-06"}
    assert phones(found) == [("13812345678", ""), ("62345678", "前台"), ("62345670", "仓库")]


def test_a_wrong_row_of_a_known_customer_keeps_what_the_sheets_say(home, browser):
    first = customers_book(
        customer(id="K1", name="甲方"),
        更多号码=[FURTHER, ["K1", "62345678", "前台"]],
        自定义字段=[["客户编号", "颜色"], ["K1", "红"]],
    )
    take_in(home, browser, first)
    sent = corrected(export(home, browser), "客户资料", "B2", "甲" * 201)
    job = preview(home, browser, corrected(sent, "客户资料", "D2", "公司"))
    take_in(home, browser, corrected(wrong_rows(browser, job), "客户资料", "B2", "甲方"))
    found = only(browser, "甲方")
    assert (found["company"], found["custom"], phones(found)) == ("公司", {"1": "红"}, [("62345678", "前台")])


def test_without_the_other_sheets_the_workbook_has_none_either(home, browser):
    job = preview(home, browser, customers_book(customer(name="x" * 201)))
    assert set(cells(wrong_rows(browser, job))) == {"客户资料", "错误原因"}


def test_a_wrong_number_on_the_second_sheet_sends_the_customer_back(home, browser):
    job = preview(
        home, browser,
        customers_book(
            customer(id="K1", name="甲方"),
            更多号码=[FURTHER, ["K1", "1" * 61, ""], ["K1", "62345678", ""], ["K9", "1", ""]],
        ),
    )  # fmt: skip
    assert (job["counts"]["new"], job["counts"]["wrong"]) == (0, 2)
    assert [(one["sheet"], one["row"], one["column"], one["code"]) for one in job["problems"]] == [
        ("更多号码", 2, "号码", "phone_wrong"),
        ("更多号码", 4, "客户编号", "row_missing"),
    ]
    back = wrong_rows(browser, job)
    assert cells(back)["更多号码"][1:] == [("K1", "1" * 61, None), ("K1", "62345678", None), ("K9", "1", None)]
    confirm(home, browser, job)
    job = take_in(home, browser, corrected(back, "更多号码", "B2", "110"))
    assert (job["counts"]["new"], job["counts"]["wrong"]) == (1, 1)
    assert phones(only(browser, "甲方")) == [("110", ""), ("62345678", "")]


def test_a_customer_twice_on_the_third_sheet_is_wrong(home, browser):
    job = preview(
        home, browser,
        customers_book(customer(id="K1", name="甲方"), 自定义字段=[["客户编号", "颜色"], ["K1", "红"], ["K1", "蓝"]]),
    )  # fmt: skip
    assert [(one["sheet"], one["row"], one["code"], one["text"]) for one in job["problems"]] == [
        ("自定义字段", 3, "key_twice", "编号重复，第 2 行已有")
    ]
    assert cells(wrong_rows(browser, job))["自定义字段"][1:] == [("K1", "红"), ("K1", "蓝")]


def test_the_second_row_of_a_customer_comes_back_with_the_other_sheets(home, browser):
    take_in(home, browser, customers_book(customer(id="K1", name="甲方"), 更多号码=[FURTHER, ["K1", "62345678", ""]]))
    number = only(browser, "甲方")["id"]
    job = preview(
        home, browser,
        customers_book(
            customer(id=number, name="甲方"),
            customer(id=number, name="乙方"),
            更多号码=[FURTHER, [number, "62345678", ""]],
        ),
    )  # fmt: skip
    confirm(home, browser, job)
    take_in(home, browser, wrong_rows(browser, job))
    assert phones(only(browser, "乙方")) == [("62345678", "")]


def test_a_wrong_row_of_a_file_with_few_columns_empties_nothing(home, browser):
    take_in(
        home, browser,
        customers_book(customer(name="甲方", company="公司", note="备注", phone1="62345678", mobile1="13812345678")),
    )  # fmt: skip
    number = only(browser, "甲方")["id"]
    foreign = book({"Sheet1": [["客户编号", "手机", "职务"], [number, "13912345678", "x" * 201]]})
    job = preview(home, browser, foreign)
    job = confirm(home, browser, job, mapping=["id", "mobile1", "title"])
    assert job["counts"]["wrong"] == 1
    take_in(home, browser, corrected(wrong_rows(browser, job), "客户资料", "E2", "经理"))
    found = only(browser, "甲方")
    assert (found["company"], found["note"], found["title"]) == ("公司", "备注", "经理")
    assert sorted(one["number"] for one in found["phones"]) == ["13812345678", "13912345678", "62345678"]


def test_a_wrong_record_of_a_file_with_few_columns_empties_nothing(home, browser):
    take_in(home, browser, customers_book(customer(name="甲方")))
    of_customer = only(browser, "甲方")["id"]
    at = datetime(2026, 1, 2, 8, 30)
    row = communication(customer_id=of_customer, at=at, subject="咨询", direction="呼入", talk=61.5, channel=1)
    take_in(home, browser, communications_book(row), kind="communications")
    before = cells(export(home, browser, "communications"))["沟通记录"][1]
    foreign = book({"Sheet1": [["沟通编号", "下次联系时间"], [before[0], "03/04/2026"]]})
    job = preview(home, browser, foreign, kind="communications")
    job = confirm(home, browser, job, mapping=["id", "next_contact"])
    back = corrected(wrong_rows(browser, job), "沟通记录", "K2", datetime(2026, 4, 3))
    take_in(home, browser, back, kind="communications")
    after = cells(export(home, browser, "communications"))["沟通记录"][1]
    assert after == (*before[:10], datetime(2026, 4, 3), *before[11:])


def test_a_known_customer_who_gets_the_number_of_another_is_a_possible_duplicate(home, crm, browse, browser):
    hire(crm, "2", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    hire(crm, "3", "ordinary", permissions=ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE})
    mine = browse("2")
    take_in(home, mine, customers_book(customer(name="甲方", mobile1="13812345678"), customer(name="乙方")))
    take_in(home, browse("3"), customers_book(customer(name="别人的", mobile1="13912345678")))
    number = only(mine, "甲方")["id"]
    job = preview(home, mine, customers_book(customer(id=number, name="甲方", mobile1="+86 139 1234 5678")))
    assert (job["counts"]["changed"], job["counts"]["duplicate"]) == (1, 1)
    assert [one["code"] for one in job["problems"]] == ["number_known_elsewhere"]
    other = only(mine, "乙方")["id"]
    rows = [customer(id=number, name="甲", mobile1="13812345678"), customer(id=other, name="乙方", fax="13812345678")]
    job = preview(home, mine, customers_book(*rows))
    assert [(one["row"], one["text"]) for one in job["problems"]] == [(3, f"号码可能重复：客户 甲方 ({number})")]
    assert mine.ask("DELETE", f"/customers/{number}").status == 204
    rows = [customer(id=number, name="甲方", mobile1="13812345678"), customer(name="新", mobile1="13812345678")]
    job = preview(home, mine, customers_book(*rows))
    assert (job["counts"]["restored"], [(one["row"], one["code"]) for one in job["problems"]]) == (
        1, [(3, "number_twice")],
    )  # fmt: skip


def test_numbers_are_split_at_separators_of_both_widths(home, browser):
    row = customer(name="甲方", mobile1="13812345678;13912345678", phone1="62345678／62345679；110、119")
    take_in(home, browser, customers_book(row))
    assert [number for number, _ in phones(only(browser, "甲方"))] == [
        "62345678", "62345679", "110", "119", "13812345678", "13912345678",
    ]  # fmt: skip
    assert len(browser.get("/customers?number=13912345678")["customers"]) == 1


def test_a_card_with_many_mobiles_and_one_with_an_extension_come_back(home, browser):
    many = [f"1381234{i:04}" for i in range(40)]
    take_in(
        home,
        browser,
        customers_book(customer(id="K", name="甲方"), 更多号码=[FURTHER, *(["K", one, ""] for one in many)]),
    )
    number = only(browser, "甲方")["id"]
    same = [{"number": one, "kind": "mobile"} for one in many]
    assert browser.ask("PATCH", f"/customers/{number}", {"phones": same}).status == 200
    cards = export(home, browser, format="vcard")
    assert browser.ask("DELETE", f"/customers/{number}").status == 204
    cards += (
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:乙方\r\nTEL;VALUE=uri:tel:+86-10-62345678;ext=801\r\n"
        "TEL:62345670\\;62345671\r\nEND:VCARD\r\n"
    ).encode()
    assert take_in(home, browser, cards)["counts"]["new"] == 2
    assert [number for number, _ in phones(only(browser, "甲方"))] == many
    assert phones(only(browser, "乙方")) == [("+86-10-62345678转801", ""), ("62345670", ""), ("62345671", "")]
