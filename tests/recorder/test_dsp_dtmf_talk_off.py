"""Speech that is no digit: spoken prompts as they are, faster and slower, against libspandsp's receiver."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from bank_runner import prompts
from dtmf_runner import symbols_of
from line_signals import RATE_HZ, dtmf, pcm, silence

_ROWS = 16
_Pcm = npt.NDArray[np.int16]
_library = ctypes.CDLL("libspandsp.so.2")
_library.dtmf_rx_init.restype = ctypes.c_void_p
_library.dtmf_rx_init.argtypes = [ctypes.c_void_p] * 3
_library.dtmf_rx.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
_library.dtmf_rx_get.restype = ctypes.c_size_t
_library.dtmf_rx_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
_library.dtmf_rx_free.argtypes = [ctypes.c_void_p]


def heard_by_spandsp(audio: _Pcm) -> str:
    receiver, found = _library.dtmf_rx_init(None, None, None), ""
    try:
        for start in range(0, len(audio), 800):
            part = np.ascontiguousarray(audio[start : start + 800])
            _library.dtmf_rx(receiver, part.ctypes.data, len(part))
            digits = ctypes.create_string_buffer(129)
            _library.dtmf_rx_get(receiver, digits, 128)
            found += digits.value.decode()
    finally:
        _library.dtmf_rx_free(receiver)
    return found


def heard(audio: _Pcm) -> str:
    return "".join(symbols_of(audio[: len(audio) // _ROWS * _ROWS].reshape(_ROWS, -1)))


def at_speed(audio: _Pcm, speed: float) -> _Pcm:
    stretched = soxr.resample(audio.astype(np.float32), RATE_HZ * speed, RATE_HZ)
    return np.clip(np.rint(stretched), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("speed", [1.0, 0.6, 0.8, 0.95, 1.2, 1.5])
def test_ours_hears_no_more_digits_in_speech_than_spandsp(speed: float) -> None:
    """Up to 25 minutes of a voice each; at most one digit an hour would be allowed, so none is."""
    speech = at_speed(prompts(1500.0), speed)
    assert len(speech) > 900 * RATE_HZ
    assert len(heard(speech)) <= min(len(heard_by_spandsp(speech)), len(speech) // (3600 * RATE_HZ))


def test_both_hear_the_digits_between_the_words() -> None:
    audio = np.concatenate((prompts(20.0), pcm(silence(0.3), dtmf("13800138000#"), silence(0.3)), prompts(20.0)))
    assert heard_by_spandsp(audio) == "13800138000#"
    assert symbols_of(audio[None, :]) == ["13800138000#"]
