"""A channel that is switched off: nothing on it begins a call or is told; how the line is, is noted for later."""

from __future__ import annotations

from drivers.api import EventKind, LineEvent
from recorder.signals import VoiceActivity
from recorder.tracking.call_life import CallLife
from recorder.tracking.triggers.line import HOOK_NOTED, Trigger


def _line(life: CallLife, event: LineEvent) -> None:
    lost = event.kind is EventKind.LINE_LOST
    life.state.line = "lost" if lost else "present"
    if lost:
        life.state.hook = "unknown"


def _voice(life: CallLife, event: VoiceActivity) -> None:
    """Nobody listens."""


SWITCHED_OFF = Trigger({EventKind.LINE_LOST: _line, EventKind.LINE_PRESENT: _line, **HOOK_NOTED}, _voice)
