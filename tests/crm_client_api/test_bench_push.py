"""The benchmark of the event stream, on a small scale: it counts what it says it counts."""

from __future__ import annotations

import pytest

from crm_client_api.bench.push import _figures, measure
from crm_client_api.bench.push_clients import Seen
from crm_client_api.bench.push_office import Recorder, Size

pytestmark = pytest.mark.acceptance


def test_everybody_gets_everything_once_through_a_restart():
    figures = measure(6, 3, 2, 3.0, 2.0, True, lambda _: None)
    assert figures.calls > 10
    assert figures.popups == 2 * figures.calls
    assert figures.events == 8 * figures.calls
    assert (figures.lost, figures.doubled, figures.strangers, figures.resets) == (0, 0, 0, 0)
    assert figures.restart_s is not None


def test_what_is_lost_doubled_or_not_meant_for_somebody_is_counted(home):
    size = Size(4, 2, 2)
    recorder = Recorder(home, size, 1.0, {"a": 1_000_000, "b": 1_000_000}, {"a": 1, "b": 1})
    states = ("ringing ", "ringing numbered", "talking numbered", "ended numbered")
    seen = Seen(
        popups=[
            (0, "a", 3_000_000),
            (0, "a", 4_000_000),
            (1, "a", 2_000_000),
            (3, "a", 2_000_000),
            (0, "b", 5_000_000),
        ],
        calls=[(client, call, state) for client in (0, 1) for call in "ab" for state in states][:-1],
    )
    figures = _figures(size, recorder, seen, 1.0, None, (0.0, 0.0, 0))
    assert (figures.lost, figures.doubled, figures.strangers) == (2, 1, 1)
    assert (figures.p50_ms, figures.max_ms) == (2.0, 4.0)
