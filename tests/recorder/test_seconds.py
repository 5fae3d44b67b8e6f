"""Seconds of a file without a decoder, compared with what decoders say."""

from __future__ import annotations

import io
import struct
from typing import Literal

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.api import Pcm
from drivers.g711 import decode_alaw, encode_alaw
from firmware.errors import BadInput
from recorder.cutting.seconds import AudioFormat, seconds_of

CODINGS: dict[AudioFormat, tuple[str, str]] = {
    "flac": ("FLAC", "PCM_16"),
    "alaw": ("WAV", "ALAW"),
    "ulaw": ("WAV", "ULAW"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
FORMATS = list(CODINGS)


def speech(samples: int, channels: int = 1, seed: int = 3) -> Pcm:
    """Noise that swells and falls silent, int16 (samples, channels)."""
    random = np.random.default_rng(seed)
    level = np.interp(np.arange(samples), np.arange(20) * 4000, random.random(20) + 0.1)
    loud = random.normal(0, 3000, (samples, channels)) * level[:, None] ** 2
    return np.ascontiguousarray(loud.astype(np.int16))


def encoded(audio_format: AudioFormat, samples: Pcm, rate: int = 8000, comment: str = "x" * 700) -> bytes:
    whole = io.BytesIO()
    container, coding = CODINGS[audio_format]
    with soundfile.SoundFile(whole, "w", rate, samples.shape[1], coding, format=container) as file:
        file.title, file.comment = "incoming 13800138000", comment
        file.write(samples)
    return whole.getvalue()


def check_is_whole(content: bytes, header: int, seconds: list[tuple[int, int, int]], rate: int) -> None:
    """Header and seconds follow each other without a hole and are the file; at most one entry a second."""
    at, last = header, -1
    for first, offset, size in seconds:
        assert offset == at
        assert size > 0
        assert first // rate > last
        at, last = at + size, first // rate
    assert at == len(content)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("audio_format", FORMATS)
def test_header_and_seconds_are_the_file(audio_format: AudioFormat, channels: int) -> None:
    samples = speech(8000 * 7 + 123, channels)
    content = encoded(audio_format, samples)
    header, seconds = seconds_of(audio_format, content, 8000, channels)
    check_is_whole(content, header, seconds, 8000)
    assert abs(len(seconds) - 8) <= 2
    assert seconds == seconds_of(audio_format, memoryview(content), 8000, channels)[1]


@pytest.mark.parametrize("samples", [0, 1, 4095, 4096, 4097, 8000, 8192, 60_000])
@pytest.mark.parametrize("rate", [8000, 16_000])
@pytest.mark.parametrize("audio_format", ["flac", "alaw"])
def test_every_length(audio_format: AudioFormat, samples: int, rate: int) -> None:
    content = encoded(audio_format, speech(samples), rate)
    if not content:
        pytest.skip("libsndfile writes no FLAC file without samples")
    header, seconds = seconds_of(audio_format, content, rate, 1)
    check_is_whole(content, header, seconds, rate)
    assert bool(seconds) == bool(samples)


def test_flac_seconds_begin_at_their_samples() -> None:
    """A decoder that gets the header and the bytes from a second on plays the samples from its first one on."""
    samples = speech(8000 * 6)
    content = encoded("flac", samples)
    header, seconds = seconds_of("flac", content, 8000, 1)
    assert [first for first, _, _ in seconds] == [0, 8192, 16_384, 24_576, 32_768, 40_960]
    for index, (first, offset, size) in enumerate(seconds):
        after = seconds[index + 1][0] if index + 1 < len(seconds) else len(samples)
        stream = bytearray(content[:header] + content[offset : offset + size])
        total = int.from_bytes(stream[18:26], "big") >> 36 << 36 | after - first
        stream[18:26], stream[26:42] = total.to_bytes(8, "big"), bytes(16)  # its own length, and no MD5
        with soundfile.SoundFile(io.BytesIO(bytes(stream))) as file:
            part = file.read(dtype="int16")
        assert np.array_equal(part, samples[first:after, 0])


def test_wav_seconds_are_exact() -> None:
    samples = decode_alaw(encode_alaw(speech(20_000, 2)))
    content = encoded("alaw", samples)
    header, seconds = seconds_of("alaw", content, 8000, 2)
    assert [(first, size) for first, _, size in seconds] == [(0, 16_000), (8000, 16_000), (16_000, 8000)]
    assert content[header:] == encode_alaw(samples).tobytes()


@pytest.mark.parametrize("kind", ["chunk behind", "odd chunk before"])
def test_wav_with_other_chunks(kind: str) -> None:
    codes = bytes(range(256)) * 40 + b"\x55"
    head = b"WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 6, 1, 8000, 8000, 1, 8)
    data = struct.pack("<4sI", b"data", len(codes)) + codes + b"\0"
    other = struct.pack("<4sI", b"LIST", 5) + b"abcde\0"
    body = head + (data + other if kind == "chunk behind" else other + data)
    content = b"RIFF" + struct.pack("<I", len(body)) + body
    header, seconds = seconds_of("alaw", content, 8000, 1)
    check_is_whole(content, header, seconds, 8000)
    assert content[header : header + len(codes)] == codes
    assert [first for first, _, _ in seconds] == [0, 8000]


def test_opus_counts_from_the_first_sample() -> None:
    content = encoded("opus", speech(8000 * 20))
    _, seconds = seconds_of("opus", content, 8000, 1)
    assert seconds[0][0] == 0
    steps = np.diff([first for first, _, _ in seconds])
    assert steps.max() <= 16_000
    assert 18 * 8000 <= seconds[-1][0] < 20 * 8000


def test_mp3_counts_frames_as_they_were_coded() -> None:
    content = encoded("mp3", speech(8000 * 10))
    header, seconds = seconds_of("mp3", content, 8000, 1)
    assert [first % 576 for first, _, _ in seconds] == [0] * len(seconds)
    assert content[seconds[1][1]] == 0xFF
    tag_bytes = 10 + (content[8] << 7 | content[9])
    assert content[:3] == b"ID3"
    assert seconds_of("mp3", content[tag_bytes:], 8000, 1)[0] == header - tag_bytes
    ended = content + b"TAG" + bytes(125)
    check_is_whole(ended, *seconds_of("mp3", ended, 8000, 1), 8000)


def test_flac_frames_have_right_check_sums() -> None:
    content = bytearray(encoded("flac", speech(8000 * 4)))
    _, seconds = seconds_of("flac", bytes(content), 8000, 1)
    content[seconds[1][1] + 5] ^= 1  # behind sync, codes and a number of one byte
    with pytest.raises(BadInput, match="8192"):
        seconds_of("flac", bytes(content), 8000, 1)


Damage = Literal["cut", "empty", "other", "middle"]


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "middle"])
@pytest.mark.parametrize("audio_format", FORMATS)
def test_what_is_damaged_is_told(audio_format: AudioFormat, damage: Damage) -> None:
    content = encoded(audio_format, speech(8000 * 4))
    if damage == "cut":
        content = content[: len(content) * 2 // 3]
    elif damage == "empty":
        content = b""
    elif damage == "other":
        content = b"\x89PNG" + content[4:]
    elif audio_format in ("alaw", "ulaw"):
        pytest.skip("any byte is a sample")
    else:
        content = content[: len(content) // 2] + content[len(content) // 2 + 997 :]
    if audio_format == "mp3" and damage in ("cut", "empty"):
        return  # frames stand alone: what is left is whole
    with pytest.raises(BadInput):
        seconds_of(audio_format, content, 8000, 1)


@settings(max_examples=150)
@given(st.sampled_from(FORMATS), st.data())
def test_no_hostile_file_does_more_than_bad_input(audio_format: AudioFormat, data: st.DataObject) -> None:
    content = bytearray(_SMALL[audio_format])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        header, seconds = seconds_of(audio_format, bytes(content), 8000, 1)
    except BadInput:
        return
    assert header + sum(size for _, _, size in seconds) == len(content)


_SMALL = {audio_format: encoded(audio_format, speech(12_000), comment="x") for audio_format in FORMATS}
