"""The hook switch begins and ends calls."""

from __future__ import annotations

from drivers.api import EventKind, LineEvent
from recorder.calls import CallEventKind, CallState
from recorder.signals import VoiceActivity
from recorder.tracking.call_life import CallLife
from recorder.tracking.triggers.line import (
    LINE,
    RINGING,
    Trigger,
    answer_incoming,
    answer_outgoing,
    end_overdue,
    ring_off,
    ring_on,
)


def _off_hook(life: CallLife, event: LineEvent) -> None:
    end_overdue(life, event.at_sample)
    state, call = life.state, life.state.call
    was_off, state.hook = state.hook == "off", "off"
    if call is None:
        life.start("outgoing", CallState.DIALLING, event.at_sample)
        life.begin_audio(event.at_sample)
        life.tell(CallEventKind.CALL_STARTED, event.at_sample)
    elif call.state is CallState.RINGING:
        answer_incoming(life, event.at_sample, "off_hook")
    elif not was_off:
        state.on_hook = None  # a hook flash


def _on_hook(life: CallLife, event: LineEvent) -> None:
    state = life.state
    state.hook = "on"
    if state.call is None:
        return
    if state.call.state is CallState.RINGING and state.ringing:
        # The card states anew how the line is; if it still rings, it says so next.
        ring_off(life, event)
    if state.call.state is not CallState.RINGING and state.on_hook is None:
        state.on_hook = event.at_sample


def _voice(life: CallLife, event: VoiceActivity) -> None:
    """Speech after ringback, or after dialling where the line gives no answer supervision, is the answer."""
    state, call = life.state, life.state.call
    if call is None or call.state is not CallState.DIALLING or not event.active or state.answer_supervision:
        return
    if state.ring_on is not None and event.at_sample > state.ring_on:
        answer_outgoing(life, event.at_sample, "voice")


def _polarity(life: CallLife, event: LineEvent) -> None:
    """The exchange reverses polarity when the called party answers (answer supervision)."""
    state, call = life.state, life.state.call
    if call is None or call.direction != "outgoing" or not state.digits or call.answer_basis == "polarity":
        return
    if call.state is CallState.DIALLING or call.answer_basis == "voice":
        state.answer_supervision = True
        answer_outgoing(life, event.at_sample, "polarity")


HOOK = Trigger(
    {
        **LINE, **RINGING, EventKind.RING_ON: ring_on, EventKind.OFF_HOOK: _off_hook, EventKind.ON_HOOK: _on_hook,
        EventKind.POLARITY_REVERSED: _polarity,
    },
    _voice,
)  # fmt: skip
