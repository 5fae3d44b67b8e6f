"""The exchange itself: places calls on lines and renders what a tap hears and measures.

Everything is a function of (seed, settings, what was placed, sample position): no wall clock, no global
random state. Chunks of any size give bit-identical output.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drivers.api import Pcm
from drivers.exchange.calls import CallTruth, Happening, LineSettings
from drivers.exchange.noise import LineNoise
from drivers.exchange.plan import LineNature, Plan, line_nature, plan_happening
from drivers.exchange.speech import DEFAULT_SPEECH_DIR, SpeechLibrary
from firmware.errors import ConfigError

SAMPLE_RATE_HZ = 8000
SAMPLES_PER_MS = 8
RENDER_STEP_SAMPLES = 80
MOST_LINES = 1024
OPENED_AT = datetime(2026, 1, 5, 9, 0)  # a Monday, the same for every replay

Volts = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LineFrames:
    """What happens on all lines during ``n`` samples at 8 kHz.

    ``audio``: int16 (lines, n), what a high-impedance tap hears, before any G.711 coding (full scale
    32768 = +3.14 dBm0). ``loop_v``: float32 (lines, n // 8), DC loop voltage in V, one value a ms, negative
    when the polarity is reversed. ``ring_vrms``: float32 (lines, n // 8), ring voltage in Vrms, 0 when the
    line does not ring.
    """

    first_sample: int
    audio: Pcm
    loop_v: Volts
    ring_vrms: Volts


class Exchange:
    """A simulated telephone exchange with ``lines`` subscriber lines, numbered from 0.

    ``speech_dir``: a folder with one folder of WAV files per voice (or WAV files of one voice); it is read
    when the first call that talks is placed. ``opened_at``: local time of sample 0, sent in caller ID.
    Raises ConfigError. Thread: one thread owns it.
    """

    def __init__(
        self,
        lines: int,
        seed: int = 0,
        settings: Sequence[LineSettings] | None = None,
        speech_dir: Path | None = None,
        opened_at: datetime = OPENED_AT,
    ) -> None:
        if not 1 <= lines <= MOST_LINES:
            raise ConfigError(f"lines = {lines}: must be from 1 to {MOST_LINES}")
        if not 0 <= seed < 1 << 64:
            raise ConfigError(f"seed = {seed}: must be from 0 to 2**64 - 1")
        chosen = tuple(settings) if settings is not None else (LineSettings(),) * lines
        if len(chosen) != lines:
            raise ConfigError(f"settings: {len(chosen)} given for {lines} lines")
        self.lines = lines
        self.seed = seed
        self.settings = chosen
        self.position = 0
        self.truth: list[CallTruth] = []
        self._opened_at = opened_at
        self._speech = SpeechLibrary(speech_dir or DEFAULT_SPEECH_DIR)
        self._natures: list[LineNature] = [line_nature(seed, i, s) for i, s in enumerate(chosen)]
        self._noise = LineNoise(seed, [s.noise_dbm0 for s in chosen])
        self._idle_v = np.array([[n.idle_v] for n in self._natures], np.float32)
        self._plans: list[list[Plan]] = [[] for _ in range(lines)]
        self._unfinished: list[tuple[int, int, CallTruth]] = []

    def place(self, call: Happening) -> None:
        """Put a call or a cut on its line; its ``at_s`` is exchange time.

        Raises ConfigError when the line does not exist, the time is in the past, or another call or cut has
        the line then.
        """
        if call.line >= self.lines:
            raise ConfigError(f"line = {call.line}: this exchange has lines 0 to {self.lines - 1}")
        plan = plan_happening(call, self._natures[call.line], self._speech, self._opened_at)
        if plan.start < self.position:
            raise ConfigError(f"at_s = {call.at_s}: in the past, it is {self.position / SAMPLE_RATE_HZ:.3f} s")
        plans = self._plans[call.line]
        at = bisect.bisect(plans, plan.start, key=lambda p: p.start)
        for other in plans[max(at - 1, 0) : at + 1]:
            if plan.start < other.release and other.start < plan.release:
                raise ConfigError(
                    f"at_s = {call.at_s}: line {call.line} is taken from {other.start / SAMPLE_RATE_HZ:.3f} "
                    f"to {other.release / SAMPLE_RATE_HZ:.3f} s"
                )
        plans.insert(at, plan)
        if plan.truth is not None:
            heapq.heappush(self._unfinished, (plan.truth.end_sample, call.line, plan.truth))

    def free_from(self, line: int) -> int:
        """Sample position from which nothing is placed on ``line`` any more, at least ``position``."""
        plans = self._plans[line]
        return max(self.position, plans[-1].release) if plans else self.position

    def render(self, samples: int) -> LineFrames:
        """Render the next ``samples`` (a multiple of 80, so 10 ms) and advance the clock.

        Raises ConfigError on any other number.
        """
        if samples <= 0 or samples % RENDER_STEP_SAMPLES:
            raise ConfigError(f"samples = {samples}: must be a positive multiple of {RENDER_STEP_SAMPLES}")
        first, end = self.position, self.position + samples
        audio, loop_noise = self._noise.take(first, samples)
        loop_v = self._idle_v + loop_noise
        ring_vrms = np.zeros_like(loop_v)
        for line, plans in enumerate(self._plans):
            while plans and plans[0].release <= first:
                del plans[0]
            for plan in plans:
                if plan.start >= end:
                    break
                plan.add_audio(audio[line], first)
                plan.set_voltages(loop_v[line], ring_vrms[line], loop_noise[line], first)
        self.position = end
        while self._unfinished and self._unfinished[0][0] <= end:
            self.truth.append(heapq.heappop(self._unfinished)[2])
        pcm = np.rint(audio).clip(-32768, 32767).astype(np.int16)
        return LineFrames(first, pcm, loop_v, ring_vrms)
