"""What the form of a message corrects, and what it never makes up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_signals import frame, mdmf

from recorder.dsp.fsk_message import MOST_DOUBT, Likely, doubt_of
from recorder.dsp.fsk_message import most_likely as most_likely_of

Odds = npt.NDArray[np.float64]
NUMBER = b"13812345678"
MESSAGE = mdmf((0x01, b"11211745"), (0x02, NUMBER), (0x07, b"WANG WEI"))
NUMBER_AT = 14


def odds_of(data: bytes, sure_nats: float = 25.0) -> Odds:
    """Characters of which each value but the one in ``data`` is unlikely."""
    odds = np.full((len(data), 256), -sure_nats)
    odds[np.arange(len(data)), list(data)] = 0.0
    return odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))


def most_likely(odds: Odds, silence: int = 0) -> Likely | None:
    """There is a character everywhere but in the last ``silence`` places."""
    presence = np.full(len(odds), 20.0)
    presence[len(odds) - silence :] = 0.0
    return most_likely_of(odds, presence)


def rather(odds: Odds, at: int, heard: int, nats: float = 1.0) -> None:
    """Character ``at`` sounds like ``heard`` rather than like what it is."""
    odds[at, heard] = odds[at].max() + nats
    odds[at] -= np.log(np.exp(odds[at]).sum())


@pytest.mark.parametrize(
    "data",
    [
        MESSAGE,
        frame(0x04, b"11211745" + NUMBER),
        frame(0x04, b"11211745P"),
        frame(0x06, b"BBB"),
        mdmf((0x01, b"01020304"), (0x04, b"O"), (0x08, b"P")),
        mdmf((0x0B, b"\xff")),
        mdmf((0x02, b"010"), (0x07, "张三".encode("gbk"))),
    ],
)
def test_what_was_heard_well_is_the_message(data: bytes) -> None:
    likely = most_likely(np.concatenate((odds_of(data), odds_of(b"\xff\xff\xff"))), silence=3)
    assert likely is not None
    assert likely.data == data
    assert likely.doubt < MOST_DOUBT


@pytest.mark.parametrize("places", [(NUMBER_AT,), (0,), (1,), (NUMBER_AT + 3, len(MESSAGE) - 1), (3, 20, 30)])
def test_characters_that_were_heard_wrong_are_corrected(places: tuple[int, ...]) -> None:
    odds = odds_of(MESSAGE)
    for place in places:
        rather(odds, place, MESSAGE[place] ^ 0x44)
    likely = most_likely(odds)
    assert likely is not None
    assert likely.data == MESSAGE
    assert likely.doubt < MOST_DOUBT


def test_a_number_is_not_cut_off_where_its_checksum_would_be_right_by_chance() -> None:
    """The length was heard wrong, and the beginning of the number looks like a whole message."""
    data = frame(0x04, b"12060400" + b"241939034")
    assert (sum(data[:12]) + 9 - data[1]) % 256 == 0
    odds = odds_of(data, 9.0)
    rather(odds, 1, 9, nats=2.0)
    follows = most_likely(odds)
    assert follows is not None
    assert follows.data == data
    alone = most_likely(odds, silence=len(data) - 12)
    assert alone is not None
    assert len(alone.data) == 12


def test_the_doubt_about_a_message_counts_what_its_characters_may_be_instead() -> None:
    odds = odds_of(MESSAGE)
    assert doubt_of(MESSAGE, odds) < MOST_DOUBT
    rather(odds, NUMBER_AT, MESSAGE[NUMBER_AT] + 1, nats=-3.0)
    assert doubt_of(MESSAGE, odds) < MOST_DOUBT  # the checksum would not be right
    rather(odds, NUMBER_AT + 4, MESSAGE[NUMBER_AT + 4] - 1, nats=-4.0)
    assert doubt_of(MESSAGE, odds) == pytest.approx(np.exp(-7.0) / (1 + np.exp(-7.0)), rel=0.01)


def test_two_digits_that_may_cancel_out_are_in_doubt() -> None:
    """A digit one higher and another one lower leave the checksum as it is."""
    odds = odds_of(MESSAGE)
    rather(odds, NUMBER_AT, MESSAGE[NUMBER_AT] + 1)
    rather(odds, NUMBER_AT + 4, MESSAGE[NUMBER_AT + 4] - 1)
    likely = most_likely(odds)
    assert likely is not None
    assert likely.doubt > 0.1


def test_the_doubt_is_that_of_the_other_message() -> None:
    odds = odds_of(MESSAGE)
    rather(odds, NUMBER_AT, MESSAGE[NUMBER_AT] + 1, nats=-3.0)
    rather(odds, NUMBER_AT + 4, MESSAGE[NUMBER_AT + 4] - 1, nats=-4.0)
    likely = most_likely(odds)
    assert likely is not None
    assert likely.data == MESSAGE
    assert likely.doubt == pytest.approx(np.exp(-7.0) / (1 + np.exp(-7.0)), rel=0.01)


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=4, max_size=60), st.floats(0.5, 30.0))
def test_bytes_that_are_no_message_never_become_one(data: bytes, sure_nats: float) -> None:
    likely = most_likely(odds_of(data, sure_nats))
    assert likely is None or likely.doubt > MOST_DOUBT


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 10.0))
def test_noise_never_becomes_a_message(seed: int, spread: float) -> None:
    odds = np.random.default_rng(seed).normal(0.0, spread, (60, 256))
    likely = most_likely(odds - np.log(np.exp(odds).sum(axis=1, keepdims=True)))
    assert likely is None or likely.doubt > MOST_DOUBT


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(MESSAGE) - 1), value=st.integers(0, 255))
def test_a_character_that_was_surely_heard_is_not_bent(at: int, value: int) -> None:
    data = bytearray(MESSAGE)
    data[at] = value
    likely = most_likely(odds_of(bytes(data), 60.0))
    assert likely is None or likely.data == MESSAGE == bytes(data)
