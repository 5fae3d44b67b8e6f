"""Second look at an FSK message in noise: whole characters are compared with all that they may be.

Bell 202 and V.23 senders turn the phase continuously, so a character with the stop bit before it can be compared with
all 256 waveforms that it may have, its phase alone being unknown (noncoherent block detection of continuous-phase FSK).
That is worth some 3 dB over one-bit correlators. The characters are laid on an even grid first, because framing
suffers from noise before the bits do; grid, frequencies and gains are then moved to where the characters fit best.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.ranks import median, quantile

_GRID_TOLERANCE_SAMPLES = 2.0
_MIN_ON_GRID = 5
_BIT_SAMPLES = SAMPLE_RATE_HZ / 1200.0
_FIRST_PLACE, _PLACES = -1, 11  # bits: the stop bit before, start, eight data bits, stop
_LOW, _HIGH, _LAST = 2, 6, 10  # index of the first data bit, of the fifth, and of the stop bit
_NIBBLES = np.array([[value >> bit & 1 for bit in range(4)] for value in range(16)])
_BITS = np.array([[1, 0, *(value >> bit & 1 for bit in range(8)), 1] for value in range(256)])
_MARK = 0xFF  # what a mark signal looks like
_BAND_SHARE = 0.74  # of 0 … 4 kHz that the band filter lets pass: noise is so much denser than its power says
_CAUTION = 0.85  # noise is not quite white, and known bits count twice
_STRONG_SHARE = 0.5  # of the power of most characters: what has less is no part of the message
_MOST_BIT_SAMPLES = 8
_LEAST_POWER_SHARE = 0.1  # of what is heard of a tone, whatever the noise
_CLICK_RATIO = 2.0  # a character with so much more noise than the others is believed less
_COARSE_STEPS = (("space", 11.0), ("mark", 6.0), ("first", 0.5), ("last", 0.5))  # Hz, samples
_FINE_STEPS = (("space", 3.0), ("mark", 2.0), ("first", 0.15), ("last", 0.15))
_PLACING, _SETTLING = (-1.2, -0.4, 0.4, 1.2), (-0.5, -0.17, 0.17, 0.5)  # samples
_FAR = (-3, -2, -1, 1, 2, 3)

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where characters lie and what they are made of.

    ``first``: start edge, in samples; ``bits``: from one start edge to the next; ``bit_samples``: length of a bit.
    ``tones_hz``, ``gains``: of space and mark, gains as amplitudes. ``stairs``: the sender works at 8 kHz and changes
    its tone at whole samples of its own, rounded with this offset; None: it changes in the right place. ``leaps``:
    its phase jumps from bit to bit.
    """

    first: float
    bits: int
    bit_samples: float
    tones_hz: tuple[float, float]
    gains: tuple[float, float]
    stairs: float | None = None
    leaps: bool = False

    @property
    def spacing(self) -> float:
        """From one start edge to the next, in samples."""
        return self.bits * self.bit_samples

    def edges(self, count: int) -> Floats:
        """Where the bits of ``count`` characters begin, and where the last ends, in samples, float64 (count, 12)."""
        bit = self.bits * np.arange(count)[:, None] + np.arange(_FIRST_PLACE, _FIRST_PLACE + _PLACES + 1)[None, :]
        if self.stairs is None:
            return np.asarray(self.first + self.bit_samples * bit)
        return np.asarray(self.first + self.bit_samples / _BIT_SAMPLES * np.floor(bit * _BIT_SAMPLES + self.stairs))


def even_grid(edges: Floats, first_near: float, character_samples: float) -> tuple[float, float] | None:
    """First start edge and spacing, in samples, of contiguous characters; None if too few lie on one grid.

    ``edges``: start edges (k,) as framed, some of them wrong. ``first_near``: where the first should lie.
    """
    if len(edges) < _MIN_ON_GRID:
        return None
    turns = np.exp(2j * np.pi * edges / character_samples)
    phase = float(np.angle(np.sum(turns))) / (2.0 * np.pi) * character_samples
    steps = np.round((edges - phase) / character_samples)
    spacing, start = character_samples, phase
    for tolerance in (3.0 * _GRID_TOLERANCE_SAMPLES, _GRID_TOLERANCE_SAMPLES):
        near = np.abs(edges - start - steps * spacing) < tolerance
        if np.sum(near) < _MIN_ON_GRID or len(set(steps[near])) < 3:
            return None
        spacing, start = (float(value) for value in np.polyfit(steps[near], edges[near], 1))
    if abs(spacing / character_samples - 1.0) > 0.02:
        return None
    return start + round((first_near - start) / spacing) * spacing, spacing


