"""Voice activity: energy in the speech band that is neither call progress tone nor DTMF nor a click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.dsp.levels import mean_square
from recorder.dsp.spectrum import HOP_SAMPLES, Frames

_MIN_LEVEL_DBM0 = -45.0
_OVER_FLOOR = 10.0 ** (9.0 / 10.0)  # speech stands 9 dB above the noise floor
_ONSET_OVER_FLOOR = 10.0 ** (4.0 / 10.0)  # where looking back for its beginning stops
_FIRST_FLOOR_DBM0 = -60.0
_FLOOR_FRAMES = 75  # the floor is the minimum of the last 0.75 … 1.5 s
_DELAY_FRAMES = 4  # tones near a frame, before or after, excuse its energy
_NEEDED_FRAMES = 9  # of energy before it counts as speech: clicks are shorter
_MIN_SWING = 10.0 ** (5.0 / 10.0)  # between frames of speech; steady noise and other tones have none
_RAMP_FRAMES = 2  # at the beginning of energy that do not count for the swing
_GAP_FRAMES = 7  # of quiet that forget what was counted so far
_HANG_FRAMES = 50  # 0.5 s
_LOOK_BACK_FRAMES = 10


@dataclass(frozen=True, slots=True)
class VoiceChange:
    """Speech began or ended on a port, at a sample since the first frame."""

    port: int
    at_sample: int
    active: bool


class VoiceBank:
    """Voice activity of all channels, frame by frame, as arrays."""

    def __init__(self, channels: int) -> None:
        self.active = np.zeros(channels, dtype=np.bool_)
        self._power = np.zeros((channels, _DELAY_FRAMES), dtype=np.float32)
        self._excused = np.zeros((channels, 2 * _DELAY_FRAMES), dtype=np.bool_)
        self._count = np.zeros(channels, dtype=np.int64)  # frames of energy in the present stretch
        self._last = np.full(channels, -(10**9), dtype=np.int64)  # last frame of energy
        self._onset = np.zeros(channels, dtype=np.int64)  # first frame of the stretch
        self._softest = np.zeros(channels, dtype=np.float32)  # power in the stretch
        self._loudest = np.zeros(channels, dtype=np.float32)
        self._rise = np.zeros(channels, dtype=np.int64)  # first frame of the present rise above the floor
        self._risen = np.zeros(channels, dtype=np.bool_)
        self._smooth = np.full(channels, mean_square(_FIRST_FLOOR_DBM0), dtype=np.float32)
        self._floors = np.full((2, channels), mean_square(_FIRST_FLOOR_DBM0), dtype=np.float32)
        self._threshold = np.float32(mean_square(_MIN_LEVEL_DBM0))

    def process(
        self, frames: Frames, excused: npt.NDArray[np.bool_], listening: npt.NDArray[np.bool_]
    ) -> list[VoiceChange]:
        """Changes in this block.

        ``excused``: bool (channels, frames), frames whose energy is a tone. ``listening``: bool (channels,).
        """
        power = np.concatenate((self._power, frames.speech), axis=1)
        marks = np.concatenate((self._excused, excused), axis=1)
        self._power = power[:, -_DELAY_FRAMES:].copy()
        self._excused = marks[:, -2 * _DELAY_FRAMES :].copy()
        # A tone is two marked frames in a row; one alone happens in speech.
        pairs = np.zeros(marks.shape, dtype=np.bool_)
        np.logical_and(marks[:, 1:], marks[:, :-1], out=pairs[:, 1:])
        windows = np.lib.stride_tricks.sliding_window_view(pairs, 2 * _DELAY_FRAMES + 1, axis=1)
        tonal = np.asarray(windows.any(axis=2), dtype=np.bool_)
        changes: list[VoiceChange] = []
        for index in range(frames.count):
            frame = frames.first_frame + index - _DELAY_FRAMES
            changes.extend(self._step(frame, power[:, index], tonal[:, index], listening))
        return changes

    def _step(
        self,
        frame: int,
        power: npt.NDArray[np.float32],
        tonal: npt.NDArray[np.bool_],
        listening: npt.NDArray[np.bool_],
    ) -> list[VoiceChange]:
        """One frame of all channels."""
        self._follow_floor(frame, power, tonal)
        floor = self._floors.min(axis=0)
        risen = (power > _ONSET_OVER_FLOOR * floor) & ~tonal
        self._rise = np.where(risen & ~self._risen, frame, self._rise)
        self._risen = risen
        loud = (power > np.maximum(_OVER_FLOOR * floor, self._threshold)) & ~tonal & listening
        fresh = loud & (frame - self._last > _GAP_FRAMES)
        self._onset = np.where(fresh, np.maximum(self._rise, frame - _LOOK_BACK_FRAMES), self._onset)
        self._count = np.where(fresh, 0, self._count) + loud
        self._last = np.where(loud, frame, self._last)
        began = ~self.active & loud & (self._count >= _NEEDED_FRAMES) & self._swings(loud, power)
        ended = self.active & ((frame - self._last > _HANG_FRAMES) | ~listening)
        self.active = (self.active | began) & ~ended
        if not (began.any() or ended.any()):
            return []
        return [
            *(VoiceChange(int(port), int(self._onset[port]) * HOP_SAMPLES, True) for port in np.flatnonzero(began)),
            *(VoiceChange(int(port), int(self._last[port] + 1) * HOP_SAMPLES, False) for port in np.flatnonzero(ended)),
        ]

    def _swings(self, loud: npt.NDArray[np.bool_], power: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Channels whose present stretch of energy rises and falls as speech does."""
        ramp = self._count <= _RAMP_FRAMES
        self._softest = np.where(ramp, np.inf, np.where(loud, np.minimum(self._softest, power), self._softest))
        self._loudest = np.where(ramp, 0.0, np.where(loud, np.maximum(self._loudest, power), self._loudest))
        return self._loudest > np.float32(_MIN_SWING) * self._softest

    def _follow_floor(self, frame: int, power: npt.NDArray[np.float32], tonal: npt.NDArray[np.bool_]) -> None:
        """Minimum of the smoothed power over two windows, tones left out."""
        self._smooth += np.float32(0.4) * (np.where(tonal, self._smooth, power) - self._smooth)
        if frame % _FLOOR_FRAMES == 0:
            self._floors[1] = self._floors[0]
            self._floors[0] = self._smooth
        np.minimum(self._floors[0], self._smooth, out=self._floors[0])

    def reset(self, port: int) -> None:
        """Forget one port."""
        self.active[port] = self._risen[port] = False
        self._power[port] = 0.0
        self._excused[port] = False
        self._count[port] = self._onset[port] = self._rise[port] = 0
        self._last[port] = -(10**9)
        self._smooth[port] = mean_square(_FIRST_FLOOR_DBM0)
        self._floors[:, port] = self._smooth[port]
