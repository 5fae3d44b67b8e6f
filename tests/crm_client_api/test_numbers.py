"""Numbers: every way to write one gives one key."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.numbers import Site, e164, match_key, spellings

BEIJING = Site("CN", "010", "")
NINE = Site("CN", "010", "9")


@pytest.mark.parametrize(
    "written",
    ["013812345678", "13812345678", "+8613812345678", "8613812345678", "008613812345678", "138 1234 5678",
     "138-1234-5678", "＋８６13812345678", "17951 13812345678", "17951013812345678",
     "12593013812345678", "13812345678#"],
)  # fmt: skip
def test_a_mobile_number_is_one_number(written):
    assert match_key(written, BEIJING) == "+8613812345678"


@pytest.mark.parametrize(
    "written",
    ["62345678", "01062345678", "010-62345678", "(010) 6234 5678", "(010)62345678", "+86 10 6234 5678",
     "62345678转801", "010-62345678-801", "62345678 ext. 5", "6234-5678", "1795101062345678", "62345678#"],
)  # fmt: skip
def test_a_landline_number_at_its_site_is_one_number(written):
    assert match_key(written, BEIJING) == "+861062345678"


def test_the_same_local_digits_elsewhere_are_another_number():
    assert match_key("62345678", Site("CN", "021")) == "+862162345678"
    assert match_key("62345678", BEIJING) != match_key("62345678", Site("CN", "021"))


@pytest.mark.parametrize("code", ["110", "95588", "12345", "10086", "8001", "801", "*69"])
def test_short_codes_match_literally(code):
    assert match_key(code, BEIJING) == code
    assert e164(code, BEIJING) is None


@pytest.mark.parametrize(("written", "key"), [("962345678", "+861062345678"), ("913812345678", "+8613812345678"),
                                              ("9013812345678", "+8613812345678"), ("62345678", "+861062345678"),
                                              ("95588", "95588"), ("9801", "9801")])  # fmt: skip
def test_the_outside_prefix_is_stripped_only_from_whole_numbers(written, key):
    assert match_key(written, NINE) == key


def test_foreign_numbers():
    assert match_key("0044 20 7946 0000", BEIJING) == match_key("+442079460000", BEIJING) == "+442079460000"


@pytest.mark.parametrize("nothing", ["", "  ", "+", "-"])
def test_nothing_matches_nothing(nothing):
    assert match_key(nothing, BEIJING) == ""


@given(st.text(max_size=40))
@example("1" * 300)
def test_any_text_has_a_key(text):
    key = match_key(text, NINE)
    assert e164(text, NINE) in (key, None)


mobile = st.builds(lambda head, tail: f"{head}{tail:08d}", st.sampled_from(["138", "139", "186", "150", "177"]),
                   st.integers(0, 99_999_999))  # fmt: skip
landline = st.integers(2_000_000, 8_999_999).map(lambda n: f"6{n}")
foreign = st.integers(0, 9999).map(lambda n: f"+44207946{n:04d}")


@given(st.one_of(mobile, landline, foreign), st.sampled_from([BEIJING, NINE, Site("CN", "0755", "0"), Site("CN", "")]))
def test_every_spelling_is_the_same_number(number, site):
    key = match_key(number, site)
    found = spellings(number, site)
    assert number in found
    assert key in found
    assert {match_key(one, site) for one in found} == {key}


def test_spellings_hold_what_exchanges_send():
    assert {"13812345678", "013812345678", "8613812345678", "+8613812345678", "913812345678", "9013812345678"} <= set(
        spellings("13812345678", NINE)
    )
    assert {"62345678", "01062345678", "962345678"} <= set(spellings("+861062345678", NINE))
    assert spellings("801", NINE) == ("801",)


@pytest.mark.parametrize("text", ["withheld", "unavailable", "FLOWERS", "*6213812345678"])
def test_a_word_is_no_number(text):
    assert e164(text, BEIJING) is None


def test_letters_stand_for_digits_behind_digits():
    assert e164("+1800FLOWERS", BEIJING) == "+18003569377"