class Characters:
    """What the characters on a grid may be."""

    def __init__(self, band: npt.NDArray[np.float32], grid: Grid, count: int, noise: float | None = None) -> None:
        """``band``: filtered samples, float32 (n,). ``noise``: variance of a sample; measured when None."""
        self.grid, self._band, self._count = grid, band, count
        edges = grid.edges(count)
        parts, heard = _correlations(band, grid, edges)
        samples = _PLACES * grid.bit_samples
        if grid.leaps:
            explained, free = (2.0 / grid.bit_samples * (np.abs(parts) ** 2).max(axis=2)).sum(axis=1), 2 * _PLACES
        else:
            matched, energy = _matched(parts, grid, edges)
            explained, free = (matched**2 / energy).max(axis=1), 2
        rest = np.maximum(heard - explained, 1e-3 * heard + 1e-6) / (samples - free)
        self.noise = float(median(rest)) if noise is None else noise
        density = (np.where(rest > _CLICK_RATIO * self.noise, rest, self.noise) / _BAND_SHARE)[:, None]
        fits = _bit_by_bit(parts, grid, density) if grid.leaps else _ln_i0(matched / density) - energy / (2.0 * density)
        self._fits = _CAUTION * fits
        self._parts, self._density = parts, density
        self.share = float(explained.sum() / (heard.sum() + 1e-6))
        """Of the power, what the likeliest characters account for."""
        self._explained = explained

    @property
    def evidence(self) -> float:
        """How well the grid fits: logarithm of odds, but for a summand that depends on the noise only."""
        return float(self._fits.max(axis=1).sum())

    @property
    def odds(self) -> Floats:
        """Logarithms of the odds of each value of each character, float64 (k, 256), each row summing up to 1."""
        above = self._fits - self._fits.max(axis=1, keepdims=True)
        return np.asarray(above - np.log(np.exp(above).sum(axis=1, keepdims=True)))

    @property
    def presence(self) -> Floats:
        """Logarithms of the odds that there is a character at all and neither noise nor a mark signal, float64 (k,)."""
        most = self._fits.max(axis=1)
        there = most + np.log(np.exp(self._fits - most[:, None]).mean(axis=1))
        return np.asarray(np.where(self._fits.argmax(axis=1) == _MARK, np.minimum(there, 0.0), there))

    def placed(self) -> Characters:
        """The same on the first edge that fits best."""
        return self._best_of(replace(self.grid, first=self.grid.first + far) for far in _PLACING)

    def framed(self) -> Characters:
        """The same on the bit that fits best as a start bit: rows of digits look framed in other places, too."""
        grid = self.grid
        shifts = range(-(grid.bits // 2), grid.bits - grid.bits // 2)
        return self._best_of(replace(grid, first=grid.first + shift * grid.bit_samples) for shift in shifts)

    def settled(self) -> Characters:
        """The same with the habit of changing tones, and the first edge, that fit best."""
        return self._best_of(
            replace(self.grid, first=self.grid.first + far, stairs=stairs)
            for stairs in (None, 0.0, 1.0 / 3.0, 2.0 / 3.0)
            for far in _SETTLING
        )

    def _best_of(self, grids: Iterable[Grid]) -> Characters:
        tried = [Characters(self._band, grid, self._count, self.noise) for grid in grids]
        return Characters(self._band, max(tried, key=lambda each: each.evidence).grid, self._count)

    def regained(self) -> Characters:
        """The same with the gains that the likeliest characters show."""
        strong = self._explained > _STRONG_SHARE * float(quantile(self._explained, 0.75))
        bits = _BITS[self._fits.argmax(axis=1)][strong]
        powers = np.abs(np.take_along_axis(self._parts[strong], bits[:, :, None], axis=2)[:, :, 0]) ** 2
        size, noise = self.grid.bit_samples, float(median(self._density.ravel()))
        data, tones = powers[:, _LOW:_LAST], bits[:, _LOW:_LAST]
        gains = list(self.grid.gains)
        for tone in {*tones.ravel().tolist()}:
            power = float(np.mean(data[tones == tone]))
            gains[tone] = 2.0 / size * float(np.sqrt(max(power - noise * size, _LEAST_POWER_SHARE * power)))
        return Characters(self._band, replace(self.grid, gains=(gains[0], gains[1])), self._count)

    def leaping(self) -> Characters:
        """The same for a sender whose phase jumps from bit to bit."""
        return Characters(self._band, replace(self.grid, leaps=True, stairs=None), self._count).regained()

    def refined(self) -> Characters:
        """The same on a grid that was moved to where they fit best."""
        best = self
        for steps in (_COARSE_STEPS, _FINE_STEPS):
            for field, step in steps:
                grids = [_moved(best.grid, field, far * step, self._count) for far in _FAR]
                tried = [Characters(self._band, grid, self._count, self.noise) for grid in grids]
                best = max([best, *tried], key=lambda each: each.evidence)
        return best.regained()


def _moved(grid: Grid, field: str, step: float, count: int) -> Grid:
    """The grid with a tone in another place, or with its first or last of ``count`` characters there."""
    if field in ("first", "last"):
        wider = (step if field == "last" else -step) / (count * grid.bits)
        return replace(
            grid, first=grid.first + (step if field == "first" else 0.0), bit_samples=grid.bit_samples + wider
        )
    space, mark = grid.tones_hz
    return replace(grid, tones_hz=(space + step, mark) if field == "space" else (space, mark + step))


def _correlations(band: npt.NDArray[np.float32], grid: Grid, edges: Floats) -> tuple[Complex, Floats]:
    """Correlation (k, places, 2) of each bit with space and mark, phase 0 at its start; energy of each character."""
    starts, ends = edges[:, :-1, None], edges[:, 1:, None]
    index = np.ceil(starts) + np.arange(_MOST_BIT_SAMPLES)
    inside = (index < ends) & (index >= 0) & (index < len(band))
    values = np.where(inside, band[np.clip(index, 0, len(band) - 1).astype(np.int64)], 0.0)
    since = index - starts
    turns = 2.0 * np.pi * np.array(grid.tones_hz) / SAMPLE_RATE_HZ
    parts = np.stack([(values * np.exp(-1j * turn * since)).sum(axis=2) for turn in turns], axis=2)
    return parts, np.asarray((values**2).sum(axis=(1, 2)))


def _matched(parts: Complex, grid: Grid, edges: Floats) -> tuple[Floats, Floats]:
    """How each character matches the waveform of each value, (k, 256), and the energy of these waveforms, (256,)."""
    gains = np.array(grid.gains)
    turns = 2.0 * np.pi * np.array(grid.tones_hz) / SAMPLE_RATE_HZ * np.diff(edges, axis=1)[:, :, None]
    steps = np.exp(-1j * turns)
    heard = parts * gains
    nibbles = []
    for first in (_LOW, _HIGH):
        phase: Complex = np.ones((len(parts), 16), np.complex128)
        total: Complex = np.zeros((len(parts), 16), np.complex128)
        for bit in range(4):
            tone = _NIBBLES[:, bit]
            total = total + heard[:, first + bit][:, tone] * phase
            phase = phase * steps[:, first + bit][:, tone]
        nibbles.append((total, phase))
    (low, after_low), (high, after_high) = nibbles
    high = high + after_high * heard[:, _LAST, 1][:, None]
    data = low[:, None, :] + after_low[:, None, :] * high[:, :, None]
    begin = heard[:, 0, 1] + steps[:, 0, 1] * heard[:, 1, 0]
    sums = begin[:, None] + (steps[:, 0, 1] * steps[:, 1, 0])[:, None] * data.reshape(len(parts), 256)
    powers = (gains**2)[_NIBBLES].sum(axis=1)
    total_power = (powers[:, None] + powers[None, :]).reshape(256) + gains[0] ** 2 + 2.0 * gains[1] ** 2
    return np.abs(sums), 0.5 * grid.bit_samples * total_power


def _bit_by_bit(parts: Complex, grid: Grid, density: Floats) -> Floats:
    """Logarithms of the odds of each value, (k, 256), where each bit has a phase of its own."""
    gains = np.array(grid.gains)
    bits = _ln_i0(gains * np.abs(parts) / density[:, :, None]) - gains**2 * grid.bit_samples / (
        4.0 * density[:, :, None]
    )
    low, high = (
        np.stack([bits[:, first + bit][:, _NIBBLES[:, bit]] for bit in range(4)]).sum(axis=0) for first in (_LOW, _HIGH)
    )
    known = bits[:, 0, 1] + bits[:, 1, 0] + bits[:, _LAST, 1]
    return np.asarray(known[:, None] + (high[:, :, None] + low[:, None, :]).reshape(len(parts), 256))


def _ln_i0(value: Floats) -> Floats:
    """Logarithm of the modified Bessel function of order 0, within 0.1."""
    return np.asarray(value - 0.5 * np.log1p(2.0 * np.pi * value))
