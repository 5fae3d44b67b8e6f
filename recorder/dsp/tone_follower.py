"""One line on which a tone may be: bursts from its frames, what each of them is, and what they amount to."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recorder.dsp.answer_tone import is_modem
from recorder.dsp.cadences import (
    JOIN_FRAMES,
    Burst,
    Fit,
    classify,
    is_burst_of,
    memory_frames,
    news_frames,
    patience_frames,
    steady_frames,
)
from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.sounds import FEWEST_SAMPLES, Measured, identify
from recorder.dsp.spectrum import HOP_SAMPLES, Frames, bin_gain
from recorder.dsp.tone_plan import LEAST_POWER, SHARE_ON, plan_of
from recorder.dsp.tone_profiles import ANSWER, Sound, profile_of
from recorder.signals import Tone

_SHARE_HOLD = 0.5  # of the speech band that a sound's band must hold to go on, as long as it is not known
_HOLD_POWER = 0.3  # of the least power
_DEBOUNCE_FRAMES = 4
_MOST_BURSTS = 9  # two rounds of the longest pattern and the burst that is on
_CLEAN_SHARE = 0.93  # of a sound in the speech band, when nobody speaks and no instrument plays
_CLEAN_CHANGE_DB = 1.5
_LOOK_AGAIN_FRAMES = 20  # where a steady tone is not clean
_NARROW_FRAMES = 6  # 60 ms: over so many a tone that goes on under speech adds up, and speech does not
_NARROW_SHARE = 0.55  # of the tone's amplitude
_NARROW_SAMPLES = 400  # 50 ms, for the same backwards
_NARROW_SHARE_BACK = 0.6
_ALONE = 0.35  # times amplitude squared: less power than the tone alone has
_MOST_HIDDEN_FRAMES = 35


@dataclass(frozen=True, slots=True)
class ToneChange:
    """A tone began or ended (None) on a port, at a sample since the first frame.

    ``frequencies_hz``: as measured, ``level_dbm0``: of all together; both of the last burst.
    """

    port: int
    at_sample: int
    tone: Tone | None
    frequencies_hz: tuple[float, ...] = ()
    level_dbm0: float = 0.0


@lru_cache(maxsize=256)
def _wave(tone_hz: int) -> npt.NDArray[np.complex64]:
    """complex64 (``_NARROW_SAMPLES``,): what picks one frequency out."""
    angle = -2.0 * np.pi * tone_hz / SAMPLE_RATE_HZ * np.arange(_NARROW_SAMPLES)
    return np.asarray(np.exp(1j * angle), dtype=np.complex64)


class Line:
    """What is known of the tones on one port; all times are frame numbers."""

    __slots__ = ("answer", "bursts", "heard_at", "narrow", "region", "region_since", "run", "run_region", "spoken",
                 "told")  # fmt: skip

    def __init__(self, region_before: int, region: int) -> None:
        """The regions of the two frames before."""
        self.region = -1  # that is on, debounced
        self.region_since = 0
        self.run_region = region  # of the last ``run`` frames, which contradict ``region``
        self.run = 0 if region < 0 else 1 + (region == region_before)
        self.heard_at = 0  # frame of the last close look
        self.bursts: list[Burst] = []
        self.told: Fit | None = None
        self.spoken = False  # somebody has been speaking since before the tone paused
        self.narrow: list[complex] = []
        self.answer: list[complex] = []

    @property
    def burst(self) -> Burst | None:
        """The burst that is on."""
        return self.bursts[-1] if self.bursts and self.bursts[-1].end is None else None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to be remembered."""
        return self.region < 0 and not self.run and not self.bursts

    def rests(self, country: str, first_frame: int, count: int, speaking: bool) -> bool:
        """Whether nothing can come of so many frames without any sound."""
        if self.region >= 0 or self.run or not self.bursts:
            return False
        profile, last = profile_of(country), self.bursts[-1]
        since = first_frame - (last.end or 0)
        waiting = range(since, since + count)
        news = news_frames(profile, last.heard.sound, False)
        patience = memory_frames(profile, last.heard.sound)
        if self.told is not None:
            patience = patience_frames(self.told.pattern)
            if speaking and not self.spoken:
                return False
        return waiting.stop <= patience and news.isdisjoint(waiting)


