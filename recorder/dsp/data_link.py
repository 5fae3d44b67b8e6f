"""The data link layer of FSK caller ID: how long a frame is, and whether it arrived whole.

Telcordia GR-30-CORE § 2.3 and ETSI EN 300 659-1 § 6: type, length, payload, checksum (the sum of all is 0 modulo 256).
Japan (NTT, number display service): DLE SOH 07 DLE STX, type, length, payload, DLE ETX, all with even parity, and the
CRC of ITU-T V.41 § 2 over what follows SOH, its low byte first.
"""

from __future__ import annotations

SDMF, SDMF_WAITING, MDMF, MDMF_WAITING, CHARGES = 0x04, 0x06, 0x80, 0x82, 0x86
JAPAN = 0x90
"""DLE with its parity bit: the first character of a frame in Japan."""
MESSAGE_TYPES = frozenset({SDMF, SDMF_WAITING, MDMF, MDMF_WAITING, CHARGES, JAPAN})
"""What the first character of a frame may be."""

_JAPAN_BEGINS = bytes([JAPAN, 0x81, 0x87, JAPAN, 0x82])
_JAPAN_ENDS = bytes([JAPAN, 0x03])
_JAPAN_LENGTH_AT, _JAPAN_AROUND = 6, 11
_CRC_POLYNOMIAL = 0x8408  # x^16 + x^12 + x^5 + 1, low bit first


def frame_bytes(data: bytes) -> int | None:
    """How many characters the frame that begins with ``data`` has; None before its header tells."""
    if data[:1] == bytes([JAPAN]):
        return (data[_JAPAN_LENGTH_AT] & 0x7F) + _JAPAN_AROUND if len(data) > _JAPAN_LENGTH_AT else None
    return data[1] + 3 if len(data) >= 2 else None


def is_whole(data: bytes) -> bool:
    """Whether ``data`` is one frame, of a known type, that holds something and whose check is right."""
    if len(data) < 4 or data[0] not in MESSAGE_TYPES or frame_bytes(data) != len(data):
        return False
    if data[0] == JAPAN:
        return _is_whole_in_japan(data)
    return data[1] > 0 and sum(data) % 256 == 0


def payload_of(data: bytes) -> bytes:
    """Payload of a frame, parity taken off in Japan, as far as it goes when the frame is cut short."""
    if data[:1] == bytes([JAPAN]):
        return bytes(byte & 0x7F for byte in data[_JAPAN_LENGTH_AT + 1 : (frame_bytes(data) or 0) - 4])
    return data[2 : (frame_bytes(data) or 3) - 1]


def _is_whole_in_japan(data: bytes) -> bool:
    framed = data.startswith(_JAPAN_BEGINS) and data[-4:-2] == _JAPAN_ENDS
    even = all(byte.bit_count() % 2 == 0 for byte in data[:-2])
    return framed and even and _crc(data[2:-2]) == int.from_bytes(data[-2:], "little")


def _crc(data: bytes) -> int:
    rest = 0
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = (rest >> 1) ^ _CRC_POLYNOMIAL if rest & 1 else rest >> 1
    return rest
