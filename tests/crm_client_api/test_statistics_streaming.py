"""Long answers made a piece at a time are byte for byte the ones made in one go; big workbooks open."""

from __future__ import annotations

import gzip
import io
import zipfile

import msgspec
import openpyxl
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_client_api.answers.statistics import Chart, ChartSeries, Span
from crm_client_api.statistics.streaming import Long, json_pieces, pack
from crm_client_api.statistics.workbook import Sheet, workbook


class Whole(msgspec.Struct, frozen=True):
    span: Span
    rows: list[ChartSeries]
    chart: Chart


series = st.builds(
    ChartSeries, st.text(max_size=5), st.text(max_size=5), st.lists(st.none() | st.integers() | st.floats(0, 9))
)


@settings(max_examples=60, deadline=None)
@given(st.lists(series, max_size=5), st.integers(0, 3), st.lists(st.text(max_size=4)))
def test_pieces_are_the_whole(some, times, categories):
    rows = some * (200 * times)  # beyond what is encoded at once
    span = Span("a", "b", "时区")
    whole = Whole(span, rows, Chart("calls", categories, some))
    chart = Long(Chart, {"measure": "calls", "categories": categories, "series": iter(some)})
    pieces = json_pieces(Long(Whole, {"span": span, "rows": iter(rows), "chart": chart}))
    assert b"".join(pieces) == msgspec.json.encode(whole)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=6), st.sampled_from([1, 30, 6000, 60_000]))
def test_what_is_packed_comes_out_again(some, times):
    pieces = [one * times for one in some]
    body = b"".join(pieces)
    packed = pack(pieces)
    assert packed.size_bytes == len(body)
    assert b"".join(packed.plain()) == body
    assert all(len(piece) <= 64 * 1024 for piece in packed.plain()) or not packed.packed
    if packed.packed:
        assert gzip.decompress(b"".join(packed.pieces)) == body


def test_a_chart_of_many_series_opens_in_spreadsheets():
    """Nobody tells them apart; Excel takes 255."""
    chart = Chart("talk_ms", ["a", "b"], [ChartSeries(str(n), "", [n, None]) for n in range(400)])
    rows = [["x", "1", "", 2.5], ["#", "%s", None, None]]
    body = workbook(Span("1", "2", "z"), [Sheet("table", ["bucket", "key", "name", "calls"], iter(rows))], chart, "en")
    with zipfile.ZipFile(io.BytesIO(body)) as parts:
        assert 0 < parts.read("xl/charts/chart1.xml").count(b"<c:idx ") <= 100
        assert all(one.compress_type == zipfile.ZIP_DEFLATED for one in parts.infolist())
    book = openpyxl.load_workbook(io.BytesIO(body))
    assert list(book["Statistics"].iter_rows(min_row=4, values_only=True)) == [
        ("x", "1", None, 2.5), ("#", "%s", None, None),
    ]  # fmt: skip
    drawn = list(book["Chart"].iter_rows(values_only=True))
    assert len(drawn[0]) == 401
    assert drawn[1][:3] == ("a", 0, 0.001)
    assert drawn[2][1] is None
