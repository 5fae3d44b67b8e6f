"""Pauses of a channel's recordings: ranges of the tape, in order and without overlap. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from firmware.errors import ConfigError
from recorder.calls import Pause

CODE_PAUSE_S = 3
"""A longer pause between two digits begins a code anew."""
CODE_DIGIT_S = 0.25
"""A digit of a code is no longer than this; the digits of a code belong to the pause."""
MOST_CODE_DIGITS = 16


def check_code(text: str) -> None:
    """Raises ConfigError for what no telephone can send, or what is too long."""
    if len(text) > MOST_CODE_DIGITS or set(text) - set("0123456789*#ABCD"):
        raise ConfigError(f"{text!r} is no code: up to {MOST_CODE_DIGITS} of the digits 0-9, *, #, A-D")


def within(pauses: Sequence[Pause], from_sample: int, to_sample: int) -> tuple[Pause, ...]:
    """What of the pauses lies within from–to; one that is open reaches to the end. No two of them overlap."""
    found: list[Pause] = []
    low = from_sample
    for pause in sorted(pauses, key=lambda one: one.from_sample):
        start = max(low, pause.from_sample)
        end = to_sample if pause.to_sample is None else min(to_sample, pause.to_sample)
        if start < end:
            found.append(msgspec.structs.replace(pause, from_sample=start, to_sample=end))
            low = end
    return tuple(found)


def touching(pauses: Sequence[Pause], from_sample: int) -> list[Pause]:
    """Those that reach beyond ``from_sample``."""
    return [pause for pause in pauses if pause.to_sample is None or pause.to_sample > from_sample]


def is_paused(pauses: Sequence[Pause]) -> bool:
    """Whether the last pause is still open."""
    return bool(pauses) and pauses[-1].to_sample is None


def closed(pauses: Sequence[Pause], at: int) -> list[Pause]:
    """The same with the open pause ended at ``at``, if there is one; one that never began is left out."""
    ended = [pause if pause.to_sample is not None else msgspec.structs.replace(pause, to_sample=at) for pause in pauses]
    return [pause for pause in ended if pause.to_sample is not None and pause.to_sample > pause.from_sample]


def add_digit(code: str, starts: Sequence[int], digit: str, at: int, sample_rate_hz: int) -> tuple[str, list[int]]:
    """The digits of a call so far with one more: a long pause forgets those before it."""
    if starts and at - starts[-1] >= CODE_PAUSE_S * sample_rate_hz:
        code, starts = "", ()
    return (code + digit)[-MOST_CODE_DIGITS:], [*starts, at][-MOST_CODE_DIGITS:]
