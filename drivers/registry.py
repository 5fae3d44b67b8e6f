"""Finds drivers by name through the entry points of group ``tapdeck.drivers``."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from drivers.api import LineCard
from firmware.errors import ConfigError

GROUP = "tapdeck.drivers"


def driver_names() -> list[str]:
    """Names of all installed drivers, sorted."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def open_card(driver: str, address: str, **settings: object) -> LineCard:
    """A card of ``driver`` at ``address``, made but not yet opened; ``settings`` are the driver's own.

    Raises: ConfigError for an unknown driver, an unknown setting or a value out of range.
    """
    return _factory(driver)(address, **settings)


def _factory(driver: str) -> Callable[..., LineCard]:
    found: list[EntryPoint] = [entry for entry in entry_points(group=GROUP) if entry.name == driver]
    if not found:
        raise ConfigError(f"driver = {driver!r}: one of {', '.join(driver_names())}")
    factory: Callable[..., LineCard] = found[0].load()
    return factory
