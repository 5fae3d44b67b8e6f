"""Chosen recordings come as one ZIP file: in scope, in any format, audited, without a copy of encrypted ones."""

from __future__ import annotations

import http.client
import io
import zipfile

import numpy as np
import pytest
import soundfile
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.http import recordings_zip
from firmware.store.connection import write
from recorder.library.audio.vault import encrypt_recording, key_path


@pytest.fixture
def stored(home, crm, exchange):
    """Makes a FLAC recording on a channel; returns its id and what is stored."""
    hire(crm, "1", "super")
    exchange.wire(1, 2)

    def make(channel: int = 1, **changes):
        call = exchange.call(channel)
        file = home.recordings / f"{call['id']}.flac"
        tone = (8000 * np.sin(np.arange(8000) / 3)).astype(np.int16)
        soundfile.write(file, tone, 8000, "PCM_16")
        row = {"format": "flac", "bytes": file.stat().st_size, "sha256": f"{call['id']:064}"} | changes
        return exchange.recording(call, file.name, **row), file.read_bytes()

    return make


def unpacked(answer) -> dict[str, bytes]:
    assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_all_that_was_chosen(crm, home, stored, browse):
    (one, first), (two, second) = stored(), stored(2)
    for file in home.recordings.glob("*.flac"):
        file.with_suffix(".json").write_text("{}")
    found = unpacked(browse("1").ask("GET", f"/recordings/zip?ids={one},{two},{one}"))
    audio = {name: data for name, data in found.items() if name.endswith(".flac")}
    assert [name[:4] for name in audio] == ["001-", "002-"]
    assert list(audio.values()) == [first, second]
    assert sum(name.endswith(".json") for name in found) == 2, "their manifests"
    noted = crm.conn.execute("SELECT subject FROM audit WHERE action = 'recording.download' ORDER BY id").fetchall()
    assert [row[0] for row in noted] == [one, two]


@pytest.mark.parametrize("form", ["wav", "mp3", "opus"])
def test_in_another_format(stored, browse, form):
    recording, _ = stored()
    found = unpacked(browse("1").ask("GET", f"/recordings/zip?ids={recording}&format={form}"))
    (data,) = found.values()
    assert next(iter(found)).endswith(form)
    assert len(soundfile.read(io.BytesIO(data))[0]) == pytest.approx(8000, rel=0.2)


def test_encrypted_ones_leave_no_copy(home, exchange, stored, browse):
    recording, plain = stored()
    path = exchange.db.conn.execute("SELECT path FROM recordings WHERE id = ?", (recording,)).fetchone()[0]
    locked = encrypt_recording(home, recording, plain)
    file = home.recordings / f"{path}.tde"
    file.write_bytes(locked.content)
    key_path(file).write_bytes(locked.key_file)
    (home.recordings / path).unlink()
    with write(exchange.db) as connection:
        connection.execute("UPDATE recordings SET path = ?, encrypted = 1 WHERE id = ?", (file.name, recording))
    browser = browse("1")
    assert next(iter(unpacked(browser.ask("GET", f"/recordings/zip?ids={recording}")).values())) == plain
    unpacked(browser.ask("GET", f"/recordings/zip?ids={recording}&format=mp3"))
    assert not (home.run / "audio-cache").exists()


def lock(home, exchange, recording, plain):
    path = exchange.db.conn.execute("SELECT path FROM recordings WHERE id = ?", (recording,)).fetchone()[0]
    locked = encrypt_recording(home, recording, plain)
    file = home.recordings / f"{path}.tde"
    file.write_bytes(locked.content)
    key_path(file).write_bytes(locked.key_file)
    with write(exchange.db) as connection:
        connection.execute("UPDATE recordings SET path = ?, encrypted = 1 WHERE id = ?", (file.name, recording))
    return file


def test_a_damaged_one_spoils_no_other(home, exchange, stored, browse):
    (damaged, _), (whole, plain) = stored(), stored(2)
    file = lock(home, exchange, damaged, b"x" * 600_000)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    found = unpacked(browse("1").ask("GET", f"/recordings/zip?ids={damaged},{whole}"))
    assert plain in found.values()
    assert found["missing.txt"].decode().startswith(f"{damaged} incomplete")


def test_it_breaks_off_when_the_session_ends(crm, stored, browse, monkeypatch):
    (one, _), (two, _) = stored(), stored(2)
    real = recordings_zip.open_form

    def then_log_out(*given):
        with write(crm) as connection:
            connection.execute("DELETE FROM sessions")
        return real(*given)

    monkeypatch.setattr(recordings_zip, "open_form", then_log_out)
    with pytest.raises(http.client.IncompleteRead):
        browse("1").ask("GET", f"/recordings/zip?ids={one},{two}")


def test_what_is_gone_is_named_and_what_is_hidden_is_not_there(crm, stored, browse):
    (one, _), (hidden, _) = stored(2), stored(1)
    gone, _ = stored(2, state="deleted")
    found = unpacked(browse("1").ask("GET", f"/recordings/zip?ids={one},{gone}"))
    assert found["missing.txt"].decode().split() == [gone]
    hire(crm, "2", "ordinary", None, (2,))
    hire(crm, "3", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_EXPORT})
    second = browse("2")
    assert second.ask("GET", f"/recordings/zip?ids={one},{hidden}").status == 404
    assert second.ask("GET", f"/recordings/zip?ids={gone}").status == 404
    assert browse("3").ask("GET", f"/recordings/zip?ids={one}").code == "permission_missing"
    for wrong in ("", "a b", "x,", ",".join(["x"] * 101)):
        assert second.ask("GET", f"/recordings/zip?ids={wrong.replace(' ', '%20')}").status == 400, wrong
