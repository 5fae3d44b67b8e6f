"""Where each second of a recording lies in its file, found without decoding a sample.

A second's bytes begin at the first frame of the coding that starts in it and end where the next second's begin; the
last one's end where the file ends. What comes before the first frame is the header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from firmware.errors import BadInput

AudioFormat = Literal["flac", "alaw", "ulaw", "opus", "mp3"]
Second = tuple[int, int, int]
"""First sample, offset in the file, bytes."""
_Frame = tuple[int, int]
"""First sample, offset in the file."""


def seconds_of(
    audio_format: AudioFormat, data: bytes | memoryview, sample_rate_hz: int, channels: int
) -> tuple[int, list[Second]]:
    """Length of the header, and every second in which a frame starts; together they are the whole file.

    Samples count from the first one that was coded: a coder's delay is not taken off (but Opus' pre-skip is).
    Raises BadInput: the file is damaged, or not what ``audio_format`` says.
    """
    content = bytes(data)
    try:
        if audio_format in ("alaw", "ulaw"):
            return _even(*_wav_data(content), len(content), sample_rate_hz, channels)
        frames = _FRAMES[audio_format](content, sample_rate_hz)
        return _by_second(frames, len(content), sample_rate_hz)
    except (struct.error, IndexError) as error:
        raise BadInput(f"damaged {audio_format} file: it ends in the middle") from error


def _even(start: int, size: int, end: int, sample_rate_hz: int, channels: int) -> tuple[int, list[Second]]:
    """Seconds of one byte a sample and channel."""
    step = sample_rate_hz * channels
    starts = range(start, start + size, step)
    return start, [
        (index * sample_rate_hz, offset, (end if index + 1 == len(starts) else offset + step) - offset)
        for index, offset in enumerate(starts)
    ]


def _by_second(frames: Iterable[_Frame], end: int, sample_rate_hz: int) -> tuple[int, list[Second]]:
    starts: list[_Frame] = []
    second = -1
    for first_sample, offset in frames:
        if first_sample // sample_rate_hz > second:
            second = first_sample // sample_rate_hz
            starts.append((first_sample, offset))
    if not starts:
        return end, []
    ends = [offset for _, offset in starts[1:]] + [end]
    return starts[0][1], [(first, at, stop - at) for (first, at), stop in zip(starts, ends, strict=True)]


def _wav_data(content: bytes) -> tuple[int, int]:
    """Offset and length of the samples (RIFF: chunks of a name, a length and content padded to even length)."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise BadInput("not a WAV file")
    offset = 12
    while offset < len(content):
        name, size = struct.unpack_from("<4sI", content, offset)
        if name == b"data":
            if offset + 8 + size > len(content):
                raise BadInput("damaged WAV file: samples are missing")
            return offset + 8, size
        offset += 8 + size + (size & 1)
    raise BadInput("a WAV file without samples")


def _flac_frames(content: bytes, sample_rate_hz: int) -> Iterator[_Frame]:
    """Frames of a FLAC file (RFC 9639, section 9): sync code, number and CRC-8 must all be right."""
    offset, block_samples, shortest, samples = _flac_stream(content)
    if offset >= len(content) and not samples:
        return
    variable = content[offset + 1] & 1
    sync = bytes((0xFF, 0xF8 | variable))
    first = 0
    while offset >= 0:
        number = _flac_number(content, offset)
        if number is not None and (number if variable else number * block_samples) == first:
            yield first, offset
            first += _flac_block(content, offset) if variable else block_samples
            if samples and first >= samples:
                return
            offset += shortest
        elif first == 0:
            raise BadInput("damaged FLAC file: no frame where the first must be")
        else:
            offset += 1
        offset = content.find(sync, offset)
    if samples:
        raise BadInput(f"damaged FLAC file: no frame for sample {first}")


def _flac_stream(content: bytes) -> tuple[int, int, int, int]:
    """Offset of the first frame; from STREAMINFO: samples a block, shortest frame in bytes, samples in all."""
    if content[:4] != b"fLaC" or content[4] & 0x7F:
        raise BadInput("not a FLAC file")
    block_samples, shortest = struct.unpack_from(">H", content, 10)[0], int.from_bytes(content[12:15], "big")
    samples = int.from_bytes(content[21:26], "big") & (1 << 36) - 1
    offset, last = 4, False
    while not last:
        last = bool(content[offset] & 0x80)
        offset += 4 + int.from_bytes(content[offset + 1 : offset + 4], "big")
    return offset, block_samples, max(shortest, 10), samples


