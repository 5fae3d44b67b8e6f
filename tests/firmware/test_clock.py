"""Times and identifiers."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.clock import iso_utc, now_ms, uuid7


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_251_900_250, "2026-11-21T09:05:00.250Z"),
        (1_795_251_900_000, "2026-11-21T09:05:00.000Z"),
    ],
)
def test_iso_utc(at_ms: int, text: str) -> None:
    assert iso_utc(at_ms) == text


@given(st.integers(min_value=0, max_value=(1 << 48) - 1))
def test_uuid7_carries_its_time_and_is_valid(at_ms: int) -> None:
    made = uuid.UUID(uuid7(at_ms))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == at_ms


def test_uuid7_sorts_by_time_and_never_repeats() -> None:
    start = now_ms()
    made = [uuid7(start + n) for n in range(500)]
    assert made == sorted(made)
    assert len({uuid7(start) for _ in range(500)}) == 500


def test_uuid7_of_the_same_thing_is_the_same() -> None:
    assert uuid7(1000, "tape", 7) == uuid7(1000, "tape", 7)
    assert len({uuid7(1000, "tape", 7), uuid7(1000, "tape", 8), uuid7(1000, "tap", "e7"), uuid7(1001, "tape", 7)}) == 4
    assert uuid7(1000) != uuid7(1000)
