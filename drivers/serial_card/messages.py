"""The messages of the serial line card, as typed values that pack to and unpack from frame bodies.

Normative text: docs/serial-line-card.md, clause 4. All integers are little-endian. ``unpack`` checks every
length and range that can be checked without knowing the card; it raises ``MessageError`` and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

PROTOCOL_VERSION = 1
BOOT_ID_BYTES = 8
MAX_PORTS = 255
MAX_SAMPLE = 1 << 62  # sample positions from the wire stay inside int64 with room to add to them
NO_VALUE = -(1 << 31)  # EVENT value "seen, but unreadable"
_MAX_NAME_BYTES = 64


class MessageError(ValueError):
    """A frame with a good CRC holds something impossible."""


class ProtocolVersionError(MessageError):
    """The card speaks another version of the protocol."""


class MessageType(IntEnum):
    """First byte of a body; host to card has bit 7 set."""

    HELLO = 0x01
    POSITION = 0x02
    LOST = 0x03
    PCM = 0x04
    EVENT = 0x05
    STATUS = 0x06
    SETTING_ACK = 0x07
    SETTING_NAK = 0x08
    PONG = 0x09
    HELLO_REQUEST = 0x81
    START = 0x82
    STOP = 0x83
    RESEND = 0x84
    SET = 0x85
    PING = 0x86


class Codec(IntEnum):
    """Coding of PCM data."""

    ALAW = 0
    ULAW = 1
    LINEAR16 = 2

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self is Codec.LINEAR16 else 1


_CODECS = {int(codec): codec for codec in Codec}


class PortState(IntFlag):
    """State of one port in POSITION, LOST and STATUS."""

    LINE_PRESENT = 1
    OFF_HOOK = 2
    RINGING = 4


class WireEvent(IntEnum):
    """Kind of an EVENT."""

    LINE_PRESENT = 1
    LINE_LOST = 2
    RING_ON = 3
    RING_OFF = 4
    OFF_HOOK = 5
    ON_HOOK = 6
    POLARITY_REVERSED = 7


_HELLO = struct.Struct("<B8sBIBIQQ")
_POSITION = struct.Struct("<QQIB")
_PCM = struct.Struct("<IQBBBH")
_EVENT = struct.Struct("<IQBBi")
_STATUS = struct.Struct("<IQB")
_STATUS_PORT = struct.Struct("<iB")
_START = struct.Struct("<8sBQ")
_RESEND = struct.Struct("<Q")
_SET = struct.Struct("<BBi")
_PING = struct.Struct("<I")
_PONG = struct.Struct("<I8s")


@dataclass(frozen=True, slots=True)
class Hello:
    """What the card is. ``codecs`` is a bit per ``Codec`` value; ``oldest_sample`` can still be sent."""

    boot_id: bytes
    ports: int
    sample_rate_hz: int
    codecs: int
    buffer_ms: int
    oldest_sample: int
    next_sample: int
    model: str
    serial_number: str

    def pack(self) -> bytes:
        """Body of the frame."""
        fixed = _HELLO.pack(
            PROTOCOL_VERSION,
            self.boot_id,
            self.ports,
            self.sample_rate_hz,
            self.codecs,
            self.buffer_ms,
            self.oldest_sample,
            self.next_sample,
        )
        return bytes([MessageType.HELLO]) + fixed + _pack_name(self.model) + _pack_name(self.serial_number)

    @classmethod
    def unpack(cls, payload: bytes) -> Hello:
        """Raises ProtocolVersionError when the first byte is not our version."""
        if payload and payload[0] != PROTOCOL_VERSION:
            raise ProtocolVersionError(f"protocol version {payload[0]}, known is {PROTOCOL_VERSION}")
        _, boot_id, ports, rate_hz, codecs, buffer_ms, oldest, following = _unpack(_HELLO, payload)
        model, rest = _unpack_name(payload[_HELLO.size :])
        serial_number, rest = _unpack_name(rest)
        _require(not rest, "HELLO has bytes after its end")
        _require(1 <= ports <= MAX_PORTS, f"{ports} ports")
        _require(rate_hz % 1000 == 0 and 8_000 <= rate_hz <= 48_000, f"sample rate {rate_hz} Hz")
        _require(codecs & 0b111 != 0, "no known codec")
        _require(oldest <= following <= MAX_SAMPLE, "sample positions out of order")
        _require(bool(serial_number), "no serial number")
        return cls(boot_id, ports, rate_hz, codecs, buffer_ms, oldest, following, model, serial_number)


@dataclass(frozen=True, slots=True)
class Position:
    """Where the stream goes on, in answer to START or RESEND; as LOST (``lost``): what was asked for is gone.

    ``asked_sample`` is the first sample that the host lacks, ``first_sample`` the position of what follows,
    ``seq`` the next stream frame, ``states`` one ``PortState`` byte a port as of that position.
    """

    asked_sample: int
    first_sample: int
    seq: int
    states: bytes
    lost: bool = False

    def pack(self) -> bytes:
        """Body of the frame."""
        kind = MessageType.LOST if self.lost else MessageType.POSITION
        fixed = _POSITION.pack(self.asked_sample, self.first_sample, self.seq, len(self.states))
        return bytes([kind]) + fixed + self.states

    @classmethod
    def unpack(cls, payload: bytes) -> Position:
        """A POSITION."""
        return cls._unpack(payload, lost=False)

    @classmethod
    def unpack_lost(cls, payload: bytes) -> Position:
        """A LOST."""
        return cls._unpack(payload, lost=True)

    @classmethod
    def _unpack(cls, payload: bytes, *, lost: bool) -> Position:
        asked, first, seq, ports = _unpack(_POSITION, payload)
        states = payload[_POSITION.size :]
        _require(len(states) == ports, "one state byte a port")
        _require(asked <= MAX_SAMPLE and first <= MAX_SAMPLE, "absurd sample position")
        return cls(asked, first, seq, states, lost)


@dataclass(frozen=True, slots=True)
class Pcm:
    """PCM of one time slice: ``data`` is port-major, ``samples`` a port, coded as ``codec``."""

    seq: int
    first_sample: int
    codec: Codec
    first_port: int
    port_count: int
    samples: int
    data: bytes

    def pack(self) -> bytes:
        """Body of the frame."""
        head = _PCM.pack(self.seq, self.first_sample, self.codec, self.first_port, self.port_count, self.samples)
        return bytes([MessageType.PCM]) + head + self.data

    @classmethod
    def unpack(cls, payload: bytes) -> Pcm:
        """Checks that ``data`` has exactly the length that the header promises."""
        seq, first_sample, codec_number, first_port, port_count, samples = _unpack(_PCM, payload)
        codec = _CODECS.get(codec_number)
        if codec is None:
            raise MessageError(f"codec {codec_number}")
        data = payload[_PCM.size :]
        _require(first_sample <= MAX_SAMPLE, "absurd sample position")
        _require(samples > 0 and port_count > 0, "empty PCM")
        _require(len(data) == port_count * samples * codec.sample_bytes, "PCM of another length than promised")
        return cls(seq, first_sample, codec, first_port, port_count, samples, data)


@dataclass(frozen=True, slots=True)
class Event:
    """Something began on a port at ``at_sample``. ``kind`` may be a number that this version does not know.

    ``value``: RING_ON mVrms, else ``NO_VALUE``.
    """

    seq: int
    at_sample: int
    port: int
    kind: int
    value: int = NO_VALUE

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.EVENT]) + _EVENT.pack(self.seq, self.at_sample, self.port, self.kind, self.value)

    @classmethod
    def unpack(cls, payload: bytes) -> Event:
        """Port and kind are for the driver to judge."""
        seq, at_sample, port, kind, value = _unpack_exact(_EVENT, payload)
        _require(at_sample <= MAX_SAMPLE, "absurd sample position")
        return cls(seq, at_sample, port, kind, value)


@dataclass(frozen=True, slots=True)
class Status:
    """Loop voltage in mV (signed) and ``PortState`` of every port, measured at ``at_sample``."""

    seq: int
    at_sample: int
    voltages_mv: tuple[int, ...]
    states: bytes

    def pack(self) -> bytes:
        """Body of the frame."""
        ports = b"".join(map(_STATUS_PORT.pack, self.voltages_mv, self.states))
        return bytes([MessageType.STATUS]) + _STATUS.pack(self.seq, self.at_sample, len(self.states)) + ports

    @classmethod
    def unpack(cls, payload: bytes) -> Status:
        """Checks that there is one entry a port."""
        seq, at_sample, ports = _unpack(_STATUS, payload)
        entries = payload[_STATUS.size :]
        _require(len(entries) == ports * _STATUS_PORT.size, "one entry a port")
        _require(at_sample <= MAX_SAMPLE, "absurd sample position")
        pairs = list(_STATUS_PORT.iter_unpack(entries))
        return cls(seq, at_sample, tuple(mv for mv, _ in pairs), bytes(state for _, state in pairs))


@dataclass(frozen=True, slots=True)
class SettingAck:
    """The setting is in effect for the slices from now on."""

    port: int
    parameter: int
    value: int

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.SETTING_ACK]) + _SET.pack(self.port, self.parameter, self.value)

    @classmethod
    def unpack(cls, payload: bytes) -> SettingAck:
        """All fields as sent."""
        return cls(*_unpack_exact(_SET, payload))


@dataclass(frozen=True, slots=True)
class SettingNak:
    """The setting was refused; ``reason`` is a ``settings.Refusal``."""

    port: int
    parameter: int
    reason: int

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.SETTING_NAK]) + _SET.pack(self.port, self.parameter, self.reason)

    @classmethod
    def unpack(cls, payload: bytes) -> SettingNak:
        """All fields as sent."""
        return cls(*_unpack_exact(_SET, payload))


@dataclass(frozen=True, slots=True)
class Pong:
    """Answer to PING with the same token."""

    token: int
    boot_id: bytes

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.PONG]) + _PONG.pack(self.token, self.boot_id)

    @classmethod
    def unpack(cls, payload: bytes) -> Pong:
        """All fields as sent."""
        return cls(*_unpack_exact(_PONG, payload))


@dataclass(frozen=True, slots=True)
class HelloRequest:
    """Ends any stream and asks for HELLO."""

    version: int = PROTOCOL_VERSION

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.HELLO_REQUEST, self.version])

    @classmethod
    def unpack(cls, payload: bytes) -> HelloRequest:
        """The version is informative: the card answers any."""
        _require(len(payload) == 1, "HELLO_REQUEST is one byte")
        return cls(payload[0])


@dataclass(frozen=True, slots=True)
class Start:
    """Starts the stream at ``from_sample``, or now (None)."""

    boot_id: bytes
    from_sample: int | None

    def pack(self) -> bytes:
        """Body of the frame."""
        from_now = self.from_sample is None
        return bytes([MessageType.START]) + _START.pack(self.boot_id, not from_now, self.from_sample or 0)

    @classmethod
    def unpack(cls, payload: bytes) -> Start:
        """``from_sample`` is limited to 2^62."""
        boot_id, mode, from_sample = _unpack_exact(_START, payload)
        _require(mode in (0, 1), f"start mode {mode}")
        _require(from_sample <= MAX_SAMPLE, "absurd sample position")
        return cls(boot_id, from_sample if mode else None)


@dataclass(frozen=True, slots=True)
class Stop:
    """Ends the stream; the card goes on measuring and buffering."""

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.STOP])

    @classmethod
    def unpack(cls, payload: bytes) -> Stop:
        """No payload."""
        _require(not payload, "STOP is empty")
        return cls()


@dataclass(frozen=True, slots=True)
class Resend:
    """Asks for the stream again from the first sample that the host lacks."""

    from_sample: int

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.RESEND]) + _RESEND.pack(self.from_sample)

    @classmethod
    def unpack(cls, payload: bytes) -> Resend:
        """``from_sample`` is limited to 2^62."""
        (from_sample,) = _unpack_exact(_RESEND, payload)
        _require(from_sample <= MAX_SAMPLE, "absurd sample position")
        return cls(from_sample)


@dataclass(frozen=True, slots=True)
class Set:
    """Sets one parameter of one port, or of all (255)."""

    port: int
    parameter: int
    value: int

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.SET]) + _SET.pack(self.port, self.parameter, self.value)

    @classmethod
    def unpack(cls, payload: bytes) -> Set:
        """Range and port are for the card to judge."""
        return cls(*_unpack_exact(_SET, payload))


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for PONG."""

    token: int

    def pack(self) -> bytes:
        """Body of the frame."""
        return bytes([MessageType.PING]) + _PING.pack(self.token)

    @classmethod
    def unpack(cls, payload: bytes) -> Ping:
        """All fields as sent."""
        return cls(*_unpack_exact(_PING, payload))


