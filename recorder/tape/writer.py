"""Writing a tape: blocks of whole samples, with the events and gaps that belong to them."""

from __future__ import annotations

import os
import secrets
import struct
from pathlib import Path

from drivers.api import LineEvent, Pcm, PcmBlock
from firmware.errors import StoreError
from recorder.tape.format import (
    HINT,
    HINT_OFFSET,
    MOST_GAPS,
    Geometry,
    Range,
    TapeBlock,
    checksum,
    join_gap,
    pack_file_head,
    pack_slot_head,
    silence,
)
from recorder.tape.reader import TapeReader
from recorder.tape.waiting import WaitingEvents

LONGEST_FILL_S = 10
"""A longer hole in the stream is left as unwritten blocks (which read as a gap) instead of written silence."""
LONGEST_JUMP_S = 86_400
"""A card that claims to have lost more than a day has a new clock, whatever it says."""
REPEATED_S = 1
"""So much a card may send again when it goes on; one that goes further back has a new clock."""
UNSYNCED_S = 3
"""A power cut costs the tape no more than this; whoever read it before may remember what it lacks."""


class TapeWriter:
    """Writes a tape. Thread: one, except ``sync`` which may run on another.

    ``end_sample`` is the next position to be written. Positions rise for ever, also over a card's reboot.
    """

    def __init__(self, path: Path, geometry: Geometry, card_id: str) -> None:
        """Go on with the tape at ``path``, or make one; a tape of another shape or card is set aside, not deleted.

        Raises StoreError.
        """
        self.path, self.geometry = path, geometry
        try:
            if not self._fits(card_id):
                self._create(card_id)
            self._fd = os.open(path, os.O_RDWR)
        except OSError as error:
            raise StoreError(f"tape {path}: {error.strerror}") from error
        reader = TapeReader(path)
        self.epoch = reader.epoch
        last = reader.last_head()
        reader.close()
        self.last = last
        self._block = last.number + 1 if last else 0
        self._sequence = last.sequence + 1 if last else 0
        self._card_offset = last.card_offset if last else 0
        self._boot_id = last.boot_id if last else ""
        self._fill = 0
        self._waiting = WaitingEvents()
        self._start_block()

    def _fits(self, card_id: str) -> bool:
        try:
            reader = TapeReader(self.path)
        except StoreError:
            return False
        try:
            return reader.geometry == self.geometry and reader.card_id == card_id
        finally:
            reader.close()

    def _create(self, card_id: str) -> None:
        if self.path.exists():
            self.path.rename(self.path.with_name(f"{self.path.stem}-{secrets.token_hex(4)}.set-aside"))
        new = self.path.with_suffix(".new")
        try:
            with new.open("wb") as file:
                file.write(pack_file_head(self.geometry, secrets.token_hex(16), card_id))
                file.flush()
                os.posix_fallocate(file.fileno(), 0, self.geometry.file_bytes)  # at once: the card is waiting
                os.fsync(file.fileno())
            new.rename(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _start_block(self) -> None:
        self._buffer = silence(self.geometry.tracks, self.geometry.block_samples)
        self._gaps: list[Range] = []
        self._wall_ns = self._monotonic_ns = 0

    @property
    def end_sample(self) -> int:
        """The next position to be written."""
        return self._block * self.geometry.block_samples + self._fill

    @property
    def card_offset(self) -> int:
        """Tape position minus card position in the present power-up of the card."""
        return self._card_offset

    @property
    def boot_id(self) -> str:
        """The power-up of the card that ``card_offset`` belongs to."""
        return self._boot_id

    def join(self, boot_id: str, card_sample: int, gap_samples: int) -> list[TapeBlock]:
        """The card goes on, or starts a new power-up at ``card_sample``, ``gap_samples`` after the tape's end.

        A card that goes on sends again the events that followed its last audio, so those are forgotten. One whose
        clock has gone back, or leapt, has a new power-up in all but name.
        Returns the block that the last power-up left unfinished, if any: its rest is a gap.
        """
        rate = self.geometry.sample_rate_hz
        ahead = card_sample + self._card_offset - self.end_sample
        if boot_id == self._boot_id and -REPEATED_S * rate <= ahead <= LONGEST_JUMP_S * rate:
            self._waiting.forget_since_audio()
            return []
        done = self.close_block()
        self._boot_id = boot_id
        self._block += -(-gap_samples // self.geometry.block_samples)
        self._card_offset = self.end_sample - card_sample
        self._write_hint(self._block)
        return done

    def close_block(self) -> list[TapeBlock]:
        """End the block in hand, if one has begun: its rest is a gap. Raises StoreError."""
        if not self._fill:
            return []
        self._gaps.append((self.end_sample, (self._block + 1) * self.geometry.block_samples))
        return [self._finish_block()]

    def note(self, event: LineEvent) -> None:
        """Write a line event (on the tape's clock) down with the present block, or the next that has room for it."""
        self._waiting.add(event)

    @property
    def events_dropped(self) -> int:
        """Events of storms that found no room."""
        return self._waiting.dropped

    def append(self, block: PcmBlock, wall_ns: int) -> list[TapeBlock]:
        """Add a card's block; returns the tape blocks that became whole and are written.

        ``wall_ns``: wall-clock time of the block's first sample. Samples that the tape has already are left out;
        missing ones become silence and a gap. Raises StoreError when the disk refuses.
        """
        done: list[TapeBlock] = []
        start = block.first_sample + self._card_offset
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
        self._write_hint(self._block)
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
            self._fill += n
            taken += n
            if self._fill == size:
                done.append(self._finish_block())
        return done

    def _finish_block(self) -> TapeBlock:
        if len(self._gaps) > MOST_GAPS:
            first = self._block * self.geometry.block_samples
            self._gaps = [(self._gaps[0][0], self._gaps[-1][1])]
            self._buffer[:, self._gaps[0][0] - first : self._gaps[0][1] - first] = 0
        events, notes = self._waiting.take(self._gaps, self.geometry.notes_bytes)
        block = TapeBlock(
            self._block, self._block * self.geometry.block_samples, self._buffer, tuple(events), tuple(self._gaps),
            self._wall_ns, self._monotonic_ns, self._boot_id, self._card_offset, self._sequence,
        )  # fmt: skip
        head = pack_slot_head(self.geometry, block, notes)
        try:
            written = os.pwritev(self._fd, [head, self._buffer.data], self.geometry.slot_offset(self._block))
        except OSError as error:
            raise StoreError(f"tape {self.path}: {error.strerror}") from error
        if written != self.geometry.slot_bytes:
            raise StoreError(f"tape {self.path}: only {written} of {self.geometry.slot_bytes} bytes written")
        self._block += 1
        self._sequence += 1
        self._fill = 0
        self._start_block()
        return block

    def sync(self) -> None:
        """Bring everything to the medium; call once a second. Raises StoreError."""
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise StoreError(f"tape {self.path}: {error.strerror}") from error
        self._write_hint(max(0, self._block - 1))

    def _write_hint(self, number: int) -> None:
        """Where to look for the tape's end: a reader that starts there finds what was written since."""
        try:
            os.pwrite(self._fd, HINT.pack(number, checksum(struct.pack("<Q", number))), HINT_OFFSET)
        except OSError as error:
            raise StoreError(f"tape {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Sync and close. The part of a block that is not whole yet is left to the card's buffer."""
        self.sync()
        os.close(self._fd)
