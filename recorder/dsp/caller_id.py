"""Reads caller-ID messages: the bytes of FSK frames and the digits of DTMF strings.

FSK: Telcordia GR-30-CORE / GR-31-CORE (SDMF, MDMF), ETSI EN 300 659-3 (parameters). DTMF: ETSI
EN 300 659-1 annex B and national variants. What cannot be believed becomes a damaged message without a
number; nothing here raises on any input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from recorder.signals import CallerId

SDMF, SDMF_WAITING, MDMF, MDMF_WAITING = 0x04, 0x06, 0x80, 0x82
WAITING_FORMAT = "mwi"  # message waiting: a lamp on the telephone, not a call

_FORMATS = {SDMF: "sdmf", MDMF: "mdmf", SDMF_WAITING: WAITING_FORMAT, MDMF_WAITING: WAITING_FORMAT}

# Parameters of MDMF (GR-30-CORE; ETSI EN 300 659-3 § 5.4).
_DATE, _NUMBER, _NUMBER_ABSENT, _NAME, _NAME_ABSENT, _CALL_TYPE = 0x01, 0x02, 0x04, 0x07, 0x08, 0x11
_CALL_TYPE_WAITING = 0x81

_ABSENCE = {"O": "unavailable", "P": "withheld"}
_NUMBER_FORM = re.compile(r"\+?[0-9*#A-D-]{1,32}")
_DATE_FORM = re.compile(r"[0-9]{8}")

# Digit strings on hook: fields A (caller), D (redirecting, or caller when first), B (reason), ended by C or #.
_DTMF_FIELDS = re.compile(r"(?P<fields>(?:[ABD][0-9]*)+)(?P<end>[C#])")
_DTMF_PLAIN = re.compile(r"(?P<number>[0-9]{3,20})#")
_DTMF_REASONS = {"00": "unavailable", "10": "withheld"}  # EN 300 659-1 annex B: B00, B10
_DTMF_SHORT_REASONS = {"1": "withheld", "2": "unavailable", "3": "unavailable"}  # D1#, D2#, D3#


def _parity_stripped(raw: bytes) -> bytes:
    """Seven-bit characters of a field sent with a parity bit, if all of it agrees on even or odd parity."""
    if max(raw, default=0) < 0x80:
        return raw
    if len({byte.bit_count() % 2 for byte in raw}) == 1:
        return bytes(byte & 0x7F for byte in raw)
    return raw


def _field_text(raw: bytes) -> str:
    """A field of digits or letters as text, without padding."""
    return _parity_stripped(raw).decode("latin-1").strip(" \x00")


def decode_name(raw: bytes) -> str | None:
    """A calling name: ASCII, GB 2312 / GBK as sent by Chinese exchanges, UTF-8 or Latin-1; None if unprintable."""
    padded = raw.strip(b" \x00\r\n")
    # In GBK a letter may be the second half of a character: only believable where high bytes prevail.
    chinese = 2 * sum(byte >= 0x80 for byte in padded) >= len(padded)
    encodings = ("ascii", "gb2312", "utf-8", *(("gbk",) if chinese else ()), "latin-1")
    for encoding in encodings:
        try:
            name = padded.decode(encoding)
        except UnicodeDecodeError:
            continue
        return name if name and name.isprintable() else None
    return None


class _Fields:
    """What was read so far; ``sound`` turns False at the first field that cannot be believed."""

    def __init__(self) -> None:
        self.sound = True
        self.number: str | None = None
        self.name: str | None = None
        self.date: str | None = None
        self.time: str | None = None
        self.absence: str | None = None
        self.waiting = False

    def take_date(self, raw: bytes) -> None:
        """MMDDHHMM; eight digits that are no date (an exchange without a clock) are left out."""
        text = _field_text(raw)
        if not _DATE_FORM.fullmatch(text):
            self.sound = False
            return
        month, day, hour, minute = (int(text[i : i + 2]) for i in (0, 2, 4, 6))
        if 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60:
            self.date, self.time = f"{text[:2]}-{text[2:4]}", f"{text[4:6]}:{text[6:]}"

    def take_number(self, raw: bytes) -> None:
        """Digits, or the single letter of a reason of absence."""
        text = re.sub(r"[ ()]", "", _field_text(raw))
        if text in _ABSENCE:
            self.absence = _ABSENCE[text]
        elif _NUMBER_FORM.fullmatch(text):
            self.number = text
        elif text:
            self.sound = False

    def take_absence(self, raw: bytes) -> None:
        """The letter O or P."""
        text = _field_text(raw)
        if text in _ABSENCE:
            self.absence = _ABSENCE[text]
        else:
            self.sound = False

    def take(self, kind: int, raw: bytes) -> None:
        """One parameter of an MDMF message; kinds that say nothing about the caller are passed over."""
        if kind == _DATE:
            self.take_date(raw)
        elif kind == _NUMBER:
            self.take_number(raw)
        elif kind in (_NUMBER_ABSENT, _NAME_ABSENT):
            self.take_absence(raw)
        elif kind == _NAME:
            self.name = decode_name(raw)
        elif kind == _CALL_TYPE:
            self.waiting = raw == bytes([_CALL_TYPE_WAITING])

    @property
    def empty(self) -> bool:
        """True when there is nothing about a caller."""
        return not (self.number or self.name or self.absence or self.date)


def _parameters(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Parameters (kind, content) of an MDMF payload; the last one may be cut short."""
    at = 0
    while at + 2 <= len(payload):
        kind, length = payload[at], payload[at + 1]
        yield kind, payload[at + 2 : at + 2 + length]
        at += 2 + length


