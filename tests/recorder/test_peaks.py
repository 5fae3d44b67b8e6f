"""Peaks: the lowest and the highest sample of every tenth of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.errors import BadInput
from recorder.cutting.peaks import peaks_of, peaks_path, read_peaks


@given(st.integers(0, 5000), st.integers(1, 2), st.sampled_from([8000, 11_025, 16_000]), st.integers(0, 2**32 - 1))
def test_peaks_are_those_of_a_loop(length: int, channels: int, rate: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-32768, 32768, (channels, length)).astype(np.int16)
    found = read_peaks(peaks_of(samples, rate))
    starts = [number * rate // 10 for number in range(len(found) + 1)]
    assert len(found) == -(-length * 10 // rate)
    for number, peaks in enumerate(found):
        part = samples[:, starts[number] : starts[number + 1]].astype(int)
        for channel in range(channels):
            low, high = int(part[channel].min()), int(part[channel].max())
            expected = [max(-128, min(127, (extreme + 128) // 256)) for extreme in (low, high)]
            assert peaks[channel].tolist() == expected


def test_the_file_is_what_the_document_says() -> None:
    samples = np.zeros((2, 1000), np.int16)
    samples[0, 10], samples[1, 900] = 32767, -32768
    content = peaks_of(samples, 8000)
    assert content[:12] == b"TDPK\x01\x02\x0a\x00\x02\x00\x00\x00"
    assert content[12:] == bytes([0, 127, 0, 0, 0, 0, 128, 0])


@pytest.mark.parametrize("name", ["a_1.flac", "a_1.wav", "a_1.flac.tde", "a_1.wav.tde"])
def test_where_it_is(name: str) -> None:
    assert peaks_path(Path("x") / name) == Path("x/a_1.peaks")


@pytest.mark.parametrize("damage", [b"", b"TDPK", b"\0" * 12, b"cut", b"longer"])
def test_a_damaged_file_is_told(damage: bytes) -> None:
    whole = peaks_of(np.ones((1, 1600), np.int16), 8000)
    content = {b"cut": whole[:-1], b"longer": whole + b"\0"}.get(damage, damage)
    with pytest.raises(BadInput):
        read_peaks(content)
