"""The three receivers under test, behind one question: which numbers did you hear on each row?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recorder.bench import minimodem, spandsp
from recorder.bench.signalling_messages import Standard, markers
from recorder.callerid_file import Ears
from recorder.dsp.listener import HeardCallerId
from recorder.dsp.spectrum import HOP_SAMPLES

BLOCK_SAMPLES = 800
"""100 ms, as a line card delivers."""
_SILENCE_SAMPLES = 8000  # after a row, so that every wait ends

Rows = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Told:
    """A message of ours with the sample of the row at which the block that told it ended."""

    heard: HeardCallerId
    at_sample: int


def ours(rows: Rows, block_samples: int = BLOCK_SAMPLES) -> list[list[Told]]:
    """All that our receiver tells of each row, int16 (rows, n), damaged messages included."""
    padding = -rows.shape[1] % block_samples + _SILENCE_SAMPLES
    padded = np.pad(rows, ((0, 0), (0, padding)))
    ears = Ears(len(rows))
    told: list[list[Told]] = [[] for _ in rows]
    for start in range(0, padded.shape[1], block_samples):
        for heard in ears.hear(padded[:, start : start + block_samples]):
            told[heard.port].append(Told(heard, start + block_samples))
    return told


def latencies_ms(sent: list[str], rows: Rows, ends: npt.NDArray[np.int64]) -> list[float]:
    """From the last bits, which end at ``ends`` (rows,), to where ours told the number, in audio of blocks of 10 ms."""
    return [
        float(each.at_sample - end) / 8.0
        for number, end, told in zip(sent, ends, ours(rows, HOP_SAMPLES), strict=True)
        for each in told
        if each.heard.message.number == number
    ]


def by_spandsp(rows: Rows, standard: Standard) -> list[list[str]]:
    """The numbers of the messages that libspandsp takes for good, row by row, told which standard to expect."""
    silence = np.zeros(_SILENCE_SAMPLES, np.int16)
    numbers = []
    for row in rows:
        receiver = spandsp.CallerIdReceiver(standard.spandsp)
        receiver.hear(np.ascontiguousarray(row))
        receiver.hear(silence)
        numbers.append([number for number in receiver.numbers if number])
        receiver.close()
    return numbers


def by_minimodem(rows: Rows, standard: Standard) -> list[list[str]]:
    """The numbers that minimodem prints for each row, told which frequencies to expect; it checks no checksum."""
    return minimodem.receive(list(rows), markers(len(rows), standard), standard.mark_hz, standard.space_hz)


@dataclass(slots=True)
class Score:
    """What one receiver made of a number of messages. ``wrong``: a number shown as good that is not the one sent."""

    messages: int = 0
    right: int = 0
    wrong: int = 0

    def add(self, sent: str, shown: list[str]) -> None:
        """One message: the number sent, and all numbers shown for it."""
        self.messages += 1
        self.right += sent in shown
        self.wrong += sum(number != sent for number in shown)

    def __add__(self, other: Score) -> Score:
        return Score(self.messages + other.messages, self.right + other.right, self.wrong + other.wrong)

    @property
    def share(self) -> float:
        """Of messages decoded right, 0 to 1."""
        return self.right / self.messages if self.messages else 0.0


@dataclass(slots=True)
class Scores:
    """All receivers on the same rows.

    ``latency_ms``: of ours, from a message's last bit to the end of the block that told it, in the time of the audio.
    ``ours_cpu_s``: CPU time that ours took.
    """

    ours: Score = field(default_factory=Score)
    spandsp: Score = field(default_factory=Score)
    minimodem: Score = field(default_factory=Score)
    latency_ms: list[float] = field(default_factory=list)
    ours_cpu_s: float = 0.0

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            self.ours + other.ours,
            self.spandsp + other.spandsp,
            self.minimodem + other.minimodem,
            self.latency_ms + other.latency_ms,
            self.ours_cpu_s + other.ours_cpu_s,
        )


def compare(sent: list[str], rows: Rows, ends: npt.NDArray[np.int64], standard: Standard) -> Scores:
    """Let all receivers hear the same rows; ``sent``: the numbers, ``ends``: where in the rows their last bits end."""
    scores = Scores()
    began = time.process_time()
    heard = ours(rows)
    scores.ours_cpu_s = time.process_time() - began
    for number, end, told in zip(sent, ends, heard, strict=True):
        good = [each for each in told if each.heard.message.valid]
        scores.ours.add(number, [each.heard.message.number for each in good if each.heard.message.number])
        right_at = [each.at_sample for each in good if each.heard.message.number == number]
        scores.latency_ms += [float(at - end) / 8.0 for at in right_at[:1]]
    for number, shown in zip(sent, by_spandsp(rows, standard), strict=True):
        scores.spandsp.add(number, shown)
    for number, shown in zip(sent, by_minimodem(rows, standard), strict=True):
        scores.minimodem.add(number, shown)
    return scores