def _closes(payload: bytes) -> bool:
    """True if the parameters fill an MDMF payload exactly."""
    at = 0
    while at + 2 <= len(payload):
        at += 2 + payload[at + 1]
    return at == len(payload) > 0


def _readable(data: bytes) -> str:
    """The printable characters of a damaged message, for people."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in data)


def parse_fsk(data: bytes, *, checked: bool, signalling: str, quality: float) -> CallerId:
    """Read one FSK frame ``data`` (type, length, payload, checksum), at most as far as it goes.

    ``checked``: the receiver vouches for length and checksum; the checksum is verified here again.
    The answer is valid only if the checksum is right, the structure closes and every field is plausible.
    """
    kind = data[0] if data else 0
    form = _FORMATS.get(kind, f"type-{kind:02x}")
    payload = data[2:-1] if checked else data[2:]
    whole = checked and len(data) >= 4 and data[1] + 3 == len(data) and sum(data) % 256 == 0
    fields = _Fields()
    if kind == SDMF:
        fields.take_date(payload[:8])
        fields.take_number(payload[8:])
    elif kind == MDMF:
        fields.sound = _closes(payload)
        for parameter, content in _parameters(payload):
            fields.take(parameter, content)
    elif kind == MDMF_WAITING:
        fields.sound = _closes(payload)
    elif kind != SDMF_WAITING:
        fields.sound = False
    waiting = form == WAITING_FORMAT or fields.waiting
    if not whole or not fields.sound or (fields.empty and not waiting):
        return CallerId(
            signalling=signalling, format=form, valid=False, quality=quality, partial=_readable(data[2:]) or None
        )
    return CallerId(
        signalling=signalling,
        format=WAITING_FORMAT if waiting else form,
        number=fields.number,
        name=fields.name,
        date=fields.date,
        time=fields.time,
        absence=None if fields.number else fields.absence,
        quality=quality,
    )


def _dtmf_message(form: str, quality: float, number: str | None, absence: str | None) -> CallerId:
    return CallerId(signalling="dtmf", format=form, number=number, absence=absence, quality=quality)


def parse_dtmf(digits: str, quality: float) -> CallerId | None:
    """Read the digits that were heard on hook; None if they have no form of a caller ID.

    ``A…C``, ``D…C``, ``A…#`` with further fields ``D`` (redirecting number) and ``B`` (reason) in between;
    ``D1#`` … ``D3#`` and ``B00``, ``B10`` for absence; ``…#`` without a start code, at lower quality.
    """
    if plain := _DTMF_PLAIN.fullmatch(digits):
        return _dtmf_message("dtmf-hash", round(0.5 * quality, 3), plain["number"], None)
    coded = _DTMF_FIELDS.fullmatch(digits)
    if coded is None:
        return None
    end = "c" if coded["end"] == "C" else "hash"
    fields = re.findall(r"([ABD])([0-9]*)", coded["fields"])
    form = f"dtmf-{fields[0][0].lower()}-{end}"
    reasons = [_DTMF_REASONS.get(text) for code, text in fields if code == "B"]
    first, text = fields[0]
    if first == "D" and text in _DTMF_SHORT_REASONS:
        return _dtmf_message(form, quality, None, _DTMF_SHORT_REASONS[text])
    if first in "AD" and len(text) >= 2:
        return _dtmf_message(form, quality, text, None)
    reason = next((known for known in reasons if known), None)
    return _dtmf_message(form, quality, None, reason) if reason else None
