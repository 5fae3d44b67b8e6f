"""The passphrase of a job, from the person to the courier: in ``run``, lost with the power, and never stored."""

from __future__ import annotations

import os
from pathlib import Path

from firmware.config import Home
from firmware.errors import Refused, StoreError


def _file(home: Home, job_id: int) -> Path:
    return home.run / f"take-home-{job_id}.passphrase"


def keep(home: Home, job_id: int, passphrase: str) -> None:
    """Leave it for the courier until the job ends. Raises StoreError."""
    try:
        fd = os.open(_file(home, job_id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o660)
        with os.fdopen(fd, "wb") as file:
            file.write(passphrase.encode())
    except OSError as error:
        raise StoreError(f"the passphrase cannot be kept: {error.strerror}") from error


def passphrase_of(home: Home, job_id: int) -> str:
    """Raises Refused: it is gone."""
    try:
        return _file(home, job_id).read_bytes().decode()
    except OSError as error:
        raise Refused("the box was restarted, and the passphrase is gone with it: ask for it anew") from error


def forget(home: Home, job_id: int) -> None:
    """Remove it. Raises nothing."""
    _file(home, job_id).unlink(missing_ok=True)
