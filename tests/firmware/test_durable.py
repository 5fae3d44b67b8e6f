"""A file is there whole or not at all."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from firmware.durable import write_whole
from firmware.errors import StoreError


def test_a_file_is_made_with_its_folder_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    write_whole(path, b"first")
    write_whole(path, memoryview(b"second"))
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "c.flac"
    write_whole(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # the system refuses as on a full disk
    try:
        with pytest.raises(StoreError, match=r"c\.flac"):
            write_whole(path, bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
