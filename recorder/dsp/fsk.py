"""FSK caller-ID receiver: from the samples of one carrier burst to checked frames of bytes.

The modem is that of Bell 202 (Telcordia GR-30-CORE § 2.1) or ITU-T V.23 mode 2 (ETSI ES 200 778-1 annex A);
the data link layer, the same for both, is type, length, data, checksum in 8N1 characters.
Each bit is judged by two correlators one bit long whose gains follow the message, so that twist does not
matter; characters are framed on the soft values, and their timing is searched for rather than believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recorder.dsp.data_link import MESSAGE_TYPES, frame_bytes, is_whole
from recorder.dsp.filters import SAMPLE_RATE_HZ, band_pass, same
from recorder.dsp.fsk_block import Characters, Grid, even_grid
from recorder.dsp.fsk_message import MESSAGE_KINDS, MOST_DOUBT, doubt_of, most_likely
from recorder.dsp.ranks import median, quantile

Soft = npt.NDArray[np.float32]

BAUD = 1200.0
BIT_SAMPLES = SAMPLE_RATE_HZ / BAUD

_MIN_MARK_BITS = 12  # the longest run of ones inside contiguous characters is nine (0xFF and its stop bit)
_MARK_SHARE = 0.6  # of the power in the band, while mark is sent
_TONE_SHARE = 0.78  # of the power in the band, in one of the tones, while data are sent; speech has less
_MAX_GAP_BITS = 40  # mark fill between characters beyond which the message has ended
_BIASES = (0.0, 0.25, -0.25)  # decision thresholds that are tried in turn
_LEAST_NOISE = 0.01  # of the power of the message
_LEAPING_NOISE = 0.7  # of what is left of a message when its phase is taken as continuous
_RISK_LIMIT = 1e-7  # what is less sure is judged by whole characters


@dataclass(frozen=True, slots=True)
class FskStandard:
    """Frequencies of one kind of FSK; mark is a 1."""

    name: str
    mark_hz: float
    space_hz: float


BELL_202 = FskStandard("fsk-bell202", 1200.0, 2200.0)  # Telcordia GR-30-CORE § 2.1
V23 = FskStandard("fsk-v23", 1300.0, 2100.0)  # ITU-T V.23 § 1.1, mode 2


@dataclass(frozen=True, slots=True)
class FskFrame:
    """One message frame as framed from the line; sample positions count from the start of the burst.

    ``data``: bytes from the type to the checksum, fewer when the burst ended early. ``checksum_ok``: the
    frame is complete, its modulo-256 sum is 0 and the chance that bit errors cancel out in it is small.
    ``quality``: 0 … 1, how far the bits stand from the decision threshold. ``broken``: characters without
    a stop bit; ``sound``: characters before the first such. ``mark_bits``: length of the mark signal before it.
    """

    standard: FskStandard
    data: bytes
    checksum_ok: bool
    start_sample: int
    end_sample: int
    quality: float
    broken: int
    sound: int
    mark_bits: float

    @property
    def expected_bytes(self) -> int | None:
        """Length of the whole frame that its header announces, None before there is a header."""
        return frame_bytes(self.data)

    @property
    def unfinished(self) -> bool:
        """True for the readable beginning of a frame."""
        expected = frame_bytes(self.data)
        return self.data[0] in MESSAGE_TYPES and self.broken == 0 and (expected is None or len(self.data) < expected)

    @property
    def plausible(self) -> bool:
        """True for what was surely meant as a caller-ID message, however damaged it is."""
        framed = self.sound >= 6 or (len(self.data) >= 6 and self.broken * 4 <= len(self.data))
        typed = self.data[0] in MESSAGE_TYPES or self.sound >= _LEAST_SURE
        return framed and typed and self.quality >= _DAMAGED_QUALITY and self.mark_bits >= 20


@dataclass(frozen=True, slots=True)
class _Characters:
    """Framed characters: bit values (k, 8) as soft values, start edges (k,) in samples, stop bits (k,)."""

    bits: npt.NDArray[np.float32]
    edges: npt.NDArray[np.float64]
    stops: npt.NDArray[np.float32]


_HEADER_CHARACTERS = 8  # tell how long a frame is
_SUSPECT_CHARACTERS = 80  # that are looked at where not even a header could be read
_GRID_LEAD = 2  # characters before the end of the mark signal where a message may begin, too
_MOST_CHARACTERS = 300
_SEIZURE = (0x55, 0xAA)  # what a seizure signal looks like
_ON_GRID = 0.03  # of a character
_LEAST_SHARE = 0.4  # of the power that a message accounts for
_SURE_CHARACTER = -0.7  # logarithm of its odds
_NO_CHARACTER = 0xFF  # what a mark signal looks like
_LEAST_SURE = 12
_WHOLE_QUALITY, _DAMAGED_QUALITY = (
    0.1,
    0.25,
)  # of a message that was judged by whole characters; that is told as damaged
_BEGIN_NATS = 12.0  # that the type of a message may cost
_NEARLY = 0.9  # as many characters on the grid as the best suspect has: the first such is as good

_BAND = band_pass(350.0, 3300.0, 31)
_BIT_TAPS = np.arange(-3, 4)
# One bit is 6 2/3 samples: the outermost taps count 5/6 each.
_BIT_WEIGHTS = np.array([5 / 6, 1, 1, 1, 1, 1, 5 / 6]) / BIT_SAMPLES
_CENTRES = (np.arange(10) + 0.5) * BIT_SAMPLES
_SHIFTS = np.linspace(-1.8, 1.8, 7)
_GRID = _SHIFTS[:, None] + _CENTRES[None, :]
_START_LEVEL = -0.1  # a start bit is below it
_TRIED_AT_ONCE = 64


def _correlate(band: Soft, tone_hz: float) -> npt.NDArray[np.complex64]:
    """Correlation of each one-bit stretch, centred on each sample, with a tone; the phase follows the tone."""
    turn = 2.0 * np.pi * tone_hz / SAMPLE_RATE_HZ * _BIT_TAPS
    real = same(band, (_BIT_WEIGHTS * np.cos(turn)).astype(np.float32))
    imag = same(band, (_BIT_WEIGHTS * np.sin(turn)).astype(np.float32))
    return np.asarray(real + 1j * imag, dtype=np.complex64)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """Characters after a run of mark that make no good frame as they were heard bit by bit."""

    standard: FskStandard
    characters: _Characters
    run_end: int
    mark_bits: float


class FskBurst:
    """One burst of carrier, ``samples`` float32 (n,) at 8 kHz, taken apart into its frames by ``frames()``."""

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        self._band = same(samples - np.float32(samples.mean()) if len(samples) else samples, _BAND)
        self._magnitudes: dict[FskStandard, tuple[Soft, Soft]] = {}
        self.mark_end: int | None = None
        """Where the last mark signal ends so far, once ``frames`` has looked."""
        self._middle = _correlate(self._band, 0.5 * (BELL_202.mark_hz + V23.mark_hz))

    def frames(self, *, ended: bool = True, anywhere: bool = True) -> list[FskFrame]:
        """Frames of the burst in order: good ones, unfinished ones, and damaged ones that were clearly meant.

        While the burst has not ``ended``, a message that is still coming gets a first look only. When it has, one
        without a mark signal before it is looked for ``anywhere``, too.
        """
        if len(self._band) < 40 * BIT_SAMPLES:
            return []
        found: list[FskFrame] = []
        suspects: list[_Suspect] = []
        done = 0
        # Whatever the twist, a pure mark tone excites the mark correlator more than the other one.
        mark, space = self._magnitudes_of(BELL_202)
        for run_start, run_end in _mark_runs(mark > space):
            if run_end < done or not self._is_mark(run_start, run_end):
                continue
            self.mark_end = run_end
            likely, other = self._standards(run_start, run_end)
            frame = self._frame_after(likely, run_start, run_end, ended, suspects)
            if frame is not None and not frame.checksum_ok and (ended or not frame.unfinished):
                second = self._frame_after(other, run_start, run_end, ended, suspects)
                if second is not None and second.checksum_ok:
                    frame = replace(second, standard=likely)
            if frame is not None and (frame.checksum_ok or frame.plausible or frame.unfinished):
                found.append(frame)
                done = frame.end_sample if frame.checksum_ok else done
        if not any(frame.checksum_ok or (frame.unfinished and not ended) for frame in found):
            better = self._second_look(suspects)
            if better is not None and (better.checksum_ok or (ended and not found)):
                found = [better]
        if ended and anywhere and not found:
            frame = self._frame_anywhere(BELL_202) or self._frame_anywhere(V23)
            found = [frame] if frame is not None else []
        return found

    def _is_mark(self, run_start: int, run_end: int) -> bool:
        """True if the mark tone holds most of the power of a stretch, which speech does not keep up."""
        tone = float(np.mean(np.abs(self._middle[run_start:run_end]) ** 2))
        return 2.0 * tone > _MARK_SHARE * float(np.mean(self._band[run_start:run_end] ** 2))

    def _standards(self, run_start: int, run_end: int) -> tuple[FskStandard, FskStandard]:
        """Both standards, the likelier first by the frequency of a run of mark."""
        inner = self._middle[run_start + 8 : run_end - 8]
        turn = float(np.angle(np.sum(inner[1:] * inner[:-1].conj())))
        mark_hz = turn / (2.0 * np.pi) * SAMPLE_RATE_HZ
        bell = abs(mark_hz - BELL_202.mark_hz) <= abs(mark_hz - V23.mark_hz)
        return (BELL_202, V23) if bell else (V23, BELL_202)

    def _magnitudes_of(self, standard: FskStandard) -> tuple[Soft, Soft]:
        """Magnitudes of the mark and space correlators, each (n,)."""
        if standard not in self._magnitudes:
            self._magnitudes[standard] = (
                np.abs(_correlate(self._band, standard.mark_hz)),
                np.abs(_correlate(self._band, standard.space_hz)),
            )
        return self._magnitudes[standard]

    def _soft(self, standard: FskStandard, start: int, stop: int) -> Soft:
        """Soft bits of the burst: +1 for mark, -1 for space, gains taken from samples ``start`` to ``stop``."""
        mark, space = self._magnitudes_of(standard)
        mark_gain = float(quantile(mark[start:stop], 0.92)) + 1e-3
        space_gain = float(quantile(space[start:stop], 0.92)) + 1e-3
        return np.asarray(mark / mark_gain - space / space_gain, dtype=np.float32)

    def _frame_after(
        self, standard: FskStandard, run_start: int, run_end: int, ended: bool, suspects: list[_Suspect]
    ) -> FskFrame | None:
        """The frame that starts at the end of a run of mark; one that is not good becomes one of ``suspects``."""
        stop = min(len(self._band), run_end + int(300 * BIT_SAMPLES))
        rough = _characters(self._soft(standard, max(run_start, run_end - 200), stop), run_end - 4, 2)
        values = _values(rough.bits)
        header = len(values) >= 2 and any((int(values[0]) ^ kind).bit_count() <= 1 for kind in MESSAGE_TYPES)
        if not header and not ended:
            return None
        need = (frame_bytes(values.tobytes()) if header else None) or _SUSPECT_CHARACTERS
        stop = min(len(self._band), run_end + int(need * 10 * BIT_SAMPLES))
        coming = not ended and stop == len(self._band)
        mark_bits = (run_end - run_start) / BIT_SAMPLES
        soft = self._soft(standard, max(0, run_end - 100), stop)
        best: FskFrame | None = None
        for bias in _BIASES if header else _BIASES[:1]:
            characters = _characters(soft - np.float32(bias), run_end - 4, 260)
            frame = _frame_of(standard, characters, 0, mark_bits)
            if frame is not None and frame.checksum_ok and self._is_doubtful(frame, characters):
                frame = replace(frame, checksum_ok=False)
            if frame is not None and (frame.checksum_ok or (coming and frame.unfinished)):
                return frame
            if not bias:
                suspects.append(_Suspect(standard, characters, run_end, mark_bits))
            best = best or frame
        return best if header else None

    def _is_doubtful(self, frame: FskFrame, characters: _Characters) -> bool:
        """Whether whole characters say that a frame, good bit by bit, may as well be another one: clicks make bits
        wrong that look sure, and two of them may cancel out in the checksum.
        """
        count = len(frame.data)
        edges = characters.edges[:count]
        bits = round(float(median(np.diff(edges))) / BIT_SAMPLES)
        grid = even_grid(edges, float(edges[0]), bits * BIT_SAMPLES)
        if grid is None or np.any(np.round((edges - grid[0]) / grid[1]) != np.arange(count)):
            return False
        first, spacing = grid
        space, mark = self._gains(frame.standard, characters)
        tones_hz = (frame.standard.space_hz, frame.standard.mark_hz)
        on_grid = Grid(first, bits, spacing / bits, tones_hz, (space, mark))
        least_noise = _LEAST_NOISE * float(np.mean(self._band[round(first) : round(first + count * spacing)] ** 2))
        look = Characters(self._band, on_grid, count)
        if look.noise < least_noise:  # this quick grid is not that good
            look = Characters(self._band, on_grid, count, least_noise)
        return doubt_of(frame.data, look.odds) > MOST_DOUBT

    def _second_look(self, suspects: list[_Suspect]) -> FskFrame | None:
        """The message in the suspect with the most characters on an even grid, judged by whole characters."""
        grids = [(found[0], suspect, found[1]) for suspect in suspects if (found := _grid(suspect)) is not None]
        if not grids:
            return None
        most = max(on_grid for on_grid, _, _ in grids)
        _, suspect, (first, bits, bit_samples) = next(each for each in grids if each[0] > _NEARLY * most)
        begin = first - _GRID_LEAD * bits * bit_samples
        count = min(_MOST_CHARACTERS, round((suspect.characters.edges[-1] - begin) / (bits * bit_samples)) + 3)
        looks = []
        for standard in (BELL_202, V23):
            space, mark = self._gains(standard, suspect.characters)
            grid = Grid(begin, bits, bit_samples, (standard.space_hz, standard.mark_hz), (space, mark))
            looks.append(Characters(self._band, grid, count).placed())
        look = min(looks, key=lambda each: each.noise)
        if look.share < _LEAST_SHARE:
            return None
        look = look.framed().settled()
        frame = _best_frame(look.regained(), suspect)
        if frame is not None:
            return frame
        refined, leaping = look.refined(), look.leaping()
        frame = _best_frame(refined, suspect)
        if frame is not None:
            return frame
        # Where the phase is free, a click may pass for a bit: only a sender that really jumps is heard so.
        frame = _best_frame(leaping, suspect) if leaping.noise < _LEAPING_NOISE * refined.noise else None
        return frame or _damaged_frame(look, suspect)

    def _gains(self, standard: FskStandard, characters: _Characters) -> npt.NDArray[np.float64]:
        """Amplitudes of space and mark, from the middles of the data bits as first judged."""
        middles = np.rint(characters.edges[:, None] + _CENTRES[1:9]).astype(np.int64)
        places = np.clip(middles, 0, len(self._band) - 1)
        mark, space = self._magnitudes_of(standard)
        ones = characters.bits > 0.0
        chosen = (space[places[~ones]], mark[places[ones]])
        return np.array([2.0 * float(median(values)) if len(values) else 1.0 for values in chosen]) + 1e-3

    def _frame_anywhere(self, standard: FskStandard) -> FskFrame | None:
        """A good frame in a burst that has no mark signal at all, such as a cut recording."""
        mark, space = self._magnitudes_of(standard)
        tones = 2.0 * float(np.mean(np.maximum(mark, space) ** 2))
        if tones < _TONE_SHARE * float(np.mean(self._band**2)):
            return None
        characters = _characters(self._soft(standard, 0, len(self._band)), 0, 400)
        values = _values(characters.bits)
        for first in np.isin(values, list(MESSAGE_TYPES)).nonzero()[0]:
            frame = _frame_of(standard, characters, int(first), 0.0)
            if frame is not None and frame.checksum_ok:
                return frame
        return None


def _grid(suspect: _Suspect) -> tuple[int, tuple[float, int, float]] | None:
    """How many of a suspect's characters lie on an even grid; its first edge, bits a character and samples a bit."""
    edges = suspect.characters.edges
    seizure = np.isin(_values(suspect.characters.bits), _SEIZURE)
    if len(edges) < 5 or 2 * np.sum(seizure) > len(edges):
        return None
    usual = round(float(median(np.diff(edges))) / BIT_SAMPLES)
    for bits in sorted({10, min(max(usual, 10), 20)}):
        grid = even_grid(edges, float(suspect.run_end), bits * BIT_SAMPLES)
        if grid is not None:
            first, spacing = grid
            off = (edges - first) / spacing
            return int(np.sum(np.abs(off - np.round(off)) < _ON_GRID)), (first, bits, spacing / bits)
    return None


