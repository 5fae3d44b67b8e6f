"""Statistics over HTTP: figures, charts, workbooks, who may, and what cannot be asked."""

from __future__ import annotations

import io
from datetime import datetime
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from crm_office import hire
from made_calls import Made, put_calls

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value
from firmware.store.connection import write

SPAN = "from=2026-10-01&to=2026-10-31"
_UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}


def at(day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 10, day, hour, minute, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)


@pytest.fixture
def october(crm, exchange):
    """A few calls on channels 1 (group 1) and 2 (group 2); ``super`` 1, ``leader`` 2 of group 2, ``ordinary`` 3."""
    hire(crm, "1", "super")
    hire(crm, "2", "leader", 2, (), _UNSHARED)
    hire(crm, "3", "ordinary", 1, (1,), _UNSHARED)
    hire(crm, "4", "ordinary", 2, (2,), _UNSHARED)
    exchange.wire(1, 2)
    set_value(crm, "channel", "group", 2, subject="2")
    set_value(crm, "channel", "name", "=1+1 前台", subject="1")
    put_calls(
        exchange.db,
        [
            Made(at(1, 0), 1, ring_ms=4000, talk_ms=60_000, handled_by="3"),
            Made(at(1, 9), 2, ring_ms=8000, talk_ms=120_000, handled_by="4"),
            Made(at(1, 9, 30), 2, result="missed", ring_ms=20_000, number="13900000000"),
            Made(at(1, 10), 1, "outgoing", number="013900000000", talk_ms=30_000, handled_by="3"),
            Made(at(31, 23, 59), 1, "outgoing", "abandoned", ring_ms=9000),
        ],
    )


def test_calls_by_day_and_channel(october, browse):
    found = browse("1").get(f"/statistics/calls?{SPAN}&by=day&split=channel&measure=talk_mean_ms")
    assert found["span"] == {"first_day": "2026-10-01", "last_day": "2026-10-31", "time_zone": "Asia/Shanghai"}
    assert [(row["bucket"], row["key"], row["name"], row["figures"]["calls"]) for row in found["rows"]] == [
        ("2026-10-01", "1", "=1+1 前台", 2), ("2026-10-01", "2", "", 2), ("2026-10-31", "1", "=1+1 前台", 1),
    ]  # fmt: skip
    assert found["rows"][1]["figures"] == {
        "calls": 2, "incoming": 2, "outgoing": 0, "answered": 1, "missed": 1, "abandoned": 0, "answered_rate": 0.5,
        "missed_rate": 0.5, "ring_ms": 28_000, "ring_mean_ms": 14_000, "ring_max_ms": 20_000, "answer_mean_ms": 8000,
        "talk_ms": 120_000, "talk_mean_ms": 120_000, "talk_max_ms": 120_000,
    }  # fmt: skip
    assert (found["total"]["calls"], found["total"]["talk_ms"]) == (5, 210_000)
    chart = found["chart"]
    assert len(chart["categories"]) == 31
    assert [one["key"] for one in chart["series"]] == ["1", "2"]
    assert chart["series"][0]["values"][0] == 45_000
    assert chart["series"][0]["values"][1] is None


def test_every_way_to_split_and_bucket(october, browse):
    browser = browse("1")

    def rows(query: str) -> list[tuple[str, str | None, int]]:
        found = browser.get(f"/statistics/calls?{SPAN}&{query}")
        return [(row["bucket"], row["key"], row["figures"]["calls"]) for row in found["rows"]]

    assert rows("by=month") == [("2026-10", None, 5)]
    assert rows("by=hour&direction=outgoing") == [("2026-10-01T10", None, 1), ("2026-10-31T23", None, 1)]
    assert rows("by=weekday") == [("4", None, 4), ("6", None, 1)]
    assert rows("by=hour_of_day&channel=2") == [("9", None, 2)]
    assert rows("by=month&split=group") == [("2026-10", "1", 3), ("2026-10", "2", 2)]
    assert rows("by=month&split=operator") == [("2026-10", "3", 2), ("2026-10", "4", 1), ("2026-10", None, 2)]
    assert rows("by=month&split=direction") == [("2026-10", "incoming", 3), ("2026-10", "outgoing", 2)]
    assert rows("by=month&operator=3") == [("2026-10", None, 2)]
    assert rows("by=month&operator=9") == []
    assert rows("by=month&group=2") == [("2026-10", None, 2)]
    by_result = browser.get(f"/statistics/calls?{SPAN}&by=month&split=result")["chart"]["series"]
    assert {one["key"]: one["values"] for one in by_result} == {"answered": [3], "missed": [1], "abandoned": [1]}
    heat = browser.get(f"/statistics/heatmap?{SPAN}")["values"]
    assert (len(heat), heat[3][9], heat[3][0], heat[5][23], sum(map(sum, heat))) == (7, 2, 1, 1, 5)


