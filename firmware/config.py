"""Where everything lives: one home directory in development, the system places on the box."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from firmware.errors import ConfigError

HOME_VARIABLE = "TAPDECK_HOME"
_FOLDERS = ("tapes", "recordings", "evidence", "run", "run/doorbells", "run/status", "run/wanted")
_SECRET_FOLDERS = ("keys", "vault")


@dataclass(frozen=True, slots=True)
class Home:
    """The box's directory tree. Properties are paths; nothing exists before ``create``."""

    root: Path

    @property
    def calls_db(self) -> Path:
        """Calls, recordings, event log, alarms; written by recorders and keeper."""
        return self.root / "calls.db"

    @property
    def crm_db(self) -> Path:
        """Operators, customers, parameters, audit; written by API and courier."""
        return self.root / "crm.db"

    @property
    def tapes(self) -> Path:
        """One ring file per line card."""
        return self.root / "tapes"

    @property
    def recordings(self) -> Path:
        """Finished recordings and manifests, ``YYYY/MM/DD/CHnnn/…``."""
        return self.root / "recordings"

    @property
    def evidence(self) -> Path:
        """Evidence logs; ``device/`` for real cards, ``practice/`` for simulated ones."""
        return self.root / "evidence"

    @property
    def keys(self) -> Path:
        """Signing keys and the archives' credentials: for recorders and keeper only."""
        return self.root / "keys"

    @property
    def vault(self) -> Path:
        """The key that opens encrypted recordings: for those who record, keep or play them."""
        return self.root / "vault"

    @property
    def doorbells(self) -> Path:
        """Sockets that wake the readers of the event log."""
        return self.root / "run" / "doorbells"

    @property
    def status(self) -> Path:
        """Fast-changing state (levels, volts), one JSON file a card; never evidence."""
        return self.root / "run" / "status"

    @property
    def wanted(self) -> Path:
        """What the keeper wants to run: ``NAME.json`` with ``{"argv": [...]}``, one file a process."""
        return self.root / "run" / "wanted"

    @property
    def real_card_mark(self) -> Path:
        """Exists once a real line card was seen: from then on no simulated exchange starts by itself."""
        return self.root / "held-real-card"

    @property
    def run(self) -> Path:
        """Everything that may be lost with the power."""
        return self.root / "run"

    def create(self) -> None:
        """Make the tree. Raises ConfigError when the place cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for name in _FOLDERS:
                (self.root / name).mkdir(parents=True, exist_ok=True)
            for name in _SECRET_FOLDERS:  # one that is there already has the mode that its owner wants
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"home directory {self.root} cannot be made: {error}") from error


def find_home(chosen: str | Path | None = None) -> Home:
    """The home directory: the one chosen, else $TAPDECK_HOME, else ``data`` here."""
    return Home(Path(chosen or os.environ.get(HOME_VARIABLE) or "data").absolute())
