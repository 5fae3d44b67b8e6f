"""The record policy: which rule decides, over every combination, and how numbers are compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import ConfigError
from firmware.parameters import find_parameter, parameter_table
from recorder.numbers import Site
from recorder.tracking.asked import REACH_S
from recorder.tracking.call_life import REMEMBERED_S
from recorder.tracking.channel import SYSTEM_SETTINGS, TrackerSettings
from recorder.tracking.numbers import check_numbers, numbers_on, on_list
from recorder.tracking.policy import WITHDRAWN, CallFacts, Decision, decide, share

MOBILE, LANDLINE = "13800138000", "01062345678"
WORKING, NIGHT, HOLIDAY = "2026-11-18 10:00", "2026-11-18 23:00", "2026-10-01 10:00"
HOURS = "mon-fri 08:00-18:00"


def facts(number: str | None = MOBILE, at: str = WORKING, **more: Any) -> CallFacts:
    started_ms = int(datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)
    return CallFacts("a call", more.pop("direction", "incoming"), number, started_ms, **more)


def reason(settings: TrackerSettings, **of_call: Any) -> tuple[bool, str]:
    found = decide(settings, facts(**of_call))
    return found.kept, found.reason


SELECTIVE = TrackerSettings(
    record_mode="incoming", record_schedule=HOURS, record_on_holidays=False, never_record_numbers="13900139000",
    always_record_numbers="01088*", record_percent=100,
)  # fmt: skip


@pytest.mark.parametrize(
    ("of_call", "decision"),
    [
        ({}, (True, "mode_incoming")),
        ({"number": None}, (True, "mode_incoming")),
        ({"direction": "outgoing"}, (False, "mode_incoming")),
        ({"at": NIGHT}, (False, "outside_hours")),
        ({"at": HOLIDAY}, (False, "holiday")),
        ({"number": "01088888888", "direction": "outgoing", "at": NIGHT}, (True, "always_list")),
        ({"wish": "keep", "direction": "outgoing", "at": NIGHT}, (True, "asked")),
        ({"wish": "discard"}, (False, "discarded")),
        ({"number": "01088888888", "wish": "discard"}, (False, "discarded")),
        ({"number": "13900139000"}, (False, "never_list")),
        ({"number": "13900139000", "wish": "keep"}, (False, "never_list")),
    ],
)
def test_the_first_rule_that_applies_decides(of_call: dict[str, Any], decision: tuple[bool, str]) -> None:
    assert reason(SELECTIVE, **of_call) == decision


def test_modes() -> None:
    assert reason(TrackerSettings()) == (True, "mode_all")
    assert reason(TrackerSettings(record_mode="none")) == (False, "mode_none")
    assert reason(TrackerSettings(enabled=False), wish="keep") == (False, "switched_off")
    assert reason(TrackerSettings(record_mode="on_demand")) == (False, "not_asked")
    assert reason(TrackerSettings(record_mode="on_demand"), wish="keep") == (True, "asked")
    assert reason(TrackerSettings(record_mode="outgoing"), direction="outgoing") == (True, "mode_outgoing")


def test_every_combination_follows_the_order_of_the_table() -> None:
    """Told once more as a list: who comes first wins."""
    flags = list(product([False, True], repeat=7))
    for never, discard, keep, always, none, late, drawn_out in flags:
        settings = TrackerSettings(
            record_mode="none" if none else "all", record_schedule=HOURS, record_percent=0 if drawn_out else 100,
            never_record_numbers=MOBILE if never else "", always_record_numbers=MOBILE if always else "",
        )  # fmt: skip
        wish = "discard" if discard else "keep" if keep else None
        found = decide(settings, facts(at=NIGHT if late else WORKING, wish=wish))
        rules = [
            (never, "never_list"), (discard, "discarded"), (keep, "asked"), (always, "always_list"),
            (none, "mode_none"), (late, "outside_hours"), (drawn_out, "sampled_out"), (True, "mode_all"),
        ]  # fmt: skip
        expected = next(name for applies, name in rules if applies)
        assert found == Decision(expected in ("asked", "always_list", "mode_all"), expected)
    assert {"never_list", "discarded"} == WITHDRAWN


def test_the_share_is_drawn_once_for_each_call_and_is_about_right() -> None:
    settings = TrackerSettings(record_percent=30)
    calls = [replace(facts(), call_id=f"call-{index}") for index in range(2000)]
    kept = [decide(settings, call).kept for call in calls]
    assert kept == [decide(settings, call).kept for call in calls]
    assert 500 < sum(kept) < 700
    wider = [decide(TrackerSettings(record_percent=60), call).kept for call in calls]
    assert all(more for less, more in zip(kept, wider, strict=True) if less)
    assert {decide(TrackerSettings(record_percent=100), call).kept for call in calls} == {True}
    assert {decide(TrackerSettings(record_percent=0), call).kept for call in calls} == {False}
    assert (share("call-1"), share("call-2")) == (share("call-1"), share("call-2"))


def test_recording_hours_follow_the_clock_of_the_time_zone_of_the_box() -> None:
    office = TrackerSettings(record_schedule=HOURS)  # it is ten o'clock in Shanghai, two in London, half a day in Lima
    assert reason(office) == (True, "mode_all")
    told = {"Europe/London": "outside_hours", "America/Lima": "outside_hours", "Asia/Tokyo": "mode_all"}
    assert {name: reason(replace(office, time_zone=name))[1] for name in told} == told
    assert reason(replace(office, time_zone="Middle-earth/Shire")) == (True, "mode_all")  # rather one too many


def test_what_cannot_be_read_rather_records() -> None:
    broken = TrackerSettings(record_schedule="soon", never_record_numbers="?", always_record_numbers="?")
    assert reason(broken) == (True, "mode_all")


@pytest.mark.parametrize(
    ("number", "numbers", "listed"),
    [
        (MOBILE, MOBILE, True),
        (MOBILE, "+8613800138000", True),
        (MOBILE, "008613800138000", True),
        (MOBILE, "8613800138000 10086", True),
        ("013800138000", MOBILE, True),
        ("+8613800138000", MOBILE, True),
        ("008613800138000", "013800138000", True),
        (MOBILE, "1380013*", True),
        (MOBILE, "*8000", True),
        ("913800138000", MOBILE, True),  # 9 for an outside line
        (MOBILE, "13800138001", False),
        (MOBILE, "1380013800", False),
        (MOBILE, "", False),
        (None, "*1*", False),
        ("", "*1*", False),
        (LANDLINE, "+861062345678", True),
        (LANDLINE, "62345678", True),  # as dialled within the area
        ("62345678", LANDLINE, True),
        ("62345678", "+861062345678", True),
        ("02162345678", "62345678", False),
        ("86123456", "01086123456", True),  # a local number that begins like the country
        ("+442071234567", "00442071234567", True),
        ("00442071234567", "+44*", True),
        ("+442071234567", "0086*", False),
        ("10086", "10086,10010", True),
        ("10086", "100861", False),
        ("8001", "80*", True),
        ("1795113800138000", MOBILE, True),  # by another carrier
        ("1259313800138000", MOBILE, True),
        ("17951013800138000", MOBILE, True),
        ("13800138000#", MOBILE, True),  # with the send key
        ("4008001234", "+864008001234", True),
        ("910086", "10086", True),
        ("+13125551234", "13125551234", False),  # Chicago, and a mobile number of the mainland
        ("+13125551234", "1312*", False),
        ("13125551234", "+1312*", False),
        (MOBILE, "138 0013 8000", True),
        ("0013", "138 0013 8000", False),
        ("138", "138 0013 8000", False),
        (LANDLINE, "10086 010 6234 5678", True),
        ("10086", "10086 010 6234 5678", True),
        ("8002", "8001 8002 8003", True),
        (MOBILE, "8001;10086、" + MOBILE, True),
    ],
)
def test_numbers_in_their_usual_spellings(number: str | None, numbers: str, listed: bool) -> None:
    assert on_list(number, numbers, Site("CN", "010", "9")) is listed


LONDON = Site("GB", "020", "9")


@pytest.mark.parametrize(
    ("number", "numbers", "listed"),
    [
        ("02071234567", "+442071234567", True),
        ("71234567", "+442071234567", True),
        ("902071234567", "020 7123 4567", True),
        ("+442071234567", "02071*", True),
        ("13800138000", "+8613800138000", False),
        ("008613800138000", "+8613800138000", True),
    ],
)
def test_numbers_are_read_by_the_country_of_the_site(number: str, numbers: str, listed: bool) -> None:
    assert on_list(number, numbers, LONDON) is listed
    settings = TrackerSettings(
        never_record_numbers=numbers, site_country="GB", site_area_code="020", outside_line_prefix="9"
    )
    facts = CallFacts("x", "incoming", number, 1_790_000_000_000)
    assert (decide(settings, facts).reason == "never_list") is listed


def test_what_may_be_one_number_or_several_is_refused_when_it_is_set() -> None:
    for text in ("6234 5678", "8001 8002", "10086,623 4567", "13800138000 8001 8002"):
        with pytest.raises(ConfigError, match="one number or several"):
            find_parameter("channel", "never_record_numbers").check(text)
    for text in ("138 2234 5678", "020 7123 4567", "110 119 120", "8001,8002", "62345678 13800138000", "10086 10010"):
        find_parameter("channel", "never_record_numbers").check(text)
    assert numbers_on("138 2234 5678 10086", Site()) == ["13822345678", "10086"]


def test_numbers_on_a_list_that_are_none_are_refused_when_they_are_set() -> None:
    for text in ("138x", "*", "+", "1+2", "1**2*3*", "(010)1234"):
        for key in ("never_record_numbers", "always_record_numbers"):
            with pytest.raises(ConfigError, match=key):
                find_parameter("channel", key).check(text)
    for text in ("12345", "*1#", "1x"):
        parameter = find_parameter("channel", "pause_code")
        if text == "1x":
            with pytest.raises(ConfigError, match="pause_code"):
                parameter.check(text)
        else:
            assert parameter.check(text) == text


@given(number=st.text("0123456789+*# -", max_size=30), numbers=st.text("0123456789+* ,", max_size=60))
def test_any_number_on_any_list(number: str, numbers: str) -> None:
    try:
        check_numbers(numbers)
    except ConfigError:
        return
    on_list(number, numbers, Site())


def test_pauses_are_remembered_longer_than_any_pre_roll() -> None:
    longest_ms = find_parameter("channel", "pre_roll_ms").maximum
    assert longest_ms is not None
    assert longest_ms / 1000 + REACH_S < REMEMBERED_S


def test_the_settings_are_as_the_parameters_come_from_the_factory() -> None:
    table, settings = parameter_table(), TrackerSettings()
    for name in TrackerSettings.__dataclass_fields__:
        scope: Any = "system" if name in SYSTEM_SETTINGS else "channel"
        assert table[scope, name].default == getattr(settings, name), name


def test_a_long_list_of_numbers_between_blanks_is_read_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each word is joined with the few that may belong to it, not with all that follow."""
    asked: list[str] = []
    monkeypatch.setattr("recorder.numbers.e164", lambda number, site: asked.append(number))
    entries = numbers_on(" ".join(f"{number:07d}" for number in range(2000, 2400)), Site())
    assert len(entries) == 400
    assert max(map(len, asked)) <= 24
    assert len(asked) < 5000
