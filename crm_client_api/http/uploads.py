"""Takes the body of a request as a file: piece by piece onto the disk, with limits that protect the recorder."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import bottle

from crm_client_api.http.errors import ApiError
from firmware.errors import BadInput, StoreError

MOST_AT_ONCE = 4
FREE_BYTES_LEFT = 1 << 30
"""So much of the disk stays free: recordings go first."""
_PIECE_BYTES = 256 * 1024
_RETRY_AFTER_S = 5
_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was taken."""

    file: Path
    bytes: int
    sha256: str


def receive(target: Path, largest_bytes: int) -> Upload:
    """Write the body of the present request to ``target``, which is gone again when that fails.

    Raises ApiError 411, 413, 503 (too many at once, disk full), BadInput when the client breaks off.
    """
    request = bottle.request
    if request.environ.get("HTTP_TRANSFER_ENCODING") or request.content_length < 0:
        raise ApiError(411, "length_required", "send the file with a Content-Length")
    size = request.content_length
    if size > largest_bytes:
        raise ApiError(413, "too_large", f"a file has at most {largest_bytes} bytes")
    if not _slots.acquire(blocking=False):
        raise ApiError(503, "uploads_full", "others are sending files: try again", {"Retry-After": str(_RETRY_AFTER_S)})
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o770)
        if shutil.disk_usage(target.parent).free - size < FREE_BYTES_LEFT:
            raise ApiError(503, "disk_full", "the disk is full: make room first", {"Retry-After": "60"})
        return _write(request.environ["wsgi.input"], target, size)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise StoreError(str(error)) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        _slots.release()


def _write(stream: object, target: Path, size: int) -> Upload:
    digest = hashlib.sha256()
    left = size
    with target.open("xb") as file:
        while left:
            piece = _read(stream, min(left, _PIECE_BYTES))
            if not piece:
                raise BadInput("the file broke off")
            left -= len(piece)
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return Upload(target, size, digest.hexdigest())


def _read(stream: object, size: int) -> bytes:
    try:
        return bytes(stream.read(size))  # type: ignore[attr-defined]
    except OSError as error:  # the client went away, or sends nothing any more
        raise BadInput("the file broke off") from error
