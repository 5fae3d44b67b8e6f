"""The call tracker: line events, signals and orders of one channel in, call events and cuts out.

Pure: time is the sample position, nothing is read or written, and the whole state is one value that can be
stored and taken up again. Every time-out counts samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from drivers.api import LineEvent
from recorder.calls import CallState, News
from recorder.orders import Order
from recorder.signals import Signal, ToneHeard
from recorder.tracking import asked
from recorder.tracking.call_life import LATE_S, CallLife
from recorder.tracking.channel import ChannelState, Take, TrackerSettings, differences, settings_of
from recorder.tracking.pauses import is_paused
from recorder.tracking.pulses import PulseTrain
from recorder.tracking.triggers import SWITCHED_OFF, TRIGGERS
from recorder.tracking.triggers.line import (
    MOST_DIGITS,
    end_running,
    end_waiting,
    on_tone,
    patience,
    pulsed_digit,
    watch_pulses,
)

__all__ = ["LATE_S", "MOST_DIGITS", "ChannelState", "ChannelTracker", "TrackerSettings"]

DIGIT_PAUSE_S = 4
"""A pause after which the dialled number is taken as complete."""
_NEVER = 1 << 62


class ChannelTracker:
    """Follows one channel. ``wall_ms`` gives the Unix ms of a sample near the present.

    Calls and recordings are named after ``tape_epoch`` and the place where they begin, so that a tape which is played
    again without its checkpoint gives the same ones.
    """

    def __init__(
        self, channel: int, sample_rate_hz: int, simulated: bool, settings: TrackerSettings, tape_epoch: str = ""
    ) -> None:
        self.channel = channel
        self._life = CallLife(channel, sample_rate_hz, simulated, settings, tape_epoch)
        self._newest = settings
        self._quiet_until = 0

    @property
    def state(self) -> ChannelState:
        """All that must be stored to go on later."""
        return self._life.state

    @state.setter
    def state(self, state: ChannelState) -> None:
        self._life.state = state
        self._quiet_until = 0
        if state.call is not None and state.settings is not None:
            self._life.settings = settings_of(state.settings)

    @property
    def settings(self) -> TrackerSettings:
        """What the tracker follows; settings that come while a call runs hold from its end on."""
        return self._life.settings

    @settings.setter
    def settings(self, settings: TrackerSettings) -> None:
        self._newest = settings
        self._quiet_until = 0
        if self._life.state.call is not None and settings != self._life.settings:
            self._life.state.settings = differences(self._life.settings)
        self._renew_settings()

    def _renew_settings(self) -> None:
        if self._life.state.call is None:
            self._life.settings, self._life.state.settings = self._newest, None

    @property
    def running(self) -> bool:
        """Whether a call or a recording beside the calls runs, so that time alone can lead to news."""
        state = self._life.state
        return state.call is not None or state.continuous is not None or state.manual is not None

    @property
    def occupied(self) -> bool:
        """Whether a call or a recording by hand runs, which a line card that measures otherwise might cut off."""
        return self._life.state.call is not None or self._life.state.manual is not None

    @property
    def watched(self) -> bool:
        """Whether the channel is switched on, or goes on until its call or recording is over."""
        return self._life.settings.enabled or self.running

    @property
    def waiting(self) -> tuple[str, ...]:
        """Settings that came while the call runs and hold from its end on."""
        if self._newest == self._life.settings:  # nearly always, and asked of every channel four times a second
            return ()
        now = asdict(self._life.settings)
        return tuple(key for key, value in asdict(self._newest).items() if value != now[key])

    @property
    def on_hook(self) -> bool:
        """Whether the line is to be listened to as one that waits for calls."""
        state = self._life.state
        if self._life.settings.start_trigger == "hook":
            return state.hook != "off"
        return state.off_hook is None or state.call is None

    @property
    def hears_voice(self) -> bool:
        """Whether speech counts while the line waits for calls."""
        return self._life.settings.start_trigger == "voice"

    @property
    def recording(self) -> bool:
        """Whether what is heard right now goes into a recording."""
        state = self._life.state
        call = state.call is not None and state.off_hook is not None and state.call.kept
        return (call or state.continuous is not None or state.manual is not None) and not self.paused

    @property
    def paused(self) -> bool:
        """Whether somebody paused the recordings."""
        return is_paused(self._life.state.pauses)

    def feed(self, signal: Signal, wall_ms: Callable[[int], int]) -> list[News]:
        """One event of this channel; returns what follows from it."""
        life = self._life
        life.wall_ms = wall_ms
        enabled = life.settings.enabled
        trigger = TRIGGERS[life.settings.start_trigger] if enabled else SWITCHED_OFF
        if enabled:
            watch_pulses(life, signal)
        if isinstance(signal, LineEvent):
            handler = trigger.on_event.get(signal.kind)
            if handler:
                handler(life, signal)
        elif isinstance(signal, ToneHeard):
            if enabled:
                on_tone(life, signal)
        else:
            trigger.on_voice(life, signal)
        return self._take()

    def advance(self, now: int, wall_ms: Callable[[int], int]) -> list[News]:
        """Time went on to sample ``now``: act on what is overdue."""
        if now < self._quiet_until:
            return []
        life = self._life
        life.wall_ms = wall_ms
        late = now - int(LATE_S * life.rate)
        state, call = life.state, life.state.call
        if state.continuous is not None or state.manual is not None:
            life.cut_takes_due(late)
        if state.pulses.count:
            pulsed_digit(life, late)
        if call is None:
            return self._take()
        if call.state is CallState.RINGING:
            given_up = not state.ringing and state.ring_off is not None
            if given_up and late - (state.ring_off or 0) >= life.samples(life.settings.ring_end_ms):
                life.end_unanswered(state.ring_off or 0, "caller_gave_up")
        elif state.on_hook is None:
            life.cut_due(late)
            dialling = state.pulses.count or late - state.last_digit < DIGIT_PAUSE_S * life.rate
            if state.digits and not state.number_told and not dialling:
                life.tell_number(state.last_digit)
        elif late - state.on_hook >= max(patience(life), life.samples(life.settings.post_roll_ms)):
            end_waiting(life, now)
        else:
            life.cut_due(min(late, state.on_hook))
        news = self._take()
        self._quiet_until = self._next_due()
        return news

    def _next_due(self) -> int:
        """The sample at which time alone leads to news of the running call at the earliest; 0: any may be it."""
        life, state, call = self._life, self._life.state, self._life.state.call
        beside = state.continuous is not None or state.manual is not None
        dialled = state.pulses.count or (state.digits and not state.number_told)
        if call is None or beside or dialled or state.on_hook is not None:
            return 0
        if call.state is CallState.RINGING:
            return _NEVER if state.ringing or state.ring_off is None else 0
        return state.segment_from + life.longest_samples + int(LATE_S * life.rate) if call.kept else _NEVER

    def order(self, order: Order, at: int, now: int, wall_ms: Callable[[int], int]) -> tuple[list[News], str]:
        """Somebody asked for something at sample ``at``; ``now`` is how far the tape was processed.

        Returns what follows and what to tell whoever asked. Raises Refused, and changes nothing then.
        """
        self._life.wall_ms = wall_ms
        message = asked.carry_out(self._life, order, at, now)
        return self._take(), message

    def round_the_clock(self, at: int, wall_ms: Callable[[int], int]) -> list[News]:
        """Begin or end the recording around the clock at ``at``, as the newest settings say."""
        self._life.wall_ms = wall_ms
        if not (self._newest.continuous and self._newest.enabled):
            self._life.end_continuous(at)
        elif self._life.state.continuous is None:
            self._life.state.continuous = Take(at, wall_ms(at))
        return self._take()

    def card_lost(self, at: int) -> list[News]:
        """The card is gone since ``at``: a running call ends there, and every recording; line and hook are unknown."""
        life = self._life
        state = life.state
        known = [(take.from_sample, take.from_ms) for _, take in life.takes()]
        if state.call is not None:
            known.append((state.call.started_sample, state.call.started_ms))
        if known:  # nothing near says what time it was
            sample, ms = max(known)
            life.wall_ms = lambda other: ms + (other - sample) * 1000 // life.rate
        end_running(life, at, "card_lost")
        life.end_continuous(at)
        life.end_manual(at)
        life.state.line = life.state.hook = "unknown"
        life.state.ringing = False
        life.state.pulses = PulseTrain()
        return self._take()

    def _take(self) -> list[News]:
        self._quiet_until = 0
        out, self._life.out = self._life.out, []
        self._renew_settings()
        return out
