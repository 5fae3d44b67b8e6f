"""Every stored format comes in every asked one: stereo stays, tags speak, copies are kept within bounds."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import soundfile
from crm_office import Browser, hire
from mutagen.mp3 import EasyMP3
from mutagen.oggopus import OggOpus

from crm_client_api.audio.encoded import EncodedCopies
from firmware.store.connection import write
from recorder.library.audio.vault import destroy_key, encrypt_recording, key_path

STORED = {
    "flac": ("one.flac", "FLAC", "PCM_16"), "alaw": ("one.wav", "WAV", "ALAW"), "ulaw": ("one.wav", "WAV", "ULAW"),
    "opus": ("one.opus", "OGG", "OPUS"), "mp3": ("one.mp3", "MP3", "MPEG_LAYER_III"),
}  # fmt: skip
LOSSY = {"opus", "mp3"}
MEDIA = {"flac": "audio/flac", "wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg"}


def speech_like() -> np.ndarray:
    """2.5 s of two different tones on two tracks."""
    at = np.arange(20_000) / 8000
    return np.stack([8000 * np.sin(2 * np.pi * 440 * at), 5000 * np.sin(2 * np.pi * 700 * at)], 1).astype(np.int16)


@pytest.fixture
def stored(home, crm, exchange):
    """Makes a recording in a stored format; returns its id."""
    hire(crm, "1", "super")

    def make(form: str, number: str = "13812345678", **changes) -> str:
        name, container, subtype = STORED[form]
        file = home.recordings / form / name
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, speech_like(), 8000, subtype, format=container)
        call = exchange.call(1, number)
        row = {"format": form, "tracks": 2, "bytes": file.stat().st_size, "sha256": form * 8} | changes
        return exchange.recording(call, f"{form}/{name}", **row)

    return make


def decoded(body: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(body), dtype="int16", always_2d=True)
    assert rate == 8000
    return samples


def ask(browser: Browser, recording: str, query: str = "", **headers: str):
    return browser.ask("GET", f"/recordings/{recording}/audio{query}", **headers)


@pytest.mark.parametrize("form", STORED)
def test_original_is_what_is_stored(home, stored, browse, form):
    recording = stored(form)
    raw = (home.recordings / form / STORED[form][0]).read_bytes()
    browser = browse("1")
    for query in ("", "?format=original"):
        answer = ask(browser, recording, query)
        assert answer.body == raw
        assert answer.headers["content-type"] == MEDIA[{"alaw": "wav", "ulaw": "wav"}.get(form, form)]


@pytest.mark.parametrize("wanted", MEDIA)
@pytest.mark.parametrize("form", STORED)
def test_every_format_as_every_other(home, stored, browse, form, wanted):
    recording = stored(form)
    truth = decoded((home.recordings / form / STORED[form][0]).read_bytes())
    answer = ask(browse("1"), recording, f"?format={wanted}&download=1")
    assert (answer.status, answer.headers["content-type"]) == (200, MEDIA[wanted])
    assert answer.headers["content-disposition"] == f'attachment; filename="one.{wanted}"'
    got = decoded(answer.body)
    assert got.shape == truth.shape
    if wanted in LOSSY:
        likeness = np.corrcoef(got[4000:16_000].T, truth[4000:16_000].T)[:2, 2:]
        assert np.all(np.diag(likeness) > 0.95), "left stays left"
        assert np.all(np.abs(likeness[[0, 1], [1, 0]]) < 0.3), "the two are not mixed"
    else:
        rounding = 1 if form == "mp3" else 0  # its decoder rounds differently from block to block
        assert np.abs(got.astype(int) - truth).max() <= rounding


def test_tags_tell_who_it_was(crm, exchange, stored, browse):
    recording = stored("flac")
    with write(exchange.db) as connection:
        connection.execute("UPDATE calls SET caller_name = '张三'")
    browser = browse("1")
    for wanted, kind in (("mp3", EasyMP3), ("opus", OggOpus)):
        tags = kind(io.BytesIO(ask(browser, recording, f"?format={wanted}").body)).tags
        assert (tags["artist"], tags["title"]) == (["张三"], ["CH001 incoming 13812345678"]), wanted


@pytest.mark.parametrize("wanted", ["mp3", "opus"])
def test_parts_of_a_copy_fit_together(stored, browse, wanted):
    recording = stored("flac")
    browser = browse("1")
    whole = ask(browser, recording, f"?format={wanted}")
    etag = whole.headers["etag"]
    first = ask(browser, recording, f"?format={wanted}", Range="bytes=0-999", If_Range=etag)
    rest = ask(browser, recording, f"?format={wanted}", Range="bytes=1000-", If_Range=etag)
    assert (first.status, rest.status) == (206, 206)
    assert first.body + rest.body == whole.body


def test_a_copy_that_was_made_anew_is_another_one(home, stored, browse):
    recording = stored("flac")
    browser = browse("1")
    etag = ask(browser, recording, "?format=opus").headers["etag"]
    for file in (home.run / "audio-cache").iterdir():
        file.unlink()
    anew = ask(browser, recording, "?format=opus", Range="bytes=1000-", If_Range=etag)
    assert anew.status == 200, "Ogg streams have random serial numbers: parts of two copies must not be mixed"


@pytest.fixture
def encrypted(home, exchange, stored):
    """An encrypted recording and what it is when it is decrypted."""
    plain = home.recordings / "flac" / "one.flac"
    recording = stored("flac", encrypted=1)
    audio, file = plain.read_bytes(), plain.with_name("one.flac.tde")
    locked = encrypt_recording(home, recording, audio)
    file.write_bytes(locked.content)
    key_path(file).write_bytes(locked.key_file)
    plain.unlink()
    with write(exchange.db) as connection:
        connection.execute("UPDATE recordings SET path = 'flac/one.flac.tde' WHERE id = ?", (recording,))
    return recording, audio


def test_encrypted_recordings_are_heard_but_leave_no_copy(home, encrypted, browse):
    recording, audio = encrypted
    browser = browse("1")
    assert ask(browser, recording).body == audio
    assert ask(browser, recording, Range="bytes=1000-1999").body == audio[1000:2000]
    assert np.array_equal(decoded(ask(browser, recording, "?format=wav").body), decoded(audio))
    answer = ask(browser, recording, "?format=mp3&download=1", Range="bytes=0-9")
    assert answer.headers["content-disposition"] == 'attachment; filename="one.mp3"'
    assert (answer.status, len(decoded(answer.body))) == (200, 20_000)
    assert "accept-ranges" not in answer.headers
    assert len(browser.get(f"/recordings/{recording}/peaks")["tracks"]) == 2
    assert not (home.run / "audio-cache").exists()


def test_an_encrypted_recording_without_its_key_is_gone(home, encrypted, browse):
    recording, _ = encrypted
    destroy_key(home.recordings / "flac" / "one.flac.tde")
    for wanted in ("original", "wav", "mp3"):
        assert ask(browse("1"), recording, f"?format={wanted}").status in (404, 503), wanted


def test_the_cache_keeps_what_was_used_last(home, tmp_path):
    soundfile.write(tmp_path / "a.flac", speech_like(), 8000, format="FLAC")
    copies = EncodedCopies(home, most_bytes=1)

    def get(name: str, most_bytes: int) -> None:
        copies._most_bytes = most_bytes
        copies.open(name, (tmp_path / "a.flac").open("rb"), "mp3", {})[0].close()

    get("one", 10**9)
    size = (home.run / "audio-cache" / "one.mp3").stat().st_size
    get("two", 10**9)
    get("one", 10**9)
    os.utime(home.run / "audio-cache" / "two.mp3", ns=(0, 0))
    get("three", 2 * size)
    assert {file.name for file in (home.run / "audio-cache").iterdir()} == {"one.mp3", "three.mp3"}
    get("four", 1)
    assert {file.name for file in (home.run / "audio-cache").iterdir()} == {"four.mp3"}, "the newest stays in any case"


def test_copies_of_what_was_deleted_go(home, exchange, stored, browse, server):
    kept, deleted, doomed = stored("flac"), stored("opus"), stored("alaw")
    browser = browse("1")
    for recording in (kept, deleted, doomed):
        assert ask(browser, recording, "?format=mp3").status == 200
    with write(exchange.db) as connection:
        connection.execute("UPDATE recordings SET state = 'deleted' WHERE id = ?", (deleted,))
        connection.execute("UPDATE recordings SET deleted_rule = 'never_list' WHERE id = ?", (doomed,))
    server.copies.forget_deleted(exchange.db)
    assert [file.name[:36] for file in (home.run / "audio-cache").iterdir()] == [kept]
    assert [ask(browser, one, "?format=mp3").status for one in (kept, deleted, doomed)] == [200, 404, 404]


@pytest.mark.parametrize("wanted", ["wav", "mp3", "opus"])
def test_a_damaged_recording_is_no_audio(home, stored, browse, wanted):
    recording = stored("flac")
    (home.recordings / "flac" / "one.flac").write_bytes(b"fLaC" + bytes(500))
    assert ask(browse("1"), recording, f"?format={wanted}").status == 404
    assert list((home.run / "audio-cache").glob("*")) == [], "nor a draft of it"


def test_recordings_are_listed(crm, exchange, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary", None, (2,))
    exchange.wire(1, 2)
    minute = 60_000
    rows = [
        exchange.recording(exchange.call(1), None, kind="call", started_ms=0, duration_ms=minute),
        exchange.recording({"id": None, "channel": 1, "started_ms": minute}, None, kind="continuous",
                           duration_ms=minute, from_sample=1,
                           pauses='[{"from_sample":801,"to_sample":1601,"by":"7","reason":"card"}]'),
        exchange.recording({"id": None, "channel": 2, "started_ms": 2 * minute}, None, kind="manual",
                           duration_ms=minute, state="deleted", deleted_ms=5, deleted_rule="retention",
                           deleted_by="keeper"),
    ]  # fmt: skip
    browser = browse("1")

    def ids(query: str, who: Browser = browser) -> list[int]:
        return [rows.index(one["id"]) for one in who.get(f"/recordings{query}")["recordings"]]

    assert ids("") == [2, 1, 0]
    assert ids("?kind=continuous") == [1]
    assert ids("?channel=1") == [1, 0]
    assert ids("?from=1970-01-01T00:01:30Z") == [2, 1]
    assert ids("?to=1970-01-01T00:01:00Z") == [0]
    assert ids("?from=1970-01-01T08:01:30%2B08:00&to=1970-01-01T08:01:40%2B08:00") == [1]
    assert ids("", browse("2")) == [2]
    first = browser.get("/recordings?limit=2")
    assert [rows.index(one["id"]) for one in first["recordings"]] == [2, 1]
    assert ids(f"?limit=2&before={first['next']}") == [0]
    assert browser.ask("GET", "/recordings?from=1970-01-01T00:00:00").status == 400, "a time needs an offset"
    deleted, continuous, _ = first["recordings"] + [None]
    assert (deleted["state"], deleted["deleted_rule"], deleted["deleted_at"]) == (
        "deleted", "retention", "1970-01-01T00:00:00.005Z",
    )  # fmt: skip
    assert continuous["call_id"] is None
    assert continuous["pauses"] == [{"from_ms": 100, "to_ms": 200, "by": "7", "reason": "card"}]
