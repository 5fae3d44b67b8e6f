"""Outlines that are missing are made again, in a process of its own: the keeper stays small."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware.config import Home
from firmware.durable import write_whole
from firmware.errors import BoxError

log = logging.getLogger("library")

PATIENCE_S = 120.0


def make_outlines(home: Home, stored: Sequence[str]) -> None:
    """Make the outlines of recordings, given as ``recordings.path``. What cannot be decoded gets none."""
    command = (sys.executable, "-m", "recorder.library.rebuilding.outlines", str(home.root), *stored)
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("outlines could not be made: %s", error)


def _make_outline(home: Home, stored: str) -> None:
    import numpy as np
    import soundfile

    from recorder.cutting.peaks import peaks_of, peaks_path
    from recorder.library.audio.stored import audio_path, open_audio

    with open_audio(home, stored) as file, soundfile.SoundFile(file) as audio:
        samples = np.ascontiguousarray(audio.read(dtype="int16", always_2d=True).T)
        content = peaks_of(samples, audio.samplerate)
    write_whole(peaks_path(audio_path(home, stored)), content)


def _main(root: str, *stored: str) -> None:
    for one in stored:
        try:
            _make_outline(Home(Path(root)), one)
        except (BoxError, OSError, RuntimeError) as error:  # soundfile's errors are RuntimeErrors
            log.warning("no outline of %s: %s", one, error)


if __name__ == "__main__":
    _main(*sys.argv[1:])
