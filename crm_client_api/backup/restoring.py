"""Bringing a backup back. First all of it is unpacked and proved beside its place, while the box may go on working;
then it takes over (``taking_over``), with the box stopped.

Until then the home is as it was. Nothing of a home that is not blank is removed: it goes into folders called
``before-restore-TIME``. Recordings that are there already, and whole, stay as they are.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from crm_client_api.backup.contents import (
    RECORDINGS,
    STORES,
    About,
    End,
    Kept,
    KeptList,
    check_name,
    unpack,
)
from crm_client_api.backup.far import Lying, size_of
from crm_client_api.backup.sealing import Head, Opened, Opening, Unlocker, read_opening
from crm_client_api.backup.settling import require_known_steps, settle
from crm_client_api.backup.stage import Stage
from crm_client_api.backup.taking_over import (
    ASIDE,
    Ready,
    clear,
    entries,
    has_begun,
    read_ready,
    take_over,
    write_ready,
)
from crm_client_api.backup.trial import require_rows
from crm_client_api.domain.audit import CONSOLE, Actor
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BadInput, Refused, StoreError, StoreFull
from firmware.store.replace import nobody_has_it
from firmware.supervisor import only_supervisor
from recorder.library.audio.names import tombstone_file

_PIECE_BYTES = 1 << 20

Progress = Callable[[str, int, int], None]
"""Told what is being done (``unpacking``, ``recordings``, ``settling``), how much of it is done, and how much it is.
What it raises ends the restore, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. ``absent``: recordings that should lie beside the backup, and are not there or damaged.

    ``aside``: how the folders are called into which went what was there before; None: nothing was.
    """

    head: Head
    end: End
    steps: list[str]
    recordings: int
    absent: list[str]
    aside: str | None


def is_blank(home: Home) -> bool:
    """Whether no box has worked here: no store, no recording, no key."""
    stores = any((home.root / name).exists() for name in STORES)
    return not stores and not any(entries(folder) for folder in (home.recordings, home.evidence, home.keys, home.vault))


def restore(home: Home, file: Lying, passphrase: str, *, replace: bool, told: Progress) -> Restored:
    """Put the backup ``file`` in the place of what is here, or go on with that where it was cut off.

    Raises Refused: the home is not blank and not to be replaced, another passphrase, a newer version; BadInput:
    altered, damaged, made by somebody else; ConfigError, StoreBusy: the box runs; StoreError.
    """
    unlocker = Unlocker(passphrase)
    head = proved(file, unlocker).head
    home.create()
    with only_supervisor(home), nobody_has_it(home.calls_db), nobody_has_it(home.crm_db):
        ready = read_ready(home) if has_begun(home) else None
        if ready is not None:
            take_over(home, ready)
        if ready is None or ready.backup != head.id:
            if not replace and not is_blank(home):
                raise Refused(
                    f"{home.root} is not blank: with --replace what is there is set aside. 该目录已有数据,加"
                    " --replace 才会替换(原有数据另存,不会删除)。"
                )
            ready = prepare(home, file, unlocker, told=told)
            take_over(home, ready)
    aside = ready.aside if ready.damaged or not ready.blank else None
    return Restored(head, ready.end, ready.steps, ready.recordings, ready.absent, aside)


def proved(file: Lying, unlocker: Unlocker) -> Opening:
    """What a backup begins with, once the passphrase has proved it. Raises BadInput, Refused."""
    try:
        with file.open("rb") as sealed:
            opening = read_opening(sealed)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}") from error
    if opening.head.kind != "backup":
        raise BadInput("this is one recording out of a backup: give the file tapdeck-….tapdeck beside it")
    unlocker.file_key(opening)
    return opening


def prepare(
    home: Home,
    file: Lying,
    unlocker: Unlocker,
    *,
    told: Progress,
    actor: Actor = Actor(CONSOLE),  # noqa: B008 - a frozen value
) -> Ready:
    """Unpack and prove everything beside its place, and mark it ready: the next start takes over. The box may work.

    ``actor``: by whom the restored box notes that it was done. Raises BadInput, Refused, StoreError, StoreFull, what
    ``told`` raises: nothing is ready then.
    """
    with _empty_stage(home) as stage:
        about, end, head = _unpack(file, unlocker, stage, told)
        kept = KeptList(stage.place(RECORDINGS), end.recordings)
        require_known_steps(about, stage.folder)
        require_rows(stage.folder, end)
        recordings, absent, damaged = _recordings(home, file, kept, unlocker, stage, told)
        told("settling", 0, 0)
        noted = {"recordings": recordings, "absent": len(absent)}
        steps = settle(Home(stage.folder), about, head, file.parent, actor, noted)
        try:
            stage.sync()
        except OSError as error:
            raise StoreError(f"{home.root}: {error.strerror}") from error
        told("settling", 0, 0)
        aside = datetime.fromtimestamp(now_ms() / 1000, UTC).strftime(ASIDE)
        ready = Ready(head.id, head.made_ms, end, steps, recordings, absent, damaged, aside, is_blank(home))
        write_ready(home, ready)
        return ready


@contextmanager
def _empty_stage(home: Home) -> Iterator[Stage]:
    clear(home)
    try:
        yield Stage(home)
    except BaseException:
        clear(home)
        raise


def _unpack(file: Lying, unlocker: Unlocker, stage: Stage, told: Progress) -> tuple[About, End, Head]:
    try:
        with file.open("rb") as sealed:
            size = size_of(file)
            opened = Opened(sealed, unlocker.file_key, lambda done: told("unpacking", done, size))
            return *unpack(opened, stage.take), opened.head
    except OSError as error:
        raise _trouble(file, error) from error


def _trouble(place: Lying, error: OSError) -> StoreError:
    text = f"{place}: {error.strerror}"
    return StoreFull(text) if error.errno == errno.ENOSPC else StoreError(text)


def _recordings(
    home: Home, file: Lying, kept: KeptList, unlocker: Unlocker, stage: Stage, told: Progress
) -> tuple[int, list[str], list[str]]:
    """Unpack the recordings beside a backup that the home lacks, or has damaged; how many, which cannot be brought
    back, and which are damaged here.
    """
    count, absent, damaged = 0, [], []
    for done, one in enumerate(kept.read()):
        told("recordings", done, kept.count)
        check_name(f"recordings/{one.path}")
        here = home.recordings / one.path
        if (home.recordings / tombstone_file(one.path)).exists() or _is_whole(here, one):
            continue  # what was deleted stays deleted
        try:
            _recording(file.parent, one, unlocker, stage)
            count += 1
            if here.is_file():
                damaged.append(one.path)
        except (BadInput, Refused, FileNotFoundError) as error:
            if not file.is_file():  # it went with its stick or share: nothing is known of what lies beside it
                raise StoreError(f"{file} is gone") from error
            stage.place(f"recordings/{one.path}").unlink(missing_ok=True)
            absent.append(one.path)
        except OSError as error:
            raise _trouble(file.parent, error) from error
    kept.file.unlink(missing_ok=True)
    with suppress(OSError):
        kept.file.parent.rmdir()
    return count, absent, damaged


def _is_whole(here: Path, one: Kept) -> bool:
    """Whether a recording of the box is what the backup has of it; one that cannot be read is not."""
    try:
        with here.open("rb") as audio:
            return (
                os.fstat(audio.fileno()).st_size == one.bytes
                and hashlib.file_digest(audio, "sha256").hexdigest() == one.sha256
            )
    except OSError:
        return False


def _recording(folder: Lying, one: Kept, unlocker: Unlocker, stage: Stage) -> None:
    """Raises BadInput, Refused, FileNotFoundError; StoreError."""
    check_object(one.object)
    with (folder / one.object).open("rb") as sealed:
        content, hashed = Opened(sealed, unlocker.file_key), hashlib.sha256()
        if content.head.kind != "recording":
            raise BadInput("not a recording")
        with stage.take(f"recordings/{one.path}", one.bytes) as audio:
            while (piece := content.read(_PIECE_BYTES)) and audio.tell() <= one.bytes:
                hashed.update(piece)
                audio.write(piece)
    if hashed.hexdigest() != one.sha256:
        raise BadInput("another recording lies there")


def check_object(name: str) -> None:
    """Raises BadInput: it leads out of the backup's folder."""
    parts = name.split("/")
    if parts[0] != "recordings" or any(part in ("", ".", "..") for part in parts):
        raise BadInput(f"{name[:100]!r} is no recording beside a backup")