def _flac_number(content: bytes, offset: int) -> int | None:
    """The frame's or sample's number in a frame header; None when there is no frame header here."""
    head = content[offset : offset + 16]
    if head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    lead = head[4]
    more = 0 if lead < 0x80 else 8 - (lead ^ 0xFF).bit_length() - 1  # coded like UTF-8
    if more < 0 or 0x80 <= lead < 0xC0 or lead == 0xFF:
        return None
    number = lead if not more else lead & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    end = 5 + more + {6: 1, 7: 2}.get(head[2] >> 4, 0) + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    crc = 0
    for byte in head[:end]:
        crc = _CRC8[crc ^ byte]
    return number if crc == head[end] else None


def _flac_block(content: bytes, offset: int) -> int:
    """Samples in a frame of a file with blocks of various sizes (RFC 9639, section 9.1.1)."""
    code = content[offset + 2] >> 4
    if code in (6, 7):
        lead = content[offset + 4]
        at = offset + 5 + (0 if lead < 0x80 else 8 - (lead ^ 0xFF).bit_length() - 1)
        return 1 + int.from_bytes(content[at : at + code - 5], "big")
    return 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8


def _crc8_table() -> bytes:
    """CRC-8 of FLAC frame headers: x^8 + x^2 + x + 1 (RFC 9639, section 9.1.8)."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1) ^ (0x107 if value & 0x80 else 0)
        table.append(value)
    return bytes(table)


_CRC8 = _crc8_table()


def _opus_frames(content: bytes, sample_rate_hz: int) -> Iterator[_Frame]:
    """Audio pages of an Ogg Opus file (RFC 3533, section 6; RFC 7845): a page's granule is the 48 kHz sample it
    ends at."""
    offset, granule, pre_skip, page = 0, 0, 0, 0
    in_tags = True
    while offset < len(content):
        magic, version, _, ends_at, _, _, _, segments = struct.unpack_from("<4sBBqIIIB", content, offset)
        lacing = content[offset + 27 : offset + 27 + segments]
        size = 27 + segments + sum(lacing)
        if magic != b"OggS" or version or len(lacing) < segments or offset + size > len(content):
            raise BadInput(f"damaged Ogg file: no whole page at byte {offset}")
        body = offset + 27 + segments
        if page == 0:
            if content[body : body + 8] != b"OpusHead":
                raise BadInput("not an Ogg Opus file")
            pre_skip = struct.unpack_from("<H", content, body + 10)[0]
        elif in_tags:
            in_tags = not any(length < 255 for length in lacing)  # the comment header ends its page
        else:
            yield max(0, granule - pre_skip) * sample_rate_hz // 48_000, offset
            granule = ends_at if ends_at >= 0 else granule
        offset, page = offset + size, page + 1
    if not page:
        raise BadInput("not an Ogg Opus file")


_MP3_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Layer III bit rates in kbit/s: MPEG-1 (ISO/IEC 11172-3, 2.4.2.3), and MPEG-2 (13818-3, 2.4.2.3) with 2.5."""
_MP3_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def _mp3_frames(content: bytes, sample_rate_hz: int) -> Iterator[_Frame]:
    """Frames of an MP3 file; ID3v2 and the coder's information frame (Xing, Info) belong to the header."""
    offset = _after_id3(content)
    first = count = 0
    while offset + 4 <= len(content) and content[offset : offset + 3] != b"TAG":
        size, samples = _mp3_frame(content, offset)
        information = count == 0 and any(mark in content[offset : offset + 64] for mark in (b"Xing", b"Info"))
        if not information:
            yield first, offset
            first += samples
        offset, count = offset + size, count + 1


def _after_id3(content: bytes) -> int:
    """Where ID3v2 ends (ID3v2.4 structure, section 3.1: a length of four times seven bits)."""
    if content[:3] != b"ID3":
        return 0
    size = 0
    for byte in content[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if content[5] & 0x10 else 0)


def _mp3_frame(content: bytes, offset: int) -> tuple[int, int]:
    """Bytes and samples of the frame that begins here."""
    one, two, three = content[offset : offset + 3]
    version, layer, kbits, rate = two >> 3 & 3, two >> 1 & 3, three >> 4, three >> 2 & 3
    if one != 0xFF or two & 0xE0 != 0xE0 or version == 1 or layer != 1 or kbits in (0, 15) or rate == 3:
        raise BadInput(f"damaged MP3 file: no frame at byte {offset}")
    samples = 1152 if version == 3 else 576
    bits = _MP3_KBITS[version == 3][kbits] * 1000
    return samples // 8 * bits // _MP3_RATES_HZ[version][rate] + (three >> 1 & 1), samples


_FRAMES: dict[str, Callable[[bytes, int], Iterator[_Frame]]] = {
    "flac": _flac_frames,
    "opus": _opus_frames,
    "mp3": _mp3_frames,
}
