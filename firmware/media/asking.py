"""How jobs and the API ask the keeper for a medium: over the socket ``run/media.sock``, one line of JSON each way.

The connection is the permission to write: when the process that asked ends, however it ends, the keeper flushes the
stick and makes it read-only again; when the stick goes, the keeper hangs up.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec

from firmware.config import Home
from firmware.doorbell import ShortPath
from firmware.media.medium import Medium, MediumGone, MediumRefused, WriteRefusal

SOCKET = "media.sock"
ANSWER_WITHIN_S = 600.0
"""Checking an unclean stick with many files takes minutes."""
_GONE_WITHIN_S = 10.0
"""Errors come before the news that it was pulled out: some file systems turn read-only at once."""
_ROOM_BYTES = 1 << 20
"""With less a stick is full."""
_LONGEST_LINE = 64 * 1024
_OF_ERRNO: dict[int, tuple[WriteRefusal, str]] = {
    errno.ENOSPC: ("full", "the stick is full"),
    errno.EACCES: ("write_protected", "who owns the files on the stick does not let the box write there"),
    errno.EFBIG: ("file_too_large", "the file is too large for this file system"),
}


class Question(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A line to the keeper. ``done`` ends what ``write`` began on the same connection."""

    ask: str
    medium: str = ""
    who: str = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A line from the keeper. ``code``: of ``WriteRefusal``, "" when it is done as asked."""

    code: str = ""
    message: str = ""
    medium: Medium | None = None


class Wanted:
    """A medium that may be written to, below ``path``, until ``done``. Thread: one, but ``gone`` from any."""

    def __init__(self, link: socket.socket, medium: Medium) -> None:
        self._link = link
        self.medium = medium
        self.path = Path(medium.path or "")

    @property
    def gone(self) -> bool:
        """Whether the stick was pulled out, or taken away; costs next to nothing and is known at once."""
        try:
            return self._link.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def check(self) -> None:
        """Raises MediumGone once the stick is gone."""
        if self.gone:
            raise MediumGone("the stick is gone")

    def explain(self, error: OSError) -> MediumGone | MediumRefused:
        """What an error while reading or writing below ``path`` means; waits some seconds for news of the stick."""
        if error.errno in _OF_ERRNO and not self.gone and not self._is_doubtful(error):
            return MediumRefused(*_OF_ERRNO[error.errno])
        end_s = time.monotonic() + _GONE_WITHIN_S
        while not self.gone and time.monotonic() < end_s:
            time.sleep(0.05)
        if self.gone:
            return MediumGone("the stick is gone")
        if self.medium.file_system == "ntfs":  # the repair that there is here does not find all that a pull leaves
            return MediumRefused(
                "unclean",
                f"NTFS on the stick is damaged ({error.strerror}): have it checked by Windows, then plug it in again",
            )
        otherwise: tuple[WriteRefusal, str] = ("io_errors", f"the stick cannot be read or written: {error.strerror}")
        return MediumRefused(*_OF_ERRNO.get(error.errno or 0, otherwise))

    def _is_doubtful(self, error: OSError) -> bool:
        """Whether there is room where there is said to be none: so do some file systems of a stick that was pulled."""
        if error.errno != errno.ENOSPC:
            return False
        with suppress(OSError):
            room = os.statvfs(self.path)
            return room.f_bavail * room.f_frsize >= _ROOM_BYTES
        return True

    def done(self) -> Medium:
        """Flush, and make it read-only again; every file must be closed. What was read before comes from the stick
        itself afterwards, not from memory: read it back now.

        Raises MediumGone: it went before all was on it; MediumRefused (``io_errors``): it could not be flushed.
        """
        try:
            _send(self._link, Question("done"))
            answer = _receive(self._link)
        except OSError as error:
            raise MediumGone("the stick is gone") from error
        finally:
            self._link.close()
        if answer.code == "gone":
            raise MediumGone(answer.message)
        return _medium_of(answer)

    def close(self) -> None:
        """Give it back without waiting; the keeper flushes. Idempotent."""
        self._link.close()

    def __enter__(self) -> Wanted:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def ask_to_write(home: Home, medium_id: str, who: str) -> Wanted:
    """Let the medium be checked where that is needed and made writable; one writer at a time.

    ``who``: who writes, for people, such as ``job 17``. Raises MediumRefused, with the code to tell why.
    """
    link = _connect(home)
    try:
        _send(link, Question("write", medium_id, who))
        medium = _medium_of(_receive(link))
        link.settimeout(None)
        return Wanted(link, medium)
    except OSError as error:
        link.close()
        raise MediumRefused("keeper_away", "the keeper does not answer") from error
    except BaseException:
        link.close()
        raise


def eject(home: Home, medium_id: str) -> Medium:
    """Make the medium safe to pull out. Raises MediumRefused: ``busy`` while a job writes to it, ``gone``."""
    with _connect(home) as link:
        try:
            _send(link, Question("eject", medium_id))
            return _medium_of(_receive(link))
        except OSError as error:
            raise MediumRefused("keeper_away", "the keeper does not answer") from error


def _connect(home: Home) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(ANSWER_WITHIN_S)
    try:
        folder = ShortPath(home.run)
        try:
            link.connect(folder.path(SOCKET))
        finally:
            folder.close()
    except OSError as error:
        link.close()
        raise MediumRefused("keeper_away", "nobody looks after sticks now: the keeper is not there") from error
    return link


def _send(link: socket.socket, question: Question) -> None:
    link.sendall(msgspec.json.encode(question) + b"\n")


def _receive(link: socket.socket) -> Answer:
    """Raises OSError when the keeper hung up or says nonsense."""
    line = b""
    while not line.endswith(b"\n"):
        piece = link.recv(4096)
        if not piece or len(line) > _LONGEST_LINE:
            raise ConnectionResetError(os.strerror(errno.ECONNRESET))
        line += piece
    try:
        return msgspec.json.decode(line, type=Answer)
    except msgspec.DecodeError as error:
        raise ConnectionResetError(str(error)) from error


def _medium_of(answer: Answer) -> Medium:
    if answer.medium is not None and not answer.code:
        return answer.medium
    with suppress(msgspec.ValidationError):
        raise MediumRefused(msgspec.convert(answer.code, WriteRefusal), answer.message)
    raise MediumGone(answer.message)
