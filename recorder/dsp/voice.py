"""Voice activity: energy in the speech band that is neither call progress tone nor DTMF nor a click."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recorder.dsp.levels import mean_square
from recorder.dsp.spectrum import HOP_SAMPLES, Frames

LEVEL_DBM0 = -45.0
"""Speech of less is not heard, unless a channel is set otherwise."""

_OVER_FLOOR = 10.0 ** (7.5 / 10.0)  # how far speech stands above the noise floor
_ONSET_OVER_FLOOR = 10.0 ** (4.0 / 10.0)  # where looking back for its beginning stops
_FIRST_FLOOR = mean_square(-30.0)  # until there was something softer
_FLOOR_FRAMES = 75  # the floor is the minimum of the last 0.75 … 1.5 s
_DELAY_FRAMES = 4  # tones near a frame, before or after, excuse its energy
_NEEDED_FRAMES = 9  # of energy before it counts as speech: clicks are shorter
_MIN_SWING = 10.0 ** (4.0 / 10.0)  # between pairs of frames of speech; steady noise, hum and other tones have none
_RAMP_FRAMES = 2  # at the beginning of energy that do not count for the swing
_GAP_FRAMES = 7  # of quiet that forget what was counted so far
_HANG_FRAMES = 50  # 0.5 s
_RISE_FRAMES = 10  # that the rise to a stretch of energy may take
_LOOK_BACK_FRAMES = 80  # how long before it is certain speech may have begun
_JOIN_FRAMES = 15  # of quiet, within a word, that looking back passes over
_CLICK_FRAMES = 3  # of energy on their own are no syllable
_TONE_FRAMES = 7  # in a row are a tone that looking back stops at; no vowel stays so pure for so long
_AT_ONCE_FRAMES = _GAP_FRAMES + _RAMP_FRAMES + 1  # so few that a second stretch among them stays within its ramp
_SMOOTH_PACE = 0.4
_NEVER = -(10**9)  # a frame before all others

_LOUD, _RISEN, _TONE = 1, 2, 4  # what is remembered of a frame

_Any = TypeVar("_Any", bound=np.generic)


@dataclass(frozen=True, slots=True)
class VoiceChange:
    """Speech began or ended on a port, at a sample since the first frame."""

    port: int
    at_sample: int
    active: bool


class VoiceBank:
    """Voice activity of all channels, frame by frame, as arrays.

    ``active``: bool (channels,), whether there is speech at the end of the last block.
    """

    def __init__(self, channels: int) -> None:
        self.active = np.zeros(channels, dtype=np.bool_)
        self._threshold = np.full(channels, mean_square(LEVEL_DBM0), dtype=np.float32)
        self._power = np.full((channels, _DELAY_FRAMES + 1), _FIRST_FLOOR, dtype=np.float32)
        self._excused = np.zeros((channels, 2 * _DELAY_FRAMES), dtype=np.bool_)
        self._past = np.zeros((channels, _LOOK_BACK_FRAMES), dtype=np.uint8)
        self._count = np.zeros(channels, dtype=np.int64)  # frames of energy in the present stretch
        self._last = np.full(channels, _NEVER, dtype=np.int64)  # last frame of energy
        self._told = np.zeros(channels, dtype=np.int64)  # frame where speech ended last
        self._onset = np.zeros(channels, dtype=np.int64)  # first frame of the stretch
        self._softest = np.zeros(channels, dtype=np.float32)  # power in the stretch
        self._loudest = np.zeros(channels, dtype=np.float32)
        self._rise = np.zeros(channels, dtype=np.int64)  # first frame of the present rise above the floor
        self._risen = np.zeros(channels, dtype=np.bool_)
        self._smooth = np.full(channels, _FIRST_FLOOR, dtype=np.float32)
        self._floors = np.full((2, channels), _FIRST_FLOOR, dtype=np.float32)

    def set_levels(self, levels_dbm0: npt.NDArray[np.float32]) -> None:
        """Speech counts from these levels of 250–3400 Hz on, dBm0 (channels,); holds from the next block on."""
        self._threshold[:] = [mean_square(level) for level in levels_dbm0.tolist()]

    def process(
        self, frames: Frames, excused: npt.NDArray[np.bool_], listening: npt.NDArray[np.bool_]
    ) -> list[VoiceChange]:
        """Changes in this block.

        ``excused``: bool (channels, frames), frames whose energy is a tone. ``listening``: bool (channels,).
        """
        power = np.concatenate((self._power, frames.speech), axis=1)
        marks = np.concatenate((self._excused, excused), axis=1)
        self._power = power[:, -_DELAY_FRAMES - 1 :].copy()
        self._excused = marks[:, -2 * _DELAY_FRAMES :].copy()
        tonal = _near_a_tone(marks)
        pairs = power[:, :-1] + power[:, 1:]
        changes: list[VoiceChange] = []
        done = 0
        while done < frames.count:
            first = frames.first_frame + done - _DELAY_FRAMES
            many = min(_AT_ONCE_FRAMES, frames.count - done, _FLOOR_FRAMES - first % _FLOOR_FRAMES)
            part = slice(done, done + many)
            here = slice(done + _DELAY_FRAMES, done + many + _DELAY_FRAMES)
            part_of_power = power[:, done + 1 : done + many + 1]
            changes.extend(
                self._stretch(first, part_of_power, pairs[:, part], tonal[:, part], marks[:, here], listening)
            )
            done += many
        return changes

    def _stretch(
        self,
        first: int,
        power: npt.NDArray[np.float32],
        pairs: npt.NDArray[np.float32],
        tonal: npt.NDArray[np.bool_],
        marks: npt.NDArray[np.bool_],
        listening: npt.NDArray[np.bool_],
    ) -> list[VoiceChange]:
        """Frames of all channels, at most ``_AT_ONCE_FRAMES`` and within one window of the floor."""
        frame = np.arange(first, first + power.shape[1], dtype=np.int64)
        floor = self._follow_floor(first, power, tonal)
        above = power > _ONSET_OVER_FLOOR * floor
        risen = above & ~tonal
        rise = _latest(np.where(_begins(risen, self._risen), frame, _NEVER), self._rise)
        energy = (power > np.maximum(_OVER_FLOOR * floor, self._threshold[:, None])) & listening[:, None]
        loud = energy & ~tonal
        last = _latest(np.where(loud, frame, _NEVER), self._last)
        fresh = loud & (frame - _before(last, self._last) > _GAP_FRAMES)
        onset = _latest(np.where(fresh, np.maximum(rise, frame - _RISE_FRAMES), _NEVER), self._onset)
        total = np.cumsum(loud, axis=1)
        count = total - _latest(np.where(fresh, total - 1, _NEVER), -self._count)
        likely = loud & (count >= _NEEDED_FRAMES) & self._swings(pairs, loud, fresh, count)
        over = (frame - last > _HANG_FRAMES) | ~listening[:, None]
        seen = (energy * np.uint8(_LOUD)) | (above * np.uint8(_RISEN)) | (marks * np.uint8(_TONE))
        self._past = np.concatenate((self._past, seen), axis=1)[:, -_LOOK_BACK_FRAMES:]
        turning = np.where(self.active, over.any(axis=1), likely.any(axis=1))
        changes: list[VoiceChange] = []
        for port in turning.nonzero()[0]:
            changes.extend(self._turn(int(port), frame, likely[port], over[port], onset[port], last[port]))
        self._rise, self._risen = rise[:, -1], risen[:, -1]
        self._last, self._onset, self._count = last[:, -1], onset[:, -1], count[:, -1]
        return changes

    def _turn(
        self,
        port: int,
        frame: npt.NDArray[np.int64],
        likely: npt.NDArray[np.bool_],
        over: npt.NDArray[np.bool_],
        onset: npt.NDArray[np.int64],
        last: npt.NDArray[np.int64],
    ) -> list[VoiceChange]:
        """Changes on a port where speech begins or ends within the stretch."""
        changes: list[VoiceChange] = []
        active = bool(self.active[port])
        oldest = int(frame[-1]) + 1 - _LOOK_BACK_FRAMES
        for index in range(len(likely)):
            if not active and likely[index]:
                active = True
                begin = oldest + _beginning(self._past[port].tolist(), int(onset[index]) - oldest)
                changes.append(VoiceChange(port, max(begin, int(self._told[port])) * HOP_SAMPLES, True))
            elif active and over[index]:
                active = False
                self._told[port] = last[index] + 1
                changes.append(VoiceChange(port, int(last[index] + 1) * HOP_SAMPLES, False))
        self.active[port] = active
        return changes

    def _swings(
        self,
        pairs: npt.NDArray[np.float32],
        loud: npt.NDArray[np.bool_],
        fresh: npt.NDArray[np.bool_],
        count: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Frames in whose stretch of energy the power has risen and fallen as speech does.

        ``pairs``: power of each frame and the one before it; a period of 50 Hz hum is as long as two frames. Where a
        stretch begins among these frames, there are too few of them for what is past its ramp to be of another.
        """
        ramp = count <= _RAMP_FRAMES
        counts = loud & ~ramp
        same = ~np.logical_or.accumulate(fresh, axis=1)
        softest = np.minimum.accumulate(np.where(counts, pairs, np.float32(np.inf)), axis=1)
        softest = np.minimum(softest, np.where(same, self._softest[:, None], np.float32(np.inf)))
        loudest = np.maximum.accumulate(np.where(counts, pairs, np.float32(0.0)), axis=1)
        loudest = np.maximum(loudest, np.where(same, self._loudest[:, None], np.float32(0.0)))
        self._softest = np.where(ramp[:, -1], np.float32(np.inf), softest[:, -1])
        self._loudest = np.where(ramp[:, -1], np.float32(0.0), loudest[:, -1])
        return ~ramp & (loudest > np.float32(_MIN_SWING) * softest)

    def _follow_floor(
        self, first: int, power: npt.NDArray[np.float32], tonal: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        """Noise floor at each frame: minimum of the smoothed power over two windows, tones left out."""
        smooth = np.empty_like(power)
        pace = np.where(tonal, np.float32(0.0), np.float32(_SMOOTH_PACE))
        for index in range(power.shape[1]):
            self._smooth = self._smooth + pace[:, index] * (power[:, index] - self._smooth)
            smooth[:, index] = self._smooth
        if first % _FLOOR_FRAMES == 0:
            self._floors[1] = self._floors[0]
            self._floors[0] = smooth[:, 0]
        least = np.minimum(np.minimum.accumulate(smooth, axis=1), self._floors[0][:, None])
        self._floors[0] = least[:, -1]
        return np.asarray(np.minimum(least, self._floors[1][:, None]), dtype=np.float32)

    def reset(self, port: int) -> None:
        """Forget what was heard on one port."""
        self.active[port] = self._risen[port] = False
        self._power[port] = self._smooth[port] = self._floors[:, port] = _FIRST_FLOOR
        self._excused[port] = False
        self._past[port] = 0
        self._count[port] = self._onset[port] = self._rise[port] = 0
        self._last[port] = _NEVER


def _beginning(past: list[int], onset: int) -> int:
    """The frame of ``past`` where the speech whose last stretch of energy begins at ``onset`` began."""
    begin = safe = max(0, onset)
    quiet = energy = tone = 0
    for index in range(begin - 1, -1, -1):
        tone = tone + 1 if past[index] & _TONE else 0
        if tone == _TONE_FRAMES or quiet > _JOIN_FRAMES:
            break
        if not tone:
            safe = begin
        loud = bool(past[index] & _LOUD)
        quiet = 0 if loud else quiet + 1
        energy = energy + 1 if loud else energy * (quiet < _CLICK_FRAMES)
        if loud and energy > _CLICK_FRAMES:
            begin = index
    else:
        tone = 0
    begin = safe if tone == _TONE_FRAMES else begin
    earliest = max(0, begin - _RISE_FRAMES)
    while begin > earliest and past[begin - 1] & (_RISEN | _TONE) == _RISEN:
        begin -= 1
    return begin


def _near_a_tone(marks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Frames with a tone within ``_DELAY_FRAMES``; a tone is two marked frames in a row, one alone is in speech too."""
    frames = marks.shape[1] - 2 * _DELAY_FRAMES
    if not marks.any():
        return np.zeros((marks.shape[0], frames), dtype=np.bool_)
    upto = np.zeros((marks.shape[0], marks.shape[1] + 1), dtype=np.int64)
    np.cumsum(marks[:, 1:] & marks[:, :-1], axis=1, out=upto[:, 2:])
    return np.asarray(upto[:, 2 * _DELAY_FRAMES + 1 :] > upto[:, :frames], dtype=np.bool_)


def _latest(frames: npt.NDArray[np.int64], before: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each column the highest so far, ``before`` (channels,) included."""
    return np.maximum(np.maximum.accumulate(frames, axis=1), before[:, None])


def _before(columns: npt.NDArray[_Any], first: npt.NDArray[_Any]) -> npt.NDArray[_Any]:
    """Each column's predecessor; that of the first is ``first`` (channels,)."""
    return np.concatenate((first[:, None], columns[:, :-1]), axis=1)


def _begins(now: npt.NDArray[np.bool_], before: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Where a row turns true."""
    return now & ~_before(now, before)
