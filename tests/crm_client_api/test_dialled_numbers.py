"""Numbers as people in the mainland dial, note and receive them: what they are, and where they belong."""

from __future__ import annotations

import pytest

from crm_client_api.numbers import place_tables
from crm_client_api.numbers.places import Place, _file, place_as_received
from firmware.config import Home
from recorder.numbers import Site, e164, match_key

BEIJING, SHANGHAI, NINE, ZERO, NOWHERE = (
    Site(), Site("CN", "021"), Site("CN", "010", "9"), Site("CN", "010", "0"), Site("CN", ""),
)  # fmt: skip
HONG_KONG = Site("HK", "")
MOBILE, TOWN = "+8613812345678", "+861062345678"


@pytest.mark.parametrize(
    ("site", "dialled", "key"),
    [
        *((BEIJING, one, MOBILE) for one in (
            "13812345678", "013812345678", "+8613812345678", "008613812345678", "8613812345678", "+86 138-1234-5678",
            "+86 013812345678", "1795113812345678", "17951013812345678", "12593013812345678", "17911 13812345678",
            "17951008613812345678", "13812345678#", "０１３８１２３４５６７８",
        )),
        *((BEIJING, one, TOWN) for one in (
            "62345678", "010-62345678", "1062345678", "+861062345678", "+86(010)62345678", "0086 10 6234 5678",
            "62345678-801", "010-62345678转801", "62345678分機801", "62345678,801", "010-62345678，801",
            "62345678;801", "62345678,,801", "62345678p801", "62345678w801", "62345678 ext. 801",
        )),
        *((site, one, TOWN) for site in (SHANGHAI, NOWHERE) for one in ("010-62345678", "1062345678")),
        (BEIJING, "021-61234567", "+862161234567"), (BEIJING, "2161234567", "+862161234567"),
        (SHANGHAI, "61234567", "+862161234567"), (BEIJING, "1795102161234567", "+862161234567"),
        (BEIJING, "03123456789", "+863123456789"), (BEIJING, "0755-26001234", "+8675526001234"),
        (BEIJING, "17012345678", "+8617012345678"), (BEIJING, "017112345678", "+8617112345678"),
        (BEIJING, "16212345678", "+8616212345678"), (BEIJING, "19212345678", "+8619212345678"),
        (BEIJING, "400-800-1234", "+864008001234"), (BEIJING, "04008001234", "+864008001234"),
        (BEIJING, "8008101234", "+868008101234"), (NINE, "94008001234", "+864008001234"),
        *((site, one, "95588") for site, one in (
            (BEIJING, "95588"), (BEIJING, "010-95588"), (BEIJING, "+8695588"), (BEIJING, "008695588"),
            (BEIJING, "+861095588"), (SHANGHAI, "021-95588"), (NINE, "995588"), (NINE, "9010-95588"), (ZERO, "095588"),
        )),
        *((BEIJING, one, "12345") for one in ("12345", "010-12345", "01012345", "+86 10 12345", "+8612345")),
        (BEIJING, "+8610086", "10086"), (BEIJING, "01010086", "10086"), (BEIJING, "+86110", "110"),
        (BEIJING, "010110", "110"), (BEIJING, "110", "110"), (NINE, "9110", "110"), (ZERO, "0110", "110"),
        # Of another town, and no number of this one.
        (BEIJING, "021-95588", "+862195588"), (BEIJING, "02112345", "+862112345"), (BEIJING, "0571-12345", "057112345"),
        (BEIJING, "+86571 12345", "057112345"), (SHANGHAI, "01012345", "+861012345"),
        # These only begin like a service number.
        (BEIJING, "0955-1234567", "+869551234567"), (BEIJING, "010-62345678-95588", TOWN),
        (BEIJING, "10101010", "+8610101010"), (NINE, "910101010", "+8610101010"),
        (BEIJING, "62345678,13812345678", "62345678,13812345678"),  # two numbers are not one
        (BEIJING, "8001", "8001"), (BEIJING, "801", "801"), (BEIJING, "0", "0"), (NINE, "9", "9"),
        (BEIJING, "0085221234567", "+85221234567"), (BEIJING, "+852 6123 4567", "+85261234567"),
        (BEIJING, "00886 912 345 678", "+886912345678"), (BEIJING, "0085366123456", "+85366123456"),
        (BEIJING, "001 212 555 1234", "+12125551234"), (BEIJING, "+44 20 7123 4567", "+442071234567"),
        (HONG_KONG, "21234567", "+85221234567"), (HONG_KONG, "001 86 10 62345678", TOWN),
        (HONG_KONG, "999", "999"),
        *((BEIJING, one, "") for one in ("", "-", "()")),
    ],
)  # fmt: skip
def test_what_is_dialled_is_this_number(site: Site, dialled: str, key: str) -> None:
    assert match_key(dialled, site) == key
    assert e164(dialled, site) == (key if key.startswith("+") else None)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    home.run.mkdir()
    place_tables.build(_file(home))
    return home


