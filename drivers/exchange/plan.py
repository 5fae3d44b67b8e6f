"""From a call to what happens on its line: pieces of sound, spans of voltage, and the truth about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from drivers.exchange import caller_id, tones
from drivers.exchange.calls import CallTruth, Happening, IncomingCall, LineCut, LineSettings, OutgoingCall
from drivers.exchange.noise import Purpose, keyed
from drivers.exchange.speech import SpeechLibrary
from drivers.exchange.tones import Wave, amplitude, gain

_PER_MS = 8  # samples

# Ringing in China: 25 Hz, 1 s on, 4 s off (GB 3380).
RING_ON_MS, RING_CYCLE_MS = 1000, 5000
ABANDONED_BELOW_MS = 5000
FSK_AFTER_BURST_MS = (500, 700)
FINISHES_MS = 100
"""Of a caller ID that the exchange has begun to send, when the caller gives up."""
DTMF_BEFORE_RING_MS = 500
DIAL_TONE_AFTER_MS = 200
PROGRESS_AFTER_DIALLING_MS = 800
PULSE_BREAK_MS, PULSE_MAKE_MS, PULSE_PAUSE_MS = 60, 40, 700  # ten pulses a second; between digits
FIRST_WORD_AFTER_MS = 150
_TURN_GAP_MS = (200, 700)
_LAST_TURN_MS = 400  # nobody begins to speak later than this before the end
_GUARD_MS = FINISHES_MS  # the line stays taken for its last click, too

PROGRESS_DBM0 = -10.0
FSK_DBM0 = -14.0
CALLER_DTMF_LOW_DBM0 = -12.0
DIALLED_LOW_DBM0 = -10.0
RING_RESIDUE_DBM0 = -33.0
FAR_QUIETER_DB = 4.0
# These three together stay below the full scale of 32768 with noise added: nothing ever clips.
_SPEECH_PEAK = 20_000.0
_HOOK_CLICK_PEAK = 7_000.0
_RING_CLICK_PEAK = 1_500.0
_CUT_NOISE_DB = -12.0


@dataclass(frozen=True, slots=True)
class LineNature:
    """What makes one line differ from another; drawn once from the seed."""

    line: int
    seed: int
    settings: LineSettings
    idle_v: float
    off_hook_v: float
    ring_vrms: float
    signal_db: float


def line_nature(seed: int, line: int, settings: LineSettings) -> LineNature:
    """Draw a line's voltages (48 V ± 1.5, 7 V ± 0.8, 75 Vrms ± 3) and its signal level (± 1.5 dB)."""
    rng = keyed(seed, Purpose.LINE, line)
    idle, off_hook, ring, signal = (float(x) for x in rng.uniform(-1.0, 1.0, 4))
    return LineNature(
        line,
        seed,
        settings,
        48.0 + 1.5 * idle,
        7.0 + 0.8 * off_hook,
        75.0 + 3.0 * ring,
        1.5 * signal - settings.loss_db,
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """A wave (times ``gain``) from ``start`` to ``stop``; a shorter wave that ``repeats`` fills the span."""

    start: int
    stop: int
    wave: Wave
    gain: float = 1.0
    repeats: bool = False

    def add_to(self, audio: Wave, first: int) -> None:
        """Add to ``audio`` (n,), whose first sample is at position ``first``."""
        a, b = max(self.start, first), min(self.stop, first + len(audio))
        if a >= b:
            return
        if self.repeats:
            part = self.wave.take(np.arange(a - self.start, b - self.start), mode="wrap")
        else:
            part = self.wave[a - self.start : b - self.start]
        audio[a - first : b - first] += part * np.float32(self.gain)


@dataclass(frozen=True, slots=True)
class VoltSpan:
    """A DC loop voltage from one millisecond to another; ``ringing`` spans carry Vrms instead."""

    start_ms: int
    stop_ms: int
    volts: float
    ringing: bool = False


@dataclass(slots=True)
class Plan:
    """All that one call or cut does to its line, from sample ``start`` to ``release``."""

    start: int
    release: int
    pieces: list[Piece] = field(default_factory=list)
    spans: list[VoltSpan] = field(default_factory=list)
    truth: CallTruth | None = None
    cut: bool = False

    def add_audio(self, audio: Wave, first: int) -> None:
        """Add the sounds to a line's noise, in a fixed order; pieces that are over are dropped."""
        end = first + len(audio)
        if self.cut:
            audio[max(self.start - first, 0) : max(self.release - first, 0)] *= np.float32(gain(_CUT_NOISE_DB))
        if self.pieces and self.pieces[0].stop <= first:
            self.pieces = [p for p in self.pieces if p.stop > first]
        for piece in self.pieces:
            if piece.start >= end:
                break
            piece.add_to(audio, first)

    def set_voltages(self, loop_v: Wave, ring_vrms: Wave, noise_v: Wave, first: int) -> None:
        """Overwrite the idle voltages (one value a ms) of a line where this plan says otherwise."""
        first_ms = first // _PER_MS
        for span in self.spans:
            a, b = max(span.start_ms - first_ms, 0), min(span.stop_ms - first_ms, len(loop_v))
            if a >= b:
                continue
            if span.ringing:
                ring_vrms[a:b] = np.float32(span.volts) + noise_v[a:b]
            else:
                loop_v[a:b] = np.float32(span.volts) + noise_v[a:b]


def plan_happening(call: Happening, nature: LineNature, speech: SpeechLibrary, opened_at: datetime) -> Plan:
    """Plan a call or cut on its line. Raises ConfigError when speech is needed and cannot be had."""
    at_ms = round(call.at_s * 1000)
    rng = keyed(nature.seed, Purpose.CALL, nature.line, at_ms)
    if isinstance(call, IncomingCall):
        plan = _plan_incoming(call, at_ms, nature, speech, rng, opened_at)
    elif isinstance(call, OutgoingCall):
        plan = _plan_outgoing(call, at_ms, nature, speech, rng)
    else:
        plan = _plan_cut(call, at_ms, rng)
    plan.pieces.sort(key=lambda p: p.start)
    return plan


def _plan_cut(call: LineCut, at_ms: int, rng: np.random.Generator) -> Plan:
    stop_ms = at_ms + _ms(call.duration_s)
    plan = Plan(at_ms * _PER_MS, stop_ms * _PER_MS, cut=True)
    plan.spans.append(VoltSpan(at_ms, stop_ms, 0.0))
    plan.pieces.append(_click(rng, at_ms, _HOOK_CLICK_PEAK, bounces=0))
    return plan


def _plan_incoming(
    call: IncomingCall,
    at_ms: int,
    nature: LineNature,
    speech: SpeechLibrary,
    rng: np.random.Generator,
    opened_at: datetime,
) -> Plan:
    plan = Plan(at_ms * _PER_MS, 0)
    dtmf = _dtmf_caller_id(call, at_ms, nature)
    ring_ms = at_ms if dtmf is None else -(-dtmf.stop // _PER_MS) + DTMF_BEFORE_RING_MS
    if call.answer_after_s is not None:
        stop_ms = ring_ms + _ms(call.answer_after_s)
    elif call.give_up_after_s is not None:
        stop_ms = ring_ms + _ms(call.give_up_after_s)
    else:
        stop_ms = ring_ms + call.rings * RING_CYCLE_MS
    last_burst_ms = _add_ringing(plan, ring_ms, stop_ms, nature, rng)
    said = dtmf
    if said is None:
        said = _fsk_caller_id(call, ring_ms, nature, rng, opened_at)
    answered = call.answer_after_s is not None
    said_until = stop_ms * _PER_MS + (0 if answered else FINISHES_MS * _PER_MS)
    heard = said is not None and said.stop <= said_until
    if said is not None:
        plan.pieces.append(said if heard else replace(said, stop=min(said.stop, stop_ms * _PER_MS)))
    truth = CallTruth(
        line=call.line,
        direction="in",
        number=call.number if heard else None,
        dialled=None,
        result="answered" if answered else "abandoned" if last_burst_ms - ring_ms < ABANDONED_BELOW_MS else "missed",
        start_sample=plan.start,
        ring_on_sample=ring_ms * _PER_MS,
        answer_sample=None,
        off_hook_sample=None,
        on_hook_sample=None,
        end_sample=last_burst_ms * _PER_MS,
        ring_ms=last_burst_ms - ring_ms,
        talk_ms=0,
        # DTMF carries digits only.
        name=call.name if heard and dtmf is None else None,
        absence=call.absence if heard else None,
        caller_id_end_sample=said.stop if said is not None and heard else None,
    )
    if answered:
        far_end_ms = stop_ms + _ms(call.talk_s)
        on_hook_ms = far_end_ms + _far_delay_ms(call)
        plan.spans.append(VoltSpan(stop_ms, on_hook_ms, nature.off_hook_v))
        plan.pieces += _hook_clicks(rng, stop_ms, on_hook_ms)
        plan.pieces += _conversation(nature, speech, rng, stop_ms, far_end_ms, near_first=True)
        plan.pieces += _cadence(nature, tones.BUSY_MS, far_end_ms, on_hook_ms)
        truth = replace(
            truth,
            answer_sample=stop_ms * _PER_MS,
            off_hook_sample=stop_ms * _PER_MS,
            on_hook_sample=on_hook_ms * _PER_MS,
            end_sample=on_hook_ms * _PER_MS,
            ring_ms=stop_ms - ring_ms,
            talk_ms=on_hook_ms - stop_ms,
        )
        stop_ms = on_hook_ms
    plan.truth = truth
    plan.release = (stop_ms + _GUARD_MS) * _PER_MS
    return plan


def _add_ringing(plan: Plan, ring_ms: int, stop_ms: int, nature: LineNature, rng: np.random.Generator) -> int:
    """Add bursts until ``stop_ms``, which may cut one short; returns the end of the last one in ms."""
    end_ms = ring_ms
    for on_ms in range(ring_ms, stop_ms, RING_CYCLE_MS):
        end_ms = min(on_ms + RING_ON_MS, stop_ms)
        plan.spans.append(VoltSpan(on_ms, end_ms, nature.ring_vrms, ringing=True))
        plan.pieces.append(
            Piece(on_ms * _PER_MS, end_ms * _PER_MS, tones.ring_period(), amplitude(RING_RESIDUE_DBM0), repeats=True)
        )
        plan.pieces += [_click(rng, on_ms, _RING_CLICK_PEAK), _click(rng, end_ms, _RING_CLICK_PEAK)]
    return end_ms


def _dtmf_caller_id(call: IncomingCall, at_ms: int, nature: LineNature) -> Piece | None:
    # DTMF caller ID has no agreed code for an absent number: nothing is sent then.
    if nature.settings.caller_id != "dtmf" or call.number is None:
        return None
    wave = caller_id.dtmf_wave(call.number, CALLER_DTMF_LOW_DBM0 + nature.signal_db)
    return Piece(at_ms * _PER_MS, at_ms * _PER_MS + len(wave), wave)


def _fsk_caller_id(
    call: IncomingCall, ring_ms: int, nature: LineNature, rng: np.random.Generator, opened_at: datetime
) -> Piece | None:
    if nature.settings.caller_id != "fsk" or (call.number is None and call.absence is None):
        return None
    message = caller_id.mdmf_message(call.number, call.name, call.absence, opened_at + timedelta(milliseconds=ring_ms))
    wave = caller_id.fsk_wave(message, FSK_DBM0 + nature.signal_db)
    start = (ring_ms + RING_ON_MS + int(rng.integers(*FSK_AFTER_BURST_MS))) * _PER_MS
    return Piece(start, start + len(wave), wave)


def _plan_outgoing(
    call: OutgoingCall, at_ms: int, nature: LineNature, speech: SpeechLibrary, rng: np.random.Generator
) -> Plan:
    plan = Plan(at_ms * _PER_MS, 0)
    dial_ms = at_ms + _ms(call.dial_delay_s)
    breaks_ms = _breaks(call.digits, dial_ms) if call.pulses else []
    digits = tones.dtmf("" if call.pulses else call.digits, call.tone_ms, call.pause_ms, DIALLED_LOW_DBM0)
    dialled_ms = dial_ms + max(len(call.digits) * (call.tone_ms + call.pause_ms) - call.pause_ms, 0)
    if breaks_ms:
        dialled_ms = breaks_ms[-1] + PULSE_BREAK_MS + PULSE_MAKE_MS
    answer_ms = None if call.answer_after_s is None else dialled_ms + _ms(call.answer_after_s)
    if answer_ms is None:
        far_end_ms = None
        on_hook_ms = dialled_ms + _ms(call.give_up_after_s)
    else:
        far_end_ms = answer_ms + _ms(call.talk_s)
        on_hook_ms = far_end_ms + _far_delay_ms(call)
    dial_tone_stop_ms = dial_ms if call.digits else on_hook_ms
    if digits.size:
        plan.pieces.append(Piece(dial_ms * _PER_MS, dial_ms * _PER_MS + len(digits), digits))
    plan.pieces += _progress(nature, tones.dial_period(), at_ms + DIAL_TONE_AFTER_MS, dial_tone_stop_ms)
    plan.pieces += _hook_clicks(rng, at_ms, on_hook_ms)
    progress_ms = dialled_ms + PROGRESS_AFTER_DIALLING_MS
    ring_stop_ms = on_hook_ms if answer_ms is None else answer_ms
    rings = bool(call.digits) and not call.busy and not call.congested and progress_ms < ring_stop_ms
    if rings:
        plan.pieces += _cadence(nature, tones.RINGBACK_MS, progress_ms, ring_stop_ms)
    elif call.busy or call.congested:
        plan.pieces += _cadence(nature, tones.BUSY_MS if call.busy else tones.CONGESTION_MS, progress_ms, on_hook_ms)
    reversals: tuple[int, ...] = ()
    plan.spans.append(VoltSpan(at_ms, on_hook_ms, nature.off_hook_v))
    for break_ms in breaks_ms:
        plan.spans.append(VoltSpan(break_ms, break_ms + PULSE_BREAK_MS, nature.idle_v))
        plan.pieces += _hook_clicks(rng, break_ms + PULSE_BREAK_MS, break_ms)
    if answer_ms is not None and far_end_ms is not None:
        plan.pieces += _conversation(nature, speech, rng, answer_ms, far_end_ms, near_first=False)
        plan.pieces += _cadence(nature, tones.BUSY_MS, far_end_ms, on_hook_ms)
        if nature.settings.polarity_reversal:
            plan.spans.append(VoltSpan(answer_ms, far_end_ms, -nature.off_hook_v))
            reversals = (answer_ms * _PER_MS, far_end_ms * _PER_MS)
    plan.truth = CallTruth(
        line=call.line,
        direction="out",
        number=None,
        dialled=call.digits,
        result="abandoned" if answer_ms is None else "answered",
        start_sample=plan.start,
        ring_on_sample=progress_ms * _PER_MS if rings else None,
        answer_sample=None if answer_ms is None else answer_ms * _PER_MS,
        off_hook_sample=at_ms * _PER_MS,
        on_hook_sample=on_hook_ms * _PER_MS,
        end_sample=on_hook_ms * _PER_MS,
        ring_ms=ring_stop_ms - progress_ms if rings else 0,
        talk_ms=0 if answer_ms is None else on_hook_ms - answer_ms,
        polarity_samples=reversals,
    )
    plan.release = (on_hook_ms + _GUARD_MS) * _PER_MS
    return plan


def _breaks(digits: str, start_ms: int) -> list[int]:
    """Where the loop is opened, in ms: as often as the digit says, ten times for 0."""
    found: list[int] = []
    for digit in digits:
        for _ in range(int(digit) or 10):
            found.append(start_ms)
            start_ms += PULSE_BREAK_MS + PULSE_MAKE_MS
        start_ms += PULSE_PAUSE_MS - PULSE_MAKE_MS
    return found


def _conversation(
    nature: LineNature, speech: SpeechLibrary, rng: np.random.Generator, start_ms: int, stop_ms: int, near_first: bool
) -> Iterator[Piece]:
    """Two voices in turns, each in the other's silence, the first word 150 ms after ``start_ms``."""
    near_voice = int(rng.integers(speech.voices))
    far_voice = (near_voice + 1) % speech.voices
    near_db = nature.settings.speech_dbm0 + float(rng.uniform(-2.0, 2.0))
    far_db = nature.settings.speech_dbm0 - FAR_QUIETER_DB - nature.settings.loss_db + float(rng.uniform(-2.0, 2.0))
    at, stop, near = (start_ms + FIRST_WORD_AFTER_MS) * _PER_MS, stop_ms * _PER_MS, near_first
    while at < stop - _LAST_TURN_MS * _PER_MS:
        wave = speech.utterance(near_voice if near else far_voice, int(rng.integers(1 << 16)))
        # A sine's peak is √2 times its RMS; the utterances have an active RMS of 1.
        factor = amplitude((near_db if near else far_db) + float(rng.uniform(-1.0, 1.0))) / np.sqrt(2.0)
        factor = min(factor, _SPEECH_PEAK / float(np.abs(wave).max()))
        yield Piece(at, min(at + len(wave), stop), wave, factor)
        at += len(wave) + int(rng.integers(*_TURN_GAP_MS)) * _PER_MS
        near = not near


def _progress(nature: LineNature, period: Wave, start_ms: int, stop_ms: int) -> list[Piece]:
    if start_ms >= stop_ms:
        return []
    return [
        Piece(start_ms * _PER_MS, stop_ms * _PER_MS, period, amplitude(PROGRESS_DBM0 + nature.signal_db), repeats=True)
    ]


def _cadence(nature: LineNature, on_off_ms: tuple[int, int], start_ms: int, stop_ms: int) -> list[Piece]:
    return _progress(nature, tones.cadence_period(*on_off_ms), start_ms, stop_ms)


def _click(rng: np.random.Generator, at_ms: int, peak: float, bounces: int = 0) -> Piece:
    wave = tones.click(rng, peak * float(rng.uniform(0.5, 1.0)), bounces)
    return Piece(at_ms * _PER_MS, at_ms * _PER_MS + len(wave), wave)


def _hook_clicks(rng: np.random.Generator, off_hook_ms: int, on_hook_ms: int) -> list[Piece]:
    return [
        _click(rng, off_hook_ms, _HOOK_CLICK_PEAK, bounces=3),
        _click(rng, on_hook_ms, _HOOK_CLICK_PEAK, bounces=2),
    ]


def _far_delay_ms(call: IncomingCall | OutgoingCall) -> int:
    return _ms(call.far_hangup_delay_s) if call.hangup == "far" else 0


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
