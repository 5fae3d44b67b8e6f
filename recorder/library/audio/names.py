"""The files of one recording: all begin with the same name, told apart by their endings."""

from __future__ import annotations

from pathlib import PurePosixPath


def stem_of(path: str) -> str:
    """The common beginning; ``path`` is that of the audio below the recordings folder."""
    place = PurePosixPath(path)
    return (place.parent / place.name.partition(".")[0]).as_posix()


def manifest_file(path: str) -> str:
    """The manifest of the audio that is there now."""
    return f"{stem_of(path)}.json"


def master_manifest_file(path: str) -> str:
    """The manifest of the master, once the recording was converted."""
    return f"{stem_of(path)}.master.json"


def tombstone_file(path: str) -> str:
    """The tombstone of the recording."""
    return f"{stem_of(path)}.tombstone.json"


def master_tombstone_file(path: str) -> str:
    """The tombstone of the master of a converted recording."""
    return f"{stem_of(path)}.master.tombstone.json"


def audio_files(path: str) -> tuple[str, ...]:
    """The audio and what is nothing without it: key and waveform."""
    return (path, f"{stem_of(path)}.key.json", f"{stem_of(path)}.peaks")


def papers(path: str) -> tuple[str, ...]:
    """Manifests and tombstones, whether they are there or not."""
    return (manifest_file(path), master_manifest_file(path), tombstone_file(path), master_tombstone_file(path))
