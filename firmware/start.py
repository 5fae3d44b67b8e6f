"""What is done before the daemons start, and between two starts: the rooms' own steps, then the stores' schema."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from firmware.config import Home
from firmware.store.migrations import migrate

StartStep = Callable[[Home], list[str]]
"""An entry point of ``tapdeck.start_steps``: done while no daemon works; tells what it did. Raises StoreError."""


def make_ready(home: Home) -> list[str]:
    """Let the daemons find everything as they need it; what was done for that. Raises StoreError, ConfigError."""
    home.create()
    points = sorted(entry_points(group="tapdeck.start_steps"), key=lambda point: point.name)
    steps: list[StartStep] = [point.load() for point in points]
    return [line for step in steps for line in step(home)] + migrate(home)
