"""Which line cards are plugged in, now and from now on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyudev

USB_PRODUCT = "Tapdeck line card"
"""USB product string of serial line cards (docs/serial-line-card.md, clause 2)."""

SERIAL_DRIVER = "serial_card"
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class FoundCard:
    """A card that some driver can open. ``hint``: its serial number if the bus tells it, else empty."""

    driver: str
    address: str
    hint: str = ""


def find_cards(configured: Iterable[FoundCard] = ()) -> list[FoundCard]:
    """All cards on the buses and the ``configured`` ones, by address; a configured address wins."""
    return _find(pyudev.Context(), configured)


class CardWatch:
    """Calls ``callback`` with all cards: once at the start, then after every change. Close it to end.

    Thread: the callback runs on a thread of its own, never twice at the same time.
    """

    def __init__(self, callback: Callable[[list[FoundCard]], None], configured: Iterable[FoundCard] = ()) -> None:
        self._callback = callback
        self._configured = tuple(configured)
        self._closing = threading.Event()
        self._context = pyudev.Context()
        # The monitor must listen before the first enumeration: a card plugged in between would never be seen.
        self._monitor = pyudev.Monitor.from_netlink(self._context)
        self._monitor.filter_by("tty")
        self._monitor.start()
        self._thread = threading.Thread(target=self._run, name="card-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; at most one callback in progress is waited for. Idempotent."""
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        known: list[FoundCard] | None = None
        while not self._closing.is_set():
            cards = _find(self._context, self._configured)
            if cards != known:
                known = cards
                self._callback(cards)
            while not self._closing.is_set() and self._monitor.poll(_POLL_S) is None:
                pass


def watch(callback: Callable[[list[FoundCard]], None], configured: Iterable[FoundCard] = ()) -> CardWatch:
    """Start watching; see ``CardWatch``."""
    return CardWatch(callback, configured)


def _find(context: Any, configured: Iterable[FoundCard]) -> list[FoundCard]:
    by_address = {card.address: card for card in _serial_cards(context)}
    by_address.update({card.address: card for card in configured})
    return [by_address[address] for address in sorted(by_address)]


def _serial_cards(context: Any) -> Iterable[FoundCard]:
    for device in context.list_devices(subsystem="tty"):
        usb = device.find_parent("usb", "usb_device")
        if usb is None or device.device_node is None:
            continue
        if usb.attributes.get("product", b"").decode(errors="replace") == USB_PRODUCT:
            serial_number = usb.attributes.get("serial", b"").decode(errors="replace")
            yield FoundCard(SERIAL_DRIVER, device.device_node, serial_number)
