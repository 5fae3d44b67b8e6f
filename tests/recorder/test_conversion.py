"""Masters become Opus or MP3 only when the same is heard, and no crash costs a recording."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from library_box import NOW_MS, RATE_HZ, Box, flac, never, open_box, speech

from firmware.config import Home
from firmware.errors import StoreBusy
from recorder.library.audio.stored import open_audio
from recorder.library.audio.vault import encrypt_recording, key_path
from recorder.library.evidence.log import read_entries, read_manifest
from recorder.library.storage import aging, converter, removal
from recorder.library.storage.conversion import ConversionTask, convert
from recorder.library.storage.converter import ConvertedFormat, Sound, decode, difference, encode
from recorder.library.storage.deletion import delete_recordings
from recorder.library.storage.deletion_tasks import FinishTask

FORMATS: tuple[ConvertedFormat, ...] = ("opus", "mp3")
CALL = '{"tapdeck_call": {"id": "c", "caller_name": "张三"}}'


def sound(samples: Any) -> Sound:
    return replace(decode(flac(samples)), title="incoming 13800138000", artist="张三", comment=CALL)


PAUSED = np.concatenate([speech(4), np.zeros((3 * RATE_HZ, 1), np.int16), speech(4, seed=2)])
NOISE = np.random.default_rng(3).integers(-3000, 3000, (10 * RATE_HZ, 1), np.int16)


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize(
    "samples",
    [speech(10), speech(10, 2), speech(0.3), PAUSED, NOISE],
    ids=["speech", "two directions", "short", "with a pause", "noise"],
)
def test_the_copy_is_the_same_sound_with_the_same_tags(samples: Any, wanted: ConvertedFormat) -> None:
    master = sound(samples)
    copy = decode(encode(master, wanted))
    assert difference(master, copy) is None
    assert abs(len(copy.samples) - len(samples)) <= converter.LONGEST_DELAY_S * RATE_HZ
    assert (copy.title, copy.artist, copy.comment) == ("incoming 13800138000", "张三", CALL)


def with_hole() -> Any:
    hole = speech(10).copy()
    hole[3 * RATE_HZ : 6 * RATE_HZ] = 0
    return hole


@pytest.mark.parametrize(
    "other",
    [
        speech(10, seed=5)[::-1].copy(), with_hole(), speech(9.9), speech(10.3), speech(10, 2), NOISE,
        speech(10) // 2, np.zeros((10 * RATE_HZ, 1), np.int16), np.roll(speech(10), RATE_HZ // 6, axis=0),
    ],
    ids=["other speech", "hole", "shorter", "longer", "channels", "noise", "softer", "silence", "shifted"],
)  # fmt: skip
def test_another_sound_is_told_apart(other: Any) -> None:
    assert difference(sound(speech(10)), sound(other)) is not None


def test_swapped_directions_are_told_apart() -> None:
    assert difference(sound(speech(10, 2)), sound(speech(10, 2)[:, ::-1].copy())) is not None


def test_silence_is_like_silence() -> None:
    silence = sound(np.zeros((RATE_HZ, 1), np.int16))
    assert difference(silence, decode(encode(silence, "opus"))) is None


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS)
    with open_box(home) as made:
        made.set("convert_after_days", 30)
        yield made


def master_of(box: Box, **more: Any) -> str:
    return box.recording(box.call("c"), 40, samples=speech(10, 2), **more)


def check_converted(box: Box, recording_id: str, wanted: str = "opus") -> None:
    """One converted recording, its evidence, and what the master left."""
    row = box.row(recording_id)
    assert (row["state"], row["format"], row["converted_from"]) == ("ready", wanted, "flac")
    sealed = [".tde"] if row["encrypted"] else []
    audio = box.home.recordings / row["path"]
    assert audio.suffixes[-1] == (sealed or [f".{wanted}"])[0]
    content = audio.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (row["bytes"], row["sha256"])
    with open_audio(box.home, row["path"]) as file:
        plain = file.read()
    assert difference(sound(speech(10, 2)), decode(plain)) is None
    expected = ["json", "master.json", "master.tombstone.json", "peaks", f"{wanted}{''.join(sealed)}"]
    assert box.endings(recording_id) == sorted(expected + (["key.json"] if sealed else []))
    (now,), (before,) = (list(box.home.recordings.rglob(f"*_{recording_id}{end}.json")) for end in ("", ".master"))
    successor, master = read_manifest(now), read_manifest(before)
    assert successor is not None
    assert master is not None
    assert successor.is_genuine()
    assert successor.manifest["kind"] == "conversion"
    assert successor.manifest["master"] == {
        "manifest_id": recording_id, "commitment": master.commitment(),
        "audio_sha256": master.manifest["audio"]["sha256"],
    }  # fmt: skip
    facts = successor.manifest["audio"]
    assert facts["sha256"] == hashlib.sha256(plain).hexdigest()
    assert facts["header"]["bytes"] + sum(size for _, size, _ in facts["seconds"]) == len(plain)
    assert (facts["samples"], facts["channels"]) == (10 * RATE_HZ, 2)
    assert (successor.manifest["stored"] or facts)["file"] == audio.name
    assert [successor.manifest[name] for name in ("tape", "call", "started_at", "gaps")] == [
        master.manifest[name] for name in ("tape", "call", "started_at", "gaps")
    ]
    log = box.library.log(False)
    assert log.names(successor.manifest["id"], successor)
    stone = box.tombstone(recording_id, "master.tombstone.json")
    assert (stone["of"], stone["rule"], stone["what"]) == (recording_id, "converted", "audio")
    assert stone["of_commitments"] == [master.commitment()]
    kinds = [entry.kind for entry, _ in read_entries(log.path)]
    assert kinds == ["log_begun", "conversion", "tombstone"]
    (event,) = box.rows("SELECT kind, data FROM events")
    assert event["kind"] == "recording_converted"
    assert msgspec.json.decode(event["data"])["format"] == wanted
    assert list((box.home.root / "removals").iterdir()) == []


@pytest.mark.parametrize("wanted", FORMATS)
def test_an_old_master_is_converted(box: Box, wanted: str) -> None:
    recording = master_of(box)
    box.set("convert_format", wanted)
    ConversionTask().run(box.library, never)
    check_converted(box, recording, wanted)
    ConversionTask().run(box.library, never)
    check_converted(box, recording, wanted)


def test_an_encrypted_master_stays_encrypted(box: Box) -> None:
    recording = master_of(box)
    plain = box.home.recordings / box.row(recording)["path"]
    sealed = encrypt_recording(box.home, recording, plain.read_bytes())
    audio = plain.with_name(f"{plain.name}.tde")
    audio.write_bytes(sealed.content)
    key_path(audio).write_bytes(sealed.key_file)
    plain.unlink()
    box.in_calls("UPDATE recordings SET path = path || '.tde', encrypted = 1")
    ConversionTask().run(box.library, never)
    check_converted(box, recording)


class Killed(BaseException):
    """What kill -9 is to the process."""


STEPS = ["write_whole", "_move_files", "_change_rows", "_remove_files", "_tell"]


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: str, after: bool, encrypted: bool
) -> None:
    with open_box(home) as box:
        recording = master_of(box)
        if encrypted:
            plain = box.home.recordings / box.row(recording)["path"]
            sealed = encrypt_recording(box.home, recording, plain.read_bytes())
            audio = plain.with_name(f"{plain.name}.tde")
            audio.write_bytes(sealed.content)
            key_path(audio).write_bytes(sealed.key_file)
            plain.unlink()
            box.in_calls("UPDATE recordings SET path = path || '.tde', encrypted = 1")
        done = getattr(removal, step)

        def kill(*arguments: Any) -> None:
            if after:
                done(*arguments)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(removal, step, kill)
            with pytest.raises(Killed):
                convert(box.library, recording, "opus")
    with open_box(home) as box:
        FinishTask().run(box.library, never)
        if step == "write_whole" and not after:
            assert box.row(recording)["format"] == "flac"
            convert(box.library, recording, "opus")
        check_converted(box, recording)


def test_a_lost_copy_keeps_its_master(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = master_of(box)
    with monkeypatch.context() as patched:
        patched.setattr(removal, "_move_files", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            convert(box.library, recording, "opus")
    (staged,) = box.home.recordings.rglob("*.opus.part")
    staged.unlink()
    with pytest.raises(removal.StoreError, match="master stays"):
        FinishTask().run(box.library, never)
    assert box.row(recording)["format"] == "flac"
    assert (box.home.recordings / box.row(recording)["path"]).exists()


def untouched(box: Box, recording: str) -> bool:
    ConversionTask().run(box.library, never)
    row = box.row(recording)
    audio = box.home.recordings / row["path"]
    return row["format"] == "flac" and audio.exists() and box.endings(recording) == ["flac", "json", "peaks"]


def test_what_is_not_converted(box: Box) -> None:
    assert untouched(box, box.recording(box.call("young"), 29, samples=speech(10)))
    box.hold("call", "held")
    assert untouched(box, box.recording(box.call("held"), 40, samples=speech(10)))
    assert untouched(box, box.recording(box.call("silence"), 40, samples=np.zeros((RATE_HZ, 1), np.int16)))
    altered = box.recording(box.call("altered"), 40, samples=speech(10))
    audio = box.home.recordings / box.row(altered)["path"]
    audio.write_bytes(flac(speech(10, seed=8)))
    assert untouched(box, altered), "an altered master is evidence of its alteration"
    forged = box.recording(box.call("forged"), 40, samples=speech(10))
    (manifest,) = box.home.recordings.rglob(f"*_{forged}.json")
    manifest.write_bytes(manifest.read_bytes().replace(b'"segment":', b'"segment":1'))
    assert untouched(box, forged)
    gone = box.recording(box.call("gone"), 40, samples=speech(10))
    (box.home.recordings / box.row(gone)["path"]).unlink()
    ConversionTask().run(box.library, never)
    assert box.row(gone)["format"] == "flac"
    box.archive("far")
    assert untouched(box, box.recording(box.call("unarchived"), 40, samples=speech(10)))
    assert box.rows("SELECT * FROM events") == []


def test_one_that_cannot_be_converted_is_left_alone_until_a_restart(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    box.recording(box.call("silence"), 40, samples=np.zeros((RATE_HZ, 1), np.int16))
    task = ConversionTask()
    for _ in range(2):
        task.run(box.library, never)
        refusals = [record.getMessage() for record in caplog.records if "not converted" in record.getMessage()]
        assert len(refusals) == 1
        assert refusals[0].startswith("recording r1 is not converted: as opus it takes ")


def test_it_is_off_by_default(box: Box) -> None:
    box.set("convert_after_days", 0)
    assert untouched(box, master_of(box))


def test_a_copy_that_does_not_sound_the_same_is_thrown_away(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = master_of(box)

    def spoilt(of: Sound, wanted: ConvertedFormat) -> bytes:
        return encode(replace(of, samples=of.samples[: -2 * RATE_HZ]), wanted)

    monkeypatch.setattr(converter, "encode", spoilt)
    assert untouched(box, recording)


def test_a_converted_recording_is_deleted_like_any_other(box: Box) -> None:
    recording = master_of(box)
    ConversionTask().run(box.library, never)
    outcome = delete_recordings(box.library, [recording], "order", "8001", "x")
    assert outcome.deleted == (recording,)
    assert box.endings(recording) == ["json", "master.json", "master.tombstone.json", "tombstone.json"]
    (manifest,) = box.home.recordings.rglob(f"*_{recording}.json")
    successor = read_manifest(manifest)
    assert successor is not None
    stone = box.tombstone(recording)
    assert (stone["of"], stone["of_commitments"]) == (successor.manifest["id"], [successor.commitment()])
    delete_recordings(box.library, [recording], "erasure", "8001", "", remove_manifest=True)
    assert [file.name for file in box.home.recordings.rglob("*") if file.is_file()] == [f"{recording}.tombstone.json"]
    assert len(box.tombstone(recording)["of_commitments"]) == 4


def test_two_seconds_that_an_hour_lacks_are_noticed() -> None:
    whole = speech(300)
    hole = whole.copy()
    hole[200 * RATE_HZ : 202 * RATE_HZ] = 0
    assert difference(sound(whole), sound(hole)) == "channel 0: missing after 200.2 s"
    assert difference(sound(hole), sound(whole)) == "channel 0: added after 200.2 s"


def test_a_hold_that_is_set_while_it_is_encoded_protects_the_master(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = master_of(box)

    def encode_slowly(*arguments: Any) -> bytes:
        box.hold("call", "c")
        return encode(*arguments)

    monkeypatch.setattr(converter, "encode", encode_slowly)
    assert not convert(box.library, recording, "opus")
    assert box.row(recording)["format"] == "flac"
    assert box.endings(recording) == ["flac", "json", "peaks"]


def test_a_conversion_that_was_begun_is_finished_before_a_deletion(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its audio would be moved into place after the recording was deleted."""
    with open_box(home) as box:
        monkeypatch.setattr(aging, "now_ms", lambda: NOW_MS)
        recording = master_of(box)
        with monkeypatch.context() as patched:
            patched.setattr(removal, "_move_files", lambda *_: (_ for _ in ()).throw(StoreBusy("locked")))
            with pytest.raises(StoreBusy):
                convert(box.library, recording, "opus")
        assert delete_recordings(box.library, [recording], "order", "8001", "x").deleted == (recording,)
        FinishTask().run(box.library, never)
        assert box.row(recording)["state"] == "deleted"
        assert [name for name in box.endings(recording) if "json" not in name] == []
