"""How a tape lies on disk: a header page, equal slots of about 100 ms, each with its own checks, and the header again.

File: header page (4096 bytes), two pages with a hint each, ``slots`` slots of ``slot_bytes``, the header page once
more: no sector that goes bad costs a tape, nor one that is torn while it is written. A block has a number *b* (sample
position divided by ``block_samples``; a time without a card leaves numbers out) and a sequence *s* that counts what
is written. It lives in slot ``s % slots``: what is written next replaces the oldest, however long nothing came. A
slot is a head (fixed fields, one CRC32C a track, notes as JSON), padded to 512 bytes, then the PCM of each track in
turn. All numbers little-endian. A block is whole when its head's CRC32C holds and it is the one that was looked for;
a track is whole when its own CRC holds.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from crc32c import crc32c
from msgspec.structs import replace

from drivers.api import EventKind, EventSource, LineEvent, Pcm
from firmware.errors import StoreError

BLOCK_MS = 100
PAGE_BYTES = 4096
HINT_OFFSETS = (PAGE_BYTES, 2 * PAGE_BYTES)
"""Written in turns."""
HINT = struct.Struct("<QI")
"""Sequence of a block near the tape's end, and its check sum."""
_SLOTS_OFFSET = 3 * PAGE_BYTES
FILE_MAGIC = b"TDTAPE04"
SLOT_MAGIC = 0x4B4C4254  # "TBLK"
_FILE_HEAD = struct.Struct("<8sIIIQI16s128s")
_SLOT_HEAD = struct.Struct("<IQQqqq65pI")
_SLOT_START = struct.Struct("<4xIQQ")
SLOT_START_BYTES = _SLOT_START.size
_CRC = struct.Struct("<I")
_ALIGN_BYTES = 512
MOST_GAPS = 32
"""More gaps in one block are put together as one; so many always leave room for an event."""
MOST_EVENT_BYTES = 640
_FOLLOWS_BYTES = 25
"""What the longest ``p`` takes of the notes."""
Range = tuple[int, int]
"""Samples ``from`` (inclusive) to ``to`` (exclusive)."""


def checksum(data: bytes | memoryview) -> int:
    """CRC32C (Castagnoli, RFC 3720 appendix B.4)."""
    return int(crc32c(data))


