"""The tape: the ring file into which a line card's recorder writes all PCM, and reading it back.

One writer (the recorder's reading thread); any number of readers in any process, by ``pread``, which never hold
the writer up. A reader that was lapped by the ring sees a gap, never wrong samples.
"""

from __future__ import annotations

import os
import secrets
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drivers.api import EventKind, LineEvent, Pcm, PcmBlock, ResumePoint
from firmware.errors import StoreError
from recorder.tape_format import (
    HINT_OFFSET,
    MOST_EVENT_BYTES,
    MOST_GAPS,
    PAGE_BYTES,
    Geometry,
    Range,
    SlotHead,
    TapeBlock,
    checksum,
    event_bytes,
    pack_file_head,
    pack_notes,
    pack_slot_head,
    silence,
    unpack_file_head,
    unpack_slot_head,
)

BLOCK_MS = 100
LONGEST_FILL_S = 10
"""A longer hole in the stream is left as unwritten blocks (which read as a gap) instead of written silence."""
LONGEST_JUMP_S = 86_400
"""A card that claims to have lost more than a day has a new clock, whatever it says."""
REPEATED_S = 1
"""So much a card may send again when it goes on; one that goes further back has a new clock."""
UNSYNCED_S = 3
"""A power cut costs the tape no more than this; whoever read it before may remember what it lacks."""
SEARCHED_BLOCKS = 600
MOST_WAITING_EVENTS_A_PORT = 512
_HINT = struct.Struct("<QI")


def geometry_for(tracks: int, sample_rate_hz: int, minutes: float) -> Geometry:
    """The shape of a tape that holds ``minutes`` of every track."""
    block_samples = sample_rate_hz * BLOCK_MS // 1000
    return Geometry(tracks, sample_rate_hz, max(16, int(minutes * 60_000 / BLOCK_MS)), block_samples)


