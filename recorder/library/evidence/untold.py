"""What was found wrong with an evidence log and nobody was told of yet: kept beside the log until an alarm stands.

The alarm goes into the store, and that may be busy, or the power may go first; the log itself is whole by then.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from firmware.durable import write_whole
from firmware.errors import StoreError

log = logging.getLogger("recorder")


def untold_path(log_file: Path) -> Path:
    """Where it is kept."""
    return log_file.with_name(f"{log_file.name.removesuffix('.log')}.untold")


def read_untold(log_file: Path) -> list[str]:
    """The problems that are kept; a damaged file is one itself. One that the disk does not give stays for later."""
    try:
        return msgspec.json.decode(untold_path(log_file).read_bytes(), type=list[str])
    except FileNotFoundError:
        return []
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return [f"{untold_path(log_file).name}: {error}"]
    except OSError as error:
        log.warning("%s: %s", untold_path(log_file), error.strerror)
        return []


def keep_untold(log_file: Path, problems: Sequence[str]) -> None:
    """Keep these problems, durably. Where the disk refuses that, they are told unless the power goes first."""
    try:
        write_whole(untold_path(log_file), msgspec.json.encode(problems))
    except StoreError as error:
        log.warning("%s", error)


def forget_untold(log_file: Path) -> None:
    """They were told. Where the disk refuses that, they are told again at the next opening."""
    try:
        untold_path(log_file).unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: %s", untold_path(log_file), error.strerror)