def test_a_call_back_counts_where_the_one_who_asks_can_see_it(october, browse):
    found = browse("1").get(f"/statistics/call-backs?{SPAN}&by=month&split=channel")
    assert found["rows"][0]["figures"] == {
        "missed": 1, "called_back": 1, "not_called_back": 0, "called_back_rate": 1.0, "wait_mean_ms": 1_800_000,
        "wait_max_ms": 1_800_000,
    }  # fmt: skip
    assert found["wait_median_ms"] == 1_800_000
    for_leader = browse("2").get(f"/statistics/call-backs?{SPAN}&by=month")  # who called back is of another group
    assert (for_leader["total"]["missed"], for_leader["total"]["called_back"]) == (1, 0)


def test_lines(october, browse):
    found = browse("1").get(f"/statistics/lines?{SPAN}")
    assert (found["lines"], found["most_in_use"], found["all_busy_min"]) == (2, 1, 0)
    assert found["busiest_hour"]["hour"] == "2026-10-01T09"
    assert found["busiest_hour"]["erlangs"] == pytest.approx(148 / 3600, abs=1e-4)
    assert found["needed_at_busiest"]["lines"] == 2  # 0.041 erlangs: one line would lose 4 %
    assert found["needed_at_busiest"]["blocking_now"] == pytest.approx(0.0008, abs=1e-4)
    assert [(one["channel"], one["busy_ms"]) for one in found["channels"]] == [(1, 108_000), (2, 148_000)]
    assert browse("3").get(f"/statistics/lines?{SPAN}")["lines"] == 1


def test_the_monthly_report(october, crm, browse):
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO agent_state_log VALUES ('3', 'away', '', ?, ?), ('3', 'idle', '', ?, ?)",
            (at(1, 8) - 40 * 86_400_000, at(1, 1), at(31, 12), at(31, 12) + 5 * 86_400_000),
        )
    browser = browse("3")
    customer = browser.ask("POST", "/customers", {"name": "王"}).json["id"]
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO communications (customer_id, at_ms, author, owner, created_ms, changed_ms)"
            " VALUES (?, 0, '3', '3', ?, 0), (?, 0, '3', '3', ?, 0), (?, 0, '3', '3', ?, 0)",
            (customer, at(1, 0), customer, at(1, 0) - 1, customer, at(31, 23)),
        )
    found = browse("1").get("/statistics/monthly?month=2026-10")
    third = next(one for one in found["operators"] if one["staff_no"] == "3")
    assert (third["calls"]["calls"], third["records"]) == (2, 2)
    assert third["states_ms"] == {"away": 3_600_000, "idle": 12 * 3_600_000}
    assert [(one["group"], one["operators"], one["handled"]["calls"], one["channels"]["calls"], one["records"])
            for one in found["groups"]] == [(1, 1, 2, 3, 2), (2, 2, 1, 2, 0), (None, 1, 0, 0, 0)]  # fmt: skip
    assert (found["total"]["calls"], found["call_backs"]["called_back"]) == (5, 1)
    own = browser.get("/statistics/monthly?month=2026-10")
    assert [one["staff_no"] for one in own["operators"]] == ["3"]
    assert own["total"]["calls"] == 3


def test_workbooks_hold_the_same_and_no_formulas(october, crm, browse):
    set_value(crm, "system", "language", "zh-CN")
    browser = browse("1")
    answer = browser.ask("GET", f"/statistics/calls.xlsx?{SPAN}&by=month&split=channel")
    assert answer.status == 200
    assert "attachment" in answer.headers["content-disposition"]
    book = openpyxl.load_workbook(io.BytesIO(answer.body))
    assert book.sheetnames == ["统计", "图表"]
    rows = list(book["统计"].iter_rows(min_row=3, values_only=True))
    assert rows[0][:4] == ("时间", "编号", "名称", "通话数")
    assert rows[1][:4] == ("2026-10", "1", "=1+1 前台", 3)
    assert rows[3][0] == "合计"
    assert rows[3][3] == 5
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    set_value(crm, "system", "language", "en")
    for path in (f"call-backs.xlsx?{SPAN}", f"lines.xlsx?{SPAN}", "monthly.xlsx?month=2026-10", f"calls.xlsx?{SPAN}",
                 "calls.xlsx?from=2020-01-01&to=2020-01-02"):  # fmt: skip
        book = openpyxl.load_workbook(io.BytesIO(browser.ask("GET", f"/statistics/{path}").body))
        assert book.sheetnames[0] == "Statistics"


def book_of(browser, path: str, **headers: str):
    answer = browser.ask("GET", f"/statistics/{path}", **headers)
    assert answer.status == 200, answer.body
    return openpyxl.load_workbook(io.BytesIO(answer.body))


