"""A note of how far a long evidence log was read, so that opening it need not begin at its first line.

No evidence: what a note says is only believed when the tree that grows from it has the root of the last signed head.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from firmware.durable import write_whole
from firmware.errors import StoreError
from recorder.library.evidence.merkle import Frontier
from recorder.library.evidence.signing import sha256_hex

_LINE_BYTES = 4096


class LogNote(msgspec.Struct, frozen=True):
    """``end``: where the first ``tree_size`` lines end; ``previous``: the hash of the last of them."""

    end: int
    previous: str
    tree_size: int
    complete: list[str]

    def frontier(self) -> Frontier:
        """The tree over those lines. Raises ValueError."""
        return Frontier(self.tree_size, map(bytes.fromhex, self.complete))


_notes = msgspec.json.Decoder(LogNote)


def note_path(log_file: Path) -> Path:
    """The note of a log."""
    return log_file.with_name(f"{log_file.name.removesuffix('.log')}.note")


def write_note(log_file: Path, end: int, previous: str, tree: Frontier) -> None:
    """Replace the note; a disk that refuses it only makes the next opening slow."""
    note = LogNote(end, previous, tree.size, [node.hex() for node in tree.complete])
    with suppress(StoreError):
        write_whole(note_path(log_file), msgspec.json.encode(note))


def read_note(log_file: Path) -> LogNote | None:
    """The note, when the line that it ends with is where it says. Raises OSError."""
    try:
        note = _notes.decode(note_path(log_file).read_bytes())
        with log_file.open("rb") as file:
            file.seek(max(0, note.end - _LINE_BYTES))
            tail = file.read(note.end - file.tell())
        note.frontier()
    except (FileNotFoundError, msgspec.DecodeError, ValueError):
        return None
    last = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    return note if tail.endswith(b"\n") and sha256_hex(last) == note.previous else None
