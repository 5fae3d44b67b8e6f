"""The lines of one evidence log and the tree over them, as they are read at opening and grow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from recorder.library.evidence.files import GENESIS, LogEntry, SignedManifest, read_entries
from recorder.library.evidence.heads import Head
from recorder.library.evidence.line_file import LineFile
from recorder.library.evidence.log_note import LogNote, read_note, write_note
from recorder.library.evidence.merkle import Frontier, leaf_hash
from recorder.library.evidence.signing import canonical, sha256_hex

NOTE_EVERY = 50_000
"""Lines: a quarter of a second to read at opening."""
_REMEMBERED = 4096


class NewEntry(NamedTuple):
    """What is to be entered in a log."""

    manifest_id: str
    kind: str
    at_ms: int
    signed: SignedManifest


class LogLines:
    """``tree`` is over all lines; ``recent``: what the last few thousand say of manifests. Thread: one writer."""

    def __init__(self, path: Path, head: Head | None) -> None:
        """Read what was entered; a line torn at the end is cut off with the next append.

        Raises OSError; ValueError: the log is damaged, or not what its last head says.
        """
        self._path = path
        note = read_note(path)
        if note is not None:
            with suppress(ValueError):
                self._read(note, head)
                return
        self._read(None, head)

    def _read(self, note: LogNote | None, head: Head | None) -> None:
        self._file, self.tree, self._previous = LineFile(self._path), Frontier(), GENESIS
        self.recent: dict[str, str] = {}
        if note is not None:
            self._file.end, self.tree, self._previous = note.end, note.frontier(), note.previous
        self._noted = self.tree.size
        self._compare(head)
        if self._path.exists():
            for entry, line in read_entries(self._path, self._file.end, self.tree.size, self._previous):
                self._count(entry, line)
                self._file.end += len(line)
                self._compare(head)
        signed_size = head.tree_size if head else 0
        if self.tree.size < signed_size:
            raise ValueError(f"it has {self.tree.size} lines, its last head says {signed_size}")
        if note is not None and note.tree_size > signed_size:
            raise ValueError("its note is of a time after its last head")
        if head is None and self.tree.size > 1:
            raise ValueError("its heads are gone")

    def _compare(self, head: Head | None) -> None:
        size = self.tree.size
        if head is not None and size == head.tree_size and self.tree.root().hex() != head.root:
            raise ValueError(f"its first {size} lines are not what its last head says")

    def _count(self, entry: LogEntry, line: bytes) -> None:
        self.tree.append(leaf_hash(bytes.fromhex(entry.commitment)))
        self._previous = sha256_hex(line[:-1])
        self.recent[entry.manifest_id] = entry.commitment
        if len(self.recent) > _REMEMBERED:
            del self.recent[next(iter(self.recent))]

    def append(self, entries: Sequence[NewEntry]) -> None:
        """Enter these, durably; all or none. Raises OSError."""
        if not entries:
            return
        lines: list[tuple[LogEntry, bytes]] = []
        previous = self._previous
        for index, one in enumerate(entries, self.tree.size):
            entry = LogEntry(one.at_ms, one.signed.commitment(), index, one.kind, one.manifest_id, previous)
            line = canonical(entry)
            lines.append((entry, line + b"\n"))
            previous = sha256_hex(line)
        self._file.append(b"".join(line for _, line in lines))
        for entry, line in lines:
            self._count(entry, line)

    def take_note(self) -> None:
        """Write down now and then how far the log is; never raises. The head of these lines must be there."""
        if self.tree.size - self._noted >= NOTE_EVERY:
            self._noted = self.tree.size
            write_note(self._path, self._file.end, self._previous, self.tree)

    def entered(self, manifest_ids: Collection[str]) -> dict[str, str]:
        """See ``EvidenceLog.entered``. Raises OSError, ValueError."""
        if self.tree.size <= _REMEMBERED or all(one in self.recent for one in manifest_ids):
            return {one: self.recent[one] for one in manifest_ids if one in self.recent}
        wanted = frozenset(manifest_ids)
        return {
            entry.manifest_id: entry.commitment for entry, _ in read_entries(self._path) if entry.manifest_id in wanted
        }
