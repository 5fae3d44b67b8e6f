"""The life of a channel's calls and recordings: what starts, is told, cut, kept and ended, whatever the trigger.

Pure, like the tracker that drives it. A call's audio is cut in segments while it is kept; what was not cut yet
because nobody wanted it is cut after all when that changes. Recordings beside the calls (around the clock, or begun
by hand) are *takes*. Pauses hold for all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from firmware.clock import uuid7
from recorder.calls import (
    AnswerBasis,
    Call,
    CallEvent,
    CallEventKind,
    CallState,
    Cut,
    Direction,
    Machine,
    News,
    Pause,
    RecordingKind,
    Withdrawn,
)
from recorder.numbers import match_key
from recorder.signals import CallerId
from recorder.tracking import pauses
from recorder.tracking.channel import ChannelState, Take, TrackerSettings
from recorder.tracking.policy import WITHDRAWN, CallFacts, decide

LATE_S = 0.25
"""Cards may report an event up to 200 ms after it began; time-outs wait that long."""
REMEMBERED_S = 60
"""A pause is remembered so long: a pre-roll (30 s at most) or an order that came late may reach back to it."""


def segment_id(call_id: str, segment: int, started_ms: int) -> str:
    """The name of a call's recording: a tape that is played again gives the same one."""
    return uuid7(started_ms, call_id, segment)


