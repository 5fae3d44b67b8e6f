"""What was unpacked and proved takes the place of what is here: by renames alone, with the box stopped.

A power cut at any moment leaves a box that goes on here at its next start, for the mark says that all is proved. Of
each folder: what lies there goes aside, then its stage is given another name, then everything moves out of that. So
whoever goes on knows by the name of the stage whether what lies there is old or new.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crm_client_api.backup.contents import STORES, End, is_root_file
from crm_client_api.backup.factory_reset import RESET_MARK
from crm_client_api.backup.stage import OWN_DISK, PLACING, READY, STAGE, clear_stages
from crm_client_api.take_home.landing import sync_file_system
from firmware.config import Home
from firmware.durable import sync_folder, write_whole
from firmware.errors import BoxError, StoreError
from firmware.store.health import clear_mark, mark_damaged, marked_damage
from firmware.store.replace import nobody_has_it
from recorder.library.evidence.earlier_keeping import keep_earlier

ASIDE = "before-restore-%Y%m%dT%H%M%SZ"
"""What the folders are called into which goes what was there before: when it was proved, in UTC."""
_CUT_OFF = "a restore was cut off: start the box, or run 'tapdeck restore' again"
_PIECE_BYTES = 1 << 20
_COMPANIONS = ("-wal", "-shm")


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What waits in the stages to take over. ``backup``: its id; ``made_ms``: Unix ms UTC; ``aside``: what the folders
    will be called into which goes what is there now; ``blank``: nothing is.

    ``damaged``: recordings here that make room for the good ones of the backup. For the rest see
    ``restoring.Restored``.
    """

    backup: str
    made_ms: int
    end: End
    steps: list[str]
    recordings: int
    absent: list[str]
    damaged: list[str]
    aside: str
    blank: bool


class GivenUp(BoxError):
    """Nothing was changed: what was ready is there no more, and the box is as it was."""


def write_ready(home: Home, ready: Ready) -> None:
    """From now on the next start takes over. Raises StoreError."""
    write_whole(home.root / READY, msgspec.json.encode(ready))


def read_ready(home: Home) -> Ready | None:
    """What waits to take over. Raises StoreError."""
    try:
        return msgspec.json.decode((home.root / READY).read_bytes(), type=Ready)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{home.root / READY}: {error}") from error


def has_begun(home: Home) -> bool:
    """Whether a take-over was cut off. Raises StoreError."""
    return marked_damage(home.crm_db) == _CUT_OFF


def clear(home: Home) -> None:
    """Let nothing take over. Never when that has begun. Raises StoreError."""
    _forget(home)
    clear_stages(home)


def _forget(home: Home) -> None:
    try:
        (home.root / READY).unlink(missing_ok=True)
        sync_folder(home.root)
    except OSError as error:
        raise StoreError(f"{home.root / READY}: {error.strerror}") from error


def take_over(home: Home, ready: Ready) -> None:
    """Put it into its place, or go on with that. Nobody may work in the home.

    Raises GivenUp: it cannot be begun; StoreError: it was begun, and goes on at the next try.
    """
    begun = has_begun(home)
    try:
        with nobody_has_it(home.calls_db), nobody_has_it(home.crm_db):
            if not begun:
                _require_rights(home)
                _keep_longer_logs(home)
                sync_file_system(home.evidence, (home.evidence / STAGE).rglob("*"))
                mark_damaged(home.crm_db, _CUT_OFF)
                begun = True
            _put_in_place(home, ready)
    except (OSError, BoxError) as error:
        text = f"{home.root}: {error.strerror}" if isinstance(error, OSError) else str(error)
        if begun:
            raise StoreError(text) from error
        clear(home)
        raise GivenUp(text) from error
    clear_stages(home)


def _require_rights(home: Home) -> None:
    for folder in (home.root, *(home.root / name for name in OWN_DISK)):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StoreError(f"{folder} cannot be written")


def _put_in_place(home: Home, ready: Ready) -> None:
    """The stores last; until then the box refuses to start without going on here."""
    for name in OWN_DISK:
        folder = home.root / name
        if name == "recordings":
            _change(folder, ready.aside, lambda _: False)
            _make_room(folder, ready)
        else:
            _change(folder, ready.aside, lambda _: True)
        _fill(folder)
    keep_earlier(home, home.evidence / ready.aside, _aside_ms(ready.aside))
    _change(home.root, ready.aside, _is_ours)
    _fill(home.root)
    (home.root / RESET_MARK).unlink(missing_ok=True)
    clear_mark(home.calls_db)
    clear_mark(home.crm_db)
    _forget(home)


def _aside_ms(aside: str) -> int:
    return round(datetime.strptime(aside, ASIDE).replace(tzinfo=UTC).timestamp() * 1000)


def _change(folder: Path, aside: str, goes: Callable[[Path], bool]) -> None:
    """Set aside what was there before, and say by the stage's name that this is done."""
    placing = folder / PLACING
    if placing.exists():
        return
    target = folder / aside
    for entry in entries(folder):
        if goes(entry):
            target.mkdir(exist_ok=True, mode=0o700)
            entry.rename(target / entry.name)
    if target.exists():
        sync_folder(target)
    (folder / STAGE).mkdir(exist_ok=True)
    sync_folder(folder)
    (folder / STAGE).rename(placing)
    sync_folder(folder)


def _make_room(recordings: Path, ready: Ready) -> None:
    """Set damaged recordings aside, as long as the good one waits."""
    for path in ready.damaged:
        if not (recordings / PLACING / path).exists():
            continue
        place = recordings / ready.aside / path
        (recordings / ready.aside).mkdir(exist_ok=True, mode=0o700)
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            (recordings / path).rename(place)


def _fill(folder: Path) -> None:
    _merge(folder / PLACING, folder)
    sync_folder(folder)


def _merge(source: Path, target: Path) -> None:
    """Move what the target lacks; what it has stays."""
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if not place.exists() and not place.is_symlink():
            entry.rename(place)
        elif entry.is_dir() and place.is_dir():
            _merge(entry, place)
            sync_folder(place)


def _is_ours(entry: Path) -> bool:
    stores = tuple(f"{store}{ending}" for store in STORES for ending in ("", *_COMPANIONS))
    if not entry.is_file():
        return entry.name == "jobs"
    return entry.name in stores or entry.name.startswith("figures.db") or is_root_file(entry.name)


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, but for what restores themselves, or a file system, put there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return [one for one in sorted(folder.iterdir()) if not one.name.startswith(("before-restore-", ".", "lost+"))]
    return []


def _keep_longer_logs(home: Home) -> None:
    """Evidence logs of the same box that go on where those of the backup end: nothing that was signed is lost."""
    for log in sorted((home.evidence / STAGE).glob("*/*.log")):
        here = home.evidence / log.parent.name
        if not (here / log.name).is_file() or not _begins_as(here / log.name, log):
            continue
        for ending in (".log", ".heads", ".begun.json"):
            kept = here / f"{log.name.removesuffix('.log')}{ending}"
            if kept.is_file():
                shutil.copyfile(kept, log.with_name(kept.name))
        for kept in (*here.glob("anchors/*.json"), *here.glob("erasures/*.json")):
            place = log.parent / kept.parent.name / kept.name
            place.parent.mkdir(exist_ok=True)
            if not place.exists():
                shutil.copyfile(kept, place)


def _begins_as(longer: Path, shorter: Path) -> bool:
    with longer.open("rb") as one, shorter.open("rb") as other:
        while piece := other.read(_PIECE_BYTES):
            if one.read(len(piece)) != piece:
                return False
    return True
