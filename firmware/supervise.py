"""What is to run: the daemons of the box, and the wanted files of those that come and go.

A wanted file is ``run/wanted/NAME.json`` with ``{"argv": [...]}``: the keeper writes it, the supervisor of a
developer's machine or systemd's units on the appliance start and stop the process by it. The file ``run/restart`` wants
all of them stopped and started again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from firmware.config import Home
from firmware.errors import BadInput, ConfigError, StoreError


@dataclass(frozen=True, slots=True)
class DaemonSpec:
    """A daemon of the box. ``argv`` are the arguments of the ``tapdeck`` command that runs it.

    ``last``: others are connected to it, so it is stopped after all of them.
    """

    name: str
    argv: tuple[str, ...]
    last: bool = False


class _Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    argv: tuple[str, ...]
    last: bool = False


def _file(home: Home, name: str) -> Path:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ConfigError(f"{name!r} cannot name a process")
    return home.wanted / f"{name}.json"


def write_wanted(home: Home, spec: DaemonSpec) -> None:
    """Want a process; written whole or not at all. Raises StoreError, ConfigError on an impossible name."""
    file = _file(home, spec.name)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(msgspec.json.encode(_Wanted(spec.argv, spec.last)))
        draft.replace(file)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error}") from error


def remove_wanted(home: Home, name: str) -> None:
    """Want a process no longer; one that nobody wanted is no error."""
    _file(home, name).unlink(missing_ok=True)


def read_wanted(home: Home, name: str) -> DaemonSpec:
    """What is to run under ``name``. Raises ConfigError when nobody wants it, BadInput when it is malformed."""
    file = _file(home, name)
    try:
        wanted = msgspec.json.decode(file.read_bytes(), type=_Wanted)
    except FileNotFoundError:
        raise ConfigError(f"nobody wants {name!r}: {file} does not exist") from None
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"{file}: {error}") from error
    if not wanted.argv:
        raise BadInput(f"{file}: argv is empty")
    return DaemonSpec(name, wanted.argv, wanted.last)


def wanted_names(home: Home) -> list[str]:
    """The names of all wanted processes, sorted."""
    return sorted(file.stem for file in home.wanted.glob("*.json") if not file.name.startswith("."))


def _restart_file(home: Home) -> Path:
    return home.run / "restart"


def want_restart(home: Home) -> None:
    """Have the whole box stopped, made ready (``firmware.start``) and started again. Raises StoreError."""
    try:
        _restart_file(home).touch()
    except OSError as error:
        raise StoreError(f"{_restart_file(home)} cannot be written: {error}") from error


def take_restart(home: Home) -> bool:
    """Whether somebody wants the box started again; whoever asks does it, so it is asked for no longer."""
    try:
        _restart_file(home).unlink()
    except FileNotFoundError:
        return False
    return True
