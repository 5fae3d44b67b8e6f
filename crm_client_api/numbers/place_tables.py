"""Makes the table of number places: run as a program of its own, for what it reads takes 180 MB and some seconds.

Mainland mobile numbers come from the package ``phone`` (data of 2023: what it lacks is only known as its country or by
the carrier's range), all else from ``phonenumbers``. The English name of a mobile number's city is that of its area
code, unless several cities share it or the package has none.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import phonenumbers

_STATEMENTS = (
    "CREATE TABLE places (prefix INTEGER PRIMARY KEY, zh TEXT NOT NULL, en TEXT NOT NULL) STRICT",
    "CREATE TABLE regions (id INTEGER PRIMARY KEY, zh TEXT NOT NULL, en TEXT NOT NULL) STRICT",
    # The first seven digits of mainland mobile numbers.
    "CREATE TABLE mobile (prefix INTEGER PRIMARY KEY, region INTEGER NOT NULL, carrier INTEGER NOT NULL) STRICT",
    "CREATE TABLE carriers (id INTEGER PRIMARY KEY, zh TEXT NOT NULL, en TEXT NOT NULL) STRICT",
)
_CARRIERS = {
    1: ("中国移动", "China Mobile"),
    2: ("中国联通", "China Unicom"),
    3: ("中国电信", "China Telecom"),
    4: ("中国电信(虚拟运营商)", "China Telecom (virtual operator)"),
    5: ("中国联通(虚拟运营商)", "China Unicom (virtual operator)"),
    6: ("中国移动(虚拟运营商)", "China Mobile (virtual operator)"),
    7: ("中国广电", "China Broadnet"),
    8: ("中国广电(虚拟运营商)", "China Broadnet (virtual operator)"),
}

_VIRTUAL_RANGES = {4: ("1700", "1701", "1702", "162"), 5: ("1704", "1707", "1708", "1709", "171", "167"),
                   6: ("1703", "1705", "1706", "165")}  # fmt: skip
"""What the ministry gave to virtual operators alone, by whose network they use; the package names the network."""
_ENGLISH_BY_PROVINCE = {
    "安徽": ("Anhui", {"亳州": "Bozhou", "巢湖": "Chaohu"}),
    "甘肃": ("Gansu", {"武威": "Wuwei", "嘉峪关": "Jiayuguan"}),
    "广西": ("Guangxi", {"南宁": "Nanning", "崇左": "Chongzuo", "来宾": "Laibin", "贺州": "Hezhou", "贵港": "Guigang"}),
    "贵州": ("Guizhou", {"贵阳": "Guiyang", "遵义": "Zunyi", "安顺": "Anshun"}),
    "海南": ("Hainan", {"三亚": "Sanya"}),
    "河北": ("Hebei", {"雄安": "Xiong'an", "秦皇岛": "Qinhuangdao"}),
    "河南": ("Henan", {"开封": "Kaifeng", "济源": "Jiyuan", "潢川": "Huangchuan"}),
    "湖北": ("Hubei", {"仙桃": "Xiantao", "潜江": "Qianjiang", "天门": "Tianmen", "江汉": "Jianghan",
                     "神农架": "Shennongjia"}),
    "湖南": ("Hunan", {"长沙": "Changsha", "株洲": "Zhuzhou", "湘潭": "Xiangtan"}),
    "江西": ("Jiangxi", {"鹰潭": "Yingtan"}),
    "吉林": ("Jilin", {"延边": "Yanbian", "珲春": "Hunchun"}),
    "辽宁": ("Liaoning", {"沈阳": "Shenyang", "铁岭": "Tieling", "抚顺": "Fushun", "本溪": "Benxi"}),
    "陕西": ("Shaanxi", {"西安": "Xi'an", "咸阳": "Xianyang"}),
    "山东": ("Shandong", {"莱芜": "Laiwu"}),
    "山西": ("Shanxi", {"朔州": "Shuozhou"}),
    "四川": ("Sichuan", {"成都": "Chengdu", "资阳": "Ziyang", "眉山": "Meishan", "凉山": "Liangshan"}),
    "浙江": ("Zhejiang", {"舟山": "Zhoushan"}),
    "重庆": ("Chongqing", {"黔江": "Qianjiang", "万州": "Wanzhou", "涪陵": "Fuling"}),
}  # fmt: skip
_ENGLISH = {
    (zh, city): f"{name}, {province}" for zh, (province, cities) in _ENGLISH_BY_PROVINCE.items()
    for city, name in cities.items()
}  # fmt: skip


def build(target: Path) -> None:
    """Make the table; whole or not at all."""
    part = target.with_suffix(f".{os.getpid()}.part")
    part.unlink(missing_ok=True)
    connection = sqlite3.connect(part)
    try:
        for statement in _STATEMENTS:
            connection.execute(statement)
        connection.executemany("INSERT INTO places VALUES (?,?,?)", _places())
        connection.executemany("INSERT INTO carriers VALUES (?,?,?)", [(n, *names) for n, names in _CARRIERS.items()])
        _add_mobile(connection)
        connection.commit()
    finally:
        connection.close()
    part.replace(target)


def _places() -> list[tuple[int, str, str]]:
    from phonenumbers.geodata import GEOCODE_DATA
    from phonenumbers.geodata.locale import LOCALE_DATA

    found: dict[int, tuple[str, str]] = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        names = LOCALE_DATA.get(regions[0], {})
        found[code] = (_in_language(names, "zh"), _in_language(names, "en"))
    for prefix, names in GEOCODE_DATA.items():
        if "zh" in names or "en" in names:
            found[int(prefix)] = (names.get("zh", ""), names.get("en", ""))
    return [(prefix, *names) for prefix, names in found.items()]


def _in_language(names: Mapping[str, str], language: str) -> str:
    """A country's name; ``*ja`` stands for: the same as in that language."""
    for _ in range(3):
        name = names.get(language, "")
        if not name.startswith("*"):
            return name
        language = name[1:]
    return ""


def _add_mobile(connection: sqlite3.Connection) -> None:
    import phone
    from phonenumbers.geodata import GEOCODE_DATA

    data = phone.Phone()
    regions: dict[int, None] = {}
    rows = []
    for prefix, place, carrier in struct.iter_unpack(data.phone_fmt, _whole(data)):
        regions[place] = None
        rows.append((prefix, place, _virtual(prefix) or carrier))
    connection.executemany("INSERT OR REPLACE INTO mobile VALUES (?,?,?)", rows)
    for place in regions:
        end = data.buf.find(b"\x00", place)
        province, city, _, area = data.buf[place:end].decode().split("|")
        code = f"86{area.lstrip('0')}"
        known = GEOCODE_DATA.get(code, {})
        names = (city if city == province else province + city, _ENGLISH.get((province, city)) or known.get("en", ""))
        connection.execute("INSERT INTO regions VALUES (?,?,?)", (place, *names))
        if not known:
            connection.execute("INSERT OR IGNORE INTO places VALUES (?,?,?)", (int(code), *names))


def _virtual(prefix: int) -> int | None:
    """The virtual operators' carrier of a range that is theirs alone."""
    found = (carrier for carrier, ranges in _VIRTUAL_RANGES.items() if str(prefix).startswith(ranges))
    return next(found, None)


def _whole(data: object) -> bytes:
    """The package's records, without a last one that is cut short."""
    buffer: bytes = data.buf[data.first_phone_record_offset :]  # type: ignore[attr-defined]
    size: int = data.phone_fmt_length  # type: ignore[attr-defined]
    return buffer[: len(buffer) // size * size]


if __name__ == "__main__":
    build(Path(sys.argv[1]))
