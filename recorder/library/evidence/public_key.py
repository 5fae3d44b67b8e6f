"""The public key of the box beside its logs, for those who may not read the private one: the API (docs/evidence.md).

It is worth what the folder is worth: whoever may write there can replace it, and ``tapdeck verify --all``, which holds
the private key, says so.
"""

from __future__ import annotations

import base64
import binascii
import logging
from pathlib import Path

from firmware.config import Home
from firmware.durable import write_whole
from firmware.errors import StoreError
from recorder.library.evidence.files import evidence_folder
from recorder.library.evidence.signing import Signer, device_of

log = logging.getLogger("recorder")


def public_key_path(home: Home, simulated: bool) -> Path:
    """Where it is: raw, in base64, and a newline."""
    return evidence_folder(home, simulated) / "key.pub"


def publish_key(home: Home, simulated: bool, signer: Signer) -> str | None:
    """Write it where it is not so already; what was wrong with it before, if anything. Never raises.

    Nothing that is recorded waits for it: a disk that refuses it now takes it at the next start.
    """
    problem = None
    try:
        found = read_public_device(home, simulated)
        if found == signer.device:
            return None
        problem = None if found is None else f"the published key was that of device {found}"
    except StoreError as error:
        problem = str(error)
    try:
        write_whole(public_key_path(home, simulated), f"{signer.public_key}\n".encode())
    except StoreError as error:  # or another process publishes it in this moment
        log.warning("public key: %s", error)
    return problem


def read_public_device(home: Home, simulated: bool) -> str | None:
    """The device id of the published key; None: none was published yet. Raises StoreError: it is damaged."""
    path = public_key_path(home, simulated)
    try:
        raw = base64.b64decode(path.read_bytes().strip(), validate=True)
    except FileNotFoundError:
        return None
    except (OSError, binascii.Error) as error:
        raise StoreError(f"{path.name}: {error}") from error
    if len(raw) != 32:
        raise StoreError(f"{path.name}: not an Ed25519 public key")
    return device_of(raw)
