"""Speech begins and ends calls; what the hook switch does is only noted."""

from __future__ import annotations

from drivers.api import EventKind, LineEvent
from recorder.calls import CallEventKind, CallState
from recorder.signals import VoiceActivity
from recorder.tracking.call_life import CallLife
from recorder.tracking.triggers.line import (
    DIGITS_LEAD_S,
    HOOK_NOTED,
    LINE,
    RINGING,
    Trigger,
    answer_incoming,
    end_overdue,
    end_waiting,
    ring_on,
)


def _ring_on(life: CallLife, event: LineEvent) -> None:
    """A line that rings is free: a call that went silent is over."""
    if life.state.call is not None and life.state.on_hook is not None:
        end_waiting(life, event.at_sample)
    ring_on(life, event)


def _voice(life: CallLife, event: VoiceActivity) -> None:
    at = event.at_sample
    if not event.active:
        state = life.state
        if state.call is not None and state.off_hook is not None and state.on_hook is None:
            state.on_hook = max(at, state.off_hook)
        return
    end_overdue(life, at)
    state = life.state
    if state.call is None:
        if at - state.last_digit > DIGITS_LEAD_S * life.rate:
            state.digits = ""
        life.start("outgoing", CallState.TALKING, at, state.digits)
        life.begin_audio(at)
        life.tell(CallEventKind.CALL_STARTED, at)
        life.tell_number(at)
        life.answer(at, "voice")
    elif state.call.state is CallState.RINGING:
        answer_incoming(life, at, "voice")
    else:
        state.on_hook = None


VOICE = Trigger({**LINE, **RINGING, **HOOK_NOTED, EventKind.RING_ON: _ring_on}, _voice)
