"""A file that is written in place while others read it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from firmware.live_file import read_live, write_live


def test_what_is_read_is_what_was_written_last(tmp_path: Path) -> None:
    path = tmp_path / "a.live"
    for content in (b"long, and longer", b"", b"short"):
        write_live(path, content)
        assert read_live(path) == content


def test_nothing_torn_is_ever_read(tmp_path: Path) -> None:
    path = tmp_path / "a.live"
    contents = [bytes([letter]) * (3000 + 1000 * (letter % 3)) for letter in b"abcdef"]
    write_live(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for _ in range(3000):
            for content in contents:
                write_live(path, content)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(read_live(path))
    writer.join()
    assert len(seen - {None}) > 1
    assert seen - {None} <= set(contents)


@pytest.mark.parametrize("torn", [b"", b"{}", b"00000009 00000000\nshort", b"00000002 00000000\nno", b"x y z\n"])
def test_what_is_not_whole_is_nothing(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "a.live").write_bytes(torn)
    assert read_live(tmp_path / "a.live") is None


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_live(tmp_path / "none.live")