@pytest.mark.parametrize(
    ("dialled", "place"),
    [
        ("13800138000", Place("北京", "Beijing", "中国移动", "China Mobile")),
        ("17012345678", Place("浙江杭州", "Hangzhou, Zhejiang", "中国电信(虚拟运营商)",
                              "China Telecom (virtual operator)")),
        ("17112345678", Place("辽宁大连", "Dalian, Liaoning", "中国联通(虚拟运营商)",
                              "China Unicom (virtual operator)")),
        ("17052345678", None), ("16212345678", Place("重庆", "Chongqing", "中国电信(虚拟运营商)",
                                                     "China Telecom (virtual operator)")),
        ("16512345678", Place("北京", "Beijing", "中国移动(虚拟运营商)", "China Mobile (virtual operator)")),
        ("19212345678", Place("重庆", "Chongqing", "中国广电", "China Broadnet")),
        ("19712345678", Place("安徽亳州", "Bozhou, Anhui", "中国移动", "China Mobile")),
        ("0335-3123456", Place("河北秦皇岛", "Qinhuangdao, Hebei")),
        ("0580-2123456", Place("浙江舟山", "Zhoushan, Zhejiang")),
        ("62345678", Place("北京市", "Beijing")), ("02161234567", Place("上海市", "Shanghai")),
        ("400-800-1234", Place("400 企业电话", "Shared-cost number (400)")),
        ("8008101234", Place("800 免费电话", "Free phone (800)")),
        ("01095588", Place("中国工商银行", "ICBC")), ("02195588", Place("中国工商银行", "ICBC")),
        ("+8695588", Place("中国工商银行", "ICBC")),
        ("950131234", Place("全国客户服务号码", "Nationwide customer service")),
        ("95013123456", Place("全国客户服务号码", "Nationwide customer service")),
        ("0571-12345", Place("政务服务便民热线", "Government service hotline")),
        ("021-12345", Place("政务服务便民热线", "Government service hotline")),
        ("0755-96110", Place("反诈专线", "Anti-fraud line")), ("+86110", Place("公安报警", "Police")),
        ("10101010", Place("全国统一接入号码", "Nationwide access number")),
        ("118114", Place("号码百事通", "China Telecom information")),
        ("0955-1234567", Place("宁夏中卫市", "Zhongwei, Ningxia")),
        ("0085221234567", Place("香港", "Hong Kong")), ("0085366123456", Place("澳门特区", "Macao")),
        ("+886912345678", Place("台湾地区", "Taiwan")), ("0012125551234", Place("美国", "New York, NY")),
        ("8001", Place()), ("匿名", Place()), ("", Place()),
    ],
)  # fmt: skip
def test_a_number_belongs_there(places: Home, dialled: str, place: Place | None) -> None:
    found = place_as_received(places, dialled, BEIJING)
    if place is None:
        assert found.carrier_zh == "中国移动(虚拟运营商)"
    else:
        assert found == place
