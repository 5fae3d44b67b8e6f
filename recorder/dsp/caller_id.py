"""Reads caller-ID messages: the bytes of FSK frames and the digits of DTMF strings.

FSK: Telcordia GR-30-CORE / GR-31-CORE (SDMF, MDMF), ETSI EN 300 659-3 (parameters). DTMF: ETSI
EN 300 659-1 annex B and national variants. What cannot be believed becomes a damaged message without a
number; nothing here raises on any input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from recorder.dsp.data_link import (
    JAPAN,
    MDMF,
    MDMF_WAITING,
    SDMF,
    SDMF_WAITING,
    is_whole,
    payload_of,
)
from recorder.signals import CallerId

WAITING_FORMAT = "mwi"  # message waiting: a lamp on the telephone, not a call

_FORMATS = {SDMF: "sdmf", MDMF: "mdmf", SDMF_WAITING: WAITING_FORMAT, MDMF_WAITING: WAITING_FORMAT, JAPAN: "jclip"}

# Parameters of MDMF (GR-30-CORE; ETSI EN 300 659-3 § 5.4).
_DATE, _NUMBER, _DIALLED, _NUMBER_ABSENT, _REDIRECT_REASON, _LONG_DISTANCE = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
_NAME, _NAME_ABSENT, _LAMP, _CALL_TYPE, _FIRST_CALLED, _MESSAGES = 0x07, 0x08, 0x0B, 0x11, 0x12, 0x13
_REDIRECTION, _CALLER_TYPE, _REDIRECTING = 0x15, 0x16, 0x1A
_DIALLED_IN_JAPAN = 0x09
_CALL_TYPES = {0x01: "voice", 0x02: "ring_back", 0x03: "name_delivery", 0x81: "message_waiting"}
_REDIRECTIONS = {
    0x01: "busy",
    0x02: "no_answer",
    0x03: "always",
    0x04: "deflected",
    0x05: "deflected",
    0x06: "unreachable",
}
_REDIRECTION_DIGITS = {"0": "always", "1": "busy", "2": "no_answer"}
_CALLER_TYPES = {
    0x01: "voice", 0x02: "text", 0x03: "private_network", 0x04: "mobile", 0x05: "mobile_private_network", 0x06: "fax",
    0x07: "video", 0x08: "email", 0x09: "operator", 0x0A: "subscriber", 0x0B: "priority", 0x0C: "data", 0x0D: "test",
    0x0E: "telemetry", 0x0F: "payphone",
}  # fmt: skip

_ABSENCE = {"O": "unavailable", "P": "withheld"}
_ABSENCE_IN_JAPAN = {**_ABSENCE, "C": "payphone", "S": "service_conflict"}
_NUMBER_FORM = re.compile(r"\+?[0-9*#A-D-]{1,32}")
_DATE_FORM = re.compile(r"[0-9]{8}")

_NUMBERS = {
    _NUMBER: "number", _DIALLED: "dialled", _REDIRECTING: "redirecting", _FIRST_CALLED: "dialled",
}  # fmt: skip
_LAMP_ON, _LAMP_ON_LETTER = (
    0xFF,
    b"B",
)  # lit; 00, or ooo in a single data message: out

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
        self.read: dict[str, Any] = {}

    def take_date(self, raw: bytes) -> None:
        """MMDDHHMM; eight digits that are no date (an exchange without a clock) are left out."""
        text = _field_text(raw)
        if not _DATE_FORM.fullmatch(text):
            self.sound = False
            return
        month, day, hour, minute = (int(text[i : i + 2]) for i in (0, 2, 4, 6))
        if 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60:
            self.read |= {"date": f"{text[:2]}-{text[2:4]}", "time": f"{text[4:6]}:{text[6:]}"}

    def take_number(self, raw: bytes, field: str = "number", absences: Mapping[str, str] = _ABSENCE) -> None:
        """Digits, or the single letter of a reason of absence."""
        text = re.sub(r"[ ()]", "", _field_text(raw))
        if text in absences and field == "number":
            self.read["absence"] = absences[text]
        elif _NUMBER_FORM.fullmatch(text):
            self.read[field] = text
        elif text:
            self.sound = False

    def _take_absence(self, raw: bytes, field: str, absences: Mapping[str, str] = _ABSENCE) -> None:
        text = _field_text(raw)
        if text in absences:
            self.read[field] = absences[text]
        else:
            self.sound = False

    def take(self, kind: int, raw: bytes) -> None:
        """One parameter of an MDMF message; kinds that are not known are passed over."""
        if kind == _DATE:
            self.take_date(raw)
        elif kind in _NUMBERS:
            self.take_number(raw, _NUMBERS[kind])
        elif kind in (_NUMBER_ABSENT, _NAME_ABSENT):
            self._take_absence(raw, "absence" if kind == _NUMBER_ABSENT else "name_absence")
        elif kind == _NAME:
            self.read["name"] = decode_name(raw)
        elif kind == _REDIRECT_REASON and (reason := _REDIRECTION_DIGITS.get(_field_text(raw))):
            self.read["redirect_reason"] = reason
        elif kind == _LONG_DISTANCE:
            self.read["long_distance"] = _field_text(raw) == "L"
        elif len(raw) == 1:
            self._take_code(kind, raw[0])

    def _take_code(self, kind: int, code: int) -> None:
        """A parameter of one byte."""
        if kind == _CALL_TYPE:
            self.read["call_type"] = _CALL_TYPES.get(code)
        elif kind == _REDIRECTION:
            self.read["redirect_reason"] = _REDIRECTIONS.get(code)
        elif kind == _CALLER_TYPE:
            self.read["caller_type"] = _CALLER_TYPES.get(code)
        elif kind == _MESSAGES:
            self.read["waiting_messages"] = code
        elif kind == _LAMP:
            self.read.setdefault("waiting_messages", 1 if code == _LAMP_ON else 0)

    def take_in_japan(self, kind: int, raw: bytes) -> None:
        """One parameter of a message in Japan."""
        if kind in (_NUMBER, _DIALLED_IN_JAPAN):
            self.take_number(raw, "number" if kind == _NUMBER else "dialled", _ABSENCE_IN_JAPAN)
        elif kind == _NUMBER_ABSENT:
            self._take_absence(raw, "absence", _ABSENCE_IN_JAPAN)

    @property
    def waiting(self) -> bool:
        """True when the message lights a lamp."""
        return self.read.get("call_type") == "message_waiting"

    @property
    def empty(self) -> bool:
        """True when there is nothing about a caller."""
        return not any(self.read.get(field) for field in ("number", "name", "absence", "name_absence", "date"))


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
    payload = payload_of(data) if checked else data[2:]
    fields = _Fields()
    if kind == SDMF:
        fields.take_date(payload[:8])
        fields.take_number(payload[8:])
    elif kind in (MDMF, MDMF_WAITING, JAPAN):
        fields.sound = _closes(payload)
        for parameter, content in _parameters(payload):
            (fields.take_in_japan if kind == JAPAN else fields.take)(parameter, content)
    elif kind == SDMF_WAITING:
        fields.read["waiting_messages"] = 1 if payload.startswith(_LAMP_ON_LETTER) else 0
    else:
        fields.sound = False
    waiting = form == WAITING_FORMAT or fields.waiting
    if not (checked and is_whole(data)) or not fields.sound or (fields.empty and not waiting):
        return CallerId(
            signalling=signalling, format=form, valid=False, quality=quality, partial=_readable(data[2:]) or None
        )
    if fields.read.get("number"):
        fields.read.pop("absence", None)
    form = WAITING_FORMAT if waiting else form
    return CallerId(signalling=signalling, format=form, quality=quality, **fields.read)


def _dtmf_message(
    form: str, quality: float, number: str | None, absence: str | None, redirecting: str | None = None
) -> CallerId:
    return CallerId("dtmf", form, number=number, absence=absence, quality=quality, redirecting=redirecting)


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
        redirecting = next((digits for code, digits in fields[1:] if code == "D" and digits), None)
        return _dtmf_message(form, quality, text, None, redirecting)
    reason = next((known for known in reasons if known), None)
    return _dtmf_message(form, quality, None, reason) if reason else None
