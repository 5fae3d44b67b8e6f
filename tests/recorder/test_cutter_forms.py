"""What recordings look like on the disk: gaps, pauses, two tracks, G.711, without a call, encrypted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from cut_office import ENCRYPTED, FROM, TO, Office
from recorded_lines import CARD_ID, RATE_HZ, rows

from firmware.config import Home
from recorder.tape.format import geometry_for
from recorder.tape.reader import TapeReader
from recorder.tape.writer import TapeWriter


@pytest.fixture
def office(home: Home) -> Office:
    return Office(home)


def test_an_order_for_a_tape_that_was_set_aside_is_cut_from_it(office: Office) -> None:
    office.order()
    TapeWriter(office.path, geometry_for(4, RATE_HZ, 1.0), CARD_ID).close()
    assert TapeReader(office.path).epoch != office.tape.epoch
    assert office.new_cutter().work() == 2
    office.check()


def damage_block(office: Office, block: int) -> None:
    geometry = office.tape.geometry
    with office.path.open("rb+") as file:
        file.seek(geometry.slot_offset(block))
        file.write(bytes(geometry.slot_bytes))


def test_gaps_of_the_tape_are_in_the_manifest(office: Office) -> None:
    damage_block(office, 20)
    office.order()
    office.cutter.work()
    expected = office.sent[1:2, FROM:TO].copy()
    expected[:, 16_000 - FROM : 16_800 - FROM] = 0
    office.check(expected)
    manifest = office.manifest().manifest
    assert manifest["gaps"] == [{"from_sample": 16_000 - FROM, "to_sample": 16_800 - FROM, "reason": "unreadable"}]
    assert office.recording()["missing_samples"] == manifest["missing_samples"] == 800
    (told,) = rows(office.home, "SELECT data FROM events WHERE kind = 'recording_ready'")
    assert json.loads(told["data"])["missing_by_reason"] == {"unreadable": 800}


PAUSES = [
    {"from_sample": FROM - 500, "to_sample": FROM + 100, "by": "8001", "reason": "card number"},
    {"from_sample": 20_000, "to_sample": 21_001, "by": "code", "reason": ""},
    {"from_sample": TO, "to_sample": TO + 9, "by": "8001", "reason": "later"},
]


def test_pauses_are_exact_silence_and_in_the_manifest(office: Office) -> None:
    office.order(pauses=json.dumps(PAUSES))
    office.cutter.work()
    expected = office.sent[1:2, FROM:TO].copy()
    expected[:, :100] = 0
    expected[:, 20_000 - FROM : 21_001 - FROM] = 0
    office.check(expected)
    manifest = office.manifest().manifest
    assert manifest["pauses"] == [
        {"from_sample": 0, "to_sample": 100, "by": "8001", "reason": "card number"},
        {"from_sample": 20_000 - FROM, "to_sample": 21_001 - FROM, "by": "code", "reason": ""},
    ]
    assert manifest["missing_samples"] == 0


def test_two_tracks_become_stereo(office: Office) -> None:
    damage_block(office, 20)
    office.order(tracks=2)
    office.cutter.work()
    expected = office.sent[2:4, FROM:TO].copy()
    expected[:, 16_000 - FROM : 16_800 - FROM] = 0
    office.check(expected)
    manifest = office.manifest().manifest
    assert (manifest["audio"]["channels"], manifest["audio"]["samples"]) == (2, TO - FROM)
    assert manifest["missing_samples"] == 800


def test_g711_is_kept_in_the_law_of_the_line(home: Home) -> None:
    office = Office(home, law=True)
    office.order(wanted_format="g711", tracks=2)
    office.cutter.work()
    office.check(office.sent[2:4, FROM:TO])
    row = office.recording()
    assert (row["format"], Path(row["path"]).suffix) == ("alaw", ".wav")
    seconds = office.manifest().manifest["audio"]["seconds"]
    assert [(first, size) for first, size, _ in seconds][:3] == [(0, 16_000), (8000, 16_000), (16_000, 16_000)]


@pytest.mark.parametrize(("kind", "mark"), [("continuous", "cont"), ("manual", "man")])
def test_a_recording_without_a_call(office: Office, kind: str, mark: str) -> None:
    office.order(kind=kind)
    office.write("UPDATE recordings SET call_id = NULL")
    office.write("DELETE FROM calls")
    office.cutter.work()
    office.check()
    row = office.recording()
    assert f"_CH002_{mark}_{row['id']}.flac" in row["path"]
    manifest = office.manifest().manifest
    assert (manifest["recording_kind"], manifest["call"]) == (kind, None)
    with soundfile.SoundFile(office.home.recordings / row["path"]) as flac:
        assert json.loads(flac.comment)["tapdeck_recording"]["kind"] == kind


def test_an_encrypted_recording_is_stored_as_its_manifest_says(office: Office) -> None:
    office.encrypt()
    office.order()
    office.cutter.work()
    office.check()
    assert office.files() == ENCRYPTED
    row, manifest = office.recording(), office.manifest().manifest
    assert row["encrypted"] == 1
    assert manifest["stored"]["file"] == Path(row["path"]).name == manifest["audio"]["file"] + ".tde"
    assert (manifest["stored"]["bytes"], manifest["stored"]["sha256"]) == (row["bytes"], row["sha256"])
    assert b"fLaC" not in (office.home.recordings / row["path"]).read_bytes()
