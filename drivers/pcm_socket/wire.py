"""The stream of a PCM socket card: a greeting, then frames, each a head and a body. All numbers little-endian.

Greeting (card → box): magic, ports u32, sample rate u32, boot id 16 bytes. The magic is ``TDPCM001``, or ``TDPCM002``
when every port has two directions.
Frame: kind u32 (1 PCM, 2 event), body length u32, first sample u64. A PCM body is int16, port after port, with two
directions near then far of each port; an event body is JSON ``[kind, port, value]``.
"""

from __future__ import annotations

import struct

import msgspec
import numpy as np

from drivers.api import EventKind, LineEvent, Pcm
from firmware.errors import LineCardProtocolError

MAGIC = b"TDPCM001"
MAGIC_TWO_WAY = b"TDPCM002"
GREETING = struct.Struct("<8sII16s")
FRAME = struct.Struct("<IIQ")
KIND_PCM, KIND_EVENT = 1, 2
MOST_BODY_BYTES = 1 << 24
MOST_SAMPLE = 1 << 62
MOST_PORTS = 4096


class Greeting(msgspec.Struct, frozen=True):
    """Who the card is. ``boot_id``: 32 hexadecimal digits, new with every start of its sample clock.

    ``two_way``: see ``drivers.api.Capabilities``.
    """

    ports: int
    sample_rate_hz: int
    boot_id: str
    two_way: bool = False


def pack_greeting(greeting: Greeting) -> bytes:
    """Bytes of a greeting."""
    magic = MAGIC_TWO_WAY if greeting.two_way else MAGIC
    return GREETING.pack(magic, greeting.ports, greeting.sample_rate_hz, bytes.fromhex(greeting.boot_id))


def unpack_greeting(raw: bytes) -> Greeting:
    """Raises LineCardProtocolError."""
    magic, ports, rate, boot = GREETING.unpack(raw)
    if magic not in (MAGIC, MAGIC_TWO_WAY) or not 1 <= ports <= MOST_PORTS or not 8000 <= rate <= 48_000:
        raise LineCardProtocolError(f"not the greeting of a PCM socket card: {raw[:16]!r}")
    return Greeting(ports, rate, boot.hex(), magic == MAGIC_TWO_WAY)


def pack_pcm_head(first_sample: int, samples: Pcm) -> bytes:
    """Head of a PCM frame; the body is the array itself, int16 (tracks, n), C-contiguous."""
    return FRAME.pack(KIND_PCM, samples.nbytes, first_sample)


def pack_event(event: LineEvent) -> bytes:
    """A whole event frame."""
    body = msgspec.json.encode((event.kind.value, event.port, event.value))
    return FRAME.pack(KIND_EVENT, len(body), event.at_sample) + body


def unpack_pcm(body: bytes, tracks: int) -> Pcm:
    """int16 (tracks, n). Raises LineCardProtocolError."""
    if len(body) % (2 * tracks):
        raise LineCardProtocolError(f"{len(body)} bytes of PCM for {tracks} tracks")
    return np.frombuffer(body, np.int16).reshape(tracks, -1)


def unpack_event(body: bytes, at_sample: int, ports: int) -> LineEvent:
    """Raises LineCardProtocolError."""
    try:
        kind, port, value = msgspec.json.decode(body, type=tuple[str, int, float | str | None])
        event = LineEvent(EventKind(kind), port, at_sample, value)
    except (msgspec.MsgspecError, ValueError) as error:
        raise LineCardProtocolError(f"not an event: {error}") from error
    if not 0 <= event.port < ports:
        raise LineCardProtocolError(f"event of port {event.port}, the card has {ports}")
    return event
