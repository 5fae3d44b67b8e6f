"""Setting aside an evidence log that cannot go on, with its heads and first manifest; nothing of it is deleted."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from firmware.durable import sync_folder
from recorder.library.evidence.files import SET_ASIDE, begun_path, heads_path


class Aside:
    """The place of a log that is to be set aside: first ``take_begun``, then ``take_log``.

    The log moves last. A kill before that leaves a log without heads, which is set aside anew; one after it leaves
    the manifest of the new log's first leaf, which names what was set aside. Every method raises OSError.
    """

    def __init__(self, log_file: Path) -> None:
        """A log that is gone is set aside as an empty one."""
        self._log = log_file
        log_file.touch()
        with log_file.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.path = log_file.with_name(f"{log_file.stem}-{secrets.token_hex(4)}{SET_ASIDE}")

    def take_begun(self) -> None:
        """Move the manifest of the first leaf; a new one can then be written."""
        self._take(begun_path(self._log), ".begun.json")

    def take_log(self) -> None:
        """Move heads and log."""
        self._take(heads_path(self._log), ".heads")
        self._take(self._log, "")
        sync_folder(self._log.parent)

    def _take(self, file: Path, ending: str) -> None:
        if file.exists():
            file.rename(self.path.with_name(f"{self.path.name}{ending}"))


def is_version_1(log_file: Path) -> bool:
    """Whether a log was begun before there were commitments. Raises OSError."""
    if not log_file.exists():
        return False
    with log_file.open("rb") as file:
        return b'"manifest_sha256":' in file.readline(1024)
