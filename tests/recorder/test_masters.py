"""Masters decode to exactly what was captured, and carry their call."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.api import Pcm
from drivers.g711 import decode_alaw, decode_ulaw, encode_alaw
from recorder.cutting.masters import MOST_COMMENT_BYTES, Tags, encode_master
from recorder.cutting.seconds import seconds_of

TAGS = Tags("incoming 10086", "张三", {"tapdeck_call": {"caller_name": "张三"}})
EVERY_ALAW = decode_alaw(np.arange(256, dtype=np.uint8))
EVERY_ULAW = decode_ulaw(np.arange(256, dtype=np.uint8))


def decoded(content: bytes) -> Pcm:
    samples, _ = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    return np.ascontiguousarray(samples.T)


def mixed(values: Pcm, channels: int, length: int = 20_000) -> Pcm:
    random = np.random.default_rng(5)
    return np.concatenate([np.tile(values, (channels, 1)), random.choice(values, (channels, length))], axis=1)


@pytest.mark.parametrize("channels", [1, 2])
def test_flac_keeps_every_sample(channels: int) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32768, (channels, 30_001)).astype(np.int16)
    master = encode_master(samples, 8000, "flac", [], TAGS)
    assert (master.format, master.ending) == ("flac", ".flac")
    assert np.array_equal(decoded(master.content), samples)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("law", ["alaw", "ulaw"])
def test_g711_keeps_every_sample_of_its_law(law: str, channels: int) -> None:
    samples = mixed(EVERY_ALAW if law == "alaw" else EVERY_ULAW, channels)
    master = encode_master(samples, 8000, "g711", [], TAGS)
    assert (master.format, master.ending) == (law, ".wav")
    assert np.array_equal(decoded(master.content), samples)
    header, _ = seconds_of(master.format, master.content, 8000, channels)
    if law == "alaw":
        assert master.content[header:].startswith(encode_alaw(np.ascontiguousarray(samples.T)).tobytes())


def test_g711_is_flac_where_it_would_lose_a_sample() -> None:
    samples = mixed(EVERY_ALAW, 2)
    samples[1, 777] += 1
    master = encode_master(samples, 8000, "g711", [], TAGS)
    assert master.format == "flac"
    assert np.array_equal(decoded(master.content), samples)
    two_laws = np.stack([mixed(EVERY_ALAW, 1)[0], mixed(EVERY_ULAW, 1)[0]])
    assert encode_master(two_laws, 8000, "g711", [], TAGS).format == "flac"


def test_silence_that_was_not_heard_does_not_count() -> None:
    samples = mixed(EVERY_ALAW, 1)
    samples[:, 500:900] = 0
    assert encode_master(samples, 8000, "g711", [(500, 900)], TAGS).format == "alaw"
    assert encode_master(samples, 8000, "g711", [(500, 899)], TAGS).format == "flac"
    kept = decoded(encode_master(samples, 8000, "g711", [(500, 900)], TAGS).content)
    heard = np.ones(samples.shape[1], bool)
    heard[500:900] = False
    assert np.array_equal(kept[:, heard], samples[:, heard])
    assert np.abs(kept[:, ~heard]).max() == 8, "the law's smallest value"


@pytest.mark.parametrize("wanted", ["flac", "g711"])
def test_tags_carry_the_call(wanted: str) -> None:
    content = encode_master(mixed(EVERY_ALAW, 1), 8000, wanted, [], TAGS).content  # type: ignore[arg-type]
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        assert (file.title, file.artist) == ("incoming 10086", "张三")
        assert file.software.startswith("Tapdeck")
        assert json.loads(file.comment) == TAGS.comment


@settings(max_examples=60, deadline=None)
@example("\0", "\0", "flac")
@example("\0张", "\0", "g711")
@given(st.text(max_size=300), st.text(max_size=50), st.sampled_from(["flac", "g711"]))
def test_no_text_from_the_line_keeps_a_recording_from_being_made(name: str, number: str, wanted: str) -> None:
    samples = mixed(EVERY_ALAW, 1, 100)
    tags = Tags(number, name, {"tapdeck_call": {"caller_name": name}})
    content = encode_master(samples, 8000, wanted, [], tags).content  # type: ignore[arg-type]
    assert np.array_equal(decoded(content), samples)
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        assert json.loads(file.comment) == tags.comment


@pytest.mark.parametrize("wanted", ["flac", "g711"])
@pytest.mark.parametrize("size", [MOST_COMMENT_BYTES - 100, 200_000])
def test_a_call_record_of_any_length(wanted: str, size: int) -> None:
    samples = mixed(EVERY_ALAW, 1, 100)
    tags = Tags("x", "y", {"tapdeck_call": {"pauses": "p" * size}})
    content = encode_master(samples, 8000, wanted, [], tags).content  # type: ignore[arg-type]
    assert np.array_equal(decoded(content), samples)
    assert (b"p" * size in content) == (size < MOST_COMMENT_BYTES)
