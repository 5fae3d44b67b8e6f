"""A scripted exchange as JSON text: lines, seed, settings and everything that happens on them.

    {"lines": 2, "seed": 7,
     "settings": [{"caller_id": "fsk"}, {"caller_id": "dtmf", "polarity_reversal": true}],
     "calls": [{"kind": "incoming", "line": 0, "at_s": 1, "number": "13812345678", "answer_after_s": 7},
               {"kind": "outgoing", "line": 1, "at_s": 2.5, "digits": "01062345678", "busy": true},
               {"kind": "cut", "line": 0, "at_s": 60, "duration_s": 5}]}

Fields are those of ``LineSettings``, ``IncomingCall``, ``OutgoingCall`` and ``LineCut``.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from drivers.exchange.calls import Happening, LineSettings
from drivers.exchange.lines import Exchange
from firmware.errors import ConfigError


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An exchange and its day; ``settings`` None: every line as ``LineSettings()``."""

    lines: int
    calls: tuple[Happening, ...] = ()
    seed: int = 0
    settings: tuple[LineSettings, ...] | None = None

    def exchange(self, speech_dir: Path | None = None) -> Exchange:
        """A fresh exchange with everything placed. Raises ConfigError, naming the call at fault."""
        exchange = Exchange(self.lines, self.seed, self.settings, speech_dir)
        for i, call in enumerate(self.calls):
            try:
                exchange.place(call)
            except ConfigError as exc:
                raise ConfigError(f"calls[{i}]: {exc}") from exc
        return exchange


def load_script(text: str | bytes) -> Script:
    """Read a script; unknown, missing or impossible fields raise ConfigError that says where."""
    try:
        return msgspec.json.decode(text, type=Script)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"script: {exc}") from exc


def dump_script(script: Script) -> str:
    """The script as JSON text that ``load_script`` reads back to an equal one."""
    return msgspec.json.format(msgspec.json.encode(script), indent=1).decode()
