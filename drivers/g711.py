"""G.711 A-law and µ-law as lookup tables.

Source: ITU-T G.711 (11/88), tables 1a/1b (A-law) and 2a/2b (µ-law). Linear PCM here is 16 bit: the 13-bit
A-law values are scaled by 8, the 14-bit µ-law values by 4, so both laws use the upper bits of an int16.
A full-scale sine is +3.14 dBm0 (A-law) or +3.17 dBm0 (µ-law).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drivers.api import Pcm

Codes = npt.NDArray[np.uint8]

_ALAW_EVEN_BITS = 0x55  # G.711 clause 3.2 note: even bits are inverted on the line
_ULAW_BIAS = 33  # µ-law decision values in 14-bit units start at an offset of 33


def _decode_alaw_table() -> Pcm:
    codes = np.arange(256, dtype=np.int32) ^ _ALAW_EVEN_BITS
    segment, step = (codes >> 4) & 7, codes & 15
    magnitude = np.where(segment == 0, step * 16 + 8, (step * 16 + 264) << np.maximum(segment - 1, 0))
    return np.where(codes & 0x80, magnitude, -magnitude).astype(np.int16)


def _decode_ulaw_table() -> Pcm:
    codes = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = (codes >> 4) & 7, codes & 15
    magnitude = (((2 * step + _ULAW_BIAS) << segment) - _ULAW_BIAS) * 4
    return np.where(codes & 0x80, -magnitude, magnitude).astype(np.int16)


def _encode_alaw_table() -> Codes:
    linear = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(linear < 0, ~linear, linear) >> 4
    exponent = np.frexp(np.maximum(magnitude, 1).astype(np.float64))[1] - 1
    segment = np.maximum(exponent - 3, 0)
    step = np.where(segment > 0, (magnitude >> np.maximum(segment - 1, 0)) & 15, magnitude)
    codes = (segment << 4) | step | np.where(linear < 0, 0, 0x80)
    return np.asarray(codes ^ _ALAW_EVEN_BITS, np.uint8)


def _encode_ulaw_table() -> Codes:
    linear = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum((np.where(linear < 0, ~linear, linear) >> 2) + _ULAW_BIAS, 0x1FFF)
    segment = np.frexp(magnitude.astype(np.float64))[1] - 6
    step = (magnitude >> (segment + 1)) & 15
    codes = (segment << 4) | step | np.where(linear < 0, 0x80, 0)
    return np.asarray(~codes & 0xFF, np.uint8)


_ALAW_TO_LINEAR = _decode_alaw_table()
_ULAW_TO_LINEAR = _decode_ulaw_table()
_LINEAR_TO_ALAW = _encode_alaw_table()
_LINEAR_TO_ULAW = _encode_ulaw_table()


def encode_alaw(linear: Pcm) -> Codes:
    """A-law codes (uint8) of 16-bit linear PCM (C-contiguous), same shape."""
    codes: Codes = _LINEAR_TO_ALAW.take(linear.view(np.uint16))
    return codes


def encode_ulaw(linear: Pcm) -> Codes:
    """µ-law codes (uint8) of 16-bit linear PCM (C-contiguous), same shape."""
    codes: Codes = _LINEAR_TO_ULAW.take(linear.view(np.uint16))
    return codes


def decode_alaw(codes: Codes) -> Pcm:
    """16-bit linear PCM of A-law codes (uint8), same shape."""
    return _ALAW_TO_LINEAR.take(codes)


def decode_ulaw(codes: Codes) -> Pcm:
    """16-bit linear PCM of µ-law codes (uint8), same shape."""
    return _ULAW_TO_LINEAR.take(codes)