class Geometry(msgspec.Struct, frozen=True):
    """Shape of a tape. ``notes_bytes`` is the room for line events and gaps in a slot's head."""

    tracks: int
    sample_rate_hz: int
    slots: int
    block_samples: int

    @property
    def notes_bytes(self) -> int:
        """Room for the notes in a slot's head."""
        return max(2048, 48 * self.tracks)

    @property
    def event_room_bytes(self) -> int:
        """What of it events and gaps may take."""
        return self.notes_bytes - _FOLLOWS_BYTES

    @property
    def head_bytes(self) -> int:
        """Size of a slot's head."""
        used = _CRC.size + _SLOT_HEAD.size + 4 * self.tracks + self.notes_bytes
        return -(-used // _ALIGN_BYTES) * _ALIGN_BYTES

    @property
    def track_bytes(self) -> int:
        """Size of one track in a slot."""
        return 2 * self.block_samples

    @property
    def slot_bytes(self) -> int:
        """Size of a slot."""
        return self.head_bytes + self.tracks * self.track_bytes

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self.head_copy_offset + PAGE_BYTES

    @property
    def head_copy_offset(self) -> int:
        """File offset of the second header page."""
        return _SLOTS_OFFSET + self.slots * self.slot_bytes

    def slot_offset(self, sequence: int) -> int:
        """File offset of the slot that the block with this sequence lives in."""
        return _SLOTS_OFFSET + (sequence % self.slots) * self.slot_bytes


@dataclass(frozen=True, slots=True)
class TapeBlock:
    """One block: ``samples`` int16 (tracks, block_samples), C-contiguous; ``gaps`` are ranges of silence filled in.

    ``boot_id`` is at most 64 bytes of UTF-8. ``wall_ns`` is the wall-clock time (Unix ns) of ``first_sample``. The
    card's own clock read ``first_sample - card_offset`` at that moment, in the power-up ``boot_id``.
    """

    number: int
    first_sample: int
    samples: Pcm
    events: tuple[LineEvent, ...]
    gaps: tuple[Range, ...]
    wall_ns: int
    monotonic_ns: int
    boot_id: str
    card_offset: int
    sequence: int = -1
    """How many were written before it; -1: it is not written yet."""
    follows: int | None = None
    """Number of the block that this run of the recorder made before it; -1: none in which it heard anything."""

    @property
    def end_sample(self) -> int:
        """The first position after the block."""
        return self.first_sample + int(self.samples.shape[1])

    def wall_ms(self, sample: int, sample_rate_hz: int) -> int:
        """Unix ms of a sample near this block, by this block's anchor."""
        return (self.wall_ns + (sample - self.first_sample) * 1_000_000_000 // sample_rate_hz) // 1_000_000


def pack_file_head(geometry: Geometry, epoch: str, card_id: str) -> bytes:
    """The header page."""
    fields = _FILE_HEAD.pack(
        FILE_MAGIC,
        geometry.tracks,
        geometry.sample_rate_hz,
        geometry.block_samples,
        geometry.slots,
        geometry.slot_bytes,
        bytes.fromhex(epoch),
        card_id.encode(),
    )
    return (fields + _CRC.pack(checksum(fields))).ljust(PAGE_BYTES, b"\0")


def unpack_file_head(page: bytes) -> tuple[Geometry, str, str]:
    """Geometry, epoch and card id of a tape. Raises StoreError when it is not a whole tape header."""
    fields = page[: _FILE_HEAD.size]
    if len(page) < PAGE_BYTES or _CRC.unpack_from(page, _FILE_HEAD.size)[0] != checksum(fields):
        raise StoreError("not a tape, or its header is damaged")
    magic, tracks, rate, block, slots, slot_bytes, epoch, card = _FILE_HEAD.unpack(fields)
    geometry = Geometry(tracks, rate, slots, block)
    if magic != FILE_MAGIC or slot_bytes != geometry.slot_bytes:
        raise StoreError("a tape of another format")
    return geometry, epoch.hex(), card.rstrip(b"\0").decode(errors="replace")


_NoteEvent = tuple[str, int, int, float | str | None, str]


class _Notes(msgspec.Struct):
    e: list[_NoteEvent] = []
    g: list[Range] = []
    p: int | None = None


_notes_decoder = msgspec.json.Decoder(_Notes)


def pack_event(event: LineEvent) -> _NoteEvent:
    """A line event as it stands in the notes."""
    return (event.kind.value, event.port, event.at_sample, event.value, event.source)


def _unpack_event(note: _NoteEvent) -> LineEvent:
    kind, port, at_sample, value, source = note
    exact: EventSource = "hardware" if source == "hardware" else "in_band"
    return LineEvent(EventKind(kind), port, at_sample, value, exact)


def event_bytes(event: LineEvent) -> int:
    """What an event takes of the notes; for one of up to MOST_EVENT_BYTES there is always room."""
    return len(msgspec.json.encode(pack_event(event))) + 1


def pack_notes(events: Sequence[LineEvent], gaps: Sequence[Range], follows: int | None = None) -> bytes:
    """The notes of a slot as JSON."""
    return msgspec.json.encode(_Notes([pack_event(event) for event in events], list(gaps), follows))


def pack_slot_head(geometry: Geometry, block: TapeBlock, notes: bytes) -> bytes:
    """The head of a slot; ``notes`` must fit (``Geometry.notes_bytes``)."""
    fields = _SLOT_HEAD.pack(
        SLOT_MAGIC,
        block.number,
        block.sequence,
        block.card_offset,
        block.monotonic_ns,
        block.wall_ns,
        block.boot_id.encode(),
        len(notes),
    )
    tracks = struct.pack(f"<{len(block.samples)}I", *map(crc32c, block.samples))
    body = fields + tracks + notes
    return (_CRC.pack(checksum(body)) + body).ljust(geometry.head_bytes, b"\0")


@dataclass(frozen=True, slots=True)
class SlotHead:
    """A slot's head after its own CRC held."""

    number: int
    sequence: int
    card_offset: int
    monotonic_ns: int
    wall_ns: int
    boot_id: str
    track_crcs: tuple[int, ...]
    notes: bytes

    def events(self) -> tuple[LineEvent, ...]:
        """Line events written down with this block."""
        return tuple(_unpack_event(note) for note in _notes_decoder.decode(self.notes).e)

    def gaps(self) -> tuple[Range, ...]:
        """Ranges of this block that were never received."""
        return tuple(_notes_decoder.decode(self.notes).g)

    def follows(self) -> int | None:
        """See ``TapeBlock``; None on tapes of versions before this was written down."""
        return _notes_decoder.decode(self.notes).p


def unpack_slot_start(raw: bytes) -> tuple[int, int] | None:
    """Number and sequence of the block in a slot, unchecked; None when it was never written."""
    if len(raw) < SLOT_START_BYTES:
        return None
    magic, number, sequence = _SLOT_START.unpack_from(raw)
    return (number, sequence) if magic == SLOT_MAGIC else None


def unpack_slot_head(geometry: Geometry, raw: bytes) -> SlotHead | None:
    """The head of a slot, or None when it was never written or is torn."""
    if len(raw) < geometry.head_bytes:
        return None
    magic, number, sequence, offset, monotonic_ns, wall_ns, boot, length = _SLOT_HEAD.unpack_from(raw, _CRC.size)
    body_end = _CRC.size + _SLOT_HEAD.size + 4 * geometry.tracks + length
    if magic != SLOT_MAGIC or length > geometry.notes_bytes:
        return None
    if _CRC.unpack_from(raw)[0] != checksum(raw[_CRC.size : body_end]):
        return None
    crcs = struct.unpack_from(f"<{geometry.tracks}I", raw, _CRC.size + _SLOT_HEAD.size)
    return SlotHead(
        number,
        sequence,
        offset,
        monotonic_ns,
        wall_ns,
        boot.decode(errors="replace"),
        crcs,
        raw[body_end - length : body_end],
    )


def silence(tracks: int, samples: int) -> Pcm:
    """Zeros, int16 (tracks, samples)."""
    return np.zeros((tracks, samples), np.int16)


def geometry_for(tracks: int, sample_rate_hz: int, minutes: float) -> Geometry:
    """The shape of a tape that holds ``minutes`` of every track."""
    block_samples = sample_rate_hz * BLOCK_MS // 1000
    return Geometry(tracks, sample_rate_hz, max(16, int(minutes * 60_000 / BLOCK_MS)), block_samples)


def geometry_of(tracks: int, sample_rate_hz: int, size_bytes: int) -> Geometry:
    """The shape of a tape that takes ``size_bytes`` of the disk."""
    least = geometry_for(tracks, sample_rate_hz, 0)
    room = size_bytes - replace(least, slots=0).file_bytes
    return replace(least, slots=max(least.slots, room // least.slot_bytes))


def join_gap(gaps: list[Range], gap: Range) -> None:
    """Add a gap at the end of a list of gaps; one that touches the last prolongs it."""
    if gaps and gaps[-1][1] == gap[0]:
        gaps[-1] = (gaps[-1][0], gap[1])
    else:
        gaps.append(gap)
