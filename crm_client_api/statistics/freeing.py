"""Gives memory that is free back to the system: the allocator would keep for ever what one large report took."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _find() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # another C library than glibc
        return None
    return trim


_malloc_trim = _find()


def give_back_memory() -> None:
    """Takes some milliseconds, during which other threads go on."""
    if _malloc_trim is not None:
        _malloc_trim(0)
