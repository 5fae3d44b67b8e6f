"""Number lists out of files: what is a number, from which column, from a stick to a channel's parameter."""

from __future__ import annotations

import pytest
from crm_office import hire
from excel_office import book, customer, customers_book, send, work

from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.excel import number_list
from crm_client_api.excel.number_list import entry_of, read_number_list
from crm_client_api.excel.reading import open_book
from recorder.numbers import Site
from recorder.tracking.numbers import numbers_on, on_list

SITE = Site("CN", "010", "")
LIST = book({"黑名单": [["姓名", "备注", "手机"], ["张三", 2026, "138 1234-5678"], ["李四", None, 13900001111.0],
                     ["王五", "无", "010-62345678/95588"], ["赵六", None, "不详"], ["孙七", None, "01062345678转801"],
                     ["again", None, "13812345678"], [None, None, "1380013*"]]})  # fmt: skip


def found_in(data: bytes, folder):
    (folder / "list").write_bytes(data)
    with open_book(folder / "list", folder) as sheets:
        return read_number_list(sheets[0], SITE, lambda rows: None)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("13812345678", "13812345678"), ("+86 138-1234-5678", "+8613812345678"), ("（010）6234 5678", "01062345678"),
        ("110", "110"), ("400*", "400*"), ("010-62345678-801", None), ("62345678转801", None), ("12", None),
        ("**", None), ("no", None), ("", None), ("=1+1", None), ("1*2*3*4", None),
    ],
)  # fmt: skip
def test_what_is_a_number(text, entry):
    assert entry_of(text, SITE) == entry
    if entry:
        assert numbers_on(entry, SITE) == [entry]


def test_the_columns_that_say_so_are_read_and_what_is_no_number_is_told(tmp_path):
    found = found_in(LIST, tmp_path)
    assert found.numbers == ("13812345678", "13900001111", "01062345678", "95588", "1380013*")
    assert [(one.sheet, one.row, one.column, one.text) for one in found.wrong] == [
        ("黑名单", 5, 2, "不详"), ("黑名单", 6, 2, "01062345678转801"),
    ]  # fmt: skip
    ours = found_in(customers_book(customer(phone1="62345678", mobile1="13812345678", postcode="100000")), tmp_path)
    assert ours.numbers == ("62345678", "13812345678")


@pytest.mark.parametrize("text", ["13812345678\n13900001111\n", "name,tel.\nAnn,13812345678\nBob,13900001111\n12,x\n"])
def test_without_a_heading_the_column_with_most_numbers_is_read(tmp_path, text):
    assert found_in(text.encode(), tmp_path).numbers == ("13812345678", "13900001111")


def test_files_without_numbers_or_with_too_many_are_refused(tmp_path, monkeypatch):
    with pytest.raises(Invalid, match="no telephone number"):
        found_in("姓名,手机\n张三,\n".encode(), tmp_path)
    many = "\n".join(f"138{number:08d}" for number in range(900)).encode()
    with pytest.raises(Invalid, match="10000"):
        found_in(many, tmp_path)
    monkeypatch.setattr(number_list, "MOST_ROWS", 100)
    with pytest.raises(Invalid, match="100 rows"):
        found_in(many, tmp_path)


def test_from_a_stick_into_a_channels_list(home, crm, exchange, browse, stick):
    """Somebody who may set channels up and nothing else; nothing changes before the parameter is set."""
    place, medium = stick
    hire(crm, "2", "super", permissions={Permission.CHANNEL_SETUP})
    exchange.wire(1, 2)
    browser = browse("2")
    (place / "不录音.xlsx").write_bytes(LIST)
    [one] = browser.get("/imports/sticks")["sticks"]
    assert [file["place"] for file in one["files"]] == ["不录音.xlsx"]
    sent = {"medium": medium, "place": "不录音.xlsx", "kind": "numbers", "language": "en"}
    asked = browser.ask("POST", "/imports/from-stick", sent)
    assert asked.status == 202, asked.body
    work(home)
    job = browser.get(f"/jobs/{asked.json['id']}")
    assert (job["state"], job["error"], len(job["numbers"])) == ("done", None, 5)
    assert [(one["row"], one["column"], one["text"]) for one in job["problems"]] == [
        (5, "C", "no number that a list takes: 不详"), (6, "C", "no number that a list takes: 01062345678转801"),
    ]  # fmt: skip
    assert not list((home.root / "jobs").rglob("upload")), "the file is read, and gone"
    values = {"never_record_numbers": ",".join(job["numbers"])}
    assert browser.ask("PATCH", "/channels/1/parameters", {"values": values}).status == 200
    assert on_list("+8613812345678", values["never_record_numbers"], SITE)
    tried = browser.ask("POST", "/channels/1/recording-test", {"number": "13900001111"}).json
    assert (tried["kept"], tried["reason"]) == (False, "never_list")


def test_a_file_that_was_sent_is_read_alike_and_a_bad_one_fails_with_its_reason(home, crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for data, state, code in ((b"13812345678\n", "done", None), (b"no numbers here\n", "failed", "number_list_empty")):
        job = send(browser, data, "numbers").json["id"]
        work(home)
        told = browser.get(f"/jobs/{job}")
        assert (told["state"], told["error_code"]) == (state, code)


def test_who_may(crm, browse, stick):
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.CHANNEL_SETUP})
    sent = {"medium": stick[1], "place": "a.csv", "kind": "numbers"}
    assert browse("3").ask("POST", "/imports/from-stick", sent).code == "permission_missing"
    assert send(browse("3"), b"13812345678\n", "numbers").code == "permission_missing"
