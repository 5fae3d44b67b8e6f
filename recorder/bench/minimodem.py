"""The program minimodem (Debian package of that name) as a sender and as a receiver of FSK caller ID.

Many messages go through one process. Sent bits lie one after the other without a gap, so that their places are
known; received streams have an undamaged message with a serial number after each message under test, so that one
that is missed cannot be taken for its neighbour.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from firmware.errors import BoxError

BAUD = 1200
SENT_RATE_HZ = 24000
"""20 samples a bit; at 8 kHz minimodem rounds a bit to 7 samples, which is 5 % too slow."""
SENT_BIT_SAMPLES = SENT_RATE_HZ // BAUD
LEADER_BITS = 2
"""Of mark, before what it is given to send."""
_RATE_HZ = 8000
_LEVEL = 0.5
_BIN_HZ = 100  # both tones of both standards fall on bins; the 200 Hz that it takes on its own fit Bell 202 only
_GAP_SAMPLES = 2400  # 0.3 s of silence, so that the carrier of one message ends before the next
_SERIALS = 400_000_000_000  # 12 digits, which no generated number is likely to have by chance

Pcm = npt.NDArray[np.int16]


def send(bits: npt.NDArray[np.uint8], mark_hz: float, space_hz: float) -> npt.NDArray[np.float32]:
    """Phase-continuous FSK of ``bits`` (n,), float32 at ``SENT_RATE_HZ``, a full-scale sine having amplitude 0.5.

    Bit k begins at sample ``(k + LEADER_BITS) * SENT_BIT_SAMPLES``. Raises BoxError when minimodem fails.
    """
    padded = np.concatenate((bits, np.ones(-len(bits) % 8, np.uint8)))
    with tempfile.TemporaryDirectory(prefix="tapdeck-bench-") as folder:
        file = Path(folder) / "sent.wav"
        _run(
            ["--tx", "-R", str(SENT_RATE_HZ), "-f", str(file), "-v", str(_LEVEL), "-M", f"{mark_hz:.3f}",
             "-S", f"{space_hz:.3f}", "--startbits", "0", "--stopbits", "0", str(BAUD)],
            np.packbits(padded, bitorder="little").tobytes(),
        )  # fmt: skip
        samples, _ = soundfile.read(file, dtype="float32")
    return np.asarray(samples, dtype=np.float32)


def receive(rows: Sequence[Pcm], markers: Iterable[Pcm], mark_hz: float, space_hz: float) -> list[list[str]]:
    """Calling numbers that minimodem prints for each of ``rows``, int16 (n,) at 8 kHz; most have one.

    ``markers``: undamaged messages whose numbers are those of ``marker_number``. Raises BoxError when minimodem
    fails or misses a marker.
    """
    gap = np.zeros(_GAP_SAMPLES, np.int16)
    stream = [gap]
    for row, marker in zip(rows, markers, strict=True):
        stream += [row, gap, marker, gap]
    wav = io.BytesIO()
    soundfile.write(wav, np.concatenate(stream), _RATE_HZ, format="WAV", subtype="PCM_16")
    tones = ["-M", f"{mark_hz:.0f}", "-S", f"{space_hz:.0f}", "-b", str(_BIN_HZ)]
    printed = _run(["--rx", "callerid", "-q", "-f", "-", *tones], wav.getvalue())
    return attribute(printed, len(rows))


def marker_number(index: int) -> str:
    """The number of the undamaged message after row ``index``."""
    return str(_SERIALS + index)


def attribute(printed: bytes, rows: int) -> list[list[str]]:
    """The numbers printed before each marker and after the one before. Raises BoxError when a marker is missing."""
    numbers = [
        line.decode("latin-1").replace("-", "").strip()
        for line in re.findall(rb"^Phone:([^\n]*)$", printed, re.MULTILINE)
    ]
    found: list[list[str]] = []
    start = 0
    for index in range(rows):
        try:
            end = numbers.index(marker_number(index), start)
        except ValueError:
            raise BoxError(f"minimodem missed the marker after message {index}") from None
        found.append(numbers[start:end])
        start = end + 1
    return found


def _run(arguments: list[str], given: bytes) -> bytes:
    try:
        done = subprocess.run(["minimodem", *arguments], input=given, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise BoxError("this needs minimodem: apt install minimodem") from error
    except subprocess.CalledProcessError as error:
        raise BoxError(f"minimodem failed: {error.stderr.decode(errors='replace').strip()[-200:]}") from error
    return done.stdout
