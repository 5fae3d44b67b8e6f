"""Real speech for the exchange: recordings by several speakers, read from a folder, never shipped.

Debian's asterisk-core-sounds-*-wav packages serve: one folder per voice, 8 kHz.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr

from drivers.exchange.tones import SAMPLE_RATE_HZ, Wave
from firmware.errors import ConfigError

DEFAULT_SPEECH_DIR = Path("/usr/share/asterisk/sounds")
APT_PACKAGE = "asterisk-core-sounds-en-wav"

_MOST_FILES = 64  # per voice; enough variety, and bounds what is kept in memory
_SHORTEST_S = 1.0
_LONGEST_S = 9.0
_FRAME_SAMPLES = 160  # 20 ms
_ACTIVE_BELOW_LOUDEST_DB = 30.0
_TONE_FRAME_SAMPLES = 512
_TONE_FRAMES = 4  # 256 ms at one pitch: longer than any vowel holds its pitch exactly
_TONE_SHARE = 0.95  # of the energy in one line of the spectrum


class SpeechLibrary:
    """Utterances by voice, loaded when first asked for and kept. Thread: its exchange's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[list[Path]] | None = None
        self._loaded: dict[Path, Wave | None] = {}

    @property
    def voices(self) -> int:
        """Number of different speakers. Raises ConfigError when the folder holds no recordings."""
        return len(self._voice_files())

    def utterance(self, voice: int, choice: int) -> Wave:
        """One utterance: float32 at 8 kHz, trimmed, active RMS 1; the same for the same folder and numbers.

        Raises ConfigError when the folder holds no speech or a file cannot be read.
        """
        files = self._voice_files()[voice]
        for i in range(len(files)):
            path = files[(choice + i) % len(files)]
            if path not in self._loaded:
                self._loaded[path] = _prepare(path)
            wave = self._loaded[path]
            if wave is not None:
                return wave
        raise ConfigError(
            f"speech_dir = {self._folder}: no speech of {_SHORTEST_S} to {_LONGEST_S} s in {files[0].parent}"
        )

    def _voice_files(self) -> list[list[Path]]:
        if self._files is None:
            # Debian names one voice by several symbolic links.
            folders = sorted({p.resolve() for p in [self._folder, *self._folder.glob("*/")] if p.is_dir()})
            listed = [sorted(folder.glob("*.wav")) for folder in folders]
            self._files = [_spread(files) for files in listed if files]
            if not self._files:
                self._files = None
                raise ConfigError(f"speech_dir = {self._folder}: no recordings; install the package {APT_PACKAGE}")
        return self._files


def _spread(files: list[Path]) -> list[Path]:
    step = max(1, len(files) // _MOST_FILES)
    return files[::step][:_MOST_FILES]


def _prepare(path: Path) -> Wave | None:
    try:
        pcm, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as exc:
        raise ConfigError(f"speech_dir: cannot read {path}: {exc}") from exc
    mono = pcm.mean(axis=1)
    wave = mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    frames = wave[: len(wave) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    if not power.size or power.max() <= 0.0:
        return None
    active = np.flatnonzero(power > power.max() * 10.0 ** (-_ACTIVE_BELOW_LOUDEST_DB / 10.0))
    trimmed = frames[active[0] : active[-1] + 1].reshape(-1)
    if not _SHORTEST_S <= len(trimmed) / SAMPLE_RATE_HZ <= _LONGEST_S or _has_tone(trimmed):
        return None
    ready: Wave = (trimmed / np.sqrt(power[active].mean())).astype(np.float32)
    return ready


def _has_tone(wave: Wave) -> bool:
    """Prompts that begin with a beep or an information tone would be heard as call progress tones."""
    frames = wave[: len(wave) // _TONE_FRAME_SAMPLES * _TONE_FRAME_SAMPLES].reshape(-1, _TONE_FRAME_SAMPLES)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(_TONE_FRAME_SAMPLES), axis=1)) ** 2
    energy = spectrum.sum(axis=1)
    peak = spectrum.argmax(axis=1)
    near = np.abs(np.arange(spectrum.shape[1]) - peak[:, None]) <= 3
    share = np.where(near, spectrum, 0.0).sum(axis=1) / np.maximum(energy, 1e-12)
    tonal = (share > _TONE_SHARE) & (energy > energy.max() * 0.01)
    steady = tonal[1:] & tonal[:-1] & (peak[1:] == peak[:-1])
    runs = np.convolve(steady, np.ones(_TONE_FRAMES - 1), "valid")
    return bool(np.any(runs >= _TONE_FRAMES - 1))
