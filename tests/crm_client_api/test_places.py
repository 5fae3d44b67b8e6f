"""Places and carriers of numbers, service numbers, and the site's own table."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from crm_office import hire
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.numbers.places import SITE_TABLE, Place, place_as_received, prepare_places, read_site_table
from firmware.config import Home
from firmware.errors import BadInput
from recorder.numbers import Site

SITE = Site()
PLACES = {
    "013800138000": ("北京", "Beijing", "中国移动", "China Mobile"),
    "19912345678": ("河北唐山", "Tangshan, Hebei", "中国电信", "China Telecom"),
    "62345678": ("北京市", "Beijing", "", ""),
    "0755-86123456": ("广东省深圳市", "Shenzhen, Guangdong", "", ""),
    "+442079460000": ("英国", "London", "", ""),
    "+33612345678": ("法国", "France", "", ""),
    "+85221234567": ("香港", "Hong Kong", "", ""),
    "110": ("公安报警", "Police", "", ""),
    "95588": ("中国工商银行", "ICBC", "", ""),
    "12345": ("政务服务便民热线", "Government service hotline", "", ""),
    "4008001234": ("400 企业电话", "Shared-cost number (400)", "", ""),
    "801": ("", "", "", ""),
    "": ("", "", "", ""),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("places"))
    home.create()
    prepare_places(home)
    return home


def test_places_and_carriers_in_both_languages(tables):
    assert {number: place_as_received(tables, number, SITE) for number in PLACES} == {
        number: Place(*names) for number, names in PLACES.items()
    }


def test_short_codes_are_those_of_the_own_country_behind_the_outside_line(tables):
    assert place_as_received(tables, "9110", Site("CN", "010", "9")).zh == "公安报警"
    assert place_as_received(tables, "110", Site("DE", "030")) == Place()


@given(st.text("+0123456789- 转()", max_size=20))
def test_whatever_comes_is_no_error(tables, number):
    assert isinstance(place_as_received(tables, number, SITE), Place)


def test_the_site_s_table_goes_before(tables):
    file = tables.root / SITE_TABLE
    file.write_text("prefix,zh,en\n+8619912,我们的新号段,Our new range\n+861991234,更精确\n\n", encoding="utf-8")
    assert place_as_received(tables, "19912345678", SITE) == Place("更精确", "更精确", "中国电信", "China Telecom")
    assert place_as_received(tables, "19912995678", SITE).en == "Our new range"
    file.write_bytes("+861380013,国标编码\n".encode("gb18030"))
    assert place_as_received(tables, "13800138000", SITE).zh == "国标编码"
    assert place_as_received(tables, "19912345678", SITE).zh == "河北唐山"
    file.write_bytes(b"\xff\xfe\x00")
    assert place_as_received(tables, "13800138000", SITE).zh == "北京"
    file.unlink()
    assert place_as_received(tables, "13800138000", SITE).zh == "北京"


def test_wrong_lines_of_the_site_s_table_are_named_and_the_others_count():
    content = "+8613,对,Right\n13,错\n+86x,错\n+1,\n+1234567890123456,错\n+49,a,b,c\n+49," + "长" * 200
    table, wrong = read_site_table(content.encode())
    assert table == {"8613": ("对", "Right")}
    assert [line.split(":")[0] for line in wrong] == [f"line {n}" for n in (2, 3, 4, 5, 6, 7)]
    with pytest.raises(BadInput):
        read_site_table(b"\xff\xff\xff")


@given(st.binary(max_size=200))
def test_no_table_is_too_strange(content):
    try:
        table, _ = read_site_table(content)
    except BadInput:
        return
    assert all(digits.isdigit() and zh and en for digits, (zh, en) in table.items())


def test_a_number_is_told_about(crm, home: Home, tables, browse):
    hire(crm, "1", "ordinary", permissions=frozenset())
    for file in Path(tables.run).glob("number_places-*.db"):
        (home.run / file.name).write_bytes(file.read_bytes())
    browser = browse("1")
    found = browser.get("/numbers/013800138000")
    assert "+8613800138000" in found.pop("spellings")
    assert found == {
        "number": "013800138000", "e164": "+8613800138000", "kind": "mobile", "place_zh": "北京", "place_en": "Beijing",
        "carrier_zh": "中国移动", "carrier_en": "China Mobile",
    }  # fmt: skip
    kinds = {"62345678": "fixed", "110": "service", "801": "short", "8008101234": "toll_free", "无": "unknown",
             "4008001234": "shared_cost", "+12125551234": "fixed_or_mobile", "1234567": "unknown"}  # fmt: skip
    assert {number: browser.get(f"/numbers/{quote(number)}")["kind"] for number in kinds} == kinds
    assert browser.ask("GET", "/numbers/" + "1" * 61).code == "phone_wrong"


def test_a_call_shows_both_names(crm, home: Home, exchange, tables, browse):
    hire(crm, "1", "super")
    for file in Path(tables.run).glob("number_places-*.db"):
        (home.run / file.name).write_bytes(file.read_bytes())
    exchange.call(1, "19912345678")
    exchange.call(1, "95588")
    shown = [(one["number_place"], one["number_place_en"]) for one in browse("1").get("/calls")["calls"]]
    assert shown == [("中国工商银行", "ICBC"), ("河北唐山", "Tangshan, Hebei")]
