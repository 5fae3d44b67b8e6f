"""One number that is erased from a box, and where it may still stand."""

from __future__ import annotations

from pathlib import Path

from archive_box import ArchiveBox

from recorder.library.erasure.erase import Certificate, erase_number

NUMBER, OTHER = "13800138000", "13911112222"
ASKED = "+86 138-0013-8000"
SALT = "00" * 16


def erase_it(box: ArchiveBox, number: str = ASKED) -> Certificate:
    with box.library() as library:
        return erase_number(library, number, "1000", SALT)


def traces(box: ArchiveBox, *places: Path) -> list[str]:
    """Where the number still stands: names and contents of every file, stores and their logs included."""
    for db in (box.calls, box.crm):
        db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    needle = NUMBER.encode()
    files = [path for place in (box.home.root, *places) for path in place.rglob("*") if path.is_file()]
    return [str(path) for path in files if NUMBER in path.name or needle in path.read_bytes()]
