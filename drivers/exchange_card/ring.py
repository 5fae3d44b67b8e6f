"""The card's memory: the last seconds of the stream as finished frames, ready to be sent again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """One stream frame. ``states``: one ``PortState`` byte a port, just before it. ``samples`` 0: not PCM."""

    wire: bytes
    first_sample: int
    samples: int
    states: bytes


class StreamRing:
    """Keeps ``buffer_samples`` of PCM and all events between; the oldest are overwritten. Thread: one.

    A *sequence* here is the plain count of frames since power-up, not yet cut to 32 bits.
    """

    def __init__(self, buffer_samples: int) -> None:
        self._buffer_samples = buffer_samples
        self._frames: deque[StreamFrame] = deque()
        self.oldest_seq = 0
        self.oldest_sample = 0
        self.next_sample = 0

    @property
    def next_seq(self) -> int:
        """Sequence of the frame that comes next."""
        return self.oldest_seq + len(self._frames)

    def append(self, frame: StreamFrame) -> None:
        """Add the newest frame, let go of the oldest."""
        self._frames.append(frame)
        self.next_sample += frame.samples
        while self.next_sample - self.oldest_sample > self._buffer_samples:
            dropped = self._frames.popleft()
            self.oldest_seq += 1
            self.oldest_sample += dropped.samples

    def frame(self, seq: int) -> StreamFrame | None:
        """The frame, None when it is not there yet. It must not be older than ``oldest_seq``."""
        index = seq - self.oldest_seq
        return self._frames[index] if index < len(self._frames) else None

    def sample_at(self, seq: int) -> int:
        """Sample position of the stream just before frame ``seq``."""
        frame = self.frame(seq)
        return self.next_sample if frame is None else frame.first_sample

    def seek(self, from_sample: int) -> int:
        """Sequence just after the last PCM that ends at or before ``from_sample``, at the oldest what is kept."""
        seq = self.oldest_seq
        for offset, frame in enumerate(self._frames, self.oldest_seq + 1):
            if frame.samples:
                if frame.first_sample + frame.samples > from_sample:
                    break
                seq = offset
        return seq