def test_a_workbook_speaks_the_language_of_who_asks(october, crm, browse):
    set_value(crm, "system", "language", "zh-CN")
    browser = browse("1")
    for path in (f"calls.xlsx?{SPAN}", f"call-backs.xlsx?{SPAN}", f"lines.xlsx?{SPAN}", "monthly.xlsx?month=2026-10"):
        assert book_of(browser, path).sheetnames[0] == "统计"
        assert book_of(browser, path, Accept_Language="en-GB,en;q=0.8,zh;q=0.5").sheetnames[0] == "Statistics"
        assert book_of(browser, path, Accept_Language="fr, zh;q=0.3, en;q=0").sheetnames[0] == "统计"
        assert book_of(browser, f"{path}&language=en", Accept_Language="zh-CN").sheetnames[0] == "Statistics"
        assert book_of(browser, path, Accept_Language="fr;q=x, ;;,=").sheetnames[0] == "统计"
    assert browser.ask("GET", f"/statistics/calls.xlsx?{SPAN}&language=fr").status == 400


def test_workbooks_have_totals_and_what_erlang_says(october, browse):
    browser = browse("1")
    found = browser.get(f"/statistics/lines?{SPAN}")
    book = book_of(browser, f"lines.xlsx?{SPAN}&language=en")
    assert book.sheetnames == ["Statistics", "Lines and people", "Totals", "Chart"]
    total = list(book["Statistics"].iter_rows(min_row=3, values_only=True))[-1]
    assert (total[0], total[2]) == ("Total", 256)
    header, *rows = book["Lines and people"].iter_rows(min_row=3, values_only=True)
    shown = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    needed = found["needed_at_busiest"]
    busiest = shown["Busiest hour"]
    assert busiest["Hour"] == "2026-10-01T09"
    assert busiest["Lines needed (Erlang B)"] == needed["lines"]
    assert busiest["People needed (Erlang C)"] == needed["agents"]
    assert busiest["Blocking now"] == pytest.approx(needed["blocking_now"])
    assert set(shown) == {"Busy hour of the day", "Busiest hour"}
    assert list(book["Totals"].iter_rows(min_row=4, values_only=True)) == [(2, 1, 0)]
    empty = book_of(browser, "lines.xlsx?from=2020-01-01&to=2020-01-02&language=zh")
    assert [row[0] for row in empty["线路与人数"].iter_rows(min_row=3, values_only=True)] == ["忙时"]

    backs = browser.get(f"/statistics/call-backs?{SPAN}")
    book = book_of(browser, f"call-backs.xlsx?{SPAN}&language=zh")
    last = list(book["统计"].iter_rows(min_row=3, values_only=True))[-1]
    assert (last[0], last[3], last[4]) == ("合计", backs["total"]["missed"], backs["total"]["called_back"])
    month = browser.get("/statistics/monthly?month=2026-10")
    header, row = book_of(browser, "monthly.xlsx?month=2026-10&language=en")["Totals"].iter_rows(
        min_row=3, values_only=True
    )
    assert dict(zip(header, row, strict=True))["Calls"] == month["total"]["calls"]


def test_it_needs_the_permission_and_sense(october, crm, browse):
    hire(crm, "5", "super", permissions=ALL_PERMISSIONS - {Permission.STATISTICS})
    for path in ("calls", "heatmap", "call-backs", "lines", "calls.xlsx", "call-backs.xlsx", "lines.xlsx"):
        assert browse("5").ask("GET", f"/statistics/{path}?{SPAN}").code == "permission_missing"
    assert browse("5").ask("GET", "/statistics/monthly?month=2026-10").code == "permission_missing"
    browser = browse("1")
    for query, code in (
        ("from=2026-10-02&to=2026-10-01", "statistics_span"), ("from=0001-01-01&to=0001-01-02", "statistics_span"),
        ("from=2000-01-01&to=2026-01-01", "statistics_span"), ("from=2026-13-01&to=2026-01-01", "bad_input"),
        ("from=2026-10-01", "bad_input"), (f"{SPAN}&by=century", "bad_input"), (f"{SPAN}&channel=0", "bad_input"),
        ("from=2017-01-01&to=2026-10-01&by=hour&split=channel", None),
    ):  # fmt: skip
        answer = browser.ask("GET", f"/statistics/calls?{query}")
        assert (answer.code if answer.status != 200 else None) == code, query
    for month in ("2026-00", "2026-13", "26-1", "2026-10-01", "1000-01"):
        assert browser.ask("GET", f"/statistics/monthly?month={month}").status == 400, month
    assert browser.ask("GET", f"/statistics/lines?{SPAN}&blocking=1").status == 400


def test_years_that_are_not_counted_yet(crm, exchange, server, browse):
    hire(crm, "1", "super")
    put_calls(exchange.db, [Made(at(1, 0) - 8 * 365 * 86_400_000), Made(at(1, 0))])
    answer = browse("1").ask("GET", "/statistics/calls?from=2017-01-01&to=2026-10-31&by=month")
    assert (answer.status, answer.code) == (503, "statistics_preparing")
    assert "retry-after" in answer.headers
    server.figures.count_everything()
    found = browse("1").get("/statistics/calls?from=2017-01-01&to=2026-10-31&by=month")
    assert [row["bucket"] for row in found["rows"]] == ["2018-10", "2026-10"]
