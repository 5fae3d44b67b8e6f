"""The detectors of a card by port, whether a port is heard as one track or as two.

A port with two tracks hears near (the subscriber) and far apart. Each track has detectors of its own, and what they
say is folded: caller ID and call progress come from far, dialled digits and codes from near, so that nobody at the
other end can pause a recording. Fax and modem tones come from either side. Speech from far is an answer; where speech
begins calls, either side counts. The level is that of the louder side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drivers.api import EventKind, LineEvent, Pcm
from recorder.detectors import DetectorBank
from recorder.dsp.ring import RingBank
from recorder.signals import Signal, Tone, ToneHeard, VoiceActivity

Flags = npt.NDArray[np.bool_]
NEAR, FAR = 0, 1
_EITHER_SIDE = frozenset({Tone.FAX_CALLING, Tone.FAX_ANSWER, Tone.MODEM_ANSWER})


class PortBank:
    """Hears ``ports`` ports of one or two tracks each. Thread: one."""

    def __init__(self, ports: int, tracks: int, sample_rate_hz: int, *, ring_sense: bool = True) -> None:
        """``ring_sense``: the card tells of ringing; else it is heard. Raises ValueError when there are not as many
        tracks for every port.
        """
        if ports and tracks not in (ports, 2 * ports):
            raise ValueError(f"{tracks} tracks for {ports} ports")
        self._sides = tracks // max(1, ports)
        self._bank = DetectorBank(tracks, sample_rate_hz)
        self._ring = None if ring_sense else RingBank(ports)
        self._speaking: Flags = np.zeros((ports, self._sides), np.bool_)
        self._told: Flags = np.zeros(ports, np.bool_)
        self._sounding: dict[int, int] = {}  # side whose tone was told last and has not ended, by port

    def choose_tones(self, port: int, country: str) -> None:
        """Take the call progress tones of a country on a port from now on; KeyError for one that is not known."""
        if country != self._bank.tone_country(self._sides * port):
            self._sounding.pop(port, None)
        for side in range(self._sides):
            self._bank.choose_tones(self._sides * port + side, country)

    def hear_voice_from(self, port: int, level_dbm0: float) -> None:
        """Speech on a port counts from this level on, from now on."""
        for side in range(self._sides):
            self._bank.hear_voice_from(self._sides * port + side, level_dbm0)

    @property
    def levels_dbm0(self) -> npt.NDArray[np.float32]:
        """RMS level of each port in the last block, float32 (ports,)."""
        levels: npt.NDArray[np.float32] = self._bank.levels_dbm0.reshape(-1, self._sides).max(axis=1)
        return levels

    @property
    def voice_active(self) -> Flags:
        """Whether there is speech on a port at the end of the last block, bool (ports,)."""
        return self._bank.voice_active if self._sides == 1 else self._told

    def process(self, samples: Pcm, first_sample: int, on_hook: Flags, hears_voice: Flags) -> list[Signal]:
        """Signals that became certain with this block, by port, sorted by ``at_sample``.

        ``samples``: int16 (tracks, n), see ``DetectorBank.process``. ``on_hook``, ``hears_voice``: bool (ports,).
        """
        rings: list[Signal] = []
        if self._ring is not None:
            rings.extend(self._ring.process(samples[self._sides - 1 :: self._sides], first_sample, on_hook))
        heard = self._heard(samples, first_sample, on_hook, hears_voice)
        return sorted([*heard, *rings], key=lambda signal: signal.at_sample) if rings else heard

    def _heard(self, samples: Pcm, first_sample: int, on_hook: Flags, hears_voice: Flags) -> list[Signal]:
        if self._sides == 1:
            return self._bank.process(samples, first_sample, on_hook, hears_voice)
        rows = self._bank.process(samples, first_sample, on_hook.repeat(self._sides), hears_voice.repeat(self._sides))
        return [folded for signal in rows if (folded := self._fold(signal, hears_voice)) is not None]

    def _fold(self, signal: Signal, hears_voice: Flags) -> Signal | None:
        port, side = divmod(signal.port, self._sides)
        if isinstance(signal, VoiceActivity):
            return self._fold_voice(port, side, signal, bool(hears_voice[port]))
        if isinstance(signal, ToneHeard):
            return self._fold_tone(port, side, signal)
        if side != (NEAR if signal.kind is EventKind.DIGITS else FAR):
            return None
        return LineEvent(signal.kind, port, signal.at_sample, signal.value, signal.source)

    def _fold_tone(self, port: int, side: int, heard: ToneHeard) -> ToneHeard | None:
        """A tone from near counts only while there is none from far."""
        other = self._sounding.get(port, side) != side
        if side == NEAR and (other or heard.tone not in {*_EITHER_SIDE, None}):
            return None
        if heard.tone is not None:
            self._sounding[port] = side
        elif self._sounding.pop(port, None) is None or other:
            return None
        return ToneHeard(port, heard.at_sample, heard.tone)

    def _fold_voice(self, port: int, side: int, voice: VoiceActivity, either: bool) -> VoiceActivity | None:
        self._speaking[port, side] = voice.active
        active = bool(self._speaking[port].any() if either else self._speaking[port, FAR])
        if active == self._told[port]:
            return None
        self._told[port] = active
        return VoiceActivity(port, voice.at_sample, active)
