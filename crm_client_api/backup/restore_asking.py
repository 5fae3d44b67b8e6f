"""How the API asks the daemon of backups for a restore: over the socket ``run/restore.sock``, a line of JSON each way.

So the passphrase is in the memory of two processes and nowhere else, and a place that does not answer holds up the
daemon and never the API.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Literal

import msgspec

from firmware.config import Home
from firmware.doorbell import ShortPath
from firmware.errors import BoxError

SOCKET = "restore.sock"
ANSWER_WITHIN_S = 15.0
_LONGEST_LINE = 256 * 1024


class Source(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where backups lie: on the stick ``medium``, else at ``address`` (``file:///…``, ``sftp://…``, ``s3://…``).

    ``fingerprint``: of the SFTP server's key, as somebody confirmed it; ``access_key``, ``secret_key``: for S3.
    """

    medium: str = ""
    address: str = ""
    fingerprint: str = ""
    access_key: str = ""
    secret_key: str = ""


class Question(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """``look``: which backups lie there; ``check``: whether the passphrase proves the backup ``name`` there; ``begin``:
    restore it, as ``who`` asked from ``at``; ``cancel``: leave that.
    """

    ask: Literal["look", "check", "begin", "cancel"]
    source: Source = Source()
    name: str = ""
    passphrase: str = ""
    who: str = ""
    at: str = ""


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A backup as its head tells of it. ``recordings``: how many lie beside it, None without."""

    name: str
    backup: str
    made_ms: int
    device: str
    software: str
    bytes: int
    recordings: int | None


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An SFTP server that nobody has confirmed yet: what its key is, and the line by which it lets this box in."""

    fingerprint: str
    key_line: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """``code``: why not, "" when it is done as asked."""

    code: str = ""
    message: str = ""
    backups: list[Shown] = []
    server: Server | None = None


class RestoreRefused(BoxError):
    """It cannot be done; ``code`` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def ask(home: Home, question: Question) -> Answer:
    """Ask, and wait for the answer. Raises RestoreRefused: ``restore_away`` when nobody answers in time."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(ANSWER_WITHIN_S)
            folder = ShortPath(home.run)
            try:
                link.connect(folder.path(SOCKET))
            finally:
                folder.close()
            link.sendall(msgspec.json.encode(question) + b"\n")
            answer = msgspec.json.decode(read_line(link), type=Answer)
    except (OSError, msgspec.DecodeError) as error:
        raise RestoreRefused("restore_away", "the daemon of backups, or the place, does not answer") from error
    if answer.code:
        raise RestoreRefused(answer.code, answer.message)
    return answer


def read_line(link: socket.socket) -> bytes:
    """One line. Raises OSError: it does not come, or is too long."""
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = link.recv(16 * 1024)
        if not piece or len(line) > _LONGEST_LINE:
            raise ConnectionResetError("no whole line")
        line += piece
    return bytes(line)


def answer_line(link: socket.socket, answer: Answer) -> None:
    """Answer who asked; one who went away meanwhile hears nothing."""
    with suppress(OSError):
        link.sendall(msgspec.json.encode(answer) + b"\n")
