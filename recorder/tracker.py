"""The call tracker: line events and signals of one channel in, call events and cuts out.

Pure: time is the sample position, nothing is read or written, and the whole state is one value that can be
stored and taken up again. Every time-out counts samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from drivers.api import EventKind, LineEvent
from firmware.clock import uuid7
from recorder.calls import AnswerBasis, Call, CallEvent, CallEventKind, CallState, Cut
from recorder.signals import CallerId, Signal, Tone, ToneHeard, VoiceActivity

CALLER_ID_LEAD_S = 10
"""A caller ID sent before the first ring belongs to a ring that follows within this time."""
DIGIT_PAUSE_S = 4
"""A pause after which the dialled number is taken as complete."""
MOST_DIGITS = 64
LATE_S = 0.25
"""Cards may report an event up to 200 ms after it began; time-outs wait that long."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """Channel parameters that the tracker follows (see ``recorder.parameters``)."""

    pre_roll_ms: int = 1000
    post_roll_ms: int = 300
    shortest_recording_ms: int = 800
    longest_segment_s: int = 1200
    hook_flash_max_ms: int = 700
    ring_end_ms: int = 5000
    abandoned_below_ms: int = 5000
    line_lost_ends_call: bool = True


class ChannelState(msgspec.Struct):
    """Everything the tracker remembers of a channel between two events; positions are samples."""

    line: str = "unknown"
    hook: str = "unknown"
    ringing: bool = False
    call: Call | None = None
    ring_on: int | None = None
    ring_off: int | None = None
    answered: int | None = None
    off_hook: int | None = None
    on_hook: int | None = None
    digits: str = ""
    last_digit: int = 0
    number_told: bool = False
    early_caller_id: CallerId | None = None
    early_caller_id_at: int = 0
    answer_supervision: bool = False
    segment: int = 0
    segment_from: int = 0


class ChannelTracker:
    """Follows one channel. ``wall_ms`` gives the Unix ms of a sample near the present."""

    def __init__(self, channel: int, sample_rate_hz: int, simulated: bool, settings: TrackerSettings) -> None:
        self.channel = channel
        self.state = ChannelState()
        self.settings = settings
        self._rate = sample_rate_hz
        self._simulated = simulated
        self._out: list[CallEvent | Cut] = []
        self._wall_ms: Callable[[int], int] = lambda sample: sample * 1000 // sample_rate_hz
        self._handlers: dict[EventKind, Callable[[LineEvent], None]] = {
            EventKind.RING_ON: self._ring_on,
            EventKind.RING_OFF: self._ring_off,
            EventKind.OFF_HOOK: self._off_hook,
            EventKind.ON_HOOK: self._on_hook,
            EventKind.POLARITY_REVERSED: self._polarity,
            EventKind.LINE_LOST: self._line_lost,
            EventKind.LINE_PRESENT: self._line_present,
            EventKind.DIGITS: self._digits,
            EventKind.CALLER_ID: self._caller_id,
        }

    def feed(self, signal: Signal, wall_ms: Callable[[int], int]) -> list[CallEvent | Cut]:
        """One event of this channel; returns what follows from it."""
        self._wall_ms = wall_ms
        if isinstance(signal, LineEvent):
            handler = self._handlers.get(signal.kind)
            if handler:
                handler(signal)
        elif isinstance(signal, ToneHeard):
            self._tone(signal)
        else:
            self._voice(signal)
        return self._take()

    def advance(self, now: int, wall_ms: Callable[[int], int]) -> list[CallEvent | Cut]:
        """Time went on to sample ``now``: act on what is overdue."""
        state, call = self.state, self.state.call
        if call is None:
            return []
        self._wall_ms = wall_ms
        late = now - int(LATE_S * self._rate)
        if call.state is CallState.RINGING:
            if (
                not state.ringing
                and state.ring_off is not None
                and late - state.ring_off >= self._ms(self.settings.ring_end_ms)
            ):
                self._end_unanswered(state.ring_off, "caller_gave_up")
        elif state.on_hook is not None:
            if late - state.on_hook >= self._ms(self.settings.hook_flash_max_ms):
                self._end_off_hook(state.on_hook, "on_hook", now)
        else:
            longest = self.settings.longest_segment_s * self._rate
            if late - state.segment_from >= longest:
                self._cut(state.segment_from, state.segment_from + longest)
            if state.digits and not state.number_told and late - state.last_digit >= DIGIT_PAUSE_S * self._rate:
                self._tell_number(state.last_digit)
        return self._take()

    def card_lost(self, at: int) -> list[CallEvent | Cut]:
        """The card is gone since ``at``: a running call ends there; line and hook are unknown."""
        call = self.state.call
        if call is not None:  # nothing near says what time it was
            started_ms, started = call.started_ms, call.started_sample
            self._wall_ms = lambda sample: started_ms + (sample - started) * 1000 // self._rate
        self._end_running(at, "card_lost")
        self.state.line = self.state.hook = "unknown"
        self.state.ringing = False
        return self._take()

    # ── incoming ────────────────────────────────────────────────────────────────────────────────────────────────

    def _ring_on(self, event: LineEvent) -> None:
        state = self.state
        if state.call is not None:
            state.ringing = state.call.state is CallState.RINGING
            return
        early = state.early_caller_id
        recent = early is not None and event.at_sample - state.early_caller_id_at <= CALLER_ID_LEAD_S * self._rate
        self._start("incoming", CallState.RINGING, event.at_sample)
        self.state.ringing, self.state.ring_on = True, event.at_sample
        self.state.early_caller_id = None
        if early is not None and recent:
            self._take_caller_id(early, event.at_sample)

    def _ring_off(self, event: LineEvent) -> None:
        self.state.ringing = False
        if self.state.call is not None and self.state.call.state is CallState.RINGING:
            self.state.ring_off = event.at_sample

    def _caller_id(self, event: LineEvent) -> None:
        try:
            heard = msgspec.json.decode(event.value if isinstance(event.value, str) else "", type=CallerId)
        except msgspec.MsgspecError:  # a card may say anything
            return
        call = self.state.call
        if call is None:
            better = self.state.early_caller_id is None or heard.valid or not self.state.early_caller_id.valid
            if better:
                self.state.early_caller_id, self.state.early_caller_id_at = heard, event.at_sample
        elif call.direction == "incoming" and call.caller_number is None and call.absence is None:
            self._take_caller_id(heard, event.at_sample)

    def _take_caller_id(self, heard: CallerId, at: int) -> None:
        call = self.state.call
        assert call is not None
        call.caller_id = msgspec.json.encode(heard).decode()
        if heard.valid and (heard.number or heard.absence):
            call.caller_number, call.caller_name, call.absence = heard.number, heard.name, heard.absence
            self._tell(CallEventKind.CALLER_ID, at)

    # ── hook ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _off_hook(self, event: LineEvent) -> None:
        state, call = self.state, self.state.call
        was_off, state.hook = state.hook == "off", "off"
        if call is None:
            self._start("outgoing", CallState.DIALLING, event.at_sample)
            self._begin_off_hook(event.at_sample)
        elif call.state is CallState.RINGING:
            ring_on = state.ring_on if state.ring_on is not None else call.started_sample
            call.ring_ms = self._span_ms(ring_on, event.at_sample)
            state.ringing = False
            self._begin_off_hook(event.at_sample)
            self._answer(event.at_sample, "off_hook")
        elif not was_off:
            state.on_hook = None  # a hook flash

    def _on_hook(self, event: LineEvent) -> None:
        self.state.hook = "on"
        call = self.state.call
        if call is not None and call.state is CallState.RINGING and self.state.ringing:
            # The card states anew how the line is; if it still rings, it says so next.
            self._ring_off(event)
        if call is not None and call.state is not CallState.RINGING and self.state.on_hook is None:
            self.state.on_hook = event.at_sample

    def _begin_off_hook(self, at: int) -> None:
        self.state.off_hook = at
        self.state.segment = 0
        self.state.segment_from = max(0, at - self._ms(self.settings.pre_roll_ms))

    # ── outgoing ────────────────────────────────────────────────────────────────────────────────────────────────

    def _digits(self, event: LineEvent) -> None:
        state, call = self.state, self.state.call
        if (
            call is not None
            and call.state is CallState.DIALLING
            and isinstance(event.value, str)
            and not state.number_told
            and len(state.digits) + len(event.value) <= MOST_DIGITS
        ):
            state.digits += event.value
            state.last_digit = event.at_sample

    def _tone(self, event: ToneHeard) -> None:
        state, call = self.state, self.state.call
        if call is None or call.state is not CallState.DIALLING or not state.digits:
            return
        if event.tone is Tone.RINGBACK and state.ring_on is None:
            state.ring_on = event.at_sample
            self._tell_number(event.at_sample)
        elif event.tone in (Tone.BUSY, Tone.CONGESTION):
            call.end_reason = "busy" if event.tone is Tone.BUSY else "congestion"
            self._tell_number(event.at_sample)

    def _voice(self, event: VoiceActivity) -> None:
        """Speech after ringback, or after dialling where the line gives no answer supervision, is the answer."""
        state, call = self.state, self.state.call
        if call is None or call.state is not CallState.DIALLING or not event.active or state.answer_supervision:
            return
        if state.ring_on is not None and event.at_sample > state.ring_on:
            self._answer_outgoing(event.at_sample, "voice")

    def _polarity(self, event: LineEvent) -> None:
        """The exchange reverses polarity when the called party answers (answer supervision)."""
        state, call = self.state, self.state.call
        if call is None or call.direction != "outgoing" or not state.digits or call.answer_basis == "polarity":
            return
        if call.state is CallState.DIALLING or call.answer_basis == "voice":
            state.answer_supervision = True
            self._answer_outgoing(event.at_sample, "polarity")

    def _answer_outgoing(self, at: int, basis: AnswerBasis) -> None:
        state, call = self.state, self.state.call
        assert call is not None
        if state.ring_on is not None:
            call.ring_ms = self._span_ms(state.ring_on, at)
        call.end_reason = None
        self._tell_number(at)
        self._answer(at, basis)

    def _tell_number(self, at: int) -> None:
        state, call = self.state, self.state.call
        assert call is not None
        if not state.number_told and state.digits:
            state.number_told = True
            call.dialled_number = state.digits
            self._tell(CallEventKind.DIALLED_NUMBER, at)

    # ── line ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _line_lost(self, event: LineEvent) -> None:
        if self.state.line == "lost":
            return
        self.state.line = "lost"
        if self.state.ringing:
            self._ring_off(event)
        self.state.hook = "unknown"
        if self.settings.line_lost_ends_call:
            self._end_running(event.at_sample, "line_lost")
        self._tell(CallEventKind.LINE_LOST, event.at_sample)

    def _line_present(self, event: LineEvent) -> None:
        before, self.state.line = self.state.line, "present"
        if before == "lost":
            self._tell(CallEventKind.LINE_PRESENT, event.at_sample)

    # ── the life of a call ──────────────────────────────────────────────────────────────────────────────────────

    def _start(self, direction: Any, call_state: CallState, at: int) -> None:
        started_ms = self._wall_ms(at)
        kept = self.state
        self.state = ChannelState(
            line=kept.line,
            hook=kept.hook,
            early_caller_id=kept.early_caller_id,
            early_caller_id_at=kept.early_caller_id_at,
            answer_supervision=kept.answer_supervision,
        )
        self.state.call = Call(
            uuid7(started_ms), self.channel, direction, call_state, at, started_ms, simulated=self._simulated
        )
        self._tell(CallEventKind.CALL_STARTED, at)

    def _answer(self, at: int, basis: AnswerBasis) -> None:
        call = self.state.call
        assert call is not None
        call.state, call.result, call.answer_basis = CallState.TALKING, "answered", basis
        call.answered_ms = self._wall_ms(at)
        self.state.answered = at
        self._tell(CallEventKind.CALL_ANSWERED, at)

    def _end_running(self, at: int, reason: str) -> None:
        call = self.state.call
        if call is None:
            return
        if call.state is CallState.RINGING:
            self._end_unanswered(at, reason)
        elif self.state.on_hook is not None:
            self._end_off_hook(self.state.on_hook, "on_hook", at)
        else:
            self._end_off_hook(at, reason, at)

    def _end_unanswered(self, at: int, reason: str) -> None:
        state, call = self.state, self.state.call
        assert call is not None
        call.ring_ms = self._span_ms(state.ring_on if state.ring_on is not None else call.started_sample, at)
        call.result = "abandoned" if call.ring_ms < self.settings.abandoned_below_ms else "missed"
        self._end(at, reason)

    def _end_off_hook(self, at: int, reason: str, now: int) -> None:
        state, call = self.state, self.state.call
        assert call is not None
        if state.answered is None:
            call.result = "abandoned"
            if state.ring_on is not None:
                call.ring_ms = self._span_ms(state.ring_on, at)
            self._tell_number(at)
        else:
            call.talk_ms = self._span_ms(state.answered, at)
        off_hook = state.off_hook if state.off_hook is not None else at
        keep = at - off_hook >= self._ms(self.settings.shortest_recording_ms) or state.segment > 0
        until = min(at + self._ms(self.settings.post_roll_ms), max(at, now))
        call.state, call.ended_ms = CallState.ENDED, self._wall_ms(at)
        call.end_reason = call.end_reason or reason
        if keep:
            self._cut(state.segment_from, until)
        self._end(at, reason)

    def _end(self, at: int, reason: str) -> None:
        call = self.state.call
        assert call is not None
        call.state, call.ended_ms = CallState.ENDED, self._wall_ms(at)
        call.end_reason = call.end_reason or reason
        self._tell(CallEventKind.CALL_ENDED, at)
        self.state.call = None

    def _cut(self, from_sample: int, to_sample: int) -> None:
        state, call = self.state, self.state.call
        assert call is not None
        if to_sample <= from_sample:
            return
        started_ms = self._wall_ms(from_sample)
        self._out.append(
            Cut(uuid7(started_ms), msgspec.structs.replace(call), state.segment, from_sample, to_sample, started_ms)
        )
        state.segment += 1
        state.segment_from = to_sample

    def _tell(self, kind: CallEventKind, at: int) -> None:
        about_line = kind in (CallEventKind.LINE_LOST, CallEventKind.LINE_PRESENT)
        call = None if about_line or self.state.call is None else msgspec.structs.replace(self.state.call)
        self._out.append(CallEvent(kind, self.channel, at, self._wall_ms(at), call))

    def _take(self) -> list[CallEvent | Cut]:
        out, self._out = self._out, []
        return out

    def _ms(self, duration_ms: int) -> int:
        return duration_ms * self._rate // 1000

    def _span_ms(self, start: int, end: int) -> int:
        return max(0, end - start) * 1000 // self._rate
