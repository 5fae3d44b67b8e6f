"""What the keeper does with a medium, by the hand that fits: the mounter, or nothing but a look for a folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from firmware.errors import BoxError
from firmware.media.found import Found

MOUNTER = Path("/run/tapdeck-mounter.sock")
_LONGEST_ANSWER = 64 * 1024
_LOOK_WITHIN_S = 60.0
_WRITE_WITHIN_S = 590.0


class HandTrouble(BoxError):
    """It could not be done; ``code``: of ``Reason`` or ``WriteRefusal``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Mounted:
    """A medium at hand. ``unclean``: it must be checked before anybody writes to it."""

    path: str
    free_bytes: int
    unclean: bool = False


class Hand(Protocol):
    """Thread: any; calls block, on a dying stick for as long as they are allowed to. All raise HandTrouble."""

    def mount(self, found: Found, *, write: bool) -> Mounted:
        """Flush what was written, check before writing, and mount."""

    def unmount(self, found: Found, *, pulled: bool) -> None:
        """Flush and unmount; ``pulled``: it is gone already."""


class FolderHand:
    """For simulated sticks."""

    def mount(self, found: Found, *, write: bool) -> Mounted:
        """Look whether it is there."""
        try:
            room = os.statvfs(found.place)
        except OSError as error:
            raise HandTrouble("io_errors", f"the folder cannot be read: {error.strerror}") from error
        return Mounted(found.place, room.f_frsize * room.f_bavail)

    def unmount(self, found: Found, *, pulled: bool) -> None:
        """Nothing is to be done."""


class MounterHand:
    """For real sticks: asks the mounter, as systemd starts it or, for root, as a child."""

    def mount(self, found: Found, *, write: bool) -> Mounted:
        """See ``Hand``."""
        within_s = _WRITE_WITHIN_S if write else _LOOK_WITHIN_S
        told = _ask(
            {"ask": "mount", "device": found.place, "name": found.id, "file_system": found.file_system, "write": write},
            within_s,
        )
        return Mounted(str(told["path"]), int(told["free_bytes"]), bool(told["unclean"]))

    def unmount(self, found: Found, *, pulled: bool) -> None:
        """See ``Hand``."""
        _ask({"ask": "unmount", "name": found.id, "pulled": pulled}, _LOOK_WITHIN_S)


def clear_mounts() -> None:
    """Unmount what an earlier keeper left behind. Raises HandTrouble."""
    if may_mount():
        _ask({"ask": "clear"}, _LOOK_WITHIN_S)


def may_mount() -> bool:
    """Whether this process can have anything mounted at all."""
    return MOUNTER.exists() or os.geteuid() == 0


def _ask(question: dict[str, object], within_s: float) -> Any:
    if not may_mount():
        raise HandTrouble("no_right", "this process may not mount: there is no mounter")
    line = json.dumps(question).encode() + b"\n"
    try:
        told = _ask_service(line, within_s) if MOUNTER.exists() else _ask_child(line, within_s)
        answer = json.loads(told)
    except TimeoutError as error:
        raise HandTrouble("not_answering", "the stick did not answer in time") from error
    except (OSError, ValueError) as error:
        raise HandTrouble("not_mountable", f"the mounter failed: {error}") from error
    if "code" in answer:
        raise HandTrouble(str(answer["code"]), str(answer["message"]))
    return answer


def _ask_service(line: bytes, within_s: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(within_s)
        link.connect(str(MOUNTER))
        link.sendall(line)
        told = b""
        while not told.endswith(b"\n") and len(told) < _LONGEST_ANSWER:
            piece = link.recv(4096)
            if not piece:
                raise TimeoutError("it was ended before it answered")
            told += piece
        return told


def _ask_child(line: bytes, within_s: float) -> bytes:
    child = subprocess.Popen(
        [sys.executable, "-m", "firmware.media.mounter"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        return child.communicate(line, within_s)[0]
    except subprocess.TimeoutExpired as error:  # one that waits for a dying stick cannot even be killed
        child.kill()
        raise TimeoutError("the mounter hangs") from error
