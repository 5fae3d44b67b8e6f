"""The folders of recordings, one a channel and day, and which files in them belong together."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("library")

_LEVELS = tuple(re.compile(pattern) for pattern in (r"\d{4}", r"\d\d", r"\d\d", r"CH\d{3,9}"))
_AUDIO = (".flac", ".wav", ".opus", ".ogg", ".mp3")
_TOMBSTONE = ".tombstone.json"
_OTHER_PAPERS = (".key.json", ".proof.json")
_UNFINISHED = (".part", ".new")
OLD_S = 86_400
"""What a writer left unfinished for so long has no writer any more."""


@dataclass(slots=True)
class Bundle:
    """The files of one recording, or of one call without: names, and the bytes of audio files."""

    stem: str
    papers: list[str] = field(default_factory=list)
    tombstones: list[str] = field(default_factory=list)
    audio: dict[str, int] = field(default_factory=dict)
    peaks: bool = False

    @property
    def identifier(self) -> str:
        """The id at the end of the name."""
        return self.stem.rpartition("_")[2]


@dataclass(frozen=True, slots=True)
class Shelf:
    """One folder; ``place`` is its path below the recordings. ``leftovers``: unfinished files older than a day."""

    place: str
    bundles: list[Bundle]
    leftovers: list[str]


def places(recordings: Path, unread: dict[str, str], before: str | None = None) -> Iterator[str]:
    """The folders, newest first; those after ``before``, which has been seen.

    What cannot be read is passed over and noted in ``unread`` by its path ("": all), with the reason. Raises
    FileNotFoundError, NotADirectoryError: ``recordings`` is no folder.
    """
    yield from _below(recordings, "", 0, before.split("/") if before else [], unread)


def _below(folder: Path, place: str, level: int, before: list[str], unread: dict[str, str]) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = sorted((entry.name for entry in entries if _LEVELS[level].fullmatch(entry.name)), reverse=True)
    except (NotADirectoryError, FileNotFoundError):
        raise
    except OSError as error:
        log.warning("%s", error)
        unread[place] = str(error.strerror)
        return
    last = level == len(_LEVELS) - 1
    for name in names:
        if before and (name > before[0] or (last and name == before[0])):
            continue
        path = f"{place}/{name}" if place else name
        if last:
            yield path
            continue
        try:
            yield from _below(folder / name, path, level + 1, before[1:] if before[:1] == [name] else [], unread)
        except (NotADirectoryError, FileNotFoundError):
            continue


def read_shelf(recordings: Path, place: str) -> Shelf:
    """What lies in one folder. Raises OSError."""
    bundles: dict[str, Bundle] = {}
    leftovers: list[str] = []
    old = time.time() - OLD_S
    with os.scandir(recordings / place) as entries:
        for entry in entries:
            name = entry.name
            if not entry.is_file(follow_symlinks=False):
                continue
            if name.endswith(_UNFINISHED):
                if entry.stat().st_mtime < old:
                    leftovers.append(name)
                continue
            stem = name.partition(".")[0]
            bundle = bundles.setdefault(stem, Bundle(stem))
            if name.endswith(_TOMBSTONE):
                bundle.tombstones.append(name)
            elif name.endswith(".json"):
                if not name.endswith(_OTHER_PAPERS):
                    bundle.papers.append(name)
            elif name.removesuffix(".tde").endswith(_AUDIO):
                bundle.audio[name] = entry.stat().st_size
            elif name.endswith(".peaks"):
                bundle.peaks = True
    return Shelf(place, sorted(bundles.values(), key=lambda bundle: bundle.stem, reverse=True), sorted(leftovers))
