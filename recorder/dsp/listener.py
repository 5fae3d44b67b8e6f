"""Hears caller ID on lines that are on hook: decides when to decode FSK, and joins DTMF digits to messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recorder.dsp import caller_id
from recorder.dsp.dtmf import DtmfTone
from recorder.dsp.fsk import BIT_SAMPLES, FskBurst, FskFrame
from recorder.dsp.levels import mean_square
from recorder.dsp.ranks import median
from recorder.dsp.spectrum import HOP_SAMPLES, Frames
from recorder.signals import CallerId

Samples16 = npt.NDArray[np.int16]

PREROLL_SAMPLES = 1600  # the carrier gate needs up to 100 ms to open; the mark signal may be short

_MIN_LEVEL_DBM0 = -52.0  # below what must be received (TIA-777: -36.2 dBm; BT SIN 242: -37.8 dBm) plus twist
_GATE_OPEN, _GATE_CLOSE = 0.68, 0.60  # share of 950–2450 Hz; white noise has 0.56
_GATE_PACE = 0.3
_HOLD_FRAMES = 10  # the carrier may vanish for 100 ms in noise before it counts as ended
_FIRST_LOOK_SAMPLES = 1600
_NEXT_LOOK_SAMPLES = 1600  # a header is seen so much later; its message takes longer
_NEXT_LOOK_AT_HEADER_SAMPLES = 400  # the shortest message is over 70 ms after its mark signal
_HEADER_SAMPLES = 400  # after a mark signal until a header can be read
_LONGEST_SAMPLES = 64000  # 8 s: longer than 255 bytes with ten bits of fill each

_AFTER_ALERT_SAMPLES = 32000  # the answer to it, up to 0.5 s of pause, and a long message
_STRING_GAP_SAMPLES = 6400  # 0.8 s without a digit ends a DTMF string
_SURE_PURITY_DB = 13.0  # well over what a digit needs, so that its neighbours cannot have failed in noise
_RECENT_FRAMES = 64  # of power, as far back as the longest digit and the gap before it
_GAP_FRAMES = 24  # before a digit that are searched for something loud
_LOUD_SHARE = 0.2  # of the power of the digit
_LOUD_FRAMES = 3  # a click is shorter
_PLAIN_WAIT_SAMPLES = 1280  # 0.16 s of nothing after a # before plain digits are a message


@dataclass(frozen=True, slots=True)
class HeardCallerId:
    """A message on a port, from ``start_sample`` up to ``end_sample``, in samples since the first frame."""

    port: int
    start_sample: int
    end_sample: int
    message: CallerId


@dataclass(slots=True)
class _Carrier:
    """A burst of FSK carrier that is being received on a port."""

    start_sample: int
    parts: list[Samples16]
    next_look: int
    heard_one: bool = False

    def joined(self) -> Samples16:
        if len(self.parts) > 1:
            self.parts = [np.concatenate(self.parts)]
        return self.parts[0]

    def cut_before(self, sample: int) -> None:
        """Drop what lies before ``sample``."""
        self.parts = [self.joined()[max(0, sample - self.start_sample) :]]
        self.start_sample = max(self.start_sample, sample)


@dataclass(slots=True)
class _DigitString:
    """DTMF digits of one port that may become a message."""

    tones: list[DtmfTone] = field(default_factory=list)
    unsure: list[bool] = field(default_factory=list)  # something loud that was no digit came before this one

    @property
    def digits(self) -> str:
        return "".join(tone.symbol for tone in self.tones)

    def add(self, tone: DtmfTone, unsure: bool) -> None:
        if self.tones and self.tones[-1].start_sample == tone.start_sample:
            self.tones[-1] = tone
        else:
            self.tones.append(tone)
            self.unsure.append(unsure)

    def after(self, first: int) -> _DigitString:
        """The string from digit ``first`` on."""
        return _DigitString(self.tones[first:], self.unsure[first:])

    def lost_digit(self) -> bool:
        """True if a digit may be missing; DTMF has no checksum that would tell.

        That is so when something loud lies between the digits (or before the first one, if that is no start
        code), when digits are so noisy that others may have failed, or when an otherwise even row has a hole:
        a machine sends at one pace.
        """
        if any(self.unsure[1:]) or (self.unsure[0] and self.tones[0].symbol not in "ABD"):
            return True
        if any(tone.purity_db < _SURE_PURITY_DB for tone in self.tones):
            return True
        starts = np.array([tone.start_sample for tone in self.tones], dtype=np.float64)
        periods = np.diff(starts)
        if len(periods) < 2:
            return False
        pace = float(median(periods))
        ratios = periods / pace
        even = np.abs(ratios - 1.0) < 0.12
        skipped = (ratios > 1.6) & (np.abs(ratios - np.round(ratios)) < 0.15)
        return bool(np.any(skipped)) and int(np.sum(even)) * 2 >= len(periods)

    @property
    def quality(self) -> float:
        """0 … 1 from the least pure digit."""
        worst = min((tone.purity_db for tone in self.tones), default=0.0)
        return round(float(np.clip((worst - 6.0) / 24.0, 0.05, 1.0)), 3)


class CallerIdListener:
    """Caller ID on all channels whose ``listening`` flag is set. Thread: one."""

    def __init__(self, channels: int) -> None:
        self._share = np.zeros(channels, dtype=np.float32)
        self._quiet = np.zeros(channels, dtype=np.int64)  # frames without carrier, of an open gate
        self._open = np.zeros(channels, dtype=np.bool_)
        self._alerted_to = np.zeros(channels, dtype=np.int64)
        self._carriers: dict[int, _Carrier] = {}
        self._strings: dict[int, _DigitString] = {}
        self._recent = np.zeros((channels, _RECENT_FRAMES), dtype=np.float32)
        self._threshold = np.float32(mean_square(_MIN_LEVEL_DBM0))

    def process(
        self,
        frames: Frames,
        tones: list[tuple[int, DtmfTone]],
        history: Samples16,
        history_end: int,
        listening: npt.NDArray[np.bool_],
        alerts: Sequence[tuple[int, int]] = (),
    ) -> list[HeardCallerId]:
        """Messages that became certain in this block.

        ``history``: int16 (channels, n) up to sample ``history_end``, at least block and pre-roll long.
        ``tones``: DTMF digits of the block. ``listening``: bool (channels,); the others are listened to for FSK only,
        and for as long as a message may follow one of ``alerts``: port and end, in samples as ``history_end``.
        """
        heard: list[HeardCallerId] = []
        new = frames.count * HOP_SAMPLES
        for port, end in alerts:
            self._alerted_to[port] = end + _AFTER_ALERT_SAMPLES
        was_open = self._open.copy()
        opened = self._gate(frames, listening | (self._alerted_to > history_end))
        for row in (was_open | opened).nonzero()[0]:
            heard.extend(self._follow_carrier(int(row), new, history, history_end))
        self._recent = np.concatenate((self._recent[:, -_RECENT_FRAMES:], frames.above), axis=1)
        for port, tone in tones:
            if listening[port]:
                heard.extend(self._take_digit(port, tone, frames.first_frame + frames.count))
        heard.extend(self._end_strings(history_end, listening))
        return heard

    def reset(self, port: int) -> None:
        """Forget everything about one port."""
        self._share[port] = 0.0
        self._recent[port] = 0.0
        self._quiet[port] = 0
        self._open[port] = False
        self._alerted_to[port] = 0
        self._carriers.pop(port, None)
        self._strings.pop(port, None)

    def _gate(self, frames: Frames, listening: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Follow the carrier gates through the block; channels whose gate was open at some time in it."""
        share = np.where(frames.fsk > self._threshold, frames.fsk / (frames.above + 1.0), np.float32(0.0))
        fading, weights = _smoothing(frames.count)
        smooth = np.asarray(self._share[:, None] * fading + share @ weights, dtype=np.float32)
        self._share = smooth[:, -1].copy()
        self._open &= listening
        was_open = np.zeros(len(listening), dtype=np.bool_)
        for row in (self._open | (listening & (smooth > _GATE_OPEN).any(axis=1))).nonzero()[0]:
            was_open[row] = self._follow_gate(int(row), smooth[row])
        return was_open

    def _follow_gate(self, row: int, shares: npt.NDArray[np.float32]) -> bool:
        """One gate that is open or opens in these frames; whether it was open in one of them."""
        is_open, quiet, was_open = bool(self._open[row]), int(self._quiet[row]), False
        for share in shares.tolist():
            quiet = quiet + 1 if share < _GATE_CLOSE else 0
            is_open = share > _GATE_OPEN or (is_open and quiet < _HOLD_FRAMES)
            was_open = was_open or is_open
        self._open[row], self._quiet[row] = is_open, quiet
        return was_open

    def _follow_carrier(self, port: int, new: int, history: Samples16, history_end: int) -> list[HeardCallerId]:
        carrier = self._carriers.get(port)
        if carrier is None:
            take = min(new + PREROLL_SAMPLES, history.shape[1], history_end)
            start = history_end - take
            carrier = _Carrier(start, [history[port, history.shape[1] - take :].copy()], start + _FIRST_LOOK_SAMPLES)
            self._carriers[port] = carrier
        else:
            carrier.parts.append(history[port, history.shape[1] - new :].copy())
        ended = not self._open[port]
        if ended:
            del self._carriers[port]
        elif history_end < carrier.next_look:
            return []
        return self._look(port, carrier, history_end, ended)

    def _look(self, port: int, carrier: _Carrier, now: int, ended: bool) -> list[HeardCallerId]:
        """Decode the burst as far as it has come; damaged messages are told when the carrier has ended."""
        heard: list[HeardCallerId] = []
        damaged: list[tuple[FskFrame, CallerId]] = []
        ends: list[int] = []
        base = carrier.start_sample
        # What follows a good message has a mark signal of its own, and digits are none at all.
        anywhere = not carrier.heard_one and port not in self._strings
        burst = FskBurst(carrier.joined().astype(np.float32))
        for frame in burst.frames(ended=ended, anywhere=anywhere):
            message = caller_id.parse_fsk(
                frame.data,
                checked=frame.checksum_ok,
                signalling=frame.standard.name,
                quality=round(frame.quality, 3),
            )
            if message.valid:
                heard.append(HeardCallerId(port, base + frame.start_sample, base + frame.end_sample, message))
                carrier.heard_one = True
                carrier.cut_before(base + frame.end_sample)
            else:
                if frame.plausible:
                    damaged.append((frame, message))
                if frame.unfinished:
                    ends.append(base + _expected_end(frame))
        begins = burst.mark_end is not None and base + burst.mark_end > now - _HEADER_SAMPLES
        later = _NEXT_LOOK_AT_HEADER_SAMPLES if begins else _NEXT_LOOK_SAMPLES
        carrier.next_look = max(min(ends, default=now + later), now + HOP_SAMPLES)
        if ended and not carrier.heard_one and damaged:
            frame, message = max(damaged, key=lambda each: len(each[0].data))
            heard.append(HeardCallerId(port, base + frame.start_sample, base + frame.end_sample, message))
        if now - carrier.start_sample > _LONGEST_SAMPLES:
            carrier.cut_before(now - _LONGEST_SAMPLES // 2)
        return heard

    def _loud_before(self, port: int, tone: DtmfTone, since_sample: int, end_frame: int) -> bool:
        """True if something loud lies before a digit, back to ``since_sample``; ``end_frame`` ends the block."""
        oldest = end_frame - self._recent.shape[1]
        # Frame k holds the samples from 80 (k - 1) to 80 (k + 1).
        stop = tone.start_sample // HOP_SAMPLES - 1
        start = max(since_sample // HOP_SAMPLES + 3, stop - _GAP_FRAMES, oldest)
        last = tone.end_sample // HOP_SAMPLES
        power = self._recent[port]
        digit = float(np.max(power[max(0, stop + 2 - oldest) : max(1, last - oldest)], initial=0.0))
        gap = power[start - oldest : max(start, stop) - oldest]
        return int(np.sum(gap > _LOUD_SHARE * digit)) >= _LOUD_FRAMES

    def _take_digit(self, port: int, tone: DtmfTone, end_frame: int) -> list[HeardCallerId]:
        string = self._strings.setdefault(port, _DigitString())
        since = string.tones[-1].end_sample if string.tones else 0
        string.add(tone, self._loud_before(port, tone, since, end_frame))
        digits = string.digits
        if tone.symbol == "C" or (tone.symbol == "#" and any(code in digits for code in "AD")):
            del self._strings[port]
            return _read_string(port, string)
        return []

    def _end_strings(self, now: int, listening: npt.NDArray[np.bool_]) -> list[HeardCallerId]:
        """Strings that are over because nothing came for a while, or the line went off hook."""
        heard: list[HeardCallerId] = []
        for port, string in list(self._strings.items()):
            wait = _PLAIN_WAIT_SAMPLES if string.digits.endswith("#") else _STRING_GAP_SAMPLES
            if not listening[port]:
                del self._strings[port]
            elif now - string.tones[-1].end_sample > wait:
                del self._strings[port]
                heard.extend(_read_string(port, string))
        return heard


@lru_cache(maxsize=16)
def _smoothing(frames: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What is left after each frame of the share before all of them (frames,), and of each share (frames, frames)."""
    left = (1.0 - _GATE_PACE) ** np.arange(frames + 1)
    age = np.arange(frames)[None, :] - np.arange(frames)[:, None]
    weights = np.where(age >= 0, _GATE_PACE * left[np.maximum(age, 0)], 0.0)
    return left[1:].astype(np.float32), weights.astype(np.float32)


def _expected_end(frame: FskFrame) -> int:
    """Sample where a frame ends at the earliest, plus the delay of the receiver's filters."""
    missing = (frame.expected_bytes or 0) - len(frame.data)
    return frame.end_sample + int(max(0, missing) * 10 * BIT_SAMPLES) + 40


def _read_string(port: int, string: _DigitString) -> list[HeardCallerId]:
    """The message in a finished digit string, if it has the form of one; damaged if a digit was lost."""
    digits = string.digits
    starts = [0] + [index for index, symbol in enumerate(digits) if symbol in "ABD" and index]
    for start in starts:
        part = string.after(start)
        message = caller_id.parse_dtmf(part.digits, part.quality)
        if message is not None:
            if part.lost_digit():
                message = _damaged_string(message.format, part)
            return [HeardCallerId(port, part.tones[0].start_sample, part.tones[-1].end_sample, message)]
    if digits[0] in "AD" and len(digits) >= 4:
        message = _damaged_string(f"dtmf-{digits[0].lower()}", string)
        return [HeardCallerId(port, string.tones[0].start_sample, string.tones[-1].end_sample, message)]
    return []


def _damaged_string(form: str, string: _DigitString) -> CallerId:
    return CallerId(signalling="dtmf", format=form, valid=False, quality=string.quality, partial=string.digits)
