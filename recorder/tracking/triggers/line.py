"""What every trigger shares: ringing, digits, the line itself, and how a call ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from drivers.api import EventKind, LineEvent
from recorder.calls import AnswerBasis, CallEventKind, CallState, Machine
from recorder.signals import CallerId, Signal, Tone, ToneHeard, VoiceActivity
from recorder.tracking.asked import hear_code
from recorder.tracking.call_life import CallLife
from recorder.tracking.pulses import PulseTrain

CALLER_ID_LEAD_S = 10
"""A caller ID sent before the first ring belongs to a ring that follows within this time."""
DIGITS_LEAD_S = 30
"""With start trigger voice: digits dialled so long before the speech are the dialled number."""
MOST_DIGITS = 64
SHORTEST_PAUSE_S = 1
"""Between two rings; what comes sooner belongs to the same one, as in the double rings of some countries."""
_MACHINES: Mapping[Tone | None, Machine] = {
    Tone.FAX_CALLING: "fax",
    Tone.FAX_ANSWER: "fax",
    Tone.MODEM_ANSWER: "modem",
}
Handler = Callable[[CallLife, LineEvent], None]
_caller_ids = msgspec.json.Decoder(CallerId)


@dataclass(frozen=True, slots=True)
class Trigger:
    """``on_event``: what line events mean; one that is not in it means nothing. ``on_voice``: what speech means."""

    on_event: Mapping[EventKind, Handler]
    on_voice: Callable[[CallLife, VoiceActivity], None]


def patience(life: CallLife) -> int:
    """Samples after the end of a call's audio within which it may go on: a hook flash, a pause in the conversation."""
    settings = life.settings
    waits = {"hook": settings.hook_flash_max_ms, "voice": settings.voice_hang_ms, "signalling": 0}
    return life.samples(waits[settings.start_trigger])


def end_waiting(life: CallLife, now: int) -> None:
    """End the call whose end only waited for the patience of its trigger, or for its post-roll."""
    reasons = {"hook": "on_hook", "voice": "silence", "signalling": "released"}
    assert life.state.on_hook is not None
    life.end_audio(life.state.on_hook, reasons[life.settings.start_trigger], now)


def end_overdue(life: CallLife, at: int) -> None:
    """Something begins at ``at``: a call that can no longer go on ends first."""
    state = life.state
    if state.call is not None and state.on_hook is not None and at - state.on_hook >= patience(life):
        end_waiting(life, at)


def line_lost(life: CallLife, event: LineEvent) -> None:
    """The voltage went: the line is cut."""
    if life.state.line == "lost":
        return
    life.state.line = "lost"
    if life.state.ringing:
        ring_off(life, event)
    life.state.hook = "unknown"
    if life.settings.line_lost_ends_call:
        end_running(life, event.at_sample, "line_lost")
    life.tell(CallEventKind.LINE_LOST, event.at_sample)


def end_running(life: CallLife, at: int, reason: str) -> None:
    """The running call cannot go on behind ``at``, if there is one."""
    state = life.state
    if state.call is None:
        return
    if state.off_hook is None:
        rang_until = None if state.ringing else state.ring_off
        life.end_unanswered(at if rang_until is None else rang_until, reason)
    elif state.on_hook is not None:
        end_waiting(life, at)
    else:
        life.end_audio(at, reason, at)


def line_present(life: CallLife, event: LineEvent) -> None:
    """The voltage is there."""
    before, life.state.line = life.state.line, "present"
    if before == "lost":
        life.tell(CallEventKind.LINE_PRESENT, event.at_sample)


def digits(life: CallLife, event: LineEvent) -> None:
    """DTMF digits, or digits that the card read."""
    if isinstance(event.value, str):
        _dial(life, event.value, event.at_sample)


def watch_pulses(life: CallLife, signal: Signal) -> None:
    """Before ``signal`` is acted on: a digit of the hook switch that had ended by then, and the break that it is of."""
    train, at = life.state.pulses, signal.at_sample
    pulsed_digit(life, at)
    kind = signal.kind if isinstance(signal, LineEvent) else None
    if kind is EventKind.ON_HOOK:
        train.opened(at, life.rate)
    elif kind is EventKind.OFF_HOOK:
        train.closed(at, life.rate)
    elif kind is EventKind.LINE_LOST:
        life.state.pulses = PulseTrain()


def pulsed_digit(life: CallLife, now: int) -> None:
    """The digit of the hook switch that has ended by ``now``, if there is one."""
    train = life.state.pulses
    if digit := train.settled(now, life.rate):
        _dial(life, digit, train.made)


def _dial(life: CallLife, text: str, at: int) -> None:
    """Before the call is set up they are the dialled number, later they may be a code."""
    state, call = life.state, life.state.call
    before_voice = call is None and life.settings.start_trigger == "voice"
    if before_voice and at - state.last_digit > DIGITS_LEAD_S * life.rate:
        state.digits = ""
    if before_voice or (call is not None and call.state is CallState.DIALLING and not state.number_told):
        if len(state.digits) + len(text) <= MOST_DIGITS:
            state.digits += text
            state.last_digit = at
    elif call is not None and state.off_hook is not None:
        hear_code(life, text, at)


