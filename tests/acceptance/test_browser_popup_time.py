"""The benchmark of the whole way, from the line to the browser, on a small scale: each card is painted, and right.

How long it takes is not asked here: that is the benchmark's own affair.
"""

from __future__ import annotations

import msgspec
import pytest

from crm_client_api.bench.popup import figures, measure
from crm_client_api.bench.popup_line import Handed, last_bit
from crm_client_api.bench.popup_page import Painted
from crm_client_api.bench.push_clients import Seen
from drivers.exchange.caller_id import fsk_wave, mdmf_message
from drivers.exchange.lines import OPENED_AT
from firmware.errors import BoxError

pytestmark = pytest.mark.acceptance
TRAILING_MARK_SAMPLES = 66


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_every_call_on_the_line_is_painted_once_and_with_its_customer():
    seen = measure(8, lambda _: None)
    assert (seen.calls, seen.painted, seen.doubled, seen.wrong) == (8, 8, 0, 0)
    assert seen.stages[0].name == "last bit to painted card"
    assert all(one.max_ms > 0 for one in seen.stages)


def test_the_last_bit_is_where_the_closing_mark_begins():
    for number in ("13812345678", "62345678"):
        sent = len(fsk_wave(mdmf_message(number, None, None, OPENED_AT), -14.0))
        assert sent + 500 - last_bit(number, sent + 500) == TRAILING_MARK_SAMPLES


HANDED = Handed(
    last_bits=[("138", 200), ("139", 161)], slices=[(0, 160, 1_000_000), (160, 320, 21_000_000), (320, 480, 41_000_000)]
)
CARDS = [
    Painted("a", "138", "138 王", came=30.0, added=32.0, painted=40.0),
    Painted("b", "139", "139", came=35.0, added=36.0, painted=61.0),
]
COMMITTED = {"a": 25_000_000, "b": 25_000_000}
SEEN = Seen(popups=[(0, "a", 27_000_000), (0, "b", 28_000_000)])


def test_a_way_begins_with_the_slice_that_holds_the_last_bit():
    assert [HANDED.at_ns(sample) for sample in (160, 161, 320, 321)] == [1_000_000, 21_000_000, 21_000_000, 41_000_000]
    found = figures(HANDED, COMMITTED, SEEN, CARDS, {"138": "王"})
    assert (found.calls, found.painted, found.doubled, found.wrong) == (2, 2, 0, 0)
    assert [(one.name, one.max_ms) for one in found.stages] == [
        ("last bit to painted card", 40.0),
        ("last bit to event log", 4.0),
        ("event log to a client", 3.0),
        ("that to the page", 7.0),
        ("event to card", 2.0),
        ("card to painted", 25.0),
    ]


def test_cards_that_lack_something_come_twice_or_never_are_counted():
    nameless = msgspec.structs.replace(CARDS[0], text="138")
    strange = msgspec.structs.replace(CARDS[1], number="140")
    found = figures(HANDED, COMMITTED, SEEN, [nameless, nameless, strange], {"138": "王"})
    assert (found.calls, found.painted, found.doubled, found.wrong) == (2, 1, 1, 3)
    with pytest.raises(BoxError):
        figures(HANDED, COMMITTED, SEEN, [], {})