StreamMessage = Pcm | Event | Status
CardMessage = Hello | Position | Pcm | Event | Status | SettingAck | SettingNak | Pong
HostMessage = HelloRequest | Start | Stop | Resend | Set | Ping

_FROM_CARD: dict[int, Callable[[bytes], CardMessage]] = {
    MessageType.HELLO: Hello.unpack,
    MessageType.POSITION: Position.unpack,
    MessageType.LOST: Position.unpack_lost,
    MessageType.PCM: Pcm.unpack,
    MessageType.EVENT: Event.unpack,
    MessageType.STATUS: Status.unpack,
    MessageType.SETTING_ACK: SettingAck.unpack,
    MessageType.SETTING_NAK: SettingNak.unpack,
    MessageType.PONG: Pong.unpack,
}
_FROM_HOST: dict[int, Callable[[bytes], HostMessage]] = {
    MessageType.HELLO_REQUEST: HelloRequest.unpack,
    MessageType.START: Start.unpack,
    MessageType.STOP: Stop.unpack,
    MessageType.RESEND: Resend.unpack,
    MessageType.SET: Set.unpack,
    MessageType.PING: Ping.unpack,
}


def from_card(body: bytes) -> CardMessage:
    """The message of a card's frame body. Raises MessageError."""
    unpack = _FROM_CARD.get(body[0])
    if unpack is None:
        raise MessageError(f"unknown message type {body[0]:#04x} from the card")
    return unpack(body[1:])