def caller_id(life: CallLife, event: LineEvent) -> None:
    """A caller-ID message, before the first ring or behind it; within a call it tells of another one that waits."""
    try:
        heard = _caller_ids.decode(event.value if isinstance(event.value, str) else "")
    except msgspec.MsgspecError:  # a card may say anything
        return
    state, call = life.state, life.state.call
    waiting = call is not None and state.answered is not None and event.at_sample > state.answered
    early = call is None or (state.ring_on is not None and event.at_sample <= state.ring_on)
    if event.source == "in_band" and not _is_expected(life, heard, early, waiting):
        return
    if call is None:
        better = state.early_caller_id is None or heard.valid or not state.early_caller_id.valid
        if better:
            state.early_caller_id, state.early_caller_id_at = heard, event.at_sample
    elif waiting:
        life.tell_waiting(heard, event.at_sample)
    elif call.direction == "incoming" and call.caller_number is None and call.absence is None:
        life.take_caller_id(heard, event.at_sample)


def _is_expected(life: CallLife, heard: CallerId, early: bool, waiting: bool) -> bool:
    """Whether the exchange of this channel sends such a caller ID at such a time."""
    kind, time = life.settings.caller_id_type, life.settings.caller_id_time
    right_kind = kind in ("auto", heard.signalling.replace("-", "_"))
    return right_kind and (waiting or time in ("auto", "before" if early else "after"))


def ring_on(life: CallLife, event: LineEvent) -> None:
    """A ring burst begins."""
    end_overdue(life, event.at_sample)
    state = life.state
    if state.call is not None:
        rang, state.ringing = state.ringing, state.call.state is CallState.RINGING
        pause = None if state.ring_off is None else event.at_sample - state.ring_off
        if state.ringing and not rang and (pause is None or pause >= SHORTEST_PAUSE_S * life.rate):
            state.rings += 1
        return
    early = state.early_caller_id
    recent = early is not None and event.at_sample - state.early_caller_id_at <= CALLER_ID_LEAD_S * life.rate
    life.start("incoming", CallState.RINGING, event.at_sample)
    life.tell(CallEventKind.CALL_STARTED, event.at_sample)
    life.state.ringing, life.state.ring_on, life.state.rings = True, event.at_sample, 1
    life.state.early_caller_id = None
    if early is not None and recent:
        life.take_caller_id(early, event.at_sample)


def ring_off(life: CallLife, event: LineEvent) -> None:
    """A ring burst ended."""
    life.state.ringing = False
    if life.state.call is not None and life.state.call.state is CallState.RINGING:
        life.state.ring_off = event.at_sample


def answer_incoming(life: CallLife, at: int, basis: AnswerBasis) -> None:
    """Somebody took the call."""
    state, call = life.state, life.state.call
    assert call is not None
    call.ring_ms = life.span_ms(state.ring_on if state.ring_on is not None else call.started_sample, at)
    state.ringing = False
    life.begin_audio(at)
    life.answer(at, basis)


def answer_outgoing(life: CallLife, at: int, basis: AnswerBasis) -> None:
    """The called party took the call."""
    state, call = life.state, life.state.call
    assert call is not None
    if state.ring_on is not None:
        call.ring_ms = life.span_ms(state.ring_on, at)
    call.end_reason = None
    life.tell_number(at)
    life.answer(at, basis)


def on_tone(life: CallLife, event: ToneHeard) -> None:
    """Call progress of a dialled call; a fax or a modem in any."""
    state, call = life.state, life.state.call
    machine = _MACHINES.get(event.tone)
    if machine is not None and _is_in_call(life, event.at_sample):
        life.tell_machine(machine, event.at_sample)
    if call is None or call.state is not CallState.DIALLING or not state.digits:
        return
    if event.tone is Tone.RINGBACK and state.ring_on is None:
        state.ring_on = event.at_sample
        life.tell_number(event.at_sample)
    elif event.tone in (Tone.BUSY, Tone.CONGESTION, Tone.SPECIAL_INFORMATION):
        call.end_reason = event.tone.value
        life.tell_number(event.at_sample)


def _is_in_call(life: CallLife, at: int) -> bool:
    """Whether audio belongs to the running call; with start trigger voice, that between its words does, too."""
    state = life.state
    if state.call is None or state.off_hook is None or at < state.off_hook:
        return False
    return state.on_hook is None or at < state.on_hook or life.settings.start_trigger == "voice"


def note_hook(life: CallLife, event: LineEvent) -> None:
    """The state of the hook switch, where it begins and ends nothing."""
    life.state.hook = "off" if event.kind is EventKind.OFF_HOOK else "on"


LINE: Mapping[EventKind, Handler] = {
    EventKind.LINE_LOST: line_lost,
    EventKind.LINE_PRESENT: line_present,
    EventKind.DIGITS: digits,
}
RINGING: Mapping[EventKind, Handler] = {EventKind.RING_OFF: ring_off, EventKind.CALLER_ID: caller_id}
HOOK_NOTED: Mapping[EventKind, Handler] = {EventKind.OFF_HOOK: note_hook, EventKind.ON_HOOK: note_hook}
