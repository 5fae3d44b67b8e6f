"""The cards of a box share one budget of memory: each holds the same seconds, and together they never hold more."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_lines import BOOT, CARD_ID, RATE_HZ

import recorder.tape.spool as spool_module
from recorder.tape.format import Geometry, TapeBlock, geometry_for, silence
from recorder.tape.memory import MEMORY_SHARE, bytes_per_s, machine_bytes, seconds_held, share_bytes
from recorder.tape.ring import TapeRing
from recorder.tape.spool import HELD_S, Spool
from recorder.tape.writer import TapeWriter

MIB = 1 << 20


def shape(tracks: int) -> Geometry:
    return geometry_for(tracks, RATE_HZ, 0)


def cards(folder: Path, *tracks: int) -> list[tuple[Path, Geometry]]:
    made = [(folder / f"{number}.tape", shape(count)) for number, count in enumerate(tracks)]
    for path, geometry in made:
        TapeWriter(path, geometry, CARD_ID).close()
    return made


def write_one(spool: Spool, geometry: Geometry, number: int) -> None:
    size = geometry.block_samples
    spool.put(TapeBlock(number, number * size, silence(geometry.tracks, size), (), (), 1, 1, BOOT, 0))
    spool.write_out()
    spool.sync()


def test_a_card_alone_holds_a_minute_where_there_is_room(tmp_path: Path) -> None:
    ((path, geometry),) = cards(tmp_path, 8)
    assert share_bytes(path, geometry, 1024 * MIB) == HELD_S * bytes_per_s(geometry)
    assert HELD_S * bytes_per_s(geometry) < machine_bytes()


def test_128_channels_hold_half_a_minute_in_256_mib() -> None:
    assert seconds_held(bytes_per_s(shape(128)), 256 * MIB) >= 30


def test_cards_hold_the_same_seconds_and_together_a_quarter_of_the_memory(tmp_path: Path) -> None:
    memory = 64 * MIB
    made = cards(tmp_path, 32, 4, 128, 1)
    (tmp_path / "damaged.tape").write_bytes(b"damaged")
    (tmp_path / "0-aa.set-aside").write_bytes((tmp_path / "0.tape").read_bytes())
    shares = [share_bytes(path, geometry, memory) for path, geometry in made]
    assert memory * MEMORY_SHARE - 4 <= sum(shares) <= memory * MEMORY_SHARE
    seconds = [share / bytes_per_s(geometry) for share, (_, geometry) in zip(shares, made, strict=True)]
    assert seconds == pytest.approx([seconds[0]] * 4, rel=1e-4)


def test_a_card_that_comes_later_is_given_its_share_by_those_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, geometry, memory = tmp_path / "a.tape", shape(32), 64 * MIB
    spool = Spool(TapeRing(path, geometry, CARD_ID), lambda: share_bytes(path, geometry, memory))
    alone = spool.most_blocks
    cards(tmp_path, 32)
    write_one(spool, geometry, 0)
    assert spool.most_blocks == alone  # not at every sync
    monkeypatch.setattr(spool_module, "SHARED_AGAIN_S", -1.0)
    write_one(spool, geometry, 1)
    assert spool.most_blocks == alone // 2
