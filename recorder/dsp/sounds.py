"""A close look at one burst: which sound of a profile it is, if it is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.levels import mean_square
from recorder.dsp.tone_profiles import Sound

FEWEST_SAMPLES = 320
_WINDOW_SAMPLES = 960  # 120 ms: tones 25 Hz apart can be told
_MODULATED_SAMPLES = 1920  # 240 ms: side bands 16 Hz off, too
_FFT = 4096
_STEP_HZ = SAMPLE_RATE_HZ / _FFT
_MIN_LEVEL_DBM0 = -44.0  # −43 dBm0 is always taken
_MIN_SHARE = 0.6  # of the power between 250 and 3400 Hz that lies in the lines of the sound
_MIN_SHARE_SHORT = 0.93  # where there is less than a whole window, such as speech may fill
_MAX_CHANGE = 2.0  # of the power between the halves of such a short stretch
_MIN_SIDE_RATIO = 0.5  # amplitude of the weaker to that of the stronger side band
_MIN_DEPTH = 0.3  # amplitude of a side band to that of the carrier
_MAX_GAP = 0.5  # amplitude between carrier and side band to the higher of them
_FEWER_LINES = 0.03  # so much less share is worth a line less
_MIN_RATIO = 10.0 ** (-12.0 / 20.0)  # amplitude of the weaker to that of the stronger tone

Signal32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measured:
    """A sound as it was heard: measured frequencies, strongest line and its amplitude in 16-bit sample units, level of
    all lines together.

    ``share``: of the power between 250 and 3400 Hz that is theirs. Of a modulated tone the carrier alone is named.
    """

    sound: Sound
    frequencies_hz: tuple[float, ...]
    line_hz: float
    amplitude: float
    level_dbm0: float
    share: float


@lru_cache(maxsize=64)
def _hann(samples: int) -> Signal32:
    return np.hanning(samples).astype(np.float32)


def window_samples(sounds: Sequence[Sound]) -> int:
    """How much a close look takes to tell these sounds."""
    return _MODULATED_SAMPLES if any(sound.modulation_hz for sound in sounds) else _WINDOW_SAMPLES


def identify(samples: Signal32, sounds: Sequence[Sound], whole_samples: int = _WINDOW_SAMPLES) -> Measured | None:
    """The sound that fills ``samples``, float32 (n,) at 8 kHz, ``FEWEST_SAMPLES`` at least; None if none does.

    ``sounds``: those with the fewest lines first. ``whole_samples``: fewer must be purer, as speech may be so long.
    """
    whole = len(samples) >= whole_samples
    if not whole and not _is_even(samples):
        return None
    window = _hann(len(samples))
    spectrum = (np.abs(np.fft.rfft(samples * window, _FFT)) * (2.0 / float(window.sum()))).astype(np.float32)
    power = spectrum * spectrum
    total = float(power[round(250.0 / _STEP_HZ) : round(3400.0 / _STEP_HZ)].sum()) + 1e-9
    lobe = round(1.6 * SAMPLE_RATE_HZ / len(samples) / _STEP_HZ)  # steps from a line to where its power has gone
    best, best_share = None, _MIN_SHARE if whole else _MIN_SHARE_SHORT
    for sound in sounds:
        lines = _lines(spectrum, sound)
        if lines is None:
            continue
        taken = np.zeros(len(power), dtype=np.bool_)
        for line_hz in lines:
            at = round(line_hz / _STEP_HZ)
            taken[at - lobe : at + lobe + 1] = True
        share = float(power[taken].sum()) / total
        if share >= best_share:
            best_share = share + _FEWER_LINES
            energy = share * total * 0.5 * _STEP_HZ * len(samples) / SAMPLE_RATE_HZ / 1.5
            tones = lines if not sound.modulation_hz else lines[1:2]
            amplitude, line_hz = max((float(spectrum[round(line_hz / _STEP_HZ)]), line_hz) for line_hz in lines)
            level_dbm0 = 10.0 * float(np.log10(energy / mean_square(0.0)))
            best = (
                None if level_dbm0 < _MIN_LEVEL_DBM0 else Measured(sound, tones, line_hz, amplitude, level_dbm0, share)
            )
    return best


def _is_even(samples: Signal32) -> bool:
    """Whether the power stays as it is."""
    half = len(samples) // 2
    first, second = float(samples[:half] @ samples[:half]), float(samples[half:] @ samples[half:])
    return max(first, second) <= _MAX_CHANGE * min(first, second) * (1.0 + 1.0 / half)


def _lines(spectrum: Signal32, sound: Sound) -> tuple[float, ...] | None:
    """Where the lines of a sound are, in Hz; None if one of them is not there."""
    if sound.modulation_hz:
        return _modulated_lines(spectrum, sound)
    found: list[float] = []
    for tone_hz in sound.frequencies_hz:
        first = int((tone_hz - sound.tolerance_hz - 6.0) / _STEP_HZ)
        last = int((tone_hz + sound.tolerance_hz + 6.0) / _STEP_HZ) + 1
        at = first + int(np.argmax(spectrum[first : last + 1]))
        left, middle, right = np.log(spectrum[at - 1 : at + 2] + 1e-9)
        bend = float(left - 2.0 * middle + right)
        if at in (first, last) or bend >= 0.0:
            return None
        line_hz = (at + 0.5 * float(left - right) / bend) * _STEP_HZ
        if abs(line_hz - tone_hz) > sound.tolerance_hz:
            return None
        found.append(line_hz)
    heights = [float(spectrum[round(line_hz / _STEP_HZ)]) for line_hz in found]
    return tuple(found) if min(heights) >= _MIN_RATIO * max(heights) else None


def _modulated_lines(spectrum: Signal32, sound: Sound) -> tuple[float, ...] | None:
    """Lower side band, carrier, upper side band in Hz: the side bands alike and apart. The carrier may be missing."""
    side = round(sound.modulation_hz / _STEP_HZ)
    first, last = (
        round((sound.frequencies_hz[0] + off) / _STEP_HZ) for off in (-sound.tolerance_hz, sound.tolerance_hz)
    )
    centres = np.arange(first, last + 1)
    at = int(centres[np.argmax(np.minimum(spectrum[centres - side], spectrum[centres + side]))])
    lower, upper, carrier = float(spectrum[at - side]), float(spectrum[at + side]), float(spectrum[at])
    highest, lowest = max(lower, upper), min(lower, upper)
    gaps = float(max(spectrum[at - side // 2], spectrum[at + side // 2]))
    if lowest < _MIN_SIDE_RATIO * max(highest, _MIN_DEPTH * carrier) or gaps > _MAX_GAP * max(highest, carrier):
        return None
    return (at - side) * _STEP_HZ, at * _STEP_HZ, (at + side) * _STEP_HZ
