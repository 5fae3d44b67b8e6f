"""Caller ID as a Chinese exchange sends it: FSK (Bell 202, MDMF) or DTMF."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from drivers.exchange.calls import Absence
from drivers.exchange.tones import SAMPLE_RATE_HZ, Wave, amplitude, dtmf, gain

# Bell 202 as used on-hook: Telcordia GR-30-CORE, section 2 (also YDN 069-1997).
BAUD = 1200
MARK_HZ = 1200
SPACE_HZ = 2200
SEIZURE_BITS = 300
MARK_BITS = 180
_TRAILING_MARK_BITS = 10
_SPACE_LOSS_DB = 1.0  # a loaded pair passes 2200 Hz less well than 1200 Hz

_TICKS_PER_S = 24_000  # divided by 8000 samples and by 1200 bits without remainder
_TICKS_PER_SAMPLE = _TICKS_PER_S // SAMPLE_RATE_HZ
_TICKS_PER_BIT = _TICKS_PER_S // BAUD

# Multiple data message format: Telcordia GR-31-CORE (calling number, calling name delivery).
MDMF_CALL_SETUP = 0x80
_DATE_TIME, _NUMBER, _NO_NUMBER, _NAME = 0x01, 0x02, 0x04, 0x07
_ABSENCE_CODE: dict[Absence, bytes] = {"withheld": b"P", "unavailable": b"O"}

DTMF_TONE_MS = 70
DTMF_PAUSE_MS = 70
DTMF_START, DTMF_END = "D", "C"


def mdmf_message(number: str | None, name: str | None, absence: Absence | None, at: datetime) -> bytes:
    """The message with type, length and checksum; names are sent in GBK. Either number or absence is given."""
    fields = [(_DATE_TIME, at.strftime("%m%d%H%M").encode("ascii"))]
    if number is not None:
        fields.append((_NUMBER, number.encode("ascii")))
    if absence is not None:
        fields.append((_NO_NUMBER, _ABSENCE_CODE[absence]))
    if name is not None:
        fields.append((_NAME, name.encode("gbk")))
    body = b"".join(bytes((kind, len(value))) + value for kind, value in fields)
    message = bytes((MDMF_CALL_SETUP, len(body))) + body
    return message + bytes((-sum(message) & 0xFF,))


def fsk_wave(message: bytes, level_dbm0: float) -> Wave:
    """The message as phase-continuous FSK with channel seizure and mark, float32 at 8 kHz."""
    seizure = np.arange(SEIZURE_BITS, dtype=np.int64) % 2
    data = np.unpackbits(np.frombuffer(message, np.uint8)[:, None], axis=1, bitorder="little")
    start, stop = np.zeros((len(message), 1), np.int64), np.ones((len(message), 1), np.int64)
    frames = np.hstack([start, data, stop]).ravel()
    ones = np.ones(MARK_BITS, np.int64), np.ones(_TRAILING_MARK_BITS, np.int64)
    bits = np.concatenate([seizure, ones[0], frames, ones[1]])
    hz = np.where(bits == 1, MARK_HZ, SPACE_HZ)
    peak = np.where(bits == 1, amplitude(level_dbm0), amplitude(level_dbm0) * gain(-_SPACE_LOSS_DB))
    # In integers, so exact: the phase in 1/24000 cycle at each sample, with bit edges that fall between samples.
    ticks = np.arange(len(bits) * SAMPLE_RATE_HZ // BAUD, dtype=np.int64) * _TICKS_PER_SAMPLE
    bit, within = np.divmod(ticks, _TICKS_PER_BIT)
    phase = ((np.cumsum(hz) - hz)[bit] * _TICKS_PER_BIT + hz[bit] * within) % _TICKS_PER_S
    wave: Wave = (peak[bit] * np.sin(phase * (2.0 * np.pi / _TICKS_PER_S))).astype(np.float32)
    return wave


def dtmf_wave(number: str, low_dbm0: float) -> Wave:
    """The number between D and C, 70 ms tones and pauses, the last pause included."""
    return dtmf(DTMF_START + number + DTMF_END, DTMF_TONE_MS, DTMF_PAUSE_MS, low_dbm0)
