"""Reading caller-ID messages: fields, names in Chinese, absence, DTMF forms; and no input that raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_signals import frame, mdmf

from recorder.dsp.caller_id import decode_name, parse_dtmf, parse_fsk
from recorder.signals import CallerId


def read(data: bytes, *, checked: bool = True) -> CallerId:
    return parse_fsk(data, checked=checked, signalling="fsk-bell202", quality=0.9)


def test_all_fields() -> None:
    caller = read(mdmf((1, b"01020304"), (2, b"01062345678"), (7, "王伟".encode("gb2312"))))
    assert (caller.number, caller.name, caller.date, caller.time) == ("01062345678", "王伟", "01-02", "03:04")
    assert (caller.valid, caller.format, caller.absence) == (True, "mdmf", None)


def test_everything_an_exchange_tells_is_kept() -> None:
    caller = read(
        mdmf(
            (1, b"01020304"), (2, b"01062345678"), (3, b"800"), (0x1A, b"02087654321"), (0x15, b"\x02"), (6, b"L"),
            (8, b"P"), (0x11, b"\x01"), (0x16, b"\x0f"), (0x13, b"\x03"), (0x50, b"anything"),
        )
    )  # fmt: skip
    assert (caller.number, caller.dialled, caller.redirecting) == ("01062345678", "800", "02087654321")
    assert (caller.redirect_reason, caller.long_distance, caller.name_absence) == ("no_answer", True, "withheld")
    assert (caller.call_type, caller.caller_type, caller.waiting_messages) == ("voice", "payphone", 3)
    assert (caller.valid, caller.format) == (True, "mdmf")


@pytest.mark.parametrize(("digit", "reason"), [(b"0", "always"), (b"1", "busy"), (b"2", "no_answer")])
def test_why_a_call_was_redirected(digit: bytes, reason: str) -> None:
    assert read(mdmf((2, b"110"), (5, digit))).redirect_reason == reason


@pytest.mark.parametrize(("letter", "absence"), [(b"O", "unavailable"), (b"P", "withheld")])
def test_absence(letter: bytes, absence: str) -> None:
    assert read(mdmf((1, b"01020304"), (4, letter))).absence == absence
    assert read(mdmf((2, letter))).absence == absence
    assert read(frame(0x04, b"01020304" + letter)).absence == absence
    assert read(mdmf((4, letter))).number is None


def test_parity_bits_are_taken_off() -> None:
    odd = bytes(b | 0x80 if b.bit_count() % 2 == 0 else b for b in b"13812345678")
    assert read(mdmf((2, odd))).number == "13812345678"


def test_an_exchange_without_a_clock() -> None:
    caller = read(mdmf((1, b"00000000"), (2, b"110")))
    assert (caller.number, caller.date, caller.time, caller.valid) == ("110", None, None, True)


@pytest.mark.parametrize(
    "data",
    [
        mdmf((2, b"138\x0112")),
        mdmf((2, b"138x12")),
        mdmf((1, b"0102030A"), (2, b"123")),
        frame(0x80, b"\x02\x0b1381234567"),  # the parameter is longer than the message
        frame(0x80, b"\x02\x031234"),  # a byte is left over
        frame(0x80, b""),
        frame(0x04, b"010203"),
        frame(0x99, b"\x02\x03123"),
        mdmf((2, b"123"))[:-1] + b"\x00",
    ],
)
def test_what_cannot_be_believed(data: bytes) -> None:
    caller = read(data)
    assert (caller.valid, caller.number) == (False, None)


def test_a_frame_that_the_receiver_does_not_vouch_for() -> None:
    caller = read(mdmf((2, b"13812345678")), checked=False)
    assert (caller.valid, caller.number) == (False, None)
    assert caller.partial is not None
    assert "13812345678" in caller.partial


@pytest.mark.parametrize("kind", [0x06, 0x82])
def test_message_waiting(kind: int) -> None:
    caller = read(frame(kind, b"\x0b\x01\xff"))
    assert (caller.format, caller.number, caller.valid) == ("mwi", None, True)


def test_etsi_call_type_message_waiting() -> None:
    assert read(mdmf((0x11, b"\x81"), (2, b"123"))).format == "mwi"
    assert read(mdmf((0x11, b"\x01"), (2, b"123"))).format == "mdmf"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"JOHN DOE  ", "JOHN DOE"),
        ("北京市公安局".encode("gb2312"), "北京市公安局"),
        ("王喆".encode("gbk"), "王喆"),
        ("王伟".encode(), "王伟"),
        ("Müller".encode("latin-1"), "Müller"),
        (b"A\x07B", None),
        (b"", None),
    ],
)
def test_names(raw: bytes, name: str | None) -> None:
    assert decode_name(raw) == name


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise_and_numbers_need_a_checksum(data: bytes, checked: bool) -> None:
    caller = read(data, checked=checked)
    if caller.valid:
        assert checked
        assert sum(data) % 256 == 0
    else:
        assert caller.number is None


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=8), st.integers(0, 255))
def test_no_parameters_raise(parameters: list[tuple[int, bytes]], kind: int) -> None:
    body = mdmf(*parameters)[:-1]
    message = bytes([kind]) + body[1:]
    caller = read(message + bytes([-sum(message) % 256]))
    if caller.number is not None:
        assert set(caller.number) <= set("0123456789*#+ABCD-")


@pytest.mark.parametrize(
    ("digits", "form", "number", "absence"),
    [
        ("A13812345678C", "dtmf-a-c", "13812345678", None),
        ("D13812345678C", "dtmf-d-c", "13812345678", None),
        ("A13812345678#", "dtmf-a-hash", "13812345678", None),
        ("A5551234D777C", "dtmf-a-c", "5551234", None),
        ("A5551234D777B10C", "dtmf-a-c", "5551234", None),
        ("D1#", "dtmf-d-hash", None, "withheld"),
        ("D2#", "dtmf-d-hash", None, "unavailable"),
        ("D3#", "dtmf-d-hash", None, "unavailable"),
        ("B00C", "dtmf-b-c", None, "unavailable"),
        ("B10C", "dtmf-b-c", None, "withheld"),
        ("12345678#", "dtmf-hash", "12345678", None),
    ],
)
def test_dtmf_forms(digits: str, form: str, number: str | None, absence: str | None) -> None:
    caller = parse_dtmf(digits, 1.0)
    assert caller is not None
    assert (caller.format, caller.number, caller.absence) == (form, number, absence)


@pytest.mark.parametrize("digits", ["", "12#", "123456", "A123", "AC", "C", "#", "ABC", "A1*2C", "B77C", "123C"])
def test_dtmf_strings_that_are_no_caller_id(digits: str) -> None:
    assert parse_dtmf(digits, 1.0) is None


@given(st.text("0123456789ABCD*#", max_size=40))
def test_no_digits_raise(digits: str) -> None:
    caller = parse_dtmf(digits, 0.5)
    assert caller is None or caller.number or caller.absence
