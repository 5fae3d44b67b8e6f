"""The byte pipe under the serial line card's driver, and its form as a serial port."""

from __future__ import annotations

import select
from typing import Protocol

import serial

from firmware.errors import LineCardGone

DEFAULT_BAUD = 921_600
_READ_BYTES = 65_536
_WRITE_TIMEOUT_S = 1.0


class Transport(Protocol):
    """Bytes both ways. Raises LineCardGone when the far end is no longer there."""

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, at the latest after ``timeout_s``; empty when nothing has."""

    def write(self, data: bytes) -> None:
        """Send all of ``data``."""

    def close(self) -> None:
        """Idempotent, never raises."""


class SerialTransport:
    """A serial port, 8N1, opened exclusively; what arrived before is thrown away.

    Raises LineCardGone when the port does not exist, is taken, or is unplugged. Thread: one.
    """

    def __init__(self, port: str, baud: int = DEFAULT_BAUD) -> None:
        self._port = port
        try:
            self._serial = serial.Serial(
                port, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True, rtscts=False
            )
            self._serial.reset_input_buffer()
        except (OSError, ValueError) as error:
            raise LineCardGone(f"{port}: {error}") from error

    def read(self, timeout_s: float) -> bytes:
        """See ``Transport.read``."""
        try:
            # pyserial would reprogram the port for every change of its time-out
            ready, _, _ = select.select([self._serial.fileno()], [], [], max(timeout_s, 0.0))
            return bytes(self._serial.read(_READ_BYTES)) if ready else b""
        except (OSError, ValueError, TypeError) as error:
            raise LineCardGone(f"{self._port}: {error}") from error

    def write(self, data: bytes) -> None:
        """See ``Transport.write``."""
        try:
            self._serial.write(data)
        except (OSError, ValueError, TypeError) as error:
            raise LineCardGone(f"{self._port}: {error}") from error

    def close(self) -> None:
        """See ``Transport.close``."""
        try:
            self._serial.close()
        except OSError:
            return  # the descriptor of an unplugged device: nothing is left to close
