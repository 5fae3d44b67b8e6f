"""Tells the service manager how we are: ``READY=1``, ``WATCHDOG=1``, ``STOPPING=1`` (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket

_WATCHDOG_SHARE = 0.5  # sd_watchdog_enabled(3): notify every half of the time-out


def notify(state: str) -> None:
    """Send one state, e.g. ``READY=1``; several are joined by a newline. Without a manager nothing happens.

    Never blocks and never fails: a manager that has gone away must not take the recording with it.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.setblocking(False)
        link.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


def watchdog_interval_s() -> float | None:
    """How often to send ``WATCHDOG=1``, in seconds; None when nobody is watching this process."""
    meant_for = os.environ.get("WATCHDOG_PID")
    if meant_for and meant_for != str(os.getpid()):
        return None
    text = os.environ.get("WATCHDOG_USEC", "")
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        return None
    return int(text) / 1_000_000 * _WATCHDOG_SHARE