def from_host(body: bytes) -> HostMessage:
    """The message of a host's frame body. Raises MessageError."""
    unpack = _FROM_HOST.get(body[0])
    if unpack is None:
        raise MessageError(f"unknown message type {body[0]:#04x} from the host")
    return unpack(body[1:])


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise MessageError(what)


def _unpack(layout: struct.Struct, payload: bytes) -> tuple[Any, ...]:
    _require(len(payload) >= layout.size, f"{len(payload)} bytes, at least {layout.size} expected")
    return layout.unpack_from(payload)


def _unpack_exact(layout: struct.Struct, payload: bytes) -> tuple[Any, ...]:
    _require(len(payload) == layout.size, f"{len(payload)} bytes, {layout.size} expected")
    return layout.unpack(payload)


def _pack_name(name: str) -> bytes:
    raw = name.encode()
    if len(raw) > _MAX_NAME_BYTES:
        raise ValueError(f"name {name!r} is longer than {_MAX_NAME_BYTES} bytes")
    return bytes([len(raw)]) + raw


def _unpack_name(data: bytes) -> tuple[str, bytes]:
    _require(bool(data) and data[0] <= _MAX_NAME_BYTES and len(data) > data[0], "name runs over the end")
    try:
        name = data[1 : 1 + data[0]].decode()
    except UnicodeDecodeError:
        raise MessageError("name is not UTF-8") from None
    _require(name.isprintable(), "name is not printable")
    return name, data[1 + data[0] :]