class CallLife:
    """One channel. ``wall_ms`` gives the Unix ms of a sample near the present; ``out`` is what there is to tell."""

    def __init__(
        self, channel: int, sample_rate_hz: int, simulated: bool, settings: TrackerSettings, tape_epoch: str
    ) -> None:
        self._tape_epoch = tape_epoch
        self.channel, self.rate, self.simulated = channel, sample_rate_hz, simulated
        self.settings = settings
        self.state = ChannelState()
        self.out: list[News] = []
        self.wall_ms: Callable[[int], int] = lambda sample: sample * 1000 // sample_rate_hz

    def samples(self, duration_ms: int) -> int:
        """A duration in samples."""
        return duration_ms * self.rate // 1000

    def span_ms(self, start: int, end: int) -> int:
        """Ms between two positions, 0 when they are the wrong way round."""
        return max(0, end - start) * 1000 // self.rate

    def call_ms(self, at: int) -> int:
        """Unix ms of a sample of the running call, by the clock at its start: one that is set since makes no
        call longer or shorter."""
        call = self.state.call
        assert call is not None
        return call.started_ms + (at - call.started_sample) * 1000 // self.rate

    @property
    def longest_samples(self) -> int:
        """The longest segment."""
        return self.settings.longest_segment_s * self.rate

    # ── the call ────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, direction: Direction, call_state: CallState, at: int, digits: str = "") -> Call:
        """A call begins; nothing is told yet. ``digits``: dialled before it began."""
        started_ms = self.wall_ms(at)
        kept = self.state
        last, others = kept.calls_at
        before = others + 1 if at <= last else 0
        name = uuid7(started_ms, self._tape_epoch, self.channel, at, before)
        call = Call(name, self.channel, direction, call_state, at, started_ms, simulated=self.simulated)
        self.state = ChannelState(
            line=kept.line,
            hook=kept.hook,
            call=call,
            digits=digits,
            early_caller_id=kept.early_caller_id,
            early_caller_id_at=kept.early_caller_id_at,
            answer_supervision=kept.answer_supervision,
            calls_at=(max(at, last), before),
            pauses=kept.pauses,
            continuous=kept.continuous,
            manual=kept.manual,
            manual_to=kept.manual_to,
            heard_to=kept.heard_to,
            settings=kept.settings,
        )
        return call

    def begin_audio(self, at: int) -> None:
        """The call has audio from ``at`` on, and its pre-roll, as far as that is not the audio of another call."""
        state = self.state
        assert state.call is not None
        state.off_hook = at
        state.segment = 0
        state.segment_from = max(0, at - self.samples(self.settings.pre_roll_ms), min(at, state.heard_to))
        state.segment_ms = self.wall_ms(state.segment_from)
        state.call.from_sample = state.segment_from

    def answer(self, at: int, basis: AnswerBasis) -> None:
        """The two parties can talk."""
        call = self.state.call
        assert call is not None
        call.state, call.result, call.answer_basis = CallState.TALKING, "answered", basis
        call.answered_ms = self.call_ms(at)
        self.state.answered = at
        self.tell(CallEventKind.CALL_ANSWERED, at)

    def take_caller_id(self, heard: CallerId, at: int) -> None:
        """Who calls; a damaged message is kept, but never becomes a number."""
        call = self.state.call
        assert call is not None
        call.caller_id = msgspec.json.encode(heard).decode()
        if heard.valid and (heard.number or heard.absence):
            call.caller_number, call.caller_name, call.absence = heard.number, heard.name, heard.absence
            call.caller_key = None
            self.tell(CallEventKind.CALLER_ID, at)

    def tell_waiting(self, heard: CallerId, at: int) -> None:
        """Somebody else calls while this call goes on; it stays as it is."""
        if heard.valid:
            self.tell(CallEventKind.CALL_WAITING, at, msgspec.json.encode(heard).decode())

    def tell_machine(self, heard: Machine, at: int) -> None:
        """A fax or a modem was heard; the answer tone of a fax may be that of a modem, so fax it stays."""
        call = self.state.call
        assert call is not None
        if call.machine not in (heard, "fax"):
            call.machine = heard
            self.tell(CallEventKind.MACHINE_HEARD, at)

    def tell_number(self, at: int) -> None:
        """The dialled number is complete."""
        state, call = self.state, self.state.call
        assert call is not None
        if not state.number_told and state.digits:
            state.number_told = True
            call.dialled_number = state.digits
            self.tell(CallEventKind.DIALLED_NUMBER, at)

    def tell(self, kind: CallEventKind, at: int, waiting: str | None = None) -> None:
        """An event, with the call as it is now; what is known now decides whether it is kept."""
        about_line = kind in (CallEventKind.LINE_LOST, CallEventKind.LINE_PRESENT)
        call = None if about_line or self.state.call is None else self.state.call
        if call is not None:
            self._key_numbers(call)
            self._decide(call)
            call.pauses = [] if call.from_sample is None else pauses.touching(self.state.pauses, call.from_sample)
            call = msgspec.structs.replace(call)
        self.out.append(CallEvent(kind, self.channel, at, self.wall_ms(at), call, waiting))

    def _key_numbers(self, call: Call) -> None:
        """What the numbers mean here and now, once."""
        if call.caller_number and call.caller_key is None:
            call.caller_key = match_key(call.caller_number, self.settings.site) or None
        if call.dialled_number and call.dialled_key is None:
            call.dialled_key = match_key(call.dialled_number, self.settings.site) or None

    def end_unanswered(self, at: int, reason: str) -> None:
        """Ringing ended without an answer."""
        state, call = self.state, self.state.call
        assert call is not None
        call.ring_ms = self.span_ms(state.ring_on if state.ring_on is not None else call.started_sample, at)
        call.result = "abandoned" if call.ring_ms < self.settings.abandoned_below_ms else "missed"
        self._end(call, at, reason)

    def end_audio(self, at: int, reason: str, now: int) -> None:
        """The call ended at ``at``; the tape reaches to ``now``, so no further does the post-roll."""
        state, call = self.state, self.state.call
        assert call is not None
        assert state.off_hook is not None
        if state.answered is None:
            call.result = "abandoned"
            if state.ring_on is not None:
                call.ring_ms = self.span_ms(state.ring_on, at)
            self.tell_number(at)
        else:
            call.talk_ms = self.span_ms(state.answered, at)
        until = min(at + self.samples(self.settings.post_roll_ms), max(at, now))
        call.to_sample = max(until, state.segment_from)
        if call.from_sample is None:  # it began under a version that did not note it
            call.from_sample = state.segment_from
        state.heard_to = max(state.heard_to, at)
        state.pauses = pauses.closed(state.pauses, call.to_sample)
        self._decide(call)
        too_short = at - state.off_hook < self.samples(self.settings.shortest_recording_ms)
        if call.kept and too_short and not state.segment and state.wish is None:
            call.kept, call.kept_reason = False, "too_short"
        call.state, call.ended_ms = CallState.ENDED, self.call_ms(at)
        call.end_reason = call.end_reason or reason
        if call.kept:
            self.cut_due(call.to_sample)
            self._cut_segment(call, call.to_sample)
        elif state.segment:
            by = state.wish_by if call.kept_reason == "discarded" else "rule"
            self.out.append(Withdrawn(call.id, call.kept_reason or "", by))
        self._end(call, at, reason)

    def _end(self, call: Call, at: int, reason: str) -> None:
        call.state, call.ended_ms = CallState.ENDED, self.call_ms(at)
        call.end_reason = call.end_reason or reason
        self.tell(CallEventKind.CALL_ENDED, at)
        if call.kept_reason == "never_list":
            self.state.pauses = [*self.state.pauses, *self._unlawful(call)]
        self.state.call = self.state.off_hook = self.state.on_hook = None
        self.state.digits = ""
        self._forget_pauses(at)

    def _decide(self, call: Call) -> None:
        """By the record policy. What was cut is taken back only by a rule that says so."""
        state = self.state
        if state.off_hook is None or call.state is CallState.ENDED:
            return
        number = call.caller_number if call.direction == "incoming" else call.dialled_number
        found = decide(self.settings, CallFacts(call.id, call.direction, number, call.started_ms, state.wish))
        if found.kept or not state.segment or found.reason in WITHDRAWN:
            call.kept, call.kept_reason = found.kept, found.reason

    # ── segments ────────────────────────────────────────────────────────────────────────────────────────────────

    def cut_due(self, upto: int) -> None:
        """Cut the call's whole segments that end before ``upto``; those of a call that is not kept wait."""
        call, longest = self.state.call, self.longest_samples
        assert call is not None
        while call.kept and upto - self.state.segment_from >= longest:
            self._cut_segment(call, self.state.segment_from + longest)

    def _cut_segment(self, call: Call, to_sample: int) -> None:
        state = self.state
        if to_sample <= state.segment_from:
            return
        started_ms = self.wall_ms(state.segment_from) if state.segment_ms is None else state.segment_ms
        self.out.append(
            Cut(
                segment_id(call.id, state.segment, started_ms), msgspec.structs.replace(call), state.segment,
                state.segment_from, to_sample,
                started_ms, "call", self.channel, self.simulated,
                pauses.within(state.pauses, state.segment_from, to_sample), self.settings.recording_format,
            )
        )  # fmt: skip
        state.segment += 1
        state.segment_from, state.segment_ms = to_sample, self.wall_ms(to_sample)

    # ── takes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def takes(self) -> list[tuple[RecordingKind, Take]]:
        """The recordings that run beside the calls."""
        found: list[tuple[RecordingKind, Take]] = []
        if self.state.continuous is not None:
            found.append(("continuous", self.state.continuous))
        if self.state.manual is not None:
            found.append(("manual", self.state.manual))
        return found

    def cut_take(self, kind: RecordingKind, take: Take, to_sample: int) -> None:
        """Cut what a take has so far, in segments; it goes on at ``to_sample``."""
        call = self.state.call
        silent = [*self.state.pauses]
        if call is not None and call.kept_reason == "never_list":
            silent += self._unlawful(call)
        while take.from_sample < to_sample:
            end = min(to_sample, take.from_sample + self.longest_samples)
            self.out.append(
                Cut(
                    uuid7(take.from_ms, self._tape_epoch, self.channel, kind, take.from_sample), None,
                    take.segment, take.from_sample, end, take.from_ms, kind, self.channel,
                    self.simulated, pauses.within(silent, take.from_sample, end), self.settings.recording_format,
                )
            )  # fmt: skip
            take.from_sample, take.from_ms, take.segment = end, self.wall_ms(end), take.segment + 1
        self._forget_pauses(to_sample)

    def cut_takes_due(self, upto: int) -> None:
        """Cut the whole segments of takes that end before ``upto``."""
        longest = self.longest_samples
        for kind, take in self.takes():
            whole = (upto - take.from_sample) // longest
            if whole > 0:
                self.cut_take(kind, take, take.from_sample + whole * longest)

    def end_continuous(self, at: int) -> None:
        """The recording around the clock ends at ``at``, if it runs."""
        if self.state.continuous is not None:
            self.cut_take("continuous", self.state.continuous, at)
            self.state.continuous = None

    def end_manual(self, at: int) -> None:
        """The recording that somebody asked for ends at ``at``, if it runs."""
        if self.state.manual is not None:
            self.cut_take("manual", self.state.manual, at)
            self.state.manual_to = self.state.manual.from_sample
            self.state.manual = None
            if self.state.off_hook is None:  # nothing is left that could be paused
                self.state.pauses = pauses.closed(self.state.pauses, at)

    @staticmethod
    def _unlawful(call: Call) -> list[Pause]:
        """A call that must not be recorded is silence in the recordings beside it."""
        return [] if call.from_sample is None else [Pause(call.from_sample, call.to_sample, "rule", "never_list")]

    def _forget_pauses(self, now: int) -> None:
        """Those that no recording will meet any more, neither one that runs nor one that is to begin."""
        if not self.state.pauses:
            return
        call = self.state.call
        needed = [now - REMEMBERED_S * self.rate, *(take.from_sample for _, take in self.takes())]
        if call is not None:
            needed.append(_beginning(call))
        self.state.pauses = pauses.touching(self.state.pauses, min(needed))


def _beginning(call: Call) -> int:
    return call.started_sample if call.from_sample is None else call.from_sample
