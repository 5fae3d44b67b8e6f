"""The audio of recordings: whole, in ranges, as WAV, and never a file from elsewhere."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
import soundfile
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.http.audio import ENDLESS, wav_header
from crm_client_api.http.errors import ApiError
from crm_client_api.http.sending import ByteRange, parse_range


@pytest.fixture
def audio(home):
    """A FLAC file of 1.5 s and its samples."""
    samples = np.random.default_rng(7).integers(-8000, 8000, 12_000).astype(np.int16)
    file = home.recordings / "2026" / "11" / "21" / "CH001" / "one.flac"
    file.parent.mkdir(parents=True)
    soundfile.write(file, samples, 8000, subtype="PCM_16")
    return file, samples


@pytest.fixture
def path(crm, exchange, audio):
    hire(crm, "1", "super")
    file, _ = audio
    data = file.read_bytes()
    return "/recordings/{}/audio".format(
        exchange.recording(
            exchange.call(1),
            "2026/11/21/CH001/one.flac",
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
        )
    )


def test_the_stored_file_comes_as_it_is(audio, path, browse):
    file, _ = audio
    browser = browse("1")
    answer = browser.ask("GET", path)
    assert (answer.status, answer.body) == (200, file.read_bytes())
    assert (answer.headers["content-type"], answer.headers["accept-ranges"]) == ("audio/flac", "bytes")
    assert "content-disposition" not in answer.headers
    assert browser.ask("GET", path, If_None_Match=answer.headers["etag"]).status == 304
    head = browser.ask("HEAD", path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(answer.body)))


def test_wav_is_decoded(audio, path, browse):
    _, samples = audio
    answer = browse("1").ask("GET", f"{path}?format=wav")
    assert answer.headers["content-type"] == "audio/wav"
    decoded, rate = soundfile.read(io.BytesIO(answer.body), dtype="int16")
    assert rate == 8000
    assert np.array_equal(decoded, samples)


RANGES = (
    ("bytes=0-0", 0, 0), ("bytes=0-43", 0, 43), ("bytes=43-44", 43, 44), ("bytes=45-", 45, None),
    ("bytes=46-50", 46, 50), ("bytes=5001-9000", 5001, 9000), ("bytes=-7", -7, None), ("bytes=-999999999", 0, None),
    ("bytes=100-999999999", 100, None),
)  # fmt: skip


@pytest.mark.parametrize("form", ["flac", "wav"])
def test_ranges_are_parts_of_the_whole(path, browse, form):
    browser = browse("1")
    whole = browser.ask("GET", f"{path}?format={form}")
    size = len(whole.body)
    for header, first, last in RANGES:
        part = browser.ask("GET", f"{path}?format={form}", Range=header)
        begin = first if first >= 0 else size + first
        end = size - 1 if last is None else last
        assert part.status == 206, header
        assert part.body == whole.body[begin : end + 1], header
        assert part.headers["content-range"] == f"bytes {begin}-{end}/{size}"
    for header in (f"bytes={size}-", "bytes=999999999-", "bytes=-0"):
        outside = browser.ask("GET", f"{path}?format={form}", Range=header)
        assert (outside.status, outside.code) == (416, "range_outside")
        assert outside.headers["content-range"] == f"bytes */{size}"
    for header in ("bytes=0-1,3-4", "lines=1-2", "bytes=5-4", "bytes=-", "nonsense"):
        assert browser.ask("GET", f"{path}?format={form}", Range=header).body == whole.body, header
    etag = whole.headers["etag"]
    assert browser.ask("GET", f"{path}?format={form}", Range="bytes=0-1", If_Range=etag).status == 206
    assert browser.ask("GET", f"{path}?format={form}", Range="bytes=0-1", If_Range='"old"').status == 200


def test_ranges_of_nothing_are_outside():
    assert parse_range("bytes=0-", 1) == ByteRange(0, 0)
    with pytest.raises(ApiError):
        parse_range("bytes=0-", 0)


def test_permission_and_scope_are_needed(crm, path, browse):
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_EXPORT})
    hire(crm, "4", "ordinary", None, (2,))
    assert browse("2").ask("GET", path).status == 403
    assert browse("3").ask("GET", path).status == 200
    assert browse("3").ask("GET", f"{path}?download=1").status == 403
    assert browse("4").ask("GET", path).status == 404
    download = browse("1").ask("GET", f"{path}?download=1&format=wav")
    assert download.headers["content-disposition"].endswith('filename="one.wav"')
    rows = crm.conn.execute("SELECT actor, action FROM audit WHERE action LIKE 'recording.%' ORDER BY id").fetchall()
    assert [tuple(row) for row in rows] == [("3", "recording.listen"), ("1", "recording.download")]


def listened(crm) -> list[str]:
    rows = crm.conn.execute("SELECT action FROM audit WHERE action LIKE 'recording.%' ORDER BY id")
    return [row[0].removeprefix("recording.") for row in rows]


def test_nobody_listens_unnoticed(crm, path, browse):
    """Not by leaving out the first byte, and not from what a browser kept of somebody else's listening."""
    browser = browse("1")
    assert browser.ask("GET", path, Range="bytes=1-").status == 206
    assert listened(crm) == ["listen"]
    assert browser.ask("GET", path, Range="bytes=900-").status == 206
    assert listened(crm) == ["listen"], "another part of the same listening"
    assert browser.ask("GET", f"{path}?download=1", Range="bytes=1-").status == 206
    assert listened(crm) == ["listen", "download"]
    answer = browser.ask("GET", path, Range="bytes=0-")
    assert listened(crm) == ["listen", "download", "listen"], "from the beginning again"
    hire(crm, "2", "super")
    assert browse("2").ask("GET", path, If_None_Match=answer.headers["etag"]).status == 304
    assert listened(crm) == ["listen", "download", "listen", "listen"]


def test_wav_of_more_than_a_header_can_say():
    assert wav_header(8000, 2, ENDLESS + 1)[-4:] == b"\xff\xff\xff\xff"


def test_files_outside_the_recordings_are_never_sent(home, crm, exchange, audio, browse):
    hire(crm, "1", "super")
    secret = home.keys / "key"
    secret.write_text("secret")
    (home.recordings / "link.flac").symlink_to(secret)
    (home.root / "recordings-old").mkdir()
    (home.root / "recordings-old" / "x.flac").write_text("secret")
    browser = browse("1")
    call = exchange.call(1)
    paths = ["../keys/key", str(secret), "link.flac", "2026/../../keys/key", "../recordings-old/x.flac", "2026", "",
             "/etc/passwd", "missing.flac"]  # fmt: skip
    for segment, wrong in enumerate(paths):
        recording = exchange.recording(call, wrong, segment=segment)
        for form in ("flac", "wav"):
            assert browser.ask("GET", f"/recordings/{recording}/audio?format={form}").status == 404, wrong
    pending = exchange.recording(call, "2026/11/21/CH001/one.flac", segment=90, state="pending")
    assert browser.ask("GET", f"/recordings/{pending}/audio").status == 404


def test_a_broken_file_is_no_wav(home, crm, exchange, browse):
    hire(crm, "1", "super")
    (home.recordings / "bad.flac").write_bytes(b"not audio")
    recording = exchange.recording(exchange.call(1), "bad.flac")
    browser = browse("1")
    assert browser.ask("GET", f"/recordings/{recording}/audio?format=wav").status == 404
    assert browser.ask("GET", f"/recordings/{recording}/audio?format=mp3").status == 404
    assert browser.ask("GET", f"/recordings/{recording}/audio?format=aiff").status == 400
