"""What every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.config import Home
from firmware.store.migrations import migrate


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home directory of its own, made and migrated."""
    made = Home(tmp_path / "home")
    made.create()
    migrate(made)
    return made
