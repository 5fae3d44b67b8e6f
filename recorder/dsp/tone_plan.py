"""How the frames of all channels are looked at for the sounds of a tone profile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.levels import mean_square
from recorder.dsp.sounds import window_samples
from recorder.dsp.spectrum import HOP_SAMPLES, band_weights
from recorder.dsp.tone_profiles import Sound, profile_of

LEAST_POWER = mean_square(-50.0)  # of a frame: −43 dBm0, and the dips of two tones that beat
SHARE_ON = 0.75  # of the speech band that a sound's band must hold
_BAND_MARGIN_HZ = 60.0  # beyond the tolerance: what a 20 ms frame spreads
_PAIR_SAMPLES, _PAIR_FFT = 480, 512
_PAIR_SHARE = 0.85  # of the power of the last 60 ms that lies in the lines of the sound
_PAIR_LINE_HZ = 40.0  # on either side

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the frames are looked at for the sounds of a country. Sounds whose bands overlap make a region.

    ``weights``: float32 (bins, sounds). ``region``: int8 (sounds,). ``pairs``: sounds of several lines.
    ``window_samples``: how much a close look takes.
    """

    sounds: tuple[Sound, ...]
    weights: npt.NDArray[np.float32]
    region: npt.NDArray[np.int8]
    pairs: tuple[int, ...]
    window_samples: int

    def of_region(self, region: int) -> list[Sound]:
        """The sounds of a region, those with the fewest lines first."""
        return [sound for sound, its in zip(self.sounds, self.region, strict=True) if its == region]


@cache
def plan_of(country: str) -> Plan:
    """The plan for a country of ``COUNTRIES``. Raises KeyError."""
    sounds = profile_of(country).sounds
    weights = band_weights([_bands_hz(sound) for sound in sounds])
    region = np.arange(len(sounds), dtype=np.int8)
    for one in range(len(sounds)):
        for other in range(one):
            if np.any((weights[:, one] > 0.0) & (weights[:, other] > 0.0)):
                region[region == region[one]] = region[other]
    pairs = tuple(index for index, sound in enumerate(sounds) if len(sound.lines_hz) > 1)
    return Plan(sounds, weights, region, pairs, window_samples(sounds))


def _bands_hz(sound: Sound) -> list[tuple[float, float]]:
    reach_hz = sound.tolerance_hz + sound.modulation_hz + _BAND_MARGIN_HZ
    return [(tone_hz - reach_hz, tone_hz + reach_hz) for tone_hz in sound.frequencies_hz]


def unmark_false_pairs(
    plan: Plan, strong: Flags, ports: npt.NDArray[np.intp], first_frame: int, history: npt.NDArray[np.int16],
    history_end: int,
) -> None:  # fmt: skip
    """Look again at frames that show nothing but a sound of several lines, whose band is so wide that speech fits in:
    in the last 60 ms nearly all power must lie in its lines. ``strong``: bool (rows, frames, sounds), changed.
    """
    single = np.delete(strong, plan.pairs, axis=2).any(axis=2)
    rows, frames = np.nonzero(strong[:, :, list(plan.pairs)].any(axis=2) & ~single)
    if not len(rows):
        return
    ends = HOP_SAMPLES * (first_frame + frames + 1) + history.shape[1] - history_end
    at = ends[:, None] + np.arange(-_PAIR_SAMPLES, 0)
    samples = np.where(at >= 0, history[ports[rows][:, None], np.maximum(at, 0)], 0).astype(np.float32)
    power = np.abs(np.fft.rfft(samples * np.hanning(_PAIR_SAMPLES).astype(np.float32), _PAIR_FFT)) ** 2
    bins_hz = np.arange(power.shape[1]) * SAMPLE_RATE_HZ / _PAIR_FFT
    total = power[:, (bins_hz >= 200.0) & (bins_hz <= 3400.0)].sum(axis=1)
    for index in plan.pairs:
        lines_hz = np.array(plan.sounds[index].lines_hz)
        near = (np.abs(bins_hz[:, None] - lines_hz) <= _PAIR_LINE_HZ).any(axis=1)
        strong[rows, frames, index] &= power[:, near].sum(axis=1) >= _PAIR_SHARE * total
