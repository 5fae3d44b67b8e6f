"""Local hours, also where clocks are changed."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.statistics.local_time import HOUR_MS, day_of, first_hour, hour_of, spans, start_ms
from firmware.errors import ConfigError
from firmware.time_zone import parse_zone

ZONES = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
)
YEAR = (1_767_225_600_000, 1_798_761_600_000)  # 2026, UTC


@given(st.sampled_from(ZONES), st.integers(*YEAR))
def test_an_hour_is_what_the_clock_on_the_wall_shows(name, at_ms):
    zone = ZoneInfo(name)
    wall = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    hour = hour_of(zone, at_ms)
    assert (day_of(hour), hour % 24) == (wall.date(), wall.hour)


@given(st.sampled_from(ZONES), st.integers(*YEAR), st.integers(1, 100))
def test_spans_hold_every_moment_of_their_hours_once(name, at_ms, hours):
    zone = ZoneInfo(name)
    first = hour_of(zone, at_ms)
    found = list(spans(zone, first, first + hours))
    for begin, end, offset in found:
        for moment in (begin, (begin + end) // 2, end - 1):
            assert first <= hour_of(zone, moment) < first + hours
            assert (moment + offset) // HOUR_MS == hour_of(zone, moment)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))
    begin, end = found[0][0], found[-1][1]
    for moment in range(begin - 4 * HOUR_MS, end + 4 * HOUR_MS, HOUR_MS // 12):
        inside = any(low <= moment < high for low, high, _ in found)
        assert inside == (first <= hour_of(zone, moment) < first + hours)


def test_days_of_changes_have_all_their_hours():
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 6, 1), 24), (date(2026, 10, 25), 25)):
        first = first_hour(day)
        assert sum(end - begin for begin, end, _ in spans(berlin, first, first + 24)) == hours * HOUR_MS
        assert start_ms(berlin, first) == datetime(day.year, day.month, day.day, tzinfo=berlin).timestamp() * 1000


def test_a_zone_has_a_name():
    assert parse_zone("Asia/Shanghai") == ZoneInfo("Asia/Shanghai")
    assert parse_zone("").utcoffset(datetime(2026, 1, 1)) is not None
    for wrong in ("Mars/Olympus", "../etc/passwd", "/etc/passwd", "x" * 500, "Asia"):
        with pytest.raises(ConfigError):
            parse_zone(wrong)
