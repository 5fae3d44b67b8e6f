"""Shared by the tests of the simulated exchange: measuring by plain arithmetic, and a small folder of voices."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from drivers.exchange.lines import Exchange, LineFrames

FULL_SCALE_DBM0 = 3.14


def make_voices(folder: Path, voices: int = 2) -> Path:
    """Two or more speakers of three utterances each: harmonics of a gliding pitch, in syllables."""
    rng = np.random.default_rng(20)
    for voice in range(voices):
        (folder / f"voice{voice}").mkdir(parents=True)
        for i in range(3):
            t = np.arange(int(8000 * (1.5 + 0.4 * i))) / 8000
            pitch = (110 + 90 * voice) * (1 + 0.15 * np.sin(2 * np.pi * (1.3 + 0.2 * i) * t))
            phase = 2 * np.pi * np.cumsum(pitch) / 8000
            wave = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 9))
            wave = wave * np.clip(np.sin(2 * np.pi * 3 * t) + 0.6, 0, 1)
            padded = np.concatenate([np.zeros(1000), 0.2 * wave, np.zeros(3000)])
            soundfile.write(folder / f"voice{voice}" / f"{i}.wav", padded, 8000)
    return folder


def render(exchange: Exchange, seconds: float, chunk: int = 8000) -> LineFrames:
    """Render that long in chunks and join them."""
    total = round(seconds * 8000)
    parts = []
    while total:
        parts.append(exchange.render(min(chunk, total)))
        total -= len(parts[-1].audio[0])
    return LineFrames(
        parts[0].first_sample,
        np.concatenate([p.audio for p in parts], axis=1),
        np.concatenate([p.loop_v for p in parts], axis=1),
        np.concatenate([p.ring_vrms for p in parts], axis=1),
    )


def level_dbm0(wave: npt.NDArray[np.number]) -> float:
    """RMS level; a full-scale sine (peak 32768) is +3.14 dBm0."""
    rms = np.sqrt(np.mean(np.square(wave.astype(np.float64))))
    return float(20 * np.log10(max(rms, 1e-9) * np.sqrt(2) / 32768) + FULL_SCALE_DBM0)


def strongest_hz(wave: npt.NDArray[np.number], low_hz: float = 60, high_hz: float = 4000) -> float:
    """Frequency of the strongest line of the spectrum, by a zero-padded FFT."""
    size = 1 << 17
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size))
    hz = np.fft.rfftfreq(size, 1 / 8000)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0
    return float(hz[spectrum.argmax()])


def spans(on: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of True as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def loud_spans_ms(wave: npt.NDArray[np.number], above_dbm0: float) -> list[tuple[int, int]]:
    """Runs of milliseconds whose level over 10 ms around them is above a threshold."""
    power = np.convolve(np.square(wave.astype(np.float64)), np.ones(80) / 80, "same")[4::8]
    threshold = (32768 * 10 ** ((above_dbm0 - FULL_SCALE_DBM0) / 20)) ** 2 / 2
    return spans(power > threshold)


class Spandsp:
    """Receivers of libspandsp (Debian: libspandsp2), a decoder that shares nothing with this project."""

    CLASS, CLIP_DTMF = 1, 5  # ADSI_STANDARD_CLASS (Bell 202 FSK), ADSI_STANDARD_CLIP_DTMF

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libspandsp.so.2")
        self._lib.adsi_rx_init.restype = ctypes.c_void_p
        self._lib.dtmf_rx_init.restype = ctypes.c_void_p

    def caller_ids(self, standard: int, pcm: npt.NDArray[np.int16]) -> list[bytes]:
        """Valid messages heard, with type, length and fields but without checksum."""
        heard: list[bytes] = []
        put = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int)
        callback = put(lambda _user, message, size: heard.append(bytes(message[:size])))
        state = ctypes.c_void_p(self._lib.adsi_rx_init(None, standard, callback, None))
        data = np.ascontiguousarray(pcm)
        self._lib.adsi_rx(state, data.ctypes.data_as(ctypes.c_void_p), ctypes.c_int(len(data)))
        self._lib.adsi_rx_free(state)
        return heard

    def dtmf(self, pcm: npt.NDArray[np.int16]) -> str:
        """DTMF digits heard."""
        state = ctypes.c_void_p(self._lib.dtmf_rx_init(None, None, None))
        heard = b""
        for block in np.array_split(np.ascontiguousarray(pcm), max(len(pcm) // 8000, 1)):
            data = np.ascontiguousarray(block)
            self._lib.dtmf_rx(state, data.ctypes.data_as(ctypes.c_void_p), ctypes.c_int(len(data)))
            buffer = ctypes.create_string_buffer(129)
            self._lib.dtmf_rx_get(state, buffer, ctypes.c_int(128))
            heard += buffer.value
        self._lib.dtmf_rx_free(state)
        return heard.decode()
