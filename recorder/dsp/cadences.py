"""What the bursts on one line amount to: patterns of a tone profile against what has been heard. Pure.

A pattern *fits* while nothing that was heard contradicts it, and is *proven* once enough was heard. It is told when
it is proven and no other that still fits comes closer. All times are frames of 10 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from recorder.dsp.sounds import Measured
from recorder.dsp.tone_profiles import ANSWER, Pattern, Sound, ToneProfile
from recorder.signals import Tone

FRAMES_PER_S = 100
_TOLERANCE = 0.25  # of a nominal time
_LEAST_TOLERANCE = 4  # frames, where a quarter is less
_CONFIRM_FRAMES = 15  # of the burst that repeats the pattern
_CONFIRM_SHARE = 0.6  # of it, where it is shorter
_RINGBACK_SURE = range(30, 130)  # of silence after the burst; a voice may hide it at first
_APART_FRAMES = 10  # of silence after the last burst of a tone that was heard twice
JOIN_FRAMES = 8  # a shorter gap ends no burst: special dial tone of China has 40 ms
_STEADY_FRAMES = 100
_STEADY_MARGIN = 5
_STEADY_PATIENCE = 22  # special dial tone of China: 40 ms off, and a close look at what follows
_FOREVER = 10**6
_ANSWER_FRAMES = 150  # long enough for three phase reversals (ITU-T V.25: each 450 ms)
_OVER_MARGIN = 25
_LEVEL_SPREAD_DB = 6.0  # between bursts of one generator
_HZ_SPREAD = 0.012

_TWICE = frozenset({Tone.CALL_WAITING, Tone.FAX_CALLING})
"""Single bursts within a conversation: told only when a second one came in time and ended in time."""


@dataclass(slots=True)
class Burst:
    """A sound from frame to frame; ``end`` None: it is on. ``clean``: nothing else was heard, and it was even."""

    start: int
    heard: Measured
    end: int | None = None
    clean: bool = False


@dataclass(frozen=True, slots=True)
class Fit:
    """A pattern that nothing contradicts: the worst deviation from its times, and where the evidence begins.

    ``whole``: bursts that ended and fit, the last one and those before it; ``needed`` of them prove it.
    """

    pattern: Pattern
    error: float
    began: int
    proven: bool
    whole: int = 0
    needed: int = 0


def _frames(seconds: float) -> int:
    return round(seconds * FRAMES_PER_S)


@cache
def steady_frames(profile: ToneProfile, sound: Sound) -> int:
    """How long a sound must be on to be no burst of any pattern."""
    if sound is ANSWER:
        return _ANSWER_FRAMES
    longest = max((on_s for one in profile.patterns for heard, on_s, _ in one.bursts if heard is sound), default=0.0)
    return max(_STEADY_FRAMES, _frames(longest * (1.0 + _TOLERANCE)) + _STEADY_MARGIN)


@cache
def patience_frames(pattern: Pattern) -> int:
    """Silence after which a pattern is over."""
    longest = max((off_s for _, _, off_s in pattern.bursts), default=0.0)
    return _frames(longest * (1.0 + _TOLERANCE)) + _OVER_MARGIN if pattern.bursts else _STEADY_PATIENCE


@cache
def memory_frames(profile: ToneProfile, sound: Sound) -> int:
    """Silence after which no pattern can go on with what was heard."""
    return max(patience_frames(pattern) for pattern in profile.patterns if sound in pattern.sounds)


@cache
def is_burst_of(profile: ToneProfile, sound: Sound, frames: int) -> bool:
    """Whether a sound that was on so long may belong to a pattern."""
    bursts = [on_s for pattern in profile.patterns for heard, on_s, _ in pattern.bursts if heard is sound]
    return any(_deviation(frames, on_s) <= 1.0 for on_s in bursts)


@cache
def news_frames(profile: ToneProfile, sound: Sound, on: bool) -> frozenset[int]:
    """How long after a sound came on or went off ``classify`` may come to say something that it did not say before."""
    bursts = [burst for pattern in profile.patterns for burst in pattern.bursts if burst[0] is sound]
    if on:
        confirmed = {_confirm_frames(on_s) for _, on_s, _ in bursts}
        return frozenset(confirmed | {_longest(on_s) + 1 for _, on_s, _ in bursts} | {steady_frames(profile, sound)})
    return frozenset({_APART_FRAMES, *_RINGBACK_SURE[::10]} | {_longest(off_s) + 1 for _, _, off_s in bursts})


@cache
def _patterns_with(profile: ToneProfile, sound: Sound) -> tuple[Pattern, ...]:
    return tuple(pattern for pattern in profile.patterns if sound in pattern.sounds)


def classify(profile: ToneProfile, bursts: Sequence[Burst], frame: int) -> Fit | None:
    """The pattern that ``bursts``, the last of which is on or was, have shown up to ``frame``."""
    patterns = _patterns_with(profile, bursts[-1].heard.sound)
    fits = [fit for pattern in patterns for fit in _fits(profile, pattern, bursts, frame)]
    best = min((fit for fit in fits if fit.proven), key=lambda fit: fit.error, default=None)
    if best is None:
        return None
    rivals = [fit for fit in fits if fit.pattern.tone is not best.pattern.tone and fit.whole >= best.whole]
    return None if any(fit.error <= best.error for fit in rivals) else best


def _fits(profile: ToneProfile, pattern: Pattern, bursts: Sequence[Burst], frame: int) -> list[Fit]:
    last = bursts[-1]
    if pattern.steady is None:
        fits = [_aligned(pattern, bursts, frame, place) for place in range(len(pattern.bursts))]
        return [fit for fit in fits if fit is not None]
    off_hz = abs(last.heard.frequencies_hz[0] - pattern.steady.frequencies_hz[0])
    if last.end is not None or last.heard.sound is not pattern.steady or off_hz > pattern.steady_within_hz:
        return []
    lasted = last.clean and frame - last.start >= steady_frames(profile, pattern.steady)
    return [Fit(pattern, 0.0, last.start, proven=True, whole=_FOREVER)] if lasted else []


def _aligned(pattern: Pattern, bursts: Sequence[Burst], frame: int, place: int) -> Fit | None:
    """How the bursts fit if the last one is number ``place`` of the pattern."""
    parts, last = pattern.bursts, bursts[-1]
    sound, on_s, off_s = parts[place]
    if last.heard.sound is not sound:
        return None
    if last.end is None:
        error, whole = 0.0, 0
        if frame - last.start > _longest(on_s):
            return None
    else:
        error, whole = _deviation(last.end - last.start, on_s), 1
        if frame - last.end > _longest(off_s):
            return None
    for burst, later in zip(reversed(bursts[:-1]), reversed(bursts[1:]), strict=True):
        if whole >= 2 * len(parts):
            break
        place = (place - 1) % len(parts)
        sound, on_s, off_s = parts[place]
        assert burst.end is not None
        found = max(_deviation(burst.end - burst.start, on_s), _deviation(later.start - burst.end, off_s))
        if burst.heard.sound is not sound or found > 1.0 or not _alike(burst, later):
            break
        error, whole = max(error, found), whole + 1
    if error > 1.0:
        return None
    return _judged(pattern, bursts, frame, error, whole)


def _judged(pattern: Pattern, bursts: Sequence[Burst], frame: int, error: float, whole: int) -> Fit:
    """``whole``: bursts that ended and fit, the last one and those before it."""
    round_of, last = len(pattern.bursts), bursts[-1]
    on = last.end is None
    since = frame - (last.start if last.end is None else last.end)
    on_s = min(on_s for sound, on_s, _ in pattern.bursts if sound is last.heard.sound)
    if pattern.tone in _TWICE:
        clean = all(burst.clean for burst in bursts[-2 * round_of :])
        needed, proven = 2 * round_of, clean and not on and since >= _APART_FRAMES
    elif pattern.tone is Tone.RINGBACK:
        clean = all(burst.clean for burst in bursts[-round_of:])
        needed, proven = round_of if clean else 2 * round_of, not on and since in _RINGBACK_SURE
    elif _is_sequence(pattern):
        needed, proven = round_of - 1, on and since >= _confirm_frames(on_s)
        proven = proven and last.heard.sound is pattern.bursts[-1][0]
    else:
        needed, proven = round_of + (not on), not on or since >= _confirm_frames(on_s)
    first = bursts[-min(len(bursts), max(1, whole + on))]
    return Fit(pattern, error, first.start, proven and whole >= needed, whole, needed)


def _is_sequence(pattern: Pattern) -> bool:
    """Sounds one after the other, each of them once."""
    return len(pattern.bursts) > 1 and len(pattern.sounds) == len(pattern.bursts)


def _confirm_frames(on_s: float) -> int:
    """Of a burst that repeats a pattern, before it is certain."""
    return min(_CONFIRM_FRAMES, round(_CONFIRM_SHARE * _frames(on_s)))


@cache
def _longest(seconds: float) -> int:
    nominal = _frames(seconds)
    return nominal + max(round(_TOLERANCE * nominal), _LEAST_TOLERANCE)


def _deviation(frames: int, nominal_s: float) -> float:
    """How far a time is from the nominal one; 1 is as much as may be."""
    nominal = _frames(nominal_s)
    return abs(frames - nominal) / max(_TOLERANCE * nominal, _LEAST_TOLERANCE)


def _alike(one: Burst, other: Burst) -> bool:
    """Whether two bursts may come from the same generator."""
    if one.heard.sound is not other.heard.sound:
        return True
    if abs(one.heard.level_dbm0 - other.heard.level_dbm0) > _LEVEL_SPREAD_DB:
        return False
    pairs = zip(one.heard.frequencies_hz, other.heard.frequencies_hz, strict=True)
    return all(abs(a - b) <= _HZ_SPREAD * a for a, b in pairs)