class Follower:
    """One port through the frames of one block."""

    def __init__(
        self, port: int, line: Line, country: str, frames: Frames, row: npt.NDArray[np.int16], offset: int
    ) -> None:
        self._port, self._line, self._frames = port, line, frames
        self._row, self._offset = row, offset
        self._profile, self._plan = profile_of(country), plan_of(country)
        self._window_frames = self._plan.window_samples // HOP_SAMPLES
        self._speech: list[float] = frames.speech[port].tolist()
        self._bands: dict[int, list[float]] = {}  # power of the strongest sound of a region in each frame
        self._phasors: list[complex] = []

    def follow(self, regions: Sequence[int], speaking: bool, spoke: bool) -> list[ToneChange]:
        """Changes; ``regions``: of each frame, -1 for none; ``speaking``: now, ``spoke``: before this block."""
        line = self._line
        changes: list[ToneChange] = []
        if self._goes_on(regions):
            return changes
        for frame, region in enumerate(regions, self._frames.first_frame):
            news = self._step(frame, region, spoke)
            if line.bursts:
                changes.extend(self._judge(frame, speaking, news))
        return changes

    def _goes_on(self, regions: Sequence[int]) -> bool:
        """Take all frames in if they are the sound that is on anyway, and nothing is due in them."""
        line, burst, first = self._line, self._line.burst, self._frames.first_frame
        if burst is None or burst.heard.sound is ANSWER or set(regions) != {line.region}:
            return False
        lasting = range(first - burst.start, first - burst.start + len(regions))
        sure = burst.clean or lasting.stop <= steady_frames(self._profile, burst.heard.sound)
        if not sure or not news_frames(self._profile, burst.heard.sound, True).isdisjoint(lasting):
            return False
        for index in range(max(0, len(regions) - _NARROW_FRAMES), len(regions)):
            self._listen_narrowly(burst, index, first + index)
        line.run = 0
        return True

    def _step(self, frame: int, region: int, spoke: bool) -> bool:
        """Take one frame in; whether a burst came or ended."""
        line, index = self._line, frame - self._frames.first_frame
        news = False
        if line.burst is not None:
            self._listen_narrowly(line.burst, index, frame)
        if region == line.region or (line.region >= 0 and self._holds(index)):
            line.run = 0
        else:
            line.run = line.run + 1 if line.run and region == line.run_region else 1
            line.run_region = region
            if line.run >= _DEBOUNCE_FRAMES:
                self._turn(frame - line.run + 1, region, spoke)
                news = True
        if line.region >= 0 and line.burst is None and frame - line.heard_at >= self._window_frames:
            news = self._look(frame)
        return news

    def _holds(self, index: int) -> bool:
        """Whether the sound that is on goes on in a frame."""
        line = self._line
        if line.region not in self._bands:
            weights = self._plan.weights[:, self._plan.region == line.region]
            self._bands[line.region] = (self._frames.power[self._port] @ weights).max(axis=1).tolist()
        band = self._bands[line.region][index]
        share = _SHARE_HOLD if len(line.narrow) < _NARROW_FRAMES else SHARE_ON
        if band > share * self._speech[index] and band > _HOLD_POWER * LEAST_POWER:
            return True
        burst = line.burst
        if burst is None or share == _SHARE_HOLD:
            return False
        amplitude = burst.heard.amplitude
        if self._speech[index] < _ALONE * amplitude * amplitude:
            return False
        expected = 0.5 * amplitude * bin_gain(burst.heard.line_hz)
        return abs(sum(line.narrow)) > _NARROW_SHARE * _NARROW_FRAMES * expected

    def _listen_narrowly(self, burst: Burst, index: int, frame: int) -> None:
        """Remember what the filter bin nearest to the tone holds, its phase turned back."""
        line, tone_hz = self._line, burst.heard.line_hz
        if not self._phasors:
            self._phasors = self._frames.phasors(self._port, tone_hz).tolist()
        phasor = self._phasors[index]
        if burst.heard.sound is ANSWER:
            line.answer.append(phasor)
        turned = phasor * cmath.exp(-2j * math.pi * (tone_hz * HOP_SAMPLES / SAMPLE_RATE_HZ * frame % 1.0))
        line.narrow = [*line.narrow[1 - _NARROW_FRAMES :], turned]

    def _turn(self, frame: int, region: int, spoke: bool) -> None:
        """Another region is on since ``frame``, or none."""
        line = self._line
        burst = line.burst
        if burst is None and line.region >= 0:
            self._look(frame - 1)
            burst = line.burst
        if burst is not None:
            burst.end = frame
            burst.clean = self._is_clean(burst, frame)
            line.spoken = spoke
        line.region, line.region_since, line.heard_at = region, frame, frame
        line.run, line.run_region = 0, -1
        line.narrow, line.answer = [], []

    def _look(self, frame: int) -> bool:
        """Which sound it is that came on; whether it is one."""
        line = self._line
        first, line.heard_at = line.heard_at == line.region_since, frame
        heard = self._measure(line.region_since, frame, self._plan.of_region(line.region))
        if heard is None:
            return False
        last = line.bursts[-1] if line.bursts else None
        if last is not None and last.heard.sound is heard.sound and line.region_since - (last.end or 0) <= JOIN_FRAMES:
            last.end, last.clean = None, False
        else:
            seen = line.region_since if first else frame - self._window_frames
            line.bursts = [*line.bursts[1 - _MOST_BURSTS :], Burst(seen - self._hidden_frames(heard, seen), heard)]
        line.narrow, line.answer, self._phasors = [], [], []
        return True

    def _measure(self, since: int, frame: int, sounds: Sequence[Sound]) -> Measured | None:
        """The sound of the last samples up to ``frame``, as many as a close look takes, none before ``since``."""
        stop = HOP_SAMPLES * (frame + 1) + self._offset
        start = max(HOP_SAMPLES * (since + 1) + self._offset, stop - self._plan.window_samples, 0)
        if stop - start < FEWEST_SAMPLES:
            return None
        return identify(self._row[start:stop].astype(np.float32), sounds, self._plan.window_samples)

    def _is_clean(self, burst: Burst, end: int) -> bool:
        """Whether there was hardly anything but the sound, and as much of it at the end as at the beginning."""
        if end - burst.start < 2 * self._window_frames:
            return burst.heard.share >= _CLEAN_SHARE
        last = self._measure(burst.start, end - 2, [burst.heard.sound])
        if last is None or min(last.share, burst.heard.share) < _CLEAN_SHARE:
            return False
        return abs(last.level_dbm0 - burst.heard.level_dbm0) <= _CLEAN_CHANGE_DB

    def _begin_anew(self, burst: Burst, frame: int) -> None:
        """What disturbed the beginning of a long burst may be over: it counts from here."""
        heard = self._measure(burst.start, frame, [burst.heard.sound])
        if heard is not None and heard.share >= _CLEAN_SHARE:
            burst.heard, burst.start = heard, frame - self._window_frames

    def _hidden_frames(self, heard: Measured, seen: int) -> int:
        """For how long the sound was on before frame ``seen``, where it stood out, under somebody's speech."""
        line, half = self._line, _NARROW_SAMPLES // 2
        stop = HOP_SAMPLES * seen + self._offset
        least_power = _ALONE * heard.amplitude * heard.amplitude
        since = line.bursts[-1].end or 0 if line.bursts else 0
        most = min(_MOST_HIDDEN_FRAMES, seen - since)
        frames = 0
        while frames < most:
            middle = stop - HOP_SAMPLES * frames
            if middle < 2 * half:
                break
            around = self._row[middle - 2 * half : middle].astype(np.float32)
            if float(np.mean(around * around)) < least_power:
                break
            amplitude = 2.0 * abs(complex(around @ _wave(round(heard.line_hz)))) / _NARROW_SAMPLES
            if amplitude < _NARROW_SHARE_BACK * heard.amplitude:
                break
            frames += 1
        return frames + half // HOP_SAMPLES if frames else 0

    def _judge(self, frame: int, speaking: bool, news: bool) -> list[ToneChange]:
        """What one more frame says; a cadence that is over is forgotten. ``news``: a burst came or ended."""
        line = self._line
        last = line.bursts[-1]
        since = frame - (last.start if last.end is None else last.end)
        unknown = line.region >= 0 and last.end is not None
        telling = news_frames(self._profile, last.heard.sound, last.end is None)
        due = since in telling or (news and (last.end is not None or since >= min(telling)))
        if last.end is None and not last.clean:
            over = since - steady_frames(self._profile, last.heard.sound)
            if over >= 0 and over % _LOOK_AGAIN_FRAMES == 0:
                due = True
                last.clean = self._is_clean(last, frame)
                if last.heard.share < _CLEAN_SHARE:
                    self._begin_anew(last, frame)
        fit = classify(self._profile, line.bursts, frame) if due and not unknown else None
        if fit is not None and (line.told is None or fit.pattern.tone is not line.told.pattern.tone):
            # One burst is all that ringback needs: it may be the last of a tone that was told, or the answer followed.
            doubtful = line.told is not None or (speaking and not line.spoken)
            if fit.pattern.tone is not Tone.RINGBACK or not doubtful:
                line.told = fit
                return [self._change(fit.began, self._tone(fit, last))]
        ended = self._ended(last, frame, speaking)
        if ended is None:
            return []
        told, line.told = line.told, None
        line.bursts = []
        return [] if told is None else [self._change(ended, None, last)]

    def _tone(self, fit: Fit, last: Burst) -> Tone:
        modem = last.heard.sound is ANSWER and is_modem(self._line.answer, last.heard.frequencies_hz[0])
        return Tone.MODEM_ANSWER if modem else fit.pattern.tone

    def _ended(self, last: Burst, frame: int, speaking: bool) -> int | None:
        """The frame where what is going on ended, None while it may go on."""
        if last.end is None:
            return None
        told = self._line.told
        if told is None and not is_burst_of(self._profile, last.heard.sound, last.end - last.start):
            over = JOIN_FRAMES + 1
        elif told is None:
            over = memory_frames(self._profile, last.heard.sound)
        else:
            over = patience_frames(told.pattern)
            if told.pattern.tone is Tone.RINGBACK and speaking and not self._line.spoken:
                return frame
        return last.end if frame - last.end >= over else None

    def _change(self, frame: int, tone: Tone | None, burst: Burst | None = None) -> ToneChange:
        heard = (burst or self._line.bursts[-1]).heard
        return ToneChange(self._port, frame * HOP_SAMPLES, tone, heard.frequencies_hz, heard.level_dbm0)