class TapeReader:
    """Reads a tape. Thread: safe, every read is one ``pread``."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError when there is no whole tape at ``path``."""
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise StoreError(f"tape {path}: {error.strerror}") from error
        try:
            self.geometry, self.epoch, self.card_id = unpack_file_head(os.pread(self._fd, PAGE_BYTES, 0))
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Call once."""
        os.close(self._fd)

    def head(self, block: int) -> SlotHead | None:
        """The head of block ``block`` if the ring still holds it."""
        geometry = self.geometry
        head = unpack_slot_head(geometry, os.pread(self._fd, geometry.head_bytes, geometry.slot_offset(block)))
        return head if head is not None and head.number == block else None

    def block(self, number: int) -> TapeBlock | None:
        """A whole block, or None when the ring does not hold it. Tracks with a wrong CRC come back as gaps."""
        geometry = self.geometry
        raw = os.pread(self._fd, geometry.slot_bytes, geometry.slot_offset(number))
        head = unpack_slot_head(geometry, raw[: geometry.head_bytes])
        if head is None or head.number != number or len(raw) < geometry.slot_bytes:
            return None
        samples: Pcm = np.frombuffer(raw, np.int16, offset=geometry.head_bytes).reshape(geometry.tracks, -1).copy()
        first = number * geometry.block_samples
        gaps = head.gaps()
        for track, crc in enumerate(head.track_crcs):
            if checksum(samples[track].data) != crc:
                samples[track] = 0
                gaps = ((first, first + geometry.block_samples),)
        return TapeBlock(
            number, first, samples, head.events(), gaps, head.wall_ns, head.monotonic_ns, head.boot_id,
            head.card_offset, head.sequence,
        )  # fmt: skip

    def read(self, track: int, from_sample: int, to_sample: int) -> tuple[Pcm, list[Range]]:
        """One track: int16 ``(to_sample - from_sample,)`` and the ranges of it that are silence filled in."""
        geometry = self.geometry
        out = np.zeros(max(0, to_sample - from_sample), np.int16)
        gaps: list[Range] = []
        if not len(out):
            return out, gaps
        size = geometry.block_samples
        for number in range(from_sample // size, (to_sample - 1) // size + 1):
            low, high = max(from_sample, number * size), min(to_sample, (number + 1) * size)
            row, holes = self._track_of_block(number, track)
            if row is None:
                _join(gaps, (low, high))
                continue
            out[low - from_sample : high - from_sample] = row[low - number * size : high - number * size]
            for start, end in holes:
                if max(start, low) < min(end, high):
                    _join(gaps, (max(start, low), min(end, high)))
        return out, gaps

    def _track_of_block(self, number: int, track: int) -> tuple[Pcm | None, Sequence[Range]]:
        geometry = self.geometry
        offset = geometry.slot_offset(number)
        head = self.head(number)
        raw = os.pread(self._fd, geometry.track_bytes, offset + geometry.head_bytes + track * geometry.track_bytes)
        if head is None or len(raw) < geometry.track_bytes or checksum(raw) != head.track_crcs[track]:
            return None, ()
        return np.frombuffer(raw, np.int16), head.gaps()

    def last_head(self) -> SlotHead | None:
        """The newest block on the tape (after a crash as well): from the hint on, else by looking at every slot."""
        number, crc = _HINT.unpack(os.pread(self._fd, _HINT.size, HINT_OFFSET))
        best = self.head(number) if crc == checksum(struct.pack("<Q", number)) else None
        if best is None:
            return self._search_all()
        misses, number = 0, best.number
        while misses < self.geometry.slots and misses < SEARCHED_BLOCKS:
            number += 1
            head = self.head(number)
            misses = 0 if head else misses + 1
            best = head or best
        return best

    def _search_all(self) -> SlotHead | None:
        geometry = self.geometry
        heads = (
            unpack_slot_head(geometry, os.pread(self._fd, geometry.head_bytes, geometry.slot_offset(slot)))
            for slot in range(geometry.slots)
        )
        return max((head for head in heads if head), key=lambda head: head.number, default=None)


def set_aside_tape(path: Path, epoch: str) -> TapeReader | None:
    """The tape of ``epoch`` that once stood at ``path``, if it is still there."""
    for file in path.parent.glob(f"{path.stem}-*.set-aside"):
        try:
            reader = TapeReader(file)
        except StoreError:
            continue
        if reader.epoch == epoch:
            return reader
        reader.close()
    return None


def _join(gaps: list[Range], gap: Range) -> None:
    if gaps and gaps[-1][1] == gap[0]:
        gaps[-1] = (gaps[-1][0], gap[1])
    else:
        gaps.append(gap)


def _in_turn(events: Sequence[LineEvent]) -> list[LineEvent]:
    """First the oldest event of each port, then the next of each: a port that storms does not delay the others."""
    count: Counter[int] = Counter()
    turns: list[tuple[int, LineEvent]] = []
    for event in events:
        turns.append((count[event.port], event))
        count[event.port] += 1
    return [event for _, event in sorted(turns, key=lambda turn: turn[0])]


def resume_point(path: Path) -> ResumePoint | None:
    """Where a card should go on for the tape at ``path``; None without a usable tape."""
    try:
        reader = TapeReader(path)
    except StoreError:
        return None
    try:
        head = reader.last_head()
        if head is None:
            return None
        end = (head.number + 1) * reader.geometry.block_samples
        return ResumePoint(head.boot_id, end - head.card_offset)
    finally:
        reader.close()


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
        self._events: list[LineEvent] = []
        self._events_before_pcm = 0
        self._waiting: Counter[int] = Counter()
        self._volts: dict[int, LineEvent] = {}
        self.events_dropped = 0
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
            self._wait(self._events[: self._events_before_pcm])
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
        """Write a line event (on the tape's clock) down with the present block.

        Of a port's voltages that find no room the last is enough. A port that storms loses events, and only its own.
        """
        if event_bytes(event) > MOST_EVENT_BYTES:  # it would hold up all behind it
            self.events_dropped += 1
        elif event.kind is EventKind.VOLTAGE:
            self._volts[event.port] = event
        elif self._waiting[event.port] < MOST_WAITING_EVENTS_A_PORT:
            self._waiting[event.port] += 1
            self._events.append(event)
        else:
            self.events_dropped += 1

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
        self._events_before_pcm = len(self._events)
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
                _join(self._gaps, (self.end_sample, self.end_sample + n))
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
        events, notes = self._notes()
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

    def _wait(self, events: list[LineEvent]) -> None:
        """These events, and no others, wait to be written down."""
        self._events = events
        self._events_before_pcm = len(events)
        self._waiting = Counter(event.port for event in events)

    def _notes(self) -> tuple[list[LineEvent], bytes]:
        """As many events as the slot's head holds, of each port in turn; the rest wait for the next block."""
        events = self._events
        waiting: list[LineEvent] = []
        room = self.geometry.notes_bytes
        notes = pack_notes(events, self._gaps)
        if len(notes) > room:
            events = _in_turn(events)
        while len(notes) > room:
            half = len(events) // 2
            waiting = events[half:] + waiting
            events = events[:half]
            notes = pack_notes(events, self._gaps)
        self._wait(waiting)
        free = room - len(notes)
        for port, volts in list(self._volts.items()):
            free -= event_bytes(volts)
            if free < 0:
                break
            events.append(self._volts.pop(port))
        return events, pack_notes(events, self._gaps)

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
            os.pwrite(self._fd, _HINT.pack(number, checksum(struct.pack("<Q", number))), HINT_OFFSET)
        except OSError as error:
            raise StoreError(f"tape {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Sync and close. The part of a block that is not whole yet is left to the card's buffer."""
        self.sync()
        os.close(self._fd)
