"""An exchange as the card's lines: keeps an office day going and writes down what truly happened."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from drivers.exchange.lines import Exchange, LineFrames
from drivers.exchange.office_day import OfficeDay


class ExchangeFeed:
    """A ``LineSource``: ``exchange`` with an optional ``day``; finished calls go to ``truth`` as JSON lines.

    Thread: the exchange's.
    """

    def __init__(self, exchange: Exchange, day: OfficeDay | None = None, truth: BinaryIO | None = None) -> None:
        self._exchange = exchange
        self._day = day
        self._truth = truth
        self._written = 0

    def render(self, samples: int) -> LineFrames:
        """The next ``samples`` (at most 60 s) of all lines."""
        if self._day is not None:
            self._day.advance()
        frames = self._exchange.render(samples)
        finished = self._exchange.truth
        if self._truth is not None and self._written < len(finished):
            self._truth.writelines(msgspec.json.encode(call) + b"\n" for call in finished[self._written :])
            self._truth.flush()
        self._written = len(finished)
        return frames
