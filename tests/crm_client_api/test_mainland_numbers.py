"""The short way for mainland numbers finds what the package itself finds."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder import numbers
from recorder.numbers import Site

DIGITS = st.text("0123456789", min_size=6, max_size=12)
DIALLED = st.builds(str.__add__, st.sampled_from(["", "0", "00", "1", "13", "010", "0755", "+86", "9"]), DIGITS)


@example("97195000", "0755", "")
@settings(deadline=None, max_examples=500)
@given(DIALLED, st.sampled_from(["010", "0755", ""]), st.sampled_from(["", "9"]))
def test_the_short_way_is_no_other_way(number, area, prefix):
    site = Site("CN", area, prefix)
    found = numbers._match_key.__wrapped__(number, site)
    with patch.object(numbers, "_mainland", lambda digits: None):
        assert numbers._match_key.__wrapped__(number, site) == found


def test_it_is_taken():
    assert numbers._mainland("13812345678") == "+8613812345678"
    assert numbers._mainland("01062345678") == "+861062345678"
    assert numbers._mainland("62345678") is None


def test_what_could_be_an_area_code_without_its_zero_is_in_town():
    assert numbers.e164("97195000", Site("CN", "0755", "")) == "+8675597195000"
    assert numbers.e164("097195000", Site("CN", "0755", "")) == "+8697195000"
