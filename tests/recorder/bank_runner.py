"""Runs audio through a detector bank and through what it is made of."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import soundfile

from drivers.api import EventKind, LineEvent
from recorder.detectors import DetectorBank
from recorder.signals import CallerId, Signal

_PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")


def signals_of(audio: npt.NDArray[np.int16], *, on_hook: bool, block_samples: int = 800) -> list[Signal]:
    """All signals of int16 audio, (n,) or (channels, n), with a second of silence after it."""
    rows = np.atleast_2d(audio)
    rows = np.pad(rows, ((0, 0), (0, 8000 + -rows.shape[1] % block_samples)))
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % block_samples)))
    bank = DetectorBank(len(rows))
    hook = np.full(len(rows), on_hook)
    found: list[Signal] = []
    for start in range(0, rows.shape[1], block_samples):
        found += bank.process(np.ascontiguousarray(rows[:, start : start + block_samples]), start, hook)
    return found


def callers_of(audio: npt.NDArray[np.int16], block_samples: int = 800) -> list[CallerId]:
    """Caller IDs heard on hook."""
    return [caller for _, caller in port_callers_of(audio, block_samples)]


def port_callers_of(audio: npt.NDArray[np.int16], block_samples: int = 800) -> list[tuple[int, CallerId]]:
    """Caller IDs heard on hook, each with its port."""
    return [
        (signal.port, msgspec.json.decode(str(signal.value), type=CallerId))
        for signal in signals_of(audio, on_hook=True, block_samples=block_samples)
        if isinstance(signal, LineEvent) and signal.kind is EventKind.CALLER_ID
    ]


def digits_of(audio: npt.NDArray[np.int16], block_samples: int = 800) -> str:
    """Digits heard off hook."""
    return "".join(
        str(signal.value)
        for signal in signals_of(audio, on_hook=False, block_samples=block_samples)
        if isinstance(signal, LineEvent) and signal.kind is EventKind.DIGITS
    )


def prompts(seconds: float) -> npt.NDArray[np.int16]:
    """Spoken prompts at 8 kHz, one after the other, at least as long as asked."""
    parts: list[npt.NDArray[np.int16]] = []
    length = 0
    for path in sorted(_PROMPTS.rglob("*.wav")):
        part, rate_hz = soundfile.read(path, dtype="int16")
        assert rate_hz == 8000
        parts.append(part)
        length += len(part)
        if length >= seconds * 8000:
            return np.concatenate(parts)
    raise RuntimeError("these tests need spoken prompts: apt install asterisk-core-sounds-en-wav")
