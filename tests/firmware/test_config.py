"""Where things live."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.config import find_home
from firmware.errors import ConfigError


def test_the_chosen_home_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAPDECK_HOME", str(tmp_path / "environment"))
    assert find_home(tmp_path / "chosen").root == tmp_path / "chosen"
    assert find_home().root == tmp_path / "environment"
    monkeypatch.delenv("TAPDECK_HOME")
    monkeypatch.chdir(tmp_path)
    assert find_home().root == tmp_path / "data"


def test_create_makes_every_place_and_hides_the_keys(tmp_path: Path) -> None:
    home = find_home(tmp_path / "a" / "b")
    home.create()
    home.create()
    for place in (home.tapes, home.recordings, home.evidence, home.keys, home.doorbells, home.status, home.wanted):
        assert place.is_dir()
    assert home.keys.stat().st_mode & 0o777 == home.vault.stat().st_mode & 0o777 == 0o700


def test_an_impossible_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/home"):
        find_home(tmp_path / "file" / "home").create()
