"""What every room's tests share."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from firmware.config import Home
from firmware.store.migrations import migrate
from firmware.structs import make_structs_ready


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that drive the whole box in real time stay on one worker, the others run beside them."""
    for item in items:
        if item.get_closest_marker("acceptance"):
            item.add_marker(pytest.mark.xdist_group("acceptance"))


@pytest.fixture(scope="session", autouse=True)
def structs_ready() -> set[type[msgspec.Struct]]:
    """As every daemon does before its threads: those of tests are servers and couriers, too. What was made ready."""
    found: set[type[msgspec.Struct]] = set()
    waiting: list[type[msgspec.Struct]] = [msgspec.Struct]
    while waiting:
        below = waiting.pop().__subclasses__()
        found.update(below)
        waiting += below
    make_structs_ready()
    return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home directory of its own, made and migrated."""
    made = Home(tmp_path / "home")
    made.create()
    migrate(made)
    return made
