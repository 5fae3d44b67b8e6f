from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from drivers import g711

ALL_CODES = np.arange(256, dtype=np.uint8)
ALL_LINEAR = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
LAWS = {"ALAW": (g711.encode_alaw, g711.decode_alaw), "ULAW": (g711.encode_ulaw, g711.decode_ulaw)}


def libsndfile_decode(law: str, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    raw = io.BytesIO(codes.tobytes())
    linear, _ = soundfile.read(raw, format="RAW", subtype=law, channels=1, samplerate=8000, dtype="int16")
    return np.asarray(linear, np.int16)


@pytest.mark.parametrize("law", LAWS)
def test_decoding_agrees_with_libsndfile(law: str) -> None:
    np.testing.assert_array_equal(LAWS[law][1](ALL_CODES), libsndfile_decode(law, ALL_CODES))


def test_values_of_the_standard() -> None:
    # G.711 tables 1a and 2a: the largest value, and character signals next to zero (Note: even bits inverted)
    assert g711.decode_alaw(np.array([0xAA, 0x2A, 0xD5, 0x55], np.uint8)).tolist() == [32256, -32256, 8, -8]
    assert g711.decode_ulaw(np.array([0x80, 0x00, 0xFF, 0x7F], np.uint8)).tolist() == [32124, -32124, 0, 0]


@pytest.mark.parametrize("law", LAWS)
def test_every_code_survives_a_round_trip(law: str) -> None:
    encode, decode = LAWS[law]
    linear = decode(ALL_CODES)
    np.testing.assert_array_equal(decode(encode(linear)), linear)
    changed = ALL_CODES[encode(linear) != ALL_CODES]
    assert changed.tolist() == ([0x7F] if law == "ULAW" else [])  # µ-law has two zeros


@pytest.mark.parametrize("law", LAWS)
def test_encoding_agrees_with_libsndfile_off_the_decision_values(law: str) -> None:
    raw = io.BytesIO()
    soundfile.write(raw, ALL_LINEAR, 8000, format="RAW", subtype=law)
    theirs = np.frombuffer(raw.getvalue(), np.uint8)
    ours = LAWS[law][0](ALL_LINEAR)
    differ = np.flatnonzero(ours != theirs)
    # G.711 leaves open to which side a sample exactly on a decision value goes: one for each negative interval
    assert len(differ) <= 127
    assert np.all(ALL_LINEAR[differ] < 0)
    assert np.all((ours[differ] == theirs[differ - 1]) | (ours[differ] == theirs[differ + 1]))


def test_shape_is_kept() -> None:
    codes = g711.encode_alaw(np.zeros((3, 160), np.int16))
    assert codes.shape == (3, 160)
    assert codes.dtype == np.uint8
    assert g711.decode_alaw(codes).flags.c_contiguous
