"""How good the wall clock is, as the kernel knows it."""

from __future__ import annotations

import ctypes

import msgspec

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class ClockQuality(msgspec.Struct, frozen=True):
    """``max_error_ms``: how far the clock may be off; both None where the kernel does not say."""

    synchronised: bool | None
    max_error_ms: int | None


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2), up to the last field that is read here; the kernel writes 208 bytes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def clock_quality() -> ClockQuality:
    """Ask adjtimex(2); changes nothing and needs no rights."""
    now = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(now))
    except (OSError, AttributeError):
        return ClockQuality(None, None)
    if state < 0:
        return ClockQuality(None, None)
    synchronised = state != _TIME_ERROR and not now.status & _STA_UNSYNC
    return ClockQuality(synchronised, -(-now.maxerror // 1000))
