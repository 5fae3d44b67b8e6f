"""Whether what a benchmark fed is what tape and recordings hold, sample by sample; looked at when the run is over."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import soundfile
import sqlite_utils

from firmware.config import Home
from recorder.bench.generator import BLOCK_SAMPLES, FedLines
from recorder.tape.reader import TapeReader


def tape_losses(tape: TapeReader, fed: FedLines, samples: int) -> int:
    """Of all channels together, samples up to ``samples`` that are not on the tape as they were fed.

    What the tape gives back as a gap is lost, whatever was fed there. Raises OSError.
    """
    assert tape.geometry.block_samples == BLOCK_SAMPLES
    return sum(_block_losses(tape, fed, number, samples) for number in range(-(-samples // BLOCK_SAMPLES)))


def _block_losses(tape: TapeReader, fed: FedLines, number: int, samples: int) -> int:
    first = number * BLOCK_SAMPLES
    sent = fed.block(first)[1][:, : samples - first]
    block, head = tape.block(number), tape.head(number)
    if block is None or head is None:
        return sent.size
    wrong = block.samples[:, : sent.shape[1]] != sent
    for low, high in head.gaps():
        wrong[:, low - first : high - first] = True
    return int(np.count_nonzero(wrong))


def wrong_recordings(home: Home, calls: sqlite_utils.Database, fed: FedLines) -> int:
    """How many recordings do not decode to exactly the samples that their channel was fed. Raises sqlite3.Error."""
    rows = calls.conn.execute(
        "SELECT c.port, r.from_sample, r.to_sample, r.path FROM recordings r JOIN channels c ON c.number = r.channel"
        " WHERE r.state = 'ready'"
    )
    return sum(not _is_exact(home, fed, *row) for row in rows)


def _is_exact(home: Home, fed: FedLines, port: int, from_sample: int, to_sample: int, path: str) -> bool:
    try:
        audio, _ = soundfile.read(home.recordings / path, dtype="int16")
    except (OSError, soundfile.SoundFileError):
        return False
    return np.array_equal(audio, fed.of_channel(port, from_sample, to_sample))


def losses(home: Home, calls: sqlite_utils.Database, fed: FedLines, samples: int) -> tuple[int, int]:
    """Samples that the tape ``bench`` lacks, and recordings that are not exact. Raises StoreError, OSError."""
    with closing(TapeReader(home.tapes / "bench.tape")) as tape:
        return tape_losses(tape, fed, samples), wrong_recordings(home, calls, fed)
