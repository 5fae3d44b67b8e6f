"""Whole reports over HTTP are what counting every call in the plainest way gives: all spans, splits and viewers."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import openpyxl
import pytest
from crm_office import hire
from made_calls import Made, put_calls

from crm_client_api.answers.statistics import CallBackStatistics, CallStatistics
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.statistics.figures import Figures, Preparing
from firmware.parameters import set_value
from firmware.store.connection import open_store

ZONE = ZoneInfo("Asia/Shanghai")
FIRST, LAST = date(2026, 8, 20), date(2026, 10, 5)
SPAN = f"from={FIRST}&to={LAST}"
GROUP_OF = {1: 1, 2: 1, 3: 2, 4: 2}
NAME_OF = {1: "=1+1 前台", 2: " 仓库 & <r>", 3: "", 4: "\x07 Büro"}
CHANNELS = {"1": {1, 2, 3, 4}, "2": {1, 2}, "3": {1}}
"""Whose calls a super operator (1), the leader of group 1 (2) and an ordinary operator (3) see."""
TOLD_APART = {"1": {"1", "2", "3", "8"}, "2": {"2", "3"}, "3": {"3"}}
BUCKETS = {
    "hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "weekday": "%u", "hour_of_day": "%-H",
}  # fmt: skip
SPLITS = (None, "channel", "operator", "group", "direction", "result")
MEASURES = (
    "calls", "incoming", "outgoing", "answered", "missed", "abandoned", "answered_rate", "missed_rate", "ring_ms",
    "ring_mean_ms", "ring_max_ms", "answer_mean_ms", "talk_ms", "talk_mean_ms", "talk_max_ms",
)  # fmt: skip
_UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}


def _made(number: int) -> list[Made]:
    rng = random.Random(number)
    begin = int(datetime(2026, 9, 1, tzinfo=ZONE).timestamp() * 1000)
    found = []
    for _ in range(number):
        direction = rng.choice(("incoming", "outgoing"))
        result = rng.choice(("answered", "answered", "missed" if direction == "incoming" else "abandoned"))
        found.append(
            Made(
                begin + rng.randrange(30 * 86_400_000), rng.choice((1, 1, 2, 3, 4)), direction, result,
                rng.choice(("13812345678", "013812345678", "62345678", None)), rng.randrange(60_000),
                rng.randrange(1, 900_000), rng.choice((None, "3", "8", "nobody")),
            )
        )  # fmt: skip
    return found


CALLS = _made(1500)


@pytest.fixture
def office(crm, exchange):
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 1, (), _UNSHARED)
    hire(crm, "3", "ordinary", 1, (1,), _UNSHARED)
    hire(crm, "8", "ordinary", 2, (3,), _UNSHARED)
    exchange.wire(1, 2, 3, 4)
    for channel, group in GROUP_OF.items():
        set_value(crm, "channel", "group", group, subject=str(channel))
        set_value(crm, "channel", "name", NAME_OF[channel], subject=str(channel))
    put_calls(exchange.db, CALLS)


def _key(call: Made, split: str | None, viewer: str) -> str | None:
    if split == "channel":
        return str(call.channel)
    if split == "group":
        return str(GROUP_OF[call.channel])
    if split == "direction":
        return call.direction
    if split == "operator":
        return call.handled_by if call.handled_by in TOLD_APART[viewer] else None
    return None


def _local(call: Made) -> datetime:
    return datetime.fromtimestamp(call.started_ms / 1000, ZONE)


def _plain(calls: list[Made]) -> dict[str, Any]:
    """The figures of some calls, one after the other."""
    incoming = [one for one in calls if one.direction == "incoming"]
    answered = [one for one in calls if one.result == "answered"]
    rings = [one.ring_ms for one in calls]
    picked_up = [one.ring_ms for one in incoming if one.result == "answered"]
    talks = [one.talk_ms for one in answered]

    def mean(values: list[int]) -> int | None:
        return round(sum(values) / len(values)) if values else None

    missed = sum(one.result == "missed" for one in calls)
    return {
        "calls": len(calls), "incoming": len(incoming), "outgoing": len(calls) - len(incoming),
        "answered": len(answered), "missed": missed, "abandoned": sum(one.result == "abandoned" for one in calls),
        "answered_rate": round(len(answered) / len(calls), 6) if calls else None,
        "missed_rate": round(missed / len(incoming), 6) if incoming else None,
        "ring_ms": sum(rings), "ring_mean_ms": mean(rings), "ring_max_ms": max(rings, default=0),
        "answer_mean_ms": mean(picked_up), "talk_ms": sum(talks), "talk_mean_ms": mean(talks),
        "talk_max_ms": max(talks, default=0),
    }  # fmt: skip


def _expected(
    viewer: str, by: str, split: str | None, only: Callable[[Made], bool] = lambda one: True
) -> dict[tuple[str, str | None], dict[str, Any]]:
    piles: dict[tuple[str, str | None], list[Made]] = defaultdict(list)
    for one in CALLS:
        if one.channel in CHANNELS[viewer] and only(one):
            piles[_local(one).strftime(BUCKETS[by]), _key(one, split, viewer)].append(one)
    return {key: _plain(some) for key, some in piles.items()}


def _categories(by: str) -> list[str]:
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    hours = [datetime(day.year, day.month, day.day, hour) for day in days for hour in range(24)]
    names = dict.fromkeys(moment.strftime(BUCKETS[by]) for moment in hours)
    return sorted(names, key=lambda name: (len(name), name))


@pytest.mark.parametrize("viewer", ["1", "2", "3"])
def test_every_span_and_split(office, browse, viewer):
    browser = browse(viewer)
    measures = iter(MEASURES * 3)
    for by in BUCKETS:
        for split in SPLITS:
            measure = next(measures)
            query = f"{SPAN}&by={by}&measure={measure}" + (f"&split={split}" if split else "")
            found = browser.get(f"/statistics/calls?{query}")
            expected = _expected(viewer, by, split)
            rows = {(row["bucket"], row["key"]): row["figures"] for row in found["rows"]}
            assert rows == expected, query
            assert len(rows) == len(found["rows"])
            order = _categories(by)
            places = [order.index(row["bucket"]) for row in found["rows"]]
            assert places == sorted(places), query
            mine = [one for one in CALLS if one.channel in CHANNELS[viewer]]
            assert found["total"] == _plain(mine), query
            assert found["chart"]["categories"] == order, query
            if split == "result":
                assert [one["key"] for one in found["chart"]["series"]] == ["answered", "missed", "abandoned"]
                drawn = {
                    (name, one["key"]): value
                    for one in found["chart"]["series"]
                    for name, value in zip(order, one["values"], strict=True)
                }
                assert drawn == {
                    (name, key): expected.get((name, None), {}).get(key, 0)
                    for name in order
                    for key in ("answered", "missed", "abandoned")
                }
                continue
            missing = None if "_rate" in measure or "_mean_" in measure else 0
            assert {one["key"]: one["values"] for one in found["chart"]["series"]} == {
                key or "": [expected.get((name, key), {measure: missing})[measure] for name in order]
                for key in {key for _, key in expected}
            }, query
            if split == "channel":
                assert {(row["key"], row["name"]) for row in found["rows"]} == {
                    (str(n), NAME_OF[n]) for n in CHANNELS[viewer]
                }


@pytest.mark.parametrize("viewer", ["1", "2", "3"])
def test_what_narrows_and_the_heat_map(office, browse, viewer):
    browser = browse(viewer)
    for query, only in (
        ("direction=outgoing", lambda one: one.direction == "outgoing"),
        ("direction=incoming&channel=1", lambda one: one.direction == "incoming" and one.channel == 1),
        ("group=2", lambda one: one.channel in (3, 4)),
        ("operator=3", lambda one: one.handled_by == "3"),
        ("operator=8", lambda one: one.handled_by == "8" and viewer == "1"),
    ):
        for by, split in (("day", "channel"), ("hour_of_day", "operator"), ("hour", None)):
            found = browser.get(f"/statistics/calls?{SPAN}&by={by}&{query}" + (f"&split={split}" if split else ""))
            rows = {(row["bucket"], row["key"]): row["figures"] for row in found["rows"]}
            assert rows == _expected(viewer, by, split, only), (query, by)
        heat = browser.get(f"/statistics/heatmap?{SPAN}&{query}&measure=talk_mean_ms")["values"]
        for weekday in range(7):
            for hour in range(24):
                some = [
                    one for one in CALLS
                    if one.channel in CHANNELS[viewer] and only(one)
                    and (_local(one).weekday(), _local(one).hour) == (weekday, hour)
                ]  # fmt: skip
                assert heat[weekday][hour] == _plain(some)["talk_mean_ms"], (query, weekday, hour)


def test_call_backs_by_every_span(office, browse):
    for viewer in ("1", "2", "3"):
        browser = browse(viewer)
        for by in BUCKETS:
            for split in (None, "channel", "group"):
                found = browser.get(f"/statistics/call-backs?{SPAN}&by={by}" + (f"&split={split}" if split else ""))
                missed = {key: one["missed"] for key, one in _expected(viewer, by, split).items() if one["missed"]}
                rows = {(row["bucket"], row["key"]): row["figures"] for row in found["rows"]}
                assert {key: one["missed"] for key, one in rows.items()} == missed, (viewer, by, split)
                total = found["total"]
                for name in ("missed", "called_back", "not_called_back"):
                    assert sum(one[name] for one in rows.values()) == total[name]
                assert total["called_back"] > 0
                for one in found["chart"]["series"]:
                    sums: dict[str, int] = defaultdict(int)
                    for (bucket, _), figures in rows.items():
                        sums[bucket] += figures[one["key"]]
                    assert one["values"] == [sums[name] for name in _categories(by)]


def test_a_long_answer_is_the_same_compressed_and_not(office, browse):
    browser = browse("1")
    for path, kind in (
        (f"/statistics/calls?{SPAN}&by=hour&split=channel", CallStatistics),
        (f"/statistics/calls?{SPAN}&by=month", CallStatistics),
        (f"/statistics/call-backs?{SPAN}&by=day&split=channel", CallBackStatistics),
    ):
        plain = browser.ask("GET", path)
        assert int(plain.headers["content-length"]) == len(plain.body)
        assert "content-encoding" not in plain.headers
        assert json.loads(msgspec.json.encode(msgspec.json.decode(plain.body, type=kind))) == plain.json
        for accepted, packed in (("gzip", True), ("br, GZIP ; q=0.5", True), ("gzip;q=0", False), ("br", False)):
            other = browser.ask("GET", path, Accept_Encoding=accepted)
            is_packed = other.headers.get("content-encoding") == "gzip"
            assert is_packed == (packed and len(plain.body) > 256 * 1024), (path, accepted)
            assert (gzip.decompress(other.body) if is_packed else other.body) == plain.body
            assert other.headers["content-type"] == "application/json"
            assert other.headers["vary"] == "Accept-Encoding"
    assert len(browser.ask("GET", f"/statistics/calls?{SPAN}&by=hour&split=channel").body) > 256 * 1024


def test_a_long_workbook_holds_the_same(office, crm, browse):
    set_value(crm, "system", "language", "en")
    browser = browse("1")
    query = f"{SPAN}&by=day&split=channel&measure=ring_ms"
    found = browser.get(f"/statistics/calls?{query}")
    book = openpyxl.load_workbook(io.BytesIO(browser.ask("GET", f"/statistics/calls.xlsx?{query}").body))
    header, *rows, total = list(book["Statistics"].iter_rows(min_row=3, values_only=True))
    assert header[:4] == ("Time", "Key", "Name", "Calls")
    assert len(rows) == len(found["rows"])
    figures = list(found["rows"][0]["figures"])
    for row, one in zip(rows, found["rows"], strict=True):
        assert row[:2] == (one["bucket"], one["key"])
        assert (row[2] or "").replace("_x0007_", "\x07") == one["name"]
        for name, cell in zip(figures, row[3:], strict=True):
            value = one["figures"][name]
            assert cell == (value / 1000 if name.endswith("_ms") and value is not None else value), name
    assert total[0] == "Total"
    assert total[3] == len(CALLS)
    rate = book["Statistics"].cell(4, header.index("Answered rate") + 1)
    assert rate.number_format == "0.0%"
    chart = list(book["Chart"].iter_rows(values_only=True))
    assert [row[0] for row in chart[1:]] == found["chart"]["categories"]
    for place, series in enumerate(found["chart"]["series"], 1):
        assert [row[place] for row in chart[1:]] == [value / 1000 for value in series["values"]]
    assert len(book["Chart"]._charts) == 1
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)


def test_who_would_wait_long_is_told_so_while_others_count(home):
    calls_db = open_store(home.calls_db)
    put_calls(calls_db, [Made(1_740_000_000_000), Made(1_790_000_000_000)])
    figures = Figures(home)

    def ask() -> None:
        with figures.counted():
            pass

    with pytest.raises(Preparing):
        ask()
    with figures.file.counting, ThreadPoolExecutor(1) as other, pytest.raises(Preparing):
        other.submit(ask).result(timeout=20)
    figures.stop()
    calls_db.conn.close()
