"""The office of the API's tests is used here as well; a virtual machine is built once for all that need it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stick_machine import build_root
from virtual_machine import Guest, build_guest, missing_tools

sys.path.append(str(Path(__file__).parents[1] / "crm_client_api"))


@pytest.fixture(scope="session")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    """What virtual machines boot from."""
    if missing_tools() or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing_tools()) or 'nothing else'}")
    return build_guest(tmp_path_factory.mktemp("guest"))


@pytest.fixture(scope="session")
def stick_root(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Disk, kernel and initial RAM disk of virtual machines that sticks are plugged into."""
    if missing_tools() or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing_tools()) or 'nothing else'}")
    return build_root(tmp_path_factory.mktemp("stick_root"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A blank data disk for one."""
    file = tmp_path / "data.img"
    with file.open("wb") as image:
        image.truncate(2 << 30)
    yield file
    file.unlink()
