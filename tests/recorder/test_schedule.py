"""Recording hours and holidays: what people write means what they think it means."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import ConfigError
from firmware.parameters import find_parameter
from recorder.tracking.schedule import DayKind, When, day_kind, look_up, parse_holidays, parse_hours

IN, OUT, HOLIDAY = When(True, False), When(False, False), When(True, True)
OFFICE = "mon-fri 08:30-12:00,13:00-18:00; sat 09:00-12:00"


@pytest.mark.parametrize(
    ("hours", "moment", "found"),
    [
        (OFFICE, "2026-11-18 08:30", IN),  # a Wednesday
        (OFFICE, "2026-11-18 08:29", OUT),
        (OFFICE, "2026-11-18 12:00", OUT),
        (OFFICE, "2026-11-18 17:59", IN),
        (OFFICE, "2026-11-21 11:59", IN),
        (OFFICE, "2026-11-21 12:00", OUT),
        (OFFICE, "2026-11-22 10:00", OUT),
        ("", "2026-11-22 03:00", IN),
        ("daily 22:00-06:00", "2026-11-18 23:00", IN),
        ("daily 22:00-06:00", "2026-11-18 05:59", IN),
        ("daily 22:00-06:00", "2026-11-18 06:00", OUT),
        ("fri 22:00-06:00", "2026-11-21 05:00", IN),  # of Friday's night
        ("fri 22:00-06:00", "2026-11-20 05:00", OUT),
        ("fri 22:00-06:00", "2026-11-22 05:00", OUT),
        ("sat,mon 00:00-24:00", "2026-11-21 23:59", IN),
        ("sat,mon 00:00-24:00", "2026-11-22 00:00", OUT),
        ("sat-mon 08:00-09:00", "2026-11-22 08:00", IN),
        ("sat-mon 08:00-09:00", "2026-11-24 08:00", OUT),
        ("SAT 9:00-12:00 ; ", "2026-11-21 09:00", IN),
        ("daily 00:00-24:00", "2026-10-01 10:00", HOLIDAY),
        ("thu 22:00-06:00", "2026-10-02 05:00", HOLIDAY),  # of the night that began on a holiday
        ("wed 22:00-06:00", "2026-10-01 05:00", IN),  # of a night that began on none
        ("mon-fri 08:00-18:00", "2026-02-14 10:00", IN),  # a Saturday that was worked
        ("mon-fri 08:00-18:00", "2026-02-28 10:00", IN),
        ("mon-fri 08:00-18:00", "2026-03-07 10:00", OUT),
        ("", "2026-10-01 10:00", HOLIDAY),
    ],
)
def test_hours(hours: str, moment: str, found: When) -> None:
    assert look_up(datetime.fromisoformat(moment), hours, "") == found


@pytest.mark.parametrize(
    ("day", "holidays", "kind"),
    [
        ("2026-10-01", "", "holiday"),
        ("2026-11-21", "", "ordinary"),  # a Saturday is no holiday
        ("2026-10-01", "2026-10-01 work", "ordinary"),
        ("2026-11-21", "2026-11-21 work", "makeup"),
        ("2026-11-18", "2026-11-17..2026-11-19 off", "holiday"),
        ("2026-11-20", "2026-11-17..2026-11-19 off", "ordinary"),
        ("2026-11-18", "2026-11-17..2026-11-19 off; 2026-11-18 work", "ordinary"),
        ("2999-10-01", "", "ordinary"),  # nobody knows yet
        ("2999-10-01", "2999-10-01 off", "holiday"),
        ("1960-10-01", "", "ordinary"),
    ],
)
def test_kinds_of_days(day: str, holidays: str, kind: DayKind) -> None:
    assert day_kind(date.fromisoformat(day), holidays) == kind


@pytest.mark.parametrize(
    "text",
    [
        "monday 08:00-09:00", "mon", "mon 8-9", "mon 08:00", "mon 25:00-26:00", "mon 08:00-08:00", "mon 08:60-09:00",
        "mon-xyz 08:00-09:00", "08:00-09:00", "mon 08:00-24:01", "mon 24:00-06:00", "mon- 08:00-09:00", "x" * 500,
    ],
)  # fmt: skip
def test_hours_that_are_none_are_refused_when_they_are_set(text: str) -> None:
    with pytest.raises(ConfigError, match="record_schedule"):
        find_parameter("channel", "record_schedule").check(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30 off", "2026-02-05", "2026-02-05..2026-02-01 off", "2026-01-01..2028-01-01 off", "today off",
        "2026-02-05 maybe",
    ],
)  # fmt: skip
def test_holidays_that_are_none_are_refused_when_they_are_set(text: str) -> None:
    with pytest.raises(ConfigError, match="holidays"):
        find_parameter("system", "holidays").check(text)


@given(text=st.text(max_size=60) | st.from_regex(r"((mon|sat-sun|daily) \d\d:\d\d-\d\d:\d\d;?){1,3}", fullmatch=True))
def test_any_text_is_hours_or_refused(text: str) -> None:
    for parse in (parse_hours, parse_holidays):
        try:
            parse(text)
        except ConfigError:
            continue


@given(
    at=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
    begin=st.integers(0, 1439),
    length=st.integers(1, 1439),
)
def test_a_span_covers_just_its_minutes(at: datetime, begin: int, length: int) -> None:
    end = (begin + length) % 1440
    text = f"daily {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    minute = at.hour * 60 + at.minute
    assert look_up(at, text, "").in_hours == ((minute - begin) % 1440 < length)
    assert look_up(at + timedelta(days=1), text, "").in_hours == look_up(at, text, "").in_hours
