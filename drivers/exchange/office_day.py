"""A random office day: keeps placing plausible calls a little ahead of the exchange's clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drivers.exchange.calls import IncomingCall, LineSettings, OutgoingCall
from drivers.exchange.lines import SAMPLE_RATE_HZ, Exchange
from drivers.exchange.noise import Purpose, keyed
from firmware.errors import ConfigError

AHEAD_S = 60.0  # the longest stretch that may be rendered between two calls of advance()
FIRST_CALL_S = 3.0
_STAGGER_S = 7.0  # until the next line's first call
_MEAN_GAP_S = 62.0  # from the end of a line's call to the next: 8 lines see about 5 calls a minute
_CONTACTS = 60
_KNOWN_CALLER = 0.7

# What callers do, with its share. Sums to 1.
_KINDS = ("in_answered", "in_missed", "in_abandoned", "in_withheld", "out_answered", "out_busy", "out_unanswered")
_SHARES = (0.44, 0.12, 0.07, 0.08, 0.19, 0.05, 0.05)

_MOBILE_PREFIXES = ("130", "133", "135", "136", "137", "138", "139", "150", "158", "159", "177", "186", "188", "199")
# Area code and digits of a local number.
_AREAS = (("010", 8), ("021", 8), ("020", 8), ("0755", 8), ("0571", 8), ("028", 8), ("0311", 8), ("0791", 8))
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林曾单"
_GIVEN = ("伟明", "芳", "秀英", "建国", "丽华", "志强", "晓燕", "军", "海涛", "雪梅", "国栋", "玉兰", "鹏", "婷婷")
_FIRMS = ("华兴建材", "长江贸易", "东方电子", "新华书店", "顺达物流", "康宁医药", "金桥装饰", "蓝天环保")


@dataclass(frozen=True, slots=True)
class _Contact:
    number: str
    name: str | None


def office_settings(lines: int) -> list[LineSettings]:
    """Settings for an office's lines: every fourth with DTMF caller ID, every second with polarity reversal."""
    return [
        LineSettings(caller_id="dtmf" if i % 4 == 3 else "fsk", polarity_reversal=i % 2 == 1, noise_dbm0=-67.0 + i % 4)
        for i in range(lines)
    ]


class OfficeDay:
    """Places random calls on every line of an exchange, the first at 3 s; the lines should be its alone.

    The same (exchange lines and settings, ``seed``, ``busy``) give the same calls, however the exchange is
    rendered, as long as ``advance`` is called at least once per 60 s of exchange time. ``busy`` scales how
    often lines are used: 1.0 gives 8 lines 4 to 6 calls a minute. Raises ConfigError. Thread: the exchange's.
    """

    def __init__(self, exchange: Exchange, seed: int = 0, busy: float = 1.0) -> None:
        if not 0.05 <= busy <= 10.0:
            raise ConfigError(f"busy = {busy}: must be from 0.05 to 10")
        if not 0 <= seed < 1 << 64:
            raise ConfigError(f"seed = {seed}: must be from 0 to 2**64 - 1")
        self._exchange = exchange
        self._mean_gap_s = _MEAN_GAP_S / busy
        rng = keyed(seed, Purpose.OFFICE, 0)
        self._contacts = [_contact(rng) for _ in range(_CONTACTS)]
        self._rngs = [keyed(seed, Purpose.OFFICE, line, 1) for line in range(exchange.lines)]
        order = rng.permutation(exchange.lines)
        begin_s = exchange.position / SAMPLE_RATE_HZ + FIRST_CALL_S
        self._next_s = [0.0] * exchange.lines
        for place, line in enumerate(order):
            # Many lines must not take minutes until the last one is used.
            self._next_s[int(line)] = begin_s + _STAGGER_S * place * min(1.0, 8 / exchange.lines) / busy

    def advance(self) -> None:
        """Place every call that begins within the next minute. Raises ConfigError when a line was taken."""
        horizon_s = self._exchange.position / SAMPLE_RATE_HZ + AHEAD_S
        for line, rng in enumerate(self._rngs):
            while self._next_s[line] < horizon_s:
                self._exchange.place(self._call(line, round(self._next_s[line], 3), rng))
                free_s = self._exchange.free_from(line) / SAMPLE_RATE_HZ
                self._next_s[line] = free_s + self._mean_gap_s * float(rng.uniform(0.4, 1.6))

    def _call(self, line: int, at_s: float, rng: np.random.Generator) -> IncomingCall | OutgoingCall:
        kind = _KINDS[int(rng.choice(len(_KINDS), p=_SHARES))]
        known = rng.random() < _KNOWN_CALLER
        contact = self._contacts[int(rng.integers(_CONTACTS))] if known else _contact(rng)
        talk_s = round(float(rng.uniform(8.0, 40.0)), 3)
        wait_s = round(float(rng.uniform(3.5, 13.0)), 3)
        far = bool(rng.random() < 0.4)
        hangup_delay_s = round(float(rng.uniform(1.0, 4.0)), 3)
        if kind == "in_missed":
            rings = int(rng.integers(2, 6))
            return IncomingCall(line, at_s, contact.number, contact.name, rings=rings)
        if kind == "in_abandoned":
            return IncomingCall(line, at_s, contact.number, contact.name, give_up_after_s=round(wait_s / 3.0, 3))
        if kind in ("in_answered", "in_withheld"):
            withheld = kind == "in_withheld"
            return IncomingCall(
                line,
                at_s,
                None if withheld else contact.number,
                None if withheld else contact.name,
                "withheld" if withheld else None,
                answer_after_s=wait_s,
                talk_s=talk_s,
                hangup="far" if far else "near",
                far_hangup_delay_s=hangup_delay_s,
            )
        return OutgoingCall(
            line,
            at_s,
            contact.number,
            answer_after_s=wait_s if kind == "out_answered" else None,
            talk_s=talk_s,
            busy=kind == "out_busy",
            give_up_after_s=round(4.0 + wait_s if kind == "out_busy" else 15.0 + wait_s, 3),
            dial_delay_s=round(float(rng.uniform(0.6, 2.0)), 3),
            tone_ms=int(rng.integers(70, 120)),
            pause_ms=int(rng.integers(70, 120)),
            hangup="far" if far else "near",
            far_hangup_delay_s=hangup_delay_s,
        )


def _contact(rng: np.random.Generator) -> _Contact:
    def digits(count: int) -> str:
        return "".join(str(d) for d in rng.integers(0, 10, count))

    if rng.random() < 0.65:
        number = str(rng.choice(_MOBILE_PREFIXES)) + digits(8)
        name = str(rng.choice(list(_SURNAMES))) + str(rng.choice(_GIVEN))
    else:
        area, length = _AREAS[int(rng.integers(len(_AREAS)))]
        number = area + str(rng.integers(2, 9)) + digits(length - 1)
        name = str(rng.choice(_FIRMS))
    return _Contact(number, name if rng.random() < 0.6 else None)
