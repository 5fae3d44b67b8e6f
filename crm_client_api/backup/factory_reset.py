"""Back to the state of a new box: the office's data alone, or everything, with a signed statement of what went.

What went is counted before, looked for afterwards, and signed with the device's key, which is held in memory to the
last and goes with the rest. A mark in the home says that it began, so that it can be finished after a power cut.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec

from crm_client_api.backup.contents import STORES
from crm_client_api.backup.mounts import mounts_below
from crm_client_api.backup.places import FOLDER
from firmware.clock import now_ms
from firmware.config import Home
from firmware.durable import sync_folder, write_whole
from firmware.errors import Refused, StoreError
from firmware.store.connection import open_store
from firmware.store.replace import nobody_has_it
from firmware.supervisor import only_supervisor
from recorder.library.evidence.files import heads_path, log_folders
from recorder.library.evidence.signing import Signer, load_key, sha256_hex

Mode = Literal["keep_recordings", "wipe"]
_PIECE_BYTES = 1 << 20
_KEPT = ("recordings", "evidence", "keys", "vault", "removals", "copies-to-remove")
_KEPT_FILES = ("channels.json", "aging.json", "held-real-card", "cards.json", "cards-seen.json")
"""Which number a channel has, and how old recordings are, belongs to the recordings."""
_KEY_ENDING = ".key.json"
RESET_MARK = ".being-reset"
"""A file in the home while a reset is not finished."""
_OWN_DISKS = {
    "recordings": re.compile(r"\d{4}(/\d\d(/\d\d(/CH\d{3,}(/[^/]+)?)?)?)?|(\.restoring|before-restore-\w+)(/.+)?"),
    "tapes": re.compile(r"[^/]+\.(tape|set-aside)"),
}
"""Folders that may be links to disks; what there, below the folder, is the box's own."""
_MUST_BE_HERE = ("evidence", "keys", "vault")

Progress = Callable[[int, int], None]
"""How many files are gone, of how many."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What went, signed by the device over the canonical JSON of ``said`` (docs/backup.md). Of a wipe that was cut off
    after its key had gone, what was to go, as it was signed when it began: ``left`` is not in it.
    """

    said: dict[str, Any]
    public_key: str
    signature: str


class _Begun(msgspec.Struct, frozen=True):
    """The mark of a reset that began: what was counted, signed then."""

    mode: Mode
    said: dict[str, Any]
    public_key: str
    signature: str


def require_box(home: Home) -> None:
    """Raises Refused: this is the home of no box, so nothing here is ours to remove; StoreError."""
    if _begun(home) is None and not any((home.root / name).is_file() for name in STORES):
        raise Refused(f"{home.root} is not the home of a box: it has no store. 该目录不是录音盒的数据目录。")


def confirmation(home: Home, mode: Mode) -> str:
    """What somebody must type: it names the box, so that nobody wipes another one."""
    begun = _begun(home)
    device = _signer(home).device if begun is None else str(begun.said["device"])
    return f"{'wipe' if mode == 'wipe' else 'reset'} {device[:8]}"


def factory_reset(home: Home, mode: Mode, *, overwrite: bool, told: Progress) -> Statement:
    """Remove everything, or all but recordings and what proves and opens them. ``overwrite``: write over every file
    first; keys, stores and settings always are.

    One that was cut off is finished. Raises Refused: no box, recordings that are not cut yet would be lost, a folder of
    keys or evidence is a link, or a wipe was cut off and this is none; ConfigError, StoreBusy: the box runs;
    StoreError: something cannot be removed.
    """
    require_box(home)
    begun = _begun(home)
    if begun is not None and begun.mode == "wipe" != mode:
        raise Refused("a wipe was cut off here: finish it with --wipe. 上次清除未完成,请用 --wipe 继续。")
    for name in _MUST_BE_HERE:
        if mode == "wipe" and (home.root / name).is_symlink():
            raise Refused(f"{home.root / name} is a link: put what it leads to in its place, or it would stay")
    home.create()
    signer = _signer(home) if begun is None else _signer_left(home, begun)
    if mode == "keep_recordings" and begun is None:
        _require_all_cut(home)
    with only_supervisor(home), nobody_has_it(home.calls_db), nobody_has_it(home.crm_db):
        files = list(_going(home, mode))
        if begun is None or begun.mode != mode:
            if signer is None:
                raise StoreError("the signing key is gone")
            said = _counted(home, mode, files, signer)
            begun = _Begun(mode, said, signer.public_key, signer.sign(said))
            write_whole(home.root / RESET_MARK, msgspec.json.encode(begun))
        _remove(home, files, overwrite, told)
        mounts = mounts_below(home.root)
        for folder in _roots(home, mode, mounts):
            _remove_folders(folder, mounts)
        left = [str(one) for one in _going(home, mode)]
    if mode == "wipe":
        _remove_run(home)
    if left:
        raise StoreError(f"{len(left)} files cannot be removed: {', '.join(left[:5])}")
    (home.root / RESET_MARK).unlink()
    sync_folder(home.root)
    if signer is None:
        return Statement(begun.said, begun.public_key, begun.signature)
    said = begun.said | {"left": 0}
    return Statement(said, signer.public_key, signer.sign(said))


