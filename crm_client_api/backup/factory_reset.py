"""Back to the state of a new box: the office's data alone, or everything, with a signed statement of what went.

What went is counted before, looked for afterwards, and signed with the device's key, which is held in memory to the
last and goes with the rest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from crm_client_api.backup.contents import STORES
from firmware.clock import now_ms
from firmware.config import Home
from firmware.durable import sync_folder
from firmware.errors import Refused, StoreError
from firmware.store.connection import open_store
from firmware.store.replace import nobody_has_it
from firmware.supervisor import only_supervisor
from recorder.library.evidence.files import heads_path
from recorder.library.evidence.signing import Signer, load_key, sha256_hex

Mode = Literal["keep_recordings", "wipe"]
_PIECE_BYTES = 1 << 20
_KEPT = ("recordings", "evidence", "keys", "vault")
_KEPT_FILES = ("channels.json", "aging.json", "held-real-card", "cards.json", "cards-seen.json")
"""Which number a channel has, and how old recordings are, belongs to the recordings."""
_KEY_ENDING = ".key.json"

Progress = Callable[[int, int], None]
"""How many files are gone, of how many."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What went, signed by the device over the canonical JSON of ``said`` (docs/backup.md)."""

    said: dict[str, Any]
    public_key: str
    signature: str


def require_box(home: Home) -> None:
    """Raises Refused: this is the home of no box, so nothing here is ours to remove."""
    if not any((home.root / name).is_file() for name in STORES):
        raise Refused(f"{home.root} is not the home of a box: it has no store. 该目录不是录音盒的数据目录。")


def confirmation(home: Home, mode: Mode) -> str:
    """What somebody must type: it names the box, so that nobody wipes another one."""
    return f"{'wipe' if mode == 'wipe' else 'reset'} {_signer(home).device[:8]}"


def factory_reset(home: Home, mode: Mode, *, overwrite: bool, told: Progress) -> Statement:
    """Remove everything, or all but recordings and what proves and opens them. ``overwrite``: write over every file
    first; keys, stores and settings always are.

    Raises Refused: no box, or recordings that are not cut yet would be lost; ConfigError, StoreBusy: the box runs;
    StoreError: something cannot be removed.
    """
    require_box(home)
    home.create()
    signer = _signer(home)
    if mode == "keep_recordings":
        _require_all_cut(home)
    with only_supervisor(home), nobody_has_it(home.calls_db), nobody_has_it(home.crm_db):
        files = list(_going(home, mode))
        said = _counted(home, mode, files, signer)
        _remove(home, files, overwrite, told)
        for folder in _roots(home, mode):
            _remove_folders(folder)
        left = [str(one) for one in _going(home, mode)]
    if mode == "wipe":
        _remove_run(home)
    if left:
        raise StoreError(f"{len(left)} files cannot be removed: {', '.join(left[:5])}")
    said["left"] = 0
    return Statement(said, signer.public_key, signer.sign(said))


def _signer(home: Home) -> Signer:
    """The device's key; that of practice where no real card was ever seen."""
    return Signer(load_key(home, simulated=not (home.keys / "device.pem").exists()))


def _require_all_cut(home: Home) -> None:
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        waiting = calls.conn.execute("SELECT count(*) FROM recordings WHERE state = 'pending'").fetchone()[0]
    if waiting:
        raise Refused(f"{waiting} recordings are on the tape only: start the box once more, so that they are cut")


def _roots(home: Home, mode: Mode) -> list[Path]:
    """Folders of which everything goes. A link in the place of a folder means where it leads: a disk of its own."""
    kept = {*_KEPT, "run"} if mode == "keep_recordings" else {"run"}
    return [one for one in sorted(home.root.iterdir()) if one.is_dir() and one.name not in kept]


def _going(home: Home, mode: Mode) -> Iterator[Path]:
    """Files that go, those first without which others are worth nothing."""
    kept = _KEPT_FILES if mode == "keep_recordings" else ()
    files = [one for one in sorted(home.root.iterdir()) if not one.is_dir() and one.name not in kept]
    for folder in _roots(home, mode):
        for path, _, names in os.walk(folder):
            files += [Path(path) / name for name in sorted(names)]
            files += [Path(path) / name for name in _links(Path(path))]
    yield from sorted(files, key=lambda one: not _is_key(home, one))


def _links(folder: Path) -> list[str]:
    """Links to folders below: os.walk takes them for folders that it does not enter."""
    with os.scandir(folder) as entries:
        return [one.name for one in entries if one.is_symlink() and one.is_dir()]


def _is_key(home: Home, file: Path) -> bool:
    return file.name.endswith(_KEY_ENDING) or home.keys in file.parents or home.vault in file.parents


def _counted(home: Home, mode: Mode, files: list[Path], signer: Signer) -> dict[str, Any]:
    kinds: dict[str, dict[str, int]] = {}
    for one in files:
        inner = one.relative_to(home.root).parts
        kind = "keys" if _is_key(home, one) else inner[0] if len(inner) > 1 else "stores and settings"
        counted = kinds.setdefault(kind, {"files": 0, "bytes": 0})
        counted["files"] += 1
        counted["bytes"] += one.lstat().st_size
    return {
        "kind": "factory_reset",
        "mode": mode,
        "device": signer.device,
        "software": version("tapdeck"),
        "at_ms": now_ms(),
        "removed": kinds,
        "encrypted_recordings": sum(one.name.endswith(".tde") for one in files),
        "heads": _last_heads(home),
    }


def _last_heads(home: Home) -> dict[str, str]:
    """The hash of the last signed head of each log: how far its evidence had come."""
    heads = {}
    for log in sorted(home.evidence.glob("*/*.log")):
        with suppress(OSError):
            lines = heads_path(log).read_bytes().splitlines()
            if lines:
                heads[f"{log.parent.name}/{log.stem}"] = sha256_hex(lines[-1])
    return heads


def _remove(home: Home, files: list[Path], overwrite: bool, told: Progress) -> None:
    for done, file in enumerate(files):
        told(done, len(files))
        inner = file.relative_to(home.root).parts
        try:
            if not file.is_symlink() and file.is_file() and (overwrite or len(inner) == 1 or _is_key(home, file)):
                _write_over(file)
            file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{file}: {error.strerror}") from error
    os.sync()
    told(len(files), len(files))


def _write_over(file: Path) -> None:
    with file.open("r+b", buffering=0) as opened:
        left = os.fstat(opened.fileno()).st_size
        while left > 0:
            left -= opened.write(os.urandom(min(left, _PIECE_BYTES)))
        os.fsync(opened.fileno())


def _remove_folders(folder: Path) -> None:
    """Empty folders, deepest first; one that is a disk or a link stays, empty."""
    for path, names, _ in os.walk(folder, topdown=False):
        for name in names:
            with suppress(OSError):
                (Path(path) / name).rmdir()
    with suppress(OSError):
        folder.rmdir()
    if folder.parent.is_dir():
        sync_folder(folder.parent)


def _remove_run(home: Home) -> None:
    """What is lost with the power anyway; the folder itself stays where it leads to a memory disk."""
    for one in home.run.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)
    with suppress(OSError):
        home.run.rmdir()
