"""Making tape blocks of what a card sends: blocks of whole samples, with the events and gaps that belong to them."""

from __future__ import annotations

from drivers.api import LineEvent, Pcm, PcmBlock
from recorder.tape.format import MOST_GAPS, Geometry, Range, SlotHead, TapeBlock, join_gap, silence
from recorder.tape.waiting import WaitingEvents

LONGEST_FILL_S = 10
"""A longer hole in the stream is left as unwritten blocks (which read as a gap) instead of written silence."""
LONGEST_JUMP_S = 86_400
"""A card that claims to have lost more than a day has a new clock, whatever it says."""
REPEATED_S = 1
"""So much a card may send again when it goes on; one that goes further back has a new clock."""


class BlockAssembly:
    """The block in hand and the tape's clock. Touches no file. Thread: the reading thread only.

    ``end_sample`` is the next position. Positions rise for ever, also over a card's reboot.
    """

    def __init__(self, geometry: Geometry, last: SlotHead | None) -> None:
        """Go on after ``last``, the newest block of the tape."""
        self.geometry = geometry
        self._block = last.number + 1 if last else 0
        self.card_offset = last.card_offset if last else 0
        """Tape position minus card position in the present power-up of the card."""
        self.boot_id = last.boot_id if last else ""
        """The power-up of the card that ``card_offset`` belongs to."""
        self._fill = 0
        self._has_heard = False
        self._follows = -1
        self._waiting = WaitingEvents()
        self._start_block()

    def _start_block(self) -> None:
        self._buffer = silence(self.geometry.tracks, self.geometry.block_samples)
        self._gaps: list[Range] = []
        self._wall_ns = self._monotonic_ns = 0

    @property
    def end_sample(self) -> int:
        """The next position to be filled."""
        return self._block * self.geometry.block_samples + self._fill

    @property
    def events_dropped(self) -> int:
        """Events of storms that found no room."""
        return self._waiting.dropped

    def join(self, boot_id: str, card_sample: int, gap_samples: int) -> list[TapeBlock]:
        """The card goes on, or starts a new power-up at ``card_sample``, ``gap_samples`` after the tape's end.

        A card that goes on sends again the events that followed its last audio, so those are forgotten. One whose
        clock has gone back, or leapt, has a new power-up in all but name.
        Returns the block that the last power-up left unfinished, if any: its rest is a gap.
        """
        rate = self.geometry.sample_rate_hz
        ahead = card_sample + self.card_offset - self.end_sample
        if boot_id == self.boot_id and -REPEATED_S * rate <= ahead <= LONGEST_JUMP_S * rate:
            self._waiting.forget_since_audio()
            return []
        done = self.close_block()
        self.boot_id = boot_id
        self._block += -(-gap_samples // self.geometry.block_samples)
        self.card_offset = self.end_sample - card_sample
        return done

    def go_back_to(self, number: int) -> None:
        """This block of the tape comes again, before anything else."""
        self._block = number

    def close_block(self) -> list[TapeBlock]:
        """End the block in hand, if one has begun: its rest is a gap."""
        if not self._fill:
            return []
        self._gaps.append((self.end_sample, (self._block + 1) * self.geometry.block_samples))
        return [self._finish_block()]

    def note(self, event: LineEvent) -> None:
        """Write a line event (on the tape's clock) down with the present block, or the next that has room for it."""
        self._waiting.add(event)

    def append(self, block: PcmBlock, wall_ns: int) -> list[TapeBlock]:
        """Add a card's block; returns the tape blocks that became whole.

        ``wall_ns``: wall-clock time of the block's first sample. Samples that the tape has already are left out;
        missing ones become silence and a gap.
        """
        done: list[TapeBlock] = []
        start = block.first_sample + self.card_offset
        missing = start - self.end_sample
        if missing > LONGEST_FILL_S * self.geometry.sample_rate_hz:
            done += self._skip(start)
        elif missing > 0:
            done += self._add(None, missing, wall_ns - missing * 1_000_000_000 // self.geometry.sample_rate_hz, block)
        skip = max(0, self.end_sample - start)
        if skip < block.samples.shape[1]:
            late_ns = skip * 1_000_000_000 // self.geometry.sample_rate_hz
            done += self._add(block.samples[:, skip:], block.samples.shape[1] - skip, wall_ns + late_ns, block)
        self._waiting.audio_came()
        return done

    def _skip(self, to_sample: int) -> list[TapeBlock]:
        size = self.geometry.block_samples
        done = self.close_block()
        self._block = to_sample // size
        self._fill = to_sample % size
        if self._fill:
            self._gaps.append((self._block * size, to_sample))
        return done

    def _add(self, samples: Pcm | None, count: int, wall_ns: int, source: PcmBlock) -> list[TapeBlock]:
        size, rate = self.geometry.block_samples, self.geometry.sample_rate_hz
        done: list[TapeBlock] = []
        taken = 0
        while taken < count:
            n = min(size - self._fill, count - taken)
            if not self._wall_ns:
                self._wall_ns = wall_ns + (taken - self._fill) * 1_000_000_000 // rate
                self._monotonic_ns = source.monotonic_ns
            if samples is None:
                join_gap(self._gaps, (self.end_sample, self.end_sample + n))
            else:
                self._buffer[:, self._fill : self._fill + n] = samples[:, taken : taken + n]
                self._has_heard = True
            self._fill += n
            taken += n
            if self._fill == size:
                done.append(self._finish_block())
        return done

    def _finish_block(self) -> TapeBlock:
        first = self._block * self.geometry.block_samples
        if len(self._gaps) > MOST_GAPS:
            self._gaps = [(self._gaps[0][0], self._gaps[-1][1])]
            self._buffer[:, self._gaps[0][0] - first : self._gaps[0][1] - first] = 0
        events = self._waiting.take(self._gaps, self.geometry.event_room_bytes)
        block = TapeBlock(
            self._block, first, self._buffer, tuple(events), tuple(self._gaps),
            self._wall_ns, self._monotonic_ns, self.boot_id, self.card_offset, follows=self._follows,
        )  # fmt: skip
        if self._has_heard:
            self._follows = self._block
        self._fill = 0  # first: whoever reads ``end_sample`` meanwhile must not see a block that is not there
        self._block += 1
        self._start_block()
        return block
