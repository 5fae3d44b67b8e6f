"""How long the room lasts, with much data, little and none."""

from __future__ import annotations

import pytest
from library_box import DAY_MS, NOW_MS, open_box

from firmware.config import Home
from recorder.library.storage.forecast import Forecast, forecast, read_forecast


@pytest.mark.parametrize(
    ("added", "removed", "days", "room", "expected"),
    [
        (1400, 0, 14.0, 1000, Forecast(100, 10.0)),
        (1400, 700, 14.0, 1000, Forecast(50, 20.0)),
        (1400, 1400, 14.0, 1000, Forecast(0, None)),
        (0, 700, 14.0, 1000, Forecast(-50, None)),
        (300, 0, 2.0, 1000, Forecast(150, 6.7)),
        (300, 0, 0.9, 1000, Forecast(None, None)),
        (0, 0, 0.0, 1000, Forecast(None, None)),
        (1400, 0, 14.0, 0, Forecast(100, 0.0)),
        (1400, 0, 14.0, -5, Forecast(100, 0.0)),
    ],
)
def test_forecast(added: int, removed: int, days: float, room: int, expected: Forecast) -> None:
    assert forecast(added, removed, days, room) == expected


def test_the_store_is_asked_for_the_last_two_weeks(home: Home) -> None:
    with open_box(home) as box:
        calls = box.library.calls
        assert read_forecast(calls, 10_000, NOW_MS) == Forecast(None, None)
        box.recording(age_days=0.5)
        assert read_forecast(calls, 10_000, NOW_MS) == Forecast(None, None)
        box.recording(age_days=10)
        assert read_forecast(calls, 10_000, NOW_MS) == Forecast(200, 50.0)
        box.recording(age_days=15)
        assert read_forecast(calls, 10_000, NOW_MS) == Forecast(200, 50.0), "older ones say nothing of today"
        deleted = {"state": "deleted", "deleted_ms": NOW_MS - DAY_MS}
        box.recording(age_days=90, deleted_rule="retention", **deleted)
        assert read_forecast(calls, 10_000, NOW_MS) == Forecast(100, 100.0)
        box.recording(age_days=90, deleted_rule="quota", **deleted)
        assert read_forecast(calls, 10_000, NOW_MS) == Forecast(100, 100.0), "what went for want of room comes again"
        box.recording(age_days=90, deleted_rule="retention", state="deleted", deleted_ms=NOW_MS - 20 * DAY_MS)
        box.recording(age_days=-3)
        assert read_forecast(calls, 10_000, NOW_MS) == Forecast(100, 100.0), "a clock that was ahead counts for nothing"
