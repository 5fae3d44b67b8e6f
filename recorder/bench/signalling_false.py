"""What the detectors must not take for signals: hours of speech, music, fax and noise, and who heard what in them.

Speech: all recordings of Debian's asterisk-core-sounds packages, cut together at random places, alone, over each
other, and over noise or music. Music: chords of decaying harmonics. Fax: V.21, V.27 ter, V.29, V.17 and CED of
libspandsp.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drivers.api import EventKind, LineEvent
from drivers.exchange.speech import APT_PACKAGE, DEFAULT_SPEECH_DIR
from firmware.errors import BoxError
from recorder.bench import spandsp
from recorder.bench.signalling_messages import RATE_HZ, Audio, to_pcm
from recorder.bench.signalling_receivers import BLOCK_SAMPLES
from recorder.callerid_file import Ears
from recorder.detectors import DetectorBank
from recorder.dsp.levels import mean_square
from recorder.sound_file import SoundFile

CHANNELS = 64
SECONDS = 70.0
"""Of each channel, at a time."""
_SPEECH_DBM0 = (-30.0, -8.0)  # while somebody speaks
_SHORTEST_SAMPLES = 1600
_QUIET = 300.0  # RMS in 16-bit units below which a frame of a recording is a pause

Rows = npt.NDArray[np.int16]


@dataclass(slots=True)
class FalseHits:
    """``hours`` of audio, each heard on hook for caller ID and off hook for DTMF, and what was wrongly heard.

    ``ours_cpu_s``: CPU time of our detectors of caller ID, which hear all of it as if on hook.
    """

    hours: float = 0.0
    ours_callerids: int = 0
    ours_damaged_callerids: int = 0
    spandsp_callerids: int = 0
    ours_digits: int = 0
    spandsp_digits: int = 0
    ours_cpu_s: float = 0.0

    def __add__(self, other: FalseHits) -> FalseHits:
        return FalseHits(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def false_hits(seed: int, job: int, seconds: float = SECONDS) -> FalseHits:
    """All receivers on ``CHANNELS`` lines of ``seconds``; seed and job choose the audio. Raises BoxError."""
    rng = np.random.default_rng([seed, 3, job])
    whole = int(seconds * RATE_HZ) // BLOCK_SAMPLES * BLOCK_SAMPLES
    rows = np.stack([_row(kind, whole, rng) for kind in np.resize(list(KINDS), CHANNELS)])
    hits = FalseHits(hours=rows.size / RATE_HZ / 3600)
    _hear_ours(rows, hits)
    for row in rows:
        _hear_spandsp(row, hits)
    return hits


def _hear_ours(rows: Rows, hits: FalseHits) -> None:
    ears, bank = Ears(len(rows)), DetectorBank(len(rows))
    off_hook = np.zeros(len(rows), np.bool_)
    for start in range(0, rows.shape[1], BLOCK_SAMPLES):
        block = np.ascontiguousarray(rows[:, start : start + BLOCK_SAMPLES])
        began = time.process_time()
        callers = ears.hear(block)
        hits.ours_cpu_s += time.process_time() - began
        for heard in callers:
            hits.ours_callerids += heard.message.valid
            hits.ours_damaged_callerids += not heard.message.valid
        for signal in bank.process(block, start, off_hook):
            hits.ours_digits += isinstance(signal, LineEvent) and signal.kind is EventKind.DIGITS


def _hear_spandsp(row: Rows, hits: FalseHits) -> None:
    for standard in (spandsp.CLASS, spandsp.CLIP):
        receiver = spandsp.CallerIdReceiver(standard)
        receiver.hear(row)
        hits.spandsp_callerids += len(receiver.messages)
        receiver.close()
    digits = spandsp.DtmfReceiver()
    hits.spandsp_digits += sum(len(digits.hear(part)) for part in np.split(row, range(RATE_HZ, len(row), RATE_HZ)))
    digits.close()


@cache
def _recordings() -> list[Audio]:
    """Speech of all voices, float32 at 8 kHz in 16-bit units. Raises BoxError when no package is installed."""
    folders = sorted({folder.resolve() for folder in DEFAULT_SPEECH_DIR.glob("*/")})
    files: list[Path] = [file for folder in folders for file in sorted(folder.glob("*.wav"))]
    loaded = []
    for file in files:
        with SoundFile(file) as audio:
            loaded += [part[0].astype(np.float32) for part in audio.parts() if part.shape[1] > _SHORTEST_SAMPLES]
    if not loaded:
        raise BoxError(f"no speech in {DEFAULT_SPEECH_DIR}: apt install {APT_PACKAGE}")
    return loaded


def speech(samples: int, rng: np.random.Generator) -> Audio:
    """Recordings of random voices from random places on, with pauses, each at a level of its own."""
    recordings, out, at = _recordings(), np.zeros(samples, np.float32), int(rng.integers(0, RATE_HZ))
    while at < samples:
        taken = recordings[rng.integers(len(recordings))]
        part = taken[rng.integers(0, len(taken) // 2 + 1) :][: samples - at]
        frames = part[: len(part) // 160 * 160].reshape(-1, 160)
        powers = np.mean(frames * frames, axis=1)
        spoken = powers[powers > _QUIET**2]
        if len(spoken):
            out[at : at + len(part)] = part * np.float32(
                np.sqrt(mean_square(rng.uniform(*_SPEECH_DBM0)) / np.mean(spoken))
            )
            at += len(part)
        at += int(rng.integers(800, 8000))
    return out


def music(samples: int, rng: np.random.Generator) -> Audio:
    """Chords of three to five notes with decaying harmonics and vibrato, every 0.15 to 1.2 s."""
    out, at = np.zeros(samples, np.float32), 0
    while at < samples:
        length = min(samples - at, int(rng.uniform(0.15, 1.2) * RATE_HZ))
        time_s = np.arange(length) / RATE_HZ
        chord = np.zeros(length)
        for note in rng.integers(40, 88, rng.integers(3, 6)):
            pitch_hz = 440.0 * 2.0 ** ((note - 69) / 12.0)
            vibrato = 1.0 + 0.004 * rng.random() * np.sin(2.0 * np.pi * rng.uniform(4, 7) * time_s) / 6.0
            phase = 2.0 * np.pi * pitch_hz * time_s * vibrato
            fade = np.exp(-time_s * rng.uniform(0.2, 6.0)) * np.minimum(1.0, time_s / 0.01)
            for order in range(1, int(min(12.0, 3800.0 / pitch_hz)) + 1):
                chord += fade * np.sin(order * phase) / order ** rng.uniform(0.6, 1.6)
        scale = np.sqrt(mean_square(rng.uniform(-25.0, -12.0)) / (np.mean(chord * chord) + 1e-9))
        out[at : at + length] = chord * scale
        at += length
    return out


_FLAGS = [0, 1, 1, 1, 1, 1, 1, 0]  # HDLC, the preamble of ITU-T T.30


def fax(samples: int, rng: np.random.Generator) -> Audio:
    """Answering tones, V.21 flags and frames, and pages of V.27 ter, V.29 and V.17, with pauses, at random."""
    page = rng.integers(0, 2, 1 << 16).tolist()
    procedure = [*_FLAGS * 38, *page[:300]]  # a second of preamble, a second of frames
    out, at = np.zeros(samples, np.float32), 0
    while at < samples:
        kind = rng.choice(["ced", "v21", *spandsp.FAX_MODEMS])
        length = min(samples - at, int(rng.uniform(1.0, 6.0) * RATE_HZ))
        bits = cycle(procedure if kind == "v21" else page)
        if kind == "ced":
            part = spandsp.fax_ced(length)
        elif kind == "v21":
            part = spandsp.v21(bits.__next__, length)
        else:
            part = spandsp.fax_page(str(kind), bits.__next__, length)
        gain = 10.0 ** (rng.uniform(-16.0, 3.0) / 20.0)
        out[at : at + len(part)] = part * np.float32(gain)
        at += length + int(rng.integers(600, 4000))
    return out


def _noise(samples: int, rng: np.random.Generator) -> Audio:
    level_dbm0 = rng.uniform(-65.0, -35.0)
    return rng.standard_normal(samples, dtype=np.float32) * np.float32(np.sqrt(mean_square(level_dbm0)))


KINDS: dict[str, Callable[[int, np.random.Generator], Audio]] = {
    "speech": speech,
    "two voices": lambda n, rng: speech(n, rng) + speech(n, rng),
    "speech in noise": lambda n, rng: speech(n, rng) + 8.0 * _noise(n, rng),
    "three voices": lambda n, rng: speech(n, rng) + speech(n, rng) + speech(n, rng),
    "music": music,
    "speech over music": lambda n, rng: speech(n, rng) + 0.4 * music(n, rng),
    "speech, loud": lambda n, rng: 3.0 * speech(n, rng),
    "fax": fax,
}
"""What the lines carry, in turn; float32 in 16-bit units, over a little white noise, clipped as a codec clips."""


def _row(kind: str, samples: int, rng: np.random.Generator) -> Rows:
    audio = KINDS[kind](samples, rng) + _noise(samples, rng)
    return to_pcm(audio)
