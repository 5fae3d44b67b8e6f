"""A tracker, fed block by block as the recorder does, with orders from the office in between."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from drivers.api import EventKind, LineEvent
from firmware.errors import Refused
from recorder.calls import Call, CallEvent, CallEventKind, Cut, News, RecordingKind, Withdrawn
from recorder.orders import Order
from recorder.signals import Signal, VoiceActivity
from recorder.tracking.channel import ChannelState, TrackerSettings
from recorder.tracking.tracker import ChannelTracker

RATE_HZ, BLOCK = 8000, 800
WALL_MS = 1_800_000_000_000


def wall_ms(sample: int) -> int:
    return WALL_MS + sample * 1000 // RATE_HZ


def line(at_s: float, kind: EventKind, value: float | str | None = None) -> LineEvent:
    return LineEvent(kind, 0, round(at_s * RATE_HZ), value)


def voice(at_s: float, active: bool = True) -> VoiceActivity:
    return VoiceActivity(0, round(at_s * RATE_HZ), active)


def digits(at_s: float, text: str, step_s: float = 0.2) -> list[Signal]:
    return [line(at_s + index * step_s, EventKind.DIGITS, digit) for index, digit in enumerate(text)]


def asks(at_s: float, verb: str, reason: str = "", call_id: str | None = None) -> Order:
    return Order(0, wall_ms(round(at_s * RATE_HZ)), "8001", verb, 7, call_id, None, reason, {})


class TrackedLine:
    """``refused``: what became of orders that could not be carried out."""

    def __init__(self, **parameters: int | bool | str) -> None:
        self.tracker = ChannelTracker(7, RATE_HZ, False, TrackerSettings(**parameters))  # type: ignore[arg-type]
        self.news: list[News] = []
        self.refused: list[str] = []
        self.now = 0
        self.tracker.round_the_clock(0, wall_ms)

    def play(self, story: Sequence[Signal | Order], until_s: float, store: bool = False) -> TrackedLine:
        def at_of(item: Signal | Order) -> int:
            return (item.at_ms - WALL_MS) * RATE_HZ // 1000 if isinstance(item, Order) else item.at_sample

        todo = sorted(story, key=at_of)
        while self.now + BLOCK <= round(until_s * RATE_HZ):
            self.now += BLOCK
            while todo and at_of(todo[0]) < self.now:
                item = todo.pop(0)
                if isinstance(item, Order):
                    self.ask(item, at_of(item))
                else:
                    self.news += self.tracker.feed(item, wall_ms)
                if store:
                    self.restart()
            self.news += self.tracker.advance(self.now, wall_ms)
            if store:
                self.restart()
        return self

    def ask(self, order: Order, at: int) -> None:
        try:
            found, _ = self.tracker.order(order, at, self.now, wall_ms)
        except Refused as refused:
            self.refused.append(str(refused))
            return
        self.news += found

    def restart(self, settings: TrackerSettings | None = None) -> None:
        """The state goes through its stored form, into a tracker of its own."""
        text = msgspec.json.encode(self.tracker.state)
        self.tracker = ChannelTracker(7, RATE_HZ, False, settings or self.tracker.settings)
        self.tracker.state = msgspec.json.decode(text, type=ChannelState)

    @property
    def events(self) -> list[CallEvent]:
        return [item for item in self.news if isinstance(item, CallEvent)]

    @property
    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]

    @property
    def calls(self) -> list[Call]:
        return [event.call for event in self.events if event.kind is CallEventKind.CALL_ENDED and event.call]

    @property
    def call(self) -> Call:
        assert len(self.calls) == 1
        return self.calls[0]

    def cuts(self, kind: RecordingKind = "call") -> list[Cut]:
        return [item for item in self.news if isinstance(item, Cut) and item.kind == kind]

    def spans(self, kind: RecordingKind = "call") -> list[tuple[float, float]]:
        """The cuts in seconds."""
        return [(cut.from_sample / RATE_HZ, cut.to_sample / RATE_HZ) for cut in self.cuts(kind)]

    def silences(self, kind: RecordingKind = "call") -> list[tuple[float, float, str, str]]:
        """What is paused in the cuts, in seconds."""
        return [
            (pause.from_sample / RATE_HZ, (pause.to_sample or 0) / RATE_HZ, pause.by, pause.reason)
            for cut in self.cuts(kind)
            for pause in cut.pauses
        ]

    @property
    def withdrawn(self) -> list[Withdrawn]:
        return [item for item in self.news if isinstance(item, Withdrawn)]
