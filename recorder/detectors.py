"""The bank of in-band detectors of one line card: caller ID, DTMF, call progress tones, voice, level.

All channels go through the same arrays; only a channel that carries a candidate is looked at on its own.
Every time-out counts samples, so that a file read at full speed gives the same signals as the live line.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from drivers.api import EventKind, LineEvent
from recorder.dsp.caller_id import WAITING_FORMAT
from recorder.dsp.cas import CasBank
from recorder.dsp.dtmf import DtmfBank, DtmfTone
from recorder.dsp.filters import SAMPLE_RATE_HZ
from recorder.dsp.levels import rms_dbm0
from recorder.dsp.listener import CallerIdListener, HeardCallerId
from recorder.dsp.spectrum import HOP_SAMPLES, SpectrumBank
from recorder.dsp.tone_profiles import DEFAULT_COUNTRY
from recorder.dsp.tones import ToneBank
from recorder.dsp.voice import LEVEL_DBM0, VoiceBank
from recorder.signals import Signal, ToneHeard, VoiceActivity

_HISTORY_SAMPLES = 4000  # 0.5 s: the longest DTMF run and its look back, and the caller-ID pre-roll

_ROOM_SAMPLES = 16000  # so that the history is moved seldom


class DetectorBank:
    """Hears what the exchange and people say on ``channels`` lines.

    Thread: one.
    """

    def __init__(self, channels: int, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        if sample_rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"sample_rate_hz is {sample_rate_hz}; the detectors work at {SAMPLE_RATE_HZ} Hz only")
        self.channels = channels
        self._block: npt.NDArray[np.int16] = np.zeros((channels, 0), dtype=np.int16)
        self._countries = [DEFAULT_COUNTRY] * channels
        self._voice_levels = np.full(channels, LEVEL_DBM0, dtype=np.float32)
        self._start()

    def _start(self) -> None:
        """Begin anew at a gap in the samples."""
        self._origin: int | None = None
        self._length = 0
        self._past = np.zeros((self.channels, _ROOM_SAMPLES), dtype=np.int16)
        self._past_end = _HISTORY_SAMPLES
        self._hook: npt.NDArray[np.bool_] | None = None
        self._spectra = SpectrumBank(self.channels)
        self._dtmf = DtmfBank(self.channels)
        self._listener = CallerIdListener(self.channels)
        self._cas = CasBank(self.channels)
        self._tones = ToneBank(self._countries)
        self._voice = VoiceBank(self.channels)
        self._voice.set_levels(self._voice_levels)
        self._told: dict[int, int] = {}

    def choose_tones(self, port: int, country: str) -> None:
        """Take the call progress tones of a country on a port from now on; KeyError for one that is not known."""
        if country != self._countries[port]:
            self._tones.choose(port, country)
            self._countries[port] = country

    def tone_country(self, port: int) -> str:
        """Whose call progress tones are told on a port."""
        return self._countries[port]

    def hear_voice_from(self, port: int, level_dbm0: float) -> None:
        """Speech on a port counts from this level on, from now on."""
        if level_dbm0 != self._voice_levels[port]:
            self._voice_levels[port] = level_dbm0
            self._voice.set_levels(self._voice_levels)

    @property
    def levels_dbm0(self) -> npt.NDArray[np.float32]:
        """RMS of the last block, float32 (channels,), A-law reference (full-scale sine +3.14 dBm0)."""
        return rms_dbm0(self._block)

    @property
    def voice_active(self) -> npt.NDArray[np.bool_]:
        """Whether there is speech at the end of the last block, bool (channels,)."""
        return self._voice.active

    def process(
        self,
        block: npt.NDArray[np.int16],
        first_sample: int,
        on_hook: npt.NDArray[np.bool_],
        hears_voice: npt.NDArray[np.bool_] | None = None,
    ) -> list[Signal]:
        """Signals that became certain with this block, sorted by ``at_sample``.

        ``block``: int16 (channels, n), n a multiple of 80 samples. ``first_sample``: position of column 0 on
        the card's clock; after a gap all detectors begin anew. ``on_hook``: bool (channels,).
        ``hears_voice``: bool (channels,), lines whose speech counts on-hook too; None: no line.
        Raises ValueError for a block of the wrong shape.
        """
        if block.ndim != 2 or block.shape[0] != self.channels or block.shape[1] % HOP_SAMPLES:
            raise ValueError(f"block of shape {block.shape}; expected ({self.channels}, a multiple of {HOP_SAMPLES})")
        if not block.shape[1]:
            return []
        signals: list[Signal] = []
        if self._origin is None or first_sample != self._origin + self._length:
            signals = self._endings()
            self._start()
            self._origin = first_sample
        self._block = block
        if self._hook is not None:
            for port in (self._hook != on_hook).nonzero()[0]:
                self._dtmf.reset(int(port))
        self._hook = on_hook.copy()
        signals.extend(self._signals(block, on_hook, hears_voice))
        return sorted(signals, key=lambda signal: signal.at_sample)

    def _endings(self) -> list[Signal]:
        """What was going on when the samples broke off ends there."""
        at_sample = (self._origin or 0) + self._length
        voices = [VoiceActivity(int(port), at_sample, False) for port in self._voice.active.nonzero()[0]]
        return [*voices, *(ToneHeard(port, at_sample, None) for port in self._tones.sounding)]

    def _signals(
        self,
        block: npt.NDArray[np.int16],
        on_hook: npt.NDArray[np.bool_],
        hears_voice: npt.NDArray[np.bool_] | None,
    ) -> list[Signal]:
        history = self._remember(block)
        frames = self._spectra.process(block)
        off_hook = ~on_hook
        listening = off_hook if hears_voice is None else off_hook | hears_voice
        pairs = self._dtmf.candidates(frames)
        digits = self._dtmf.process(frames, pairs, history, self._length)
        alerts = self._cas.process(frames, history, self._length, off_hook)
        callers = self._listener.process(frames, digits, history, self._length, on_hook, alerts)
        for port, _ in digits:
            self._tones.doubt(port)
        marks = self._tones.marks(frames, listening, history, self._length)
        voices = self._voice.process(frames, pairs | marks.tonal, listening)
        tones = self._tones.process(frames, marks, history, self._length, off_hook, self._voice.active)
        origin = self._origin or 0
        signals: list[Signal] = [self._caller_event(heard) for heard in callers if _is_call(heard)]
        signals.extend(self._digit_events(digits, off_hook))
        signals.extend(ToneHeard(change.port, origin + change.at_sample, change.tone) for change in tones)
        signals.extend(VoiceActivity(change.port, origin + change.at_sample, change.active) for change in voices)
        return signals

    def _remember(self, block: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """The samples up to the end of ``block``, at least ``_HISTORY_SAMPLES`` before it."""
        new = block.shape[1]
        if self._past_end + new > self._past.shape[1]:
            kept = self._past[:, self._past_end - _HISTORY_SAMPLES : self._past_end]
            self._past = np.zeros((self.channels, max(_ROOM_SAMPLES, _HISTORY_SAMPLES + new)), dtype=np.int16)
            self._past[:, :_HISTORY_SAMPLES] = kept
            self._past_end = _HISTORY_SAMPLES
        self._past[:, self._past_end : self._past_end + new] = block
        self._past_end += new
        self._length += new
        return self._past[:, : self._past_end]

    def _caller_event(self, heard: HeardCallerId) -> LineEvent:
        value = msgspec.json.encode(heard.message).decode("utf-8")
        at_sample = (self._origin or 0) + heard.end_sample
        return LineEvent(EventKind.CALLER_ID, heard.port, at_sample, value, "in_band")

    def _digit_events(self, digits: list[tuple[int, DtmfTone]], off_hook: npt.NDArray[np.bool_]) -> list[LineEvent]:
        """One event for each digit that has not been told yet; a digit that only grew longer is not news."""
        events: list[LineEvent] = []
        for port, tone in digits:
            if off_hook[port] and self._told.get(port) != tone.start_sample:
                self._told[port] = tone.start_sample
                at_sample = (self._origin or 0) + tone.start_sample
                events.append(LineEvent(EventKind.DIGITS, port, at_sample, tone.symbol, "in_band"))
        return events

    def reset(self, port: int) -> None:
        """Forget all that was heard on one port."""
        self._past[port] = 0
        self._told.pop(port, None)
        for part in (self._spectra, self._dtmf, self._listener, self._cas, self._tones, self._voice):
            part.reset(port)


def _is_call(heard: HeardCallerId) -> bool:
    """A message-waiting lamp is no call."""
    return heard.message.format != WAITING_FORMAT
