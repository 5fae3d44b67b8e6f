"""The most likely caller-ID message, given how likely each character is.

A message is type, length, parameters that fill it exactly, and a checksum; dates and numbers have alphabets of their
own. All of that together is a code by which errors are corrected, and the odds that the answer is wrong are known:
they are those of every other message that the same characters might be.

Types and parameters: Telcordia GR-30-CORE and GR-31-CORE; ETSI EN 300 659-3 § 5.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.dsp.data_link import MDMF, MDMF_WAITING, SDMF, SDMF_WAITING

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_DOUBT = 1e-5
"""Odds of being wrong up to which a message is believed."""
_COST_PER_BIT = 0.2
"""Corrections may cost so much, in nats, for each bit by which the form of a message is redundant: characters that
mean nothing would need some 0.69 nats a bit to be bent into that form."""
_MOST_FORM_NATS = 24.0  # that type, lengths, kinds and alphabets together may cost
_MOST_FORMS = 32
_SURE_PRESENCE = 6.0  # nats: a message that ends before two such characters does not end there
_LIKELIEST = 12  # values of a character that the best message is made of

MESSAGE_KINDS = (MDMF, SDMF, MDMF_WAITING, SDMF_WAITING)


@dataclass(frozen=True, slots=True)
class Likely:
    """A whole message from type to checksum; ``doubt``: odds that it is another one."""

    data: bytes
    doubt: float


def _mask(*ranges: tuple[int, int] | int) -> Mask:
    mask = np.zeros(256, np.bool_)
    for each in ranges:
        low, high = (each, each) if isinstance(each, int) else each
        mask[low : high + 1] = True
    return mask


def _digits(most: str) -> Mask:
    return _mask((ord("0"), ord(most)))


_ANY = _mask((0, 255))
_DIGIT = _digits("9")
_DATE = [_digits(most) for most in "19392959"]  # MMDDHHMM
_NUMBER = _mask((ord("0"), ord("9")), *b"*#+-ABCD")
_ABSENCE = _mask(*b"OP")
_TEXT = _mask((0x20, 0x7E), (0x80, 0xFE))  # also the second half of a GBK character
_SMALL = _mask((0, 15))
_LAMP = _mask(0x00, 0xFF)
_LAMPS = _mask(0x42, 0x6F)

_PARAMETERS: dict[int, tuple[range, Mask]] = {
    0x02: (range(1, 25), _NUMBER),  # calling number
    0x03: (range(1, 25), _NUMBER),  # dialled number
    0x04: (range(1, 2), _ABSENCE),  # why there is no number
    0x05: (range(1, 2), _mask((0x00, 0x0F), *b"012345")),  # why it was redirected
    0x06: (range(1, 2), _mask(ord("L"))),  # long distance
    0x07: (range(1, 51), _TEXT),  # name
    0x08: (range(1, 2), _ABSENCE),  # why there is no name
    0x0B: (range(1, 2), _LAMP),  # message waiting
    0x0D: (range(1, 4), _ANY),  # identity of a message
    0x0E: (range(1, 25), _NUMBER),  # who left a message
    0x10: (range(1, 25), _NUMBER),  # second number of the caller
    0x11: (range(1, 2), _mask(0x01, 0x02, 0x03, 0x81)),  # call type
    0x12: (range(1, 25), _NUMBER),  # first number that was called
    0x13: (range(1, 2), _ANY),  # messages that wait
    0x15: (range(1, 2), _SMALL),  # type of redirection
    0x16: (range(1, 2), _SMALL),  # type of caller
    0x1A: (range(1, 25), _NUMBER),  # number that redirected the call
}
"""Lengths and alphabet of each parameter; the date has a form of its own."""
_DATE_KIND = 0x01


def most_likely(odds: Floats, presence: Floats) -> Likely | None:
    """The likeliest message that begins with the first of some characters; None when none is believable.

    ``odds``: logarithms of the odds of each value of each character, float64 (k, 256), each row summing up to 1.
    ``presence``: logarithms of the odds that there is a character at all, (k,): a message that ends where others follow
    is less likely than one that holds them.
    """
    found: list[tuple[float, bytes]] = []
    forms = list(_Forms(odds).likely())
    held = np.concatenate(([0.0], np.cumsum(presence)))
    most = max((float(held[len(masks)]) for masks in forms), default=0.0)
    total = 0.0
    for masks in forms:
        allowed = np.where(masks, odds[: len(masks)], -np.inf)
        here = float(held[len(masks)]) - most
        total += _mass(allowed) * float(np.exp(here))
        best = _best(allowed)
        follow = presence[len(masks) + 1 : len(masks) + 3]  # the character right behind it may be part of a mark signal
        goes_on = len(follow) == 2 and float(follow.min()) > _SURE_PRESENCE
        if best is not None and -best[0] <= _COST_PER_BIT * _redundant_bits(masks) and not goes_on:
            found.append((best[0] + here, best[1]))
    if not found:
        return None
    score, data = max(found)
    return Likely(data, max(0.0, 1.0 - float(np.exp(score)) / max(total, 1e-300)))


def doubt_of(data: bytes, odds: Floats) -> float:
    """Odds that characters are not ``data`` but others with as good a checksum; ``odds``: see ``most_likely``."""
    score = odds[np.arange(len(data)), list(data)].sum()
    return max(0.0, 1.0 - float(np.exp(score)) / max(_mass(odds), 1e-300))


class _Forms:
    """The forms that a message may have: which values each character may take."""

    def __init__(self, odds: Floats) -> None:
        self._odds = odds
        self._paid: dict[bytes, Floats] = {}

    def likely(self) -> Iterator[Mask]:
        """Masks (n, 256) of the forms that the characters may have, checksum last, the likelier first."""
        found: list[tuple[float, list[Mask]]] = []
        for kind in MESSAGE_KINDS:
            if len(self._odds) < 4 or -self._odds[0, kind] > _MOST_FORM_NATS:
                continue
            for length in np.flatnonzero(self._odds[1, : len(self._odds) - 2] > -_MOST_FORM_NATS):
                paid = -float(self._odds[0, kind] + self._odds[1, length])
                for cost, payload in self._payloads(kind, int(length), paid):
                    found.append((cost, [_mask(kind), _mask(int(length)), *payload, _ANY]))
        found.sort(key=lambda each: each[0])
        for _, masks in found[:_MOST_FORMS]:
            yield np.stack(masks)

    def _payloads(self, kind: int, length: int, paid: float) -> Iterator[tuple[float, list[Mask]]]:
        """Payloads of a length: what they cost, with what was ``paid`` before, and the masks of their characters."""
        if kind in (MDMF, MDMF_WAITING):
            yield from self._parameters(2, 2 + length, paid)
            return
        rows = {3: [[_LAMPS] * 3]} if kind == SDMF_WAITING else {9: [[*_DATE, _ABSENCE], [*_DATE, _NUMBER]]}
        for row in rows.get(length, [[*_DATE, *[_NUMBER] * (length - 8)]] if kind == SDMF and length > 9 else []):
            cost = paid + sum(self._content_cost(mask, 2 + at, 1) for at, mask in enumerate(row))
            if cost <= _MOST_FORM_NATS:
                yield cost, row

    def _parameters(self, at: int, end: int, paid: float) -> Iterator[tuple[float, list[Mask]]]:
        """Rows of parameters that fill the characters from ``at`` to ``end``."""
        if at == end:
            yield paid, []
        if end - at < 3:
            return
        for kind in (_DATE_KIND, *_PARAMETERS):
            if paid - self._odds[at, kind] > _MOST_FORM_NATS:
                continue
            lengths, mask = (range(8, 9), _DIGIT) if kind == _DATE_KIND else _PARAMETERS[kind]
            for length in lengths:
                if at + 2 + length > end:
                    break
                cost = paid - float(self._odds[at, kind] + self._odds[at + 1, length])
                if cost > _MOST_FORM_NATS:
                    continue
                cost += self._content_cost(mask, at + 2, length)
                if cost > _MOST_FORM_NATS:
                    continue
                content = _DATE if kind == _DATE_KIND else [mask] * length
                for total, rest in self._parameters(at + 2 + length, end, cost):
                    yield total, [_mask(kind), _mask(length), *content, *rest]

    def _content_cost(self, mask: Mask, at: int, length: int) -> float:
        """What it costs that ``length`` characters from ``at`` on are all within ``mask``."""
        sums = self._content_costs(mask)
        return float(sums[at + length] - sums[at])

    def _content_costs(self, mask: Mask) -> Floats:
        """Sums (k + 1,) of what it costs that a character is within ``mask``."""
        key = mask.tobytes()
        if key not in self._paid:
            costs = -np.log(np.exp(self._odds[:, mask]).sum(axis=1) + 1e-30)
            self._paid[key] = np.concatenate(([0.0], np.cumsum(costs)))
        return self._paid[key]


def _redundant_bits(masks: Mask) -> float:
    """By how many bits the form, checksum included, says less than its characters could."""
    return 8.0 * len(masks) - float(np.log2(masks.sum(axis=1)).sum()) + 8.0


def _mass(allowed: Floats) -> float:
    """Odds of all messages together whose characters, (n, 256), add up to 0 modulo 256."""
    sums = np.fft.rfft(np.exp(allowed), axis=1).prod(axis=0)
    return float(np.fft.irfft(sums, 256)[0])


def _best(allowed: Floats) -> tuple[float, bytes] | None:
    """Logarithm of the odds of the likeliest characters that add up to 0 modulo 256, and they; None: there are none."""
    order = np.argsort(-allowed, axis=1, kind="stable")[:, :_LIKELIEST]
    scores = np.full(256, -np.inf)
    scores[0] = 0.0
    sums = np.arange(256)
    chosen = np.zeros((len(allowed), 256), np.uint8)
    for row, values in enumerate(order):
        ways = scores[(sums[None, :] - values[:, None]) % 256] + allowed[row, values][:, None]
        best = ways.argmax(axis=0)
        scores, chosen[row] = ways[best, sums], values[best]
    if not np.isfinite(scores[0]):
        return None
    data = bytearray()
    at = 0
    for row in range(len(allowed) - 1, -1, -1):
        value = int(chosen[row, at])
        data.append(value)
        at = (at - value) % 256
    return float(scores[0]), bytes(reversed(data))