def _begun(home: Home) -> _Begun | None:
    """The reset that was cut off here. Raises StoreError: its mark cannot be read."""
    try:
        return msgspec.json.decode((home.root / RESET_MARK).read_bytes(), type=_Begun)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StoreError(f"{home.root / RESET_MARK}: {error}") from error


def _signer_left(home: Home, begun: _Begun) -> Signer | None:
    """The key by which it began, unless it is gone or written over by now; none is made."""
    with suppress(StoreError):
        if any((home.keys / name).exists() for name in ("device.pem", "practice.pem")):
            signer = _signer(home)
            return signer if signer.device == begun.said["device"] else None
    return None


def _signer(home: Home) -> Signer:
    """The device's key; that of practice where no real card was ever seen."""
    return Signer(load_key(home, simulated=not (home.keys / "device.pem").exists()))


def _require_all_cut(home: Home) -> None:
    calls = open_store(home.calls_db, readonly=True)
    with closing(calls.conn):
        waiting = calls.conn.execute("SELECT count(*) FROM recordings WHERE state = 'pending'").fetchone()[0]
    if waiting:
        raise Refused(f"{waiting} recordings are on the tape only: start the box once more, so that they are cut")


def _roots(home: Home, mode: Mode, mounts: frozenset[Path]) -> list[Path]:
    """Folders of which everything goes. A disk in the place of recordings or tapes, linked or mounted, means what is
    ours there; nothing else that is linked or mounted is entered, but for mounted folders of keys and evidence.
    """
    kept = _kept_folders(mode)
    return [one for one in sorted(home.root.iterdir()) if _is_entered(one, mounts) and one.name not in kept]


def _kept_folders(mode: Mode) -> set[str]:
    return {*_KEPT, "run"} if mode == "keep_recordings" else {"run"}


def _is_entered(entry: Path, mounts: frozenset[Path]) -> bool:
    if entry.name in _OWN_DISKS:
        return entry.is_dir()
    return not entry.is_symlink() and entry.is_dir() and (entry not in mounts or entry.name in _MUST_BE_HERE)


def _going(home: Home, mode: Mode) -> Iterator[Path]:
    """Files that go, those first without which others are worth nothing."""
    kept = {*_kept_folders(mode), RESET_MARK, *(_KEPT_FILES if mode == "keep_recordings" else ())}
    mounts = mounts_below(home.root)
    files = [
        one
        for one in sorted(home.root.iterdir())
        if not _is_entered(one, mounts) and one not in mounts and one.name not in kept
    ]
    for folder in _roots(home, mode, mounts):
        for path, _, names in _walk(folder, mounts):
            files += [path / name for name in sorted(names)]
    yield from sorted(files, key=lambda one: not _is_key(home, one))


def _walk(top: Path, mounts: frozenset[Path]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder with its folders and its files that are ours, links among the files. Backups are never ours, nor is
    what is mounted further below.
    """
    own = _OWN_DISKS.get(top.name) if top.is_symlink() or top in mounts else None
    for path, folders, files in os.walk(top):
        here = Path(path)
        links = [name for name in folders if (here / name).is_symlink()]
        ours = [
            [name for name in names if own is None or own.fullmatch((here / name).relative_to(top).as_posix())]
            for names in (
                [name for name in folders if name != FOLDER and name not in links and here / name not in mounts],
                [*(name for name in files if here / name not in mounts), *links],
            )
        ]
        folders[:] = ours[0]
        yield here, ours[0], ours[1]


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
    for log in sorted(one for folder in log_folders(home) for one in folder.glob("*.log")):
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


def _remove_folders(top: Path, mounts: frozenset[Path]) -> None:
    """Empty folders of ours, deepest first; one that is a disk or a link stays, empty."""
    folders = [top, *(path / name for path, names, _ in _walk(top, mounts) for name in names)]
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()
    if top.parent.is_dir():
        sync_folder(top.parent)


def _remove_run(home: Home) -> None:
    """What is lost with the power anyway; the folder itself stays where it leads to a memory disk."""
    mounts = mounts_below(home.root)
    for one in home.run.iterdir():
        if one in mounts or any(one in mount.parents for mount in mounts):
            continue
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)
    with suppress(OSError):
        home.run.rmdir()
