"""Erlang B and C against published tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.statistics.erlang import agents_needed, answered_within, blocking, lines_needed, waiting
from firmware.errors import BadInput

# Offered traffic (erlangs) at which so many lines block this part of the calls: the Erlang B table that is printed in
# ITU-D's Handbook "Teletraffic Engineering" and in every textbook.
TABLE = {
    1: {0.01: 0.0101, 0.02: 0.0204, 0.05: 0.0526, 0.1: 0.111},
    2: {0.01: 0.153, 0.02: 0.223, 0.05: 0.381, 0.1: 0.595},
    5: {0.01: 1.361, 0.02: 1.657, 0.05: 2.219, 0.1: 2.881},
    10: {0.01: 4.461, 0.02: 5.084, 0.05: 6.216, 0.1: 7.511},
    20: {0.01: 12.031, 0.02: 13.182, 0.05: 15.249, 0.1: 17.613},
    30: {0.01: 20.337, 0.02: 21.932, 0.05: 24.802, 0.1: 28.113},
    50: {0.01: 37.901, 0.02: 40.255, 0.05: 44.533, 0.1: 49.562},
    100: {0.01: 84.064, 0.02: 87.972, 0.05: 95.240, 0.1: 104.11},
}


@pytest.mark.parametrize("lines", TABLE)
def test_blocking_is_that_of_the_table(lines):
    for part, erlangs in TABLE[lines].items():
        assert blocking(erlangs, lines) == pytest.approx(part, rel=0.006)
        assert lines_needed(erlangs * 0.995, part) == lines
        assert lines_needed(erlangs * 1.01, part) == lines + 1


def test_waiting_is_that_of_published_examples():
    # 10 erlangs: Pw of the Erlang C table.
    assert waiting(10, 11) == pytest.approx(0.6821, abs=2e-4)
    assert waiting(10, 12) == pytest.approx(0.4494, abs=2e-4)
    assert waiting(10, 14) == pytest.approx(0.1741, abs=2e-4)
    # 200 calls in an hour of 3 minutes each, 80 % within 20 s: 14 people reach 88.8 %, 13 do not reach 80 %.
    assert answered_within(10, 14, 180, 20) == pytest.approx(0.888, abs=1e-3)
    assert agents_needed(10, 180, 20, 0.8) == 14


def test_the_edges():
    assert blocking(0, 0) == 1
    assert blocking(0, 3) == 0
    assert blocking(5, 0) == 1
    assert lines_needed(0, 0.01) == 0
    assert agents_needed(0, 60, 20, 0.8) == 0
    assert waiting(5, 5) == waiting(5, 3) == 1
    assert answered_within(5, 5, 60, 20) == 0
    assert answered_within(1, 2, 0, 20) == 1
    assert blocking(1, 2000) == 0.0
    assert 0 < blocking(4000, 4096) < 0.01
    for wrong in (lambda: blocking(-1, 1), lambda: lines_needed(1, 0), lambda: lines_needed(1, 1),
                  lambda: agents_needed(1, 60, 20, 1.0), lambda: blocking(float("nan"), 1)):  # fmt: skip
        with pytest.raises(BadInput):
            wrong()


@given(st.floats(0.01, 500), st.integers(0, 600))
def test_one_more_line_never_hurts(erlangs, lines):
    assert blocking(erlangs, lines + 1) <= blocking(erlangs, lines) <= 1


@given(st.floats(0.01, 300), st.floats(0.001, 0.5))
def test_fewer_lines_than_needed_are_too_few(erlangs, part):
    lines = lines_needed(erlangs, part)
    assert blocking(erlangs, lines) <= part < blocking(erlangs, lines - 1)