def _best_frame(look: Characters, suspect: _Suspect) -> FskFrame | None:
    """The message that the characters are, wherever it begins; None when none is believable."""
    odds, presence, grid = look.odds, look.presence, look.grid
    likely = [
        (found.doubt, int(begin), found.data)
        for begin in (odds[:, MESSAGE_KINDS].max(axis=1) > -_BEGIN_NATS).nonzero()[0]
        if (found := most_likely(odds[begin:], presence[begin:])) is not None
    ]
    if not likely or min(likely)[0] > MOST_DOUBT:
        return None
    _, begin, data = min(likely)
    start = grid.first + begin * grid.spacing
    return FskFrame(
        standard=_standard_of(grid),
        data=data,
        checksum_ok=True,
        start_sample=round(start),
        end_sample=round(start + len(data) * grid.spacing),
        quality=_WHOLE_QUALITY,
        broken=0,
        sound=len(data),
        mark_bits=suspect.mark_bits,
    )


def _damaged_frame(look: Characters, suspect: _Suspect) -> FskFrame | None:
    """What can be read of characters that are no message, where they are too many to be anything else."""
    odds, grid = look.odds, look.grid
    values = odds.argmax(axis=1)
    sure = (odds.max(axis=1) > _SURE_CHARACTER) & (values != _NO_CHARACTER)
    if np.sum(sure) < _LEAST_SURE:
        return None
    first, last = int(sure.nonzero()[0][0]), int(sure.nonzero()[0][-1]) + 1
    data = values[first:last].astype(np.uint8).tobytes()
    return FskFrame(
        standard=_standard_of(grid),
        data=data,
        checksum_ok=False,
        start_sample=round(grid.first + first * grid.spacing),
        end_sample=round(grid.first + last * grid.spacing),
        quality=_DAMAGED_QUALITY,
        broken=0,
        sound=int(np.sum(sure)),
        mark_bits=suspect.mark_bits,
    )


