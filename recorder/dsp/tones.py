"""Call progress, fax and modem tones of all channels, by the tone profile of each.

The power in the bands of each sound tells, as arrays, where one may be. Only channels on which one lasts are followed:
a close look at each burst says which sound it is (``sounds``), its cadence which tone (``cadences``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recorder.dsp.spectrum import HOP_SAMPLES, Frames
from recorder.dsp.tone_follower import Follower, Line, ToneChange
from recorder.dsp.tone_plan import LEAST_POWER, SHARE_ON, plan_of, unmark_false_pairs
from recorder.dsp.tone_profiles import profile_of

__all__ = ["ToneBank", "ToneChange", "ToneMarks"]

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ToneMarks:
    """Where sounds stand out in the frames of one block. ``tonal``: bool (channels, frames).

    ``regions``: int8 (channels, frames), which group of sounds, -1 for none.
    """

    tonal: Flags
    regions: npt.NDArray[np.int8]


class ToneBank:
    """Follows the tones on all channels; classifies what comes and goes."""

    def __init__(self, countries: Sequence[str]) -> None:
        """``countries``: of each channel, see ``tone_profiles.COUNTRIES``. Raises KeyError for an unknown one."""
        channels = len(countries)
        self._countries = list(countries)
        self._rows = self._by_country()
        self._last = np.full((channels, 2), -1, dtype=np.int8)  # regions of the last frames
        self._spoke = np.zeros(channels, dtype=np.bool_)
        self._lines: dict[int, Line] = {}

    def choose(self, port: int, country: str) -> None:
        """Take the tones of a country on a port, from the next frame on. Raises KeyError for an unknown one."""
        if self._countries[port] == country:
            return
        profile_of(country)
        self._countries[port] = country
        self.reset(port)
        self._rows = self._by_country()

    def _by_country(self) -> dict[str, npt.NDArray[np.intp] | slice]:
        """The rows of each country; a slice where there is only one, so that nothing needs to be copied."""
        chosen, names = np.array(self._countries), sorted(set(self._countries))
        for name in names:
            profile_of(name)
        return {name: slice(None) if len(names) == 1 else (chosen == name).nonzero()[0] for name in names}

    def marks(self, frames: Frames, hearing: Flags, history: npt.NDArray[np.int16], history_end: int) -> ToneMarks:
        """Where sounds stand out. ``hearing``: bool (channels,), others have none. ``history``: see ``process``."""
        tonal = np.zeros(frames.speech.shape, dtype=np.bool_)
        regions = np.full(frames.speech.shape, -1, dtype=np.int8)
        for country, rows in self._rows.items():
            plan = plan_of(country)
            power = frames.power[rows]
            bands = (power.reshape(-1, power.shape[2]) @ plan.weights).reshape(*power.shape[:2], -1)
            strong = bands > np.maximum(np.float32(SHARE_ON) * frames.speech[rows], np.float32(LEAST_POWER))[:, :, None]
            where = (strong.any(axis=(1, 2)) & hearing[rows]).nonzero()[0]
            if not len(where):
                continue
            ports = np.arange(len(tonal))[rows][where]
            few, loud = strong[where], bands[where]
            if plan.pairs:
                unmark_false_pairs(plan, few, ports, frames.first_frame, history, history_end)
            best = np.where(few, loud, np.float32(0.0)).argmax(axis=2)
            tonal[ports] = few.any(axis=2)
            regions[ports] = np.where(tonal[ports], plan.region[best], np.int8(-1))
        return ToneMarks(tonal, regions)

    def process(
        self,
        frames: Frames,
        marks: ToneMarks,
        history: npt.NDArray[np.int16],
        history_end: int,
        listening: Flags,
        speaking: Flags,
    ) -> list[ToneChange]:
        """Changes in this block. ``listening``: bool (channels,), others are ignored; ``speaking``: bool
        (channels,), voice is active, which ends ringback. ``history``: int16 (channels, n), the samples up to
        ``history_end`` (in samples since frame 0 began), 0.4 s before the block at least.
        """
        changes = self._drop(frames.first_frame, listening)
        joined = np.concatenate((self._last, marks.regions), axis=1)
        now, before, earlier = joined[:, 2:], joined[:, 1:-1], joined[:, :-2]
        lasting: Flags = (now >= 0) & np.equal(now, before) & np.equal(now, earlier)
        lively: Flags = np.any(lasting, axis=1) & listening
        quiet: Flags = np.all(marks.regions < 0, axis=1)
        for port in sorted({*lively.nonzero()[0].tolist(), *self._lines}):
            line = self._lines.get(port)
            if line is not None:
                line.spoken = line.spoken and bool(speaking[port])
                at = self._countries[port], frames.first_frame, frames.count
                if quiet[port] and line.rests(*at, speaking=bool(speaking[port])):
                    continue
            if line is None:
                line = self._lines[port] = Line(*self._last[port].tolist())
            offset = history.shape[1] - history_end
            follower = Follower(port, line, self._countries[port], frames, history[port], offset)
            changes.extend(follower.follow(marks.regions[port].tolist(), bool(speaking[port]), bool(self._spoke[port])))
            if line.idle:
                del self._lines[port]
        self._last = np.where(listening[:, None], joined[:, -2:], np.int8(-1))
        self._spoke = speaking.copy()
        return changes

    @property
    def sounding(self) -> list[int]:
        """Ports on which a tone has been told and has not ended."""
        return [port for port, line in self._lines.items() if line.told is not None]

    def doubt(self, port: int) -> None:
        """A digit was dialled: what was heard before it was no cadence, unless it has been told."""
        if port in self._lines and self._lines[port].told is None:
            self.reset(port)

    def _drop(self, frame: int, listening: Flags) -> list[ToneChange]:
        """Forget the ports that are not listened to any more; a tone that was told has ended there."""
        deaf = [port for port in self._lines if not listening[port]]
        changes = [ToneChange(port, frame * HOP_SAMPLES, None) for port in deaf if self._lines[port].told is not None]
        for port in deaf:
            self.reset(port)
        return changes

    def reset(self, port: int) -> None:
        """Forget one port."""
        self._last[port] = -1
        self._lines.pop(port, None)
