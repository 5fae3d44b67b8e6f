"""Call progress tones of China (ITU-T E.180 Supplement 2; GB/T 3380: 450 ± 25 Hz) by frequency and cadence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.dsp.levels import mean_square
from recorder.dsp.spectrum import HOP_SAMPLES, Frames
from recorder.signals import Tone

_MIN_LEVEL_DBM0 = -43.0
_SHARE_ON, _SHARE_HOLD = 0.75, 0.5  # share of 400–500 Hz in the speech band to start and to go on
_MAX_TURN = 2.0 * np.pi * 27.0 * HOP_SAMPLES / 8000.0  # ±27 Hz around 450 Hz
_DEBOUNCE_FRAMES = 4

# On and off times in frames of 10 ms (E.180 Supplement 2: 350/350, 700/700, 1000/4000 ms), with tolerance.
_CADENCES = (
    (Tone.BUSY, range(27, 44), range(27, 44), 60),
    (Tone.CONGESTION, range(58, 81), range(58, 81), 110),
)
_CONFIRM_FRAMES = 15  # of the second burst, before busy or congestion is certain
_RINGBACK_ON = range(82, 125)
_RINGBACK_SURE_FRAMES = 30  # of silence after the burst
_UNKNOWN_OVER_FRAMES = 120  # of silence after bursts that have shown no cadence
_RINGBACK_OVER_FRAMES = 480  # 4 s and a margin without the next burst
_DIAL_FRAMES = 130  # longer than any burst of the other tones


@dataclass(frozen=True, slots=True)
class ToneChange:
    """A tone began or ended (None) on a port, at a sample since the first frame."""

    port: int
    at_sample: int
    tone: Tone | None


@dataclass(slots=True)
class _Cadence:
    """What is known of the bursts on one port; all times are frame numbers."""

    tone: Tone | None = None
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


class ToneBank:
    """Follows the 450 Hz tone on all channels; classifies where it comes and goes."""

    def __init__(self, channels: int) -> None:
        self._on = np.zeros(channels, dtype=np.bool_)  # the tone is on, debounced
        self._steady = np.zeros(channels, dtype=np.int64)  # frames that contradict ``_on``
        self._cadences: dict[int, _Cadence] = {}
        self._threshold = np.float32(mean_square(_MIN_LEVEL_DBM0))

    def tonal(self, frames: Frames) -> npt.NDArray[np.bool_]:
        """Frames (channels, frames) in which 450 Hz stands out."""
        strong = (frames.progress > self._threshold) & (frames.progress > _SHARE_ON * frames.speech)
        return np.asarray(strong, dtype=np.bool_)

    def process(
        self, frames: Frames, listening: npt.NDArray[np.bool_], speaking: npt.NDArray[np.bool_]
    ) -> list[ToneChange]:
        """Changes in this block. ``listening``: bool (channels,), others are ignored; ``speaking``: bool
        (channels,), voice is active, which ends ringback."""
        strong = self.tonal(frames) & (np.abs(frames.progress_turn) < _MAX_TURN)
        hold = (frames.progress > 0.5 * self._threshold) & (frames.progress > _SHARE_HOLD * frames.speech)
        changes = self._drop(frames.first_frame, listening)
        lively = self._on | (self._steady > 0) | (strong.any(axis=1) & listening)
        for port in sorted({*np.flatnonzero(lively).tolist(), *self._cadences}):
            if listening[port]:
                marks = zip(strong[port].tolist(), hold[port].tolist(), strict=True)
                changes.extend(self._follow(port, frames.first_frame, marks, bool(speaking[port])))
            else:
                self._on[port], self._steady[port] = False, 0
        return changes

    def _follow(
        self, port: int, first_frame: int, marks: Iterable[tuple[bool, bool]], speaking: bool
    ) -> list[ToneChange]:
        """Changes on one port; ``marks``: whether each frame would start the tone, and whether it would keep it on."""
        changes: list[ToneChange] = []
        on, steady = bool(self._on[port]), int(self._steady[port])
        for frame, (starts, keeps) in enumerate(marks, first_frame):
            steady = steady + 1 if (keeps if on else starts) != on else 0
            if steady >= _DEBOUNCE_FRAMES:
                on, steady = not on, 0
                self._turned(port, frame - _DEBOUNCE_FRAMES + 1, on)
            if port in self._cadences:
                changes.extend(self._judge(port, frame, on, speaking))
                on = on and port in self._cadences
        self._on[port], self._steady[port] = on, steady
        return changes

    @property
    def sounding(self) -> list[int]:
        """Ports on which a tone has been told and has not ended."""
        return [port for port, cadence in self._cadences.items() if cadence.tone is not None]

    def doubt(self, port: int) -> None:
        """A digit was dialled: what was heard before it was no cadence, unless it has been told."""
        if port not in self.sounding:
            self.reset(port)

    def _drop(self, frame: int, listening: npt.NDArray[np.bool_]) -> list[ToneChange]:
        """Forget the ports that are not listened to any more; a tone that was told has ended there."""
        deaf = [port for port in self._cadences if not listening[port]]
        changes = [ToneChange(port, _sample(frame), None) for port in self.sounding if port in deaf]
        for port in deaf:
            self.reset(port)
        return changes

    def reset(self, port: int) -> None:
        """Forget one port."""
        self._on[port] = False
        self._steady[port] = 0
        self._cadences.pop(port, None)

    def _turned(self, port: int, frame: int, on: bool) -> None:
        cadence = self._cadences.setdefault(port, _Cadence())
        if on:
            cadence.starts = (*cadence.starts[-2:], frame)
        else:
            cadence.ends = (*cadence.ends[-2:], frame)

    def _judge(self, port: int, frame: int, on: bool, speaking: bool) -> list[ToneChange]:
        """What one more frame says about one port; a cadence that is over is forgotten, and the tone taken for off."""
        cadence = self._cadences[port]
        tone, began = self._classify(cadence, on, frame)
        if cadence.tone is None:
            if tone is not None and not (tone is Tone.RINGBACK and speaking):
                cadence.tone = tone
                return [ToneChange(port, _sample(began), tone)]
            if not on and frame - cadence.ends[-1] > _UNKNOWN_OVER_FRAMES:
                del self._cadences[port]
            return []
        ended = self._ended(cadence, on, frame, speaking)
        if tone is not None and tone is not cadence.tone:
            cadence.tone = tone
            return [ToneChange(port, _sample(began), tone)]
        if ended is None:
            return []
        del self._cadences[port]
        return [ToneChange(port, _sample(ended), None)]

    def _classify(self, cadence: _Cadence, on: bool, frame: int) -> tuple[Tone | None, int]:
        """The tone that the bursts show now, and the frame where its evidence began."""
        starts, ends = cadence.starts, cadence.ends
        if on and frame - starts[-1] >= _DIAL_FRAMES:
            return Tone.DIAL, starts[-1]
        if on and len(starts) >= 2 and frame - starts[-1] >= _CONFIRM_FRAMES:
            on_frames, off_frames = ends[-1] - starts[-2], starts[-1] - ends[-1]
            for tone, on_range, off_range, _ in _CADENCES:
                if on_frames in on_range and off_frames in off_range:
                    return tone, starts[-2]
        if not on and ends and frame - ends[-1] >= _RINGBACK_SURE_FRAMES and ends[-1] - starts[-1] in _RINGBACK_ON:
            return Tone.RINGBACK, starts[-1]
        return None, 0

    def _ended(self, cadence: _Cadence, on: bool, frame: int, speaking: bool) -> int | None:
        """The frame where the present tone ended, None while it goes on."""
        last_on = frame if on else cadence.ends[-1]
        if cadence.tone is Tone.DIAL:
            return None if on else last_on
        if cadence.tone is Tone.RINGBACK:
            if speaking and not on:
                return frame
            return last_on if frame - last_on > _RINGBACK_OVER_FRAMES else None
        over = next(frames for tone, _, _, frames in _CADENCES if tone is cadence.tone)
        return last_on if frame - last_on > over else None


def _sample(frame: int) -> int:
    """Middle of a frame: its 160 samples end with sample 80 (frame + 1)."""
    return frame * HOP_SAMPLES
