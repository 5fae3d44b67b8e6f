"""Line events on their way to the tape: a slot's head has little room, and a card may storm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from drivers.api import EventKind, LineEvent
from recorder.tape.format import MOST_EVENT_BYTES, Range, event_bytes, pack_notes

MOST_WAITING_EVENTS_A_PORT = 512


class WaitingEvents:
    """Of a port's voltages that find no room the last is enough. A port that storms loses events, and only its own.

    Thread: the writer's. ``dropped`` counts what was lost.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._volts: dict[int, LineEvent] = {}
        self._keep([])

    def _keep(self, events: list[LineEvent]) -> None:
        self._events = events
        self._before_audio = len(events)
        self._count = Counter(event.port for event in events)

    def add(self, event: LineEvent) -> None:
        """The newest event."""
        if event_bytes(event) > MOST_EVENT_BYTES:  # it would hold up all behind it
            self.dropped += 1
        elif event.kind is EventKind.VOLTAGE:
            self._volts[event.port] = event
        elif self._count[event.port] < MOST_WAITING_EVENTS_A_PORT:
            self._count[event.port] += 1
            self._events.append(event)
        else:
            self.dropped += 1

    def audio_came(self) -> None:
        """A card that goes on after this will not send the events so far again."""
        self._before_audio = len(self._events)

    def forget_since_audio(self) -> None:
        """The card sends the events that followed its last audio again."""
        self._keep(self._events[: self._before_audio])

    def take(self, gaps: Sequence[Range], room_bytes: int) -> list[LineEvent]:
        """As many events as fit into a block's notes beside ``gaps``, of each port in turn."""
        events = self._events
        later: list[LineEvent] = []
        notes = pack_notes(events, gaps)
        if len(notes) > room_bytes:
            events = _in_turn(events)
        while len(notes) > room_bytes:
            half = len(events) // 2
            later = events[half:] + later
            events = events[:half]
            notes = pack_notes(events, gaps)
        self._keep(later)
        free = room_bytes - len(notes)
        for port, volts in list(self._volts.items()):
            free -= event_bytes(volts)
            if free < 0:
                break
            events.append(self._volts.pop(port))
        return events


def _in_turn(events: Sequence[LineEvent]) -> list[LineEvent]:
    """First the oldest event of each port, then the next of each: a port that storms does not delay the others."""
    count: Counter[int] = Counter()
    turns: list[tuple[int, LineEvent]] = []
    for event in events:
        turns.append((count[event.port], event))
        count[event.port] += 1
    return [event for _, event in sorted(turns, key=lambda turn: turn[0])]
