"""The messages of a digital line begin and end calls."""

from __future__ import annotations

from typing import Literal

import msgspec

from drivers.api import EventKind, LineEvent
from recorder.calls import CallEventKind, CallState
from recorder.signals import VoiceActivity
from recorder.tracking.call_life import CallLife
from recorder.tracking.triggers.line import (
    HOOK_NOTED,
    LINE,
    MOST_DIGITS,
    Trigger,
    answer_incoming,
    answer_outgoing,
    end_running,
)

MOST_REASON = 32


class CallSetup(msgspec.Struct, frozen=True):
    """Value of CALL_SETUP, see ``drivers.api.LineEvent``."""

    direction: Literal["incoming", "outgoing"]
    caller_number: str | None = None
    caller_name: str | None = None
    dialled_number: str | None = None


_setups = msgspec.json.Decoder(CallSetup)


def _call_setup(life: CallLife, event: LineEvent) -> None:
    try:
        setup = _setups.decode(event.value if isinstance(event.value, str) else "")
    except msgspec.MsgspecError:  # a card may say anything
        return
    at = event.at_sample
    end_running(life, at, "released")
    incoming = setup.direction == "incoming"
    call = life.start(setup.direction, CallState.RINGING if incoming else CallState.DIALLING, at)
    if not incoming:
        life.begin_audio(at)
    life.tell(CallEventKind.CALL_STARTED, at)
    if incoming and setup.caller_number:
        call.caller_number, call.caller_name = setup.caller_number[:MOST_DIGITS], setup.caller_name
        life.tell(CallEventKind.CALLER_ID, at)
    if setup.dialled_number:
        life.state.digits = setup.dialled_number[:MOST_DIGITS]
        life.tell_number(at)


def _call_alerting(life: CallLife, event: LineEvent) -> None:
    call = life.state.call
    if call is not None and call.state in (CallState.RINGING, CallState.DIALLING) and life.state.ring_on is None:
        life.state.ring_on = event.at_sample
        if call.state is CallState.DIALLING:
            life.tell_number(event.at_sample)


def _call_connected(life: CallLife, event: LineEvent) -> None:
    call = life.state.call
    if call is not None and call.state is CallState.RINGING:
        answer_incoming(life, event.at_sample, "signalling")
    elif call is not None and call.state is CallState.DIALLING:
        answer_outgoing(life, event.at_sample, "signalling")


def _call_released(life: CallLife, event: LineEvent) -> None:
    state, call = life.state, life.state.call
    if call is None:
        return
    reason = event.value[:MOST_REASON] if isinstance(event.value, str) and event.value else "released"
    if state.off_hook is None:
        life.end_unanswered(event.at_sample, reason)
    elif state.on_hook is None:
        call.end_reason = call.end_reason or reason
        state.on_hook = max(event.at_sample, state.off_hook)


def _voice(life: CallLife, event: VoiceActivity) -> None:
    """The line itself says when it is answered."""


SIGNALLING = Trigger(
    {
        **LINE, **HOOK_NOTED, EventKind.CALL_SETUP: _call_setup, EventKind.CALL_ALERTING: _call_alerting,
        EventKind.CALL_CONNECTED: _call_connected, EventKind.CALL_RELEASED: _call_released,
    },
    _voice,
)  # fmt: skip
