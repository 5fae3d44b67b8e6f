"""How the restore stands that somebody asked for on the web page: one small file on the memory file system.

The daemon of backups and the step of a start write it, the API reads it. No passphrase is ever in it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from firmware.config import Home

Phase = Literal["unpacking", "recordings", "settling"]
Stand = Literal["preparing", "restarting", "failed"]


class RestoreState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``done``, ``all``: bytes of the file while ``unpacking``, else recordings, or 0. ``absent``: recordings that do
    not lie beside the backup, or are damaged. ``error_code``: why it failed, "" unless it did.
    """

    state: Stand
    name: str
    made_ms: int
    device: str
    phase: Phase = "unpacking"
    done: int = 0
    all: int = 0
    absent: int = 0
    error_code: str = ""
    error: str = ""


def _file(home: Home) -> Path:
    return home.run / "restore.json"


def read_state(home: Home) -> RestoreState | None:
    """How it stands; None: nobody asked for one."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(_file(home).read_bytes(), type=RestoreState)
    return None


def write_state(home: Home, state: RestoreState | None) -> None:
    """Tell how it stands; None: forget it. What cannot be told is not told: the restore itself goes on."""
    file = _file(home)
    with suppress(OSError):
        if state is None:
            file.unlink(missing_ok=True)
            return
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.write_bytes(msgspec.json.encode(state))
        draft.replace(file)


def end_state(home: Home, error_code: str = "", error: str = "") -> None:
    """What was on its way is over: done, or failed for this reason."""
    state = read_state(home)
    if state is None or state.state == "failed":
        return
    failed = msgspec.structs.replace(state, state="failed", error_code=error_code, error=error)
    write_state(home, failed if error_code else None)