def _standard_of(grid: Grid) -> FskStandard:
    return min((BELL_202, V23), key=lambda standard: abs(grid.tones_hz[1] - standard.mark_hz))


def _mark_runs(marks: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches (start, end) in samples of at least ``_MIN_MARK_BITS`` of mark."""
    mark = np.concatenate(([False], marks, [False]))
    edges = (mark[1:] != mark[:-1]).nonzero()[0]
    starts, ends = edges[0::2], edges[1::2]
    long = (ends - starts) >= _MIN_MARK_BITS * BIT_SAMPLES
    return [(int(a), int(b)) for a, b in zip(starts[long], ends[long], strict=True)]


def _characters(soft: Soft, start: int, limit: int) -> _Characters:
    """Frame up to ``limit`` 8N1 characters from sample ``start`` on, until the line stays at mark or ends."""
    spaces = (soft < 0.0).nonzero()[0]
    exact, axis = soft.astype(np.float64), np.arange(len(soft), dtype=np.float64)
    bits: list[npt.NDArray[np.float64]] = []
    edges: list[float] = []
    position, idle_from = float(start), float(start)
    while len(bits) < limit:
        index = int(np.searchsorted(spaces, np.ceil(position)))
        if index == len(spaces):
            break
        at = int(spaces[index])
        if at - idle_from > _MAX_GAP_BITS * BIT_SAMPLES and bits:
            break
        if at + 10.0 * BIT_SAMPLES - 2.0 > len(soft):
            break
        edge, values = _framed(exact, axis, spaces[index : index + 1])
        if values[0, 0] > _START_LEVEL:
            position = _next_start(exact, axis, spaces[index + 1 : index + 1 + _TRIED_AT_ONCE])
            continue
        bits.append(values[0])
        edges.append(float(edge[0]))
        position = idle_from = float(edge[0]) + 9.4 * BIT_SAMPLES
    table = np.array(bits, dtype=np.float32).reshape(-1, 10)
    return _Characters(table[:, 1:9], np.array(edges, dtype=np.float64), table[:, 9])


def _framed(
    soft: npt.NDArray[np.float64], axis: npt.NDArray[np.float64], places: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Start edges (k,) and soft values (k, 10) of the best characters where space begins at ``places`` (k,)."""
    here = np.where(places > 0, soft[places], -1.0)
    before = np.where(places > 0, soft[places - 1], 0.0)
    crossing = before > 0.0
    edges = places - np.divide(here, here - before, out=np.zeros(len(places)), where=crossing)
    values = np.interp(edges[:, None, None] + _GRID, axis, soft)
    fit = np.abs(values[:, :, 1:9]).sum(axis=2) - values[:, :, 0] + values[:, :, 9]
    best = np.argmax(fit, axis=1)
    return edges + _SHIFTS[best], values[np.arange(len(places)), best]


def _next_start(soft: npt.NDArray[np.float64], axis: npt.NDArray[np.float64], places: npt.NDArray[np.int64]) -> float:
    """The first of ``places`` where a character may start, else the sample after them; in noise few may."""
    if not len(places):
        return float(len(soft))
    good = (_framed(soft, axis, places)[1][:, 0] <= _START_LEVEL).nonzero()[0]
    return float(places[good[0]]) if len(good) else float(places[-1] + 1)


def _values(bits: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Byte values (k,) of soft bits (k, 8), least significant bit first."""
    return np.packbits(bits > 0.0, axis=1, bitorder="little")[:, 0] if len(bits) else np.zeros(0, dtype=np.uint8)


def _cancel_risk(bits: npt.NDArray[np.float32]) -> float:
    """Odds that two wrong bits cancel out in the checksum: opposite errors in the same bit column.

    Each bit's odds of being wrong follow from its distance to the threshold and the spread of all bits.
    """
    strength = np.abs(bits)
    spread = float(np.var(strength)) + 1e-4
    odds = np.exp(-np.minimum(2.0 * float(np.mean(strength)) * strength / spread, 60.0))
    ones = np.sum(odds * (bits > 0.0), axis=0)
    zeros = np.sum(odds * (bits <= 0.0), axis=0)
    return float(np.sum(ones * zeros))


def _frame_of(standard: FskStandard, characters: _Characters, first: int, mark_bits: float) -> FskFrame | None:
    """The frame that starts with character ``first``; None when there is not even a header."""
    values = _values(characters.bits[first:])
    if len(values) < 2:
        return None
    expected = frame_bytes(values[:_HEADER_CHARACTERS].tobytes())
    count = min(len(values), expected or len(values))
    bits, edges = characters.bits[first : first + count], characters.edges[first : first + count]
    data = values[:count].tobytes()
    strength = np.abs(bits)
    tenth, middle = (float(quantile(strength.ravel(), share)) for share in (0.1, 0.5))
    eye = tenth / (middle + 1e-6)
    stopless = (characters.stops[first : first + count] < 0.0).nonzero()[0]
    broken = len(stopless)
    return FskFrame(
        standard=standard,
        data=data,
        checksum_ok=is_whole(data) and broken * 8 <= count and _cancel_risk(bits) < _RISK_LIMIT,
        start_sample=round(float(edges[0])),
        end_sample=round(float(edges[-1]) + 10.0 * BIT_SAMPLES),
        quality=float(np.clip(eye, 0.0, 1.0)),
        broken=broken,
        sound=int(stopless[0]) if broken else count,
        mark_bits=mark_bits,
    )
