"""Encrypted recordings: any damage shows, any place can be read, and without the key nothing can."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from firmware.cli import root as tapdeck
from firmware.config import Home
from firmware.errors import BadInput, BoxError, NotFound, Refused, StoreError
from recorder.library.audio import vault_keys
from recorder.library.audio.stored import open_audio
from recorder.library.audio.vault import CHUNK_BYTES, destroy_key, encrypt_recording, key_path, open_recording

PASSPHRASE = "correct horse battery"
SIZES = (0, 1, 4095, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 777)


def audio_of(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def store(home: Home, audio: bytes, name: str = "one", recording_id: str = "id-1") -> Path:
    encrypted = encrypt_recording(home, recording_id, audio)
    path = home.recordings / f"{name}.flac.tde"
    path.write_bytes(encrypted.content)
    key_path(path).write_bytes(encrypted.key_file)
    assert encrypted.stored == {
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "cipher": "AES-256-GCM",
        "chunk_bytes": CHUNK_BYTES,
    }
    return path


def read(home: Home, path: Path) -> bytes:
    with open_recording(home, path) as file:
        return file.read()


@pytest.mark.parametrize("size", SIZES)
def test_what_went_in_comes_out(home: Home, size: int) -> None:
    audio = audio_of(size)
    path = store(home, audio)
    assert key_path(path).name == "one.key.json"
    with open_audio(home, path.name) as file:
        assert file.read() == audio
    if size > 32:
        assert audio[:32] not in path.read_bytes()
        assert audio[-32:] not in path.read_bytes()


def test_the_layout_is_the_one_that_is_documented(home: Home) -> None:
    """Decrypted by other code, written from docs/encryption.md."""
    audio = audio_of(2 * CHUNK_BYTES + 99)
    path = store(home, audio)
    content, wrapped = path.read_bytes(), json.loads(key_path(path).read_bytes())
    header, parts = content[:HEADER_BYTES], chunks(path, HEADER_BYTES)[1]
    assert header == b"TDE1" + struct.pack(">IQH", CHUNK_BYTES, len(audio), 4) + b"id-1"
    (mine,) = wrapped["wrapped"]
    private = load_pem_private_key((home.vault / "vault.pem").read_bytes(), None)
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    key = suite.decrypt(base64.b64decode(mine["key"]), private, b"tapdeck recording key\0id-1")  # type: ignore[arg-type]
    plain = [
        AESGCM(key).decrypt(index.to_bytes(12, "big"), part, header + struct.pack(">QB", index, index == 2))
        for index, part in enumerate(parts)
    ]
    assert b"".join(plain) == audio


@given(st.lists(st.tuples(st.integers(0, 3 * CHUNK_BYTES), st.integers(0, 2 * CHUNK_BYTES)), max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_part_can_be_read_in_any_order(home: Home, reads: list[tuple[int, int]]) -> None:
    audio = audio_of(2 * CHUNK_BYTES + 99)
    with open_recording(home, store(home, audio)) as file:
        assert file.seekable()
        assert file.seek(0, os.SEEK_END) == len(audio)
        for start, length in reads:
            file.seek(start)
            assert file.read(length) == audio[start : start + length]
            assert file.tell() == start + len(audio[start : start + length])


def test_the_same_audio_never_looks_the_same(home: Home) -> None:
    audio = bytes(1000)
    first, second = (encrypt_recording(home, "id-1", audio) for _ in range(2))
    assert first.content[-1016:] != second.content[-1016:]


def chunks(path: Path, header: int) -> tuple[bytes, list[bytes]]:
    content = path.read_bytes()
    step = CHUNK_BYTES + 16
    return content[:header], [content[at : at + step] for at in range(header, len(content), step)]


HEADER_BYTES = 18 + len("id-1")


def damaged(home: Home, path: Path) -> str:
    """How reading all of it fails."""
    with pytest.raises(StoreError) as caught:
        read(home, path)
    return str(caught.value)


@pytest.mark.parametrize("place", [0, 4, 9, 15, 17, 19, HEADER_BYTES, HEADER_BYTES + CHUNK_BYTES, -1, -20])
def test_a_flipped_bit_anywhere_shows(home: Home, place: int) -> None:
    path = store(home, audio_of(2 * CHUNK_BYTES + 99))
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    damaged(home, path)


def test_the_damaged_place_is_named_and_the_rest_can_be_read(home: Home) -> None:
    audio = audio_of(3 * CHUNK_BYTES)
    path = store(home, audio)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + CHUNK_BYTES + 16 + 5] ^= 1
    path.write_bytes(content)
    assert damaged(home, path).endswith("damaged between bytes 65536 and 131072")
    with open_recording(home, path) as file:
        assert file.read(CHUNK_BYTES) == audio[:CHUNK_BYTES]
        file.seek(2 * CHUNK_BYTES)
        assert file.read() == audio[2 * CHUNK_BYTES :]


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 1), (0, 2), (0, 1, 1), (0, 1, 2, 2), (0,), ()])
def test_chunks_that_were_moved_or_left_out_show(home: Home, order: tuple[int, ...]) -> None:
    path = store(home, audio_of(3 * CHUNK_BYTES))
    header, parts = chunks(path, HEADER_BYTES)
    path.write_bytes(header + b"".join(parts[index] for index in order))
    damaged(home, path)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_cut_end_shows_even_when_the_header_is_made_to_fit(home: Home, left: int) -> None:
    path = store(home, audio_of(3 * CHUNK_BYTES))
    header, parts = chunks(path, HEADER_BYTES)
    header = header[:8] + (left * CHUNK_BYTES).to_bytes(8, "big") + header[16:]
    path.write_bytes(header + b"".join(parts[: max(left, 1)]))
    damaged(home, path)


def test_chunks_and_keys_of_another_recording_show(home: Home) -> None:
    one = store(home, audio_of(2 * CHUNK_BYTES), "one", "id-1")
    two = store(home, audio_of(2 * CHUNK_BYTES, 2), "two", "id-2")
    header, parts = chunks(one, HEADER_BYTES)
    one.write_bytes(header + parts[0] + chunks(two, HEADER_BYTES)[1][1])
    damaged(home, one)
    key_path(two).replace(key_path(one))
    assert "key is that of recording id-2" in damaged(home, one)


@given(st.binary(max_size=200))
@example(b'\xff"')
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_files_are_refused(home: Home, content: bytes) -> None:
    path = store(home, b"x")
    real, key = path.read_bytes(), key_path(path).read_bytes()
    for bad in (content, real[:10] + content, real[:18] + content):
        path.write_bytes(bad)
        damaged(home, path)
    path.write_bytes(real)
    for bad in (content, key[:200] + content, key.replace(b'"key": "', b'"key": "' + content.hex().encode() + b"!")):
        key_path(path).write_bytes(bad)
        with pytest.raises(BoxError):
            read(home, path)


def test_without_its_key_a_recording_is_gone(home: Home) -> None:
    path = store(home, b"secret" * 100)
    key = key_path(path)
    with key.open("rb") as held:
        before = held.read()
        destroy_key(path)
        held.seek(0)
        assert not set(held.read().split()) & set(before.split())  # overwritten where it lay
    assert not key.exists()
    with pytest.raises(NotFound, match="key of this recording is gone"):
        read(home, path)
    destroy_key(path)


def test_reading_makes_no_key(home: Home) -> None:
    path = store(home, b"x")
    (home.vault / "vault.pem").unlink()
    with pytest.raises(NotFound):
        read(home, path)
    assert list(home.keys.iterdir()) == []
    (home.vault / "vault.pem").write_text("rubbish")
    with pytest.raises(StoreError, match=r"vault\.pem"):
        read(home, path)


def test_another_box_cannot_open_it(home: Home, tmp_path: Path) -> None:
    path = store(home, b"x")
    other = Home(tmp_path / "other")
    other.create()
    encrypt_recording(other, "makes its key", b"")
    with pytest.raises(Refused, match="not wrapped for this key"):
        read(other, path)


def run(home: Home, *arguments: str, passphrase: str = PASSPHRASE) -> str:
    command = ["--home", str(home.root), "vault", *arguments, "--passphrase", passphrase]
    result = CliRunner().invoke(tapdeck, command)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_recovery_key_opens_recordings_without_the_box(home: Home, tmp_path: Path) -> None:
    before = store(home, b"before", "before")
    recovery = tmp_path / "recovery.pem"
    run(home, "recovery-key", "--out", str(recovery))
    assert b"ENCRYPTED PRIVATE KEY" in recovery.read_bytes()
    assert recovery.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in (home.vault / "recovery-public.pem").read_bytes()
    audio = audio_of(CHUNK_BYTES + 5)
    path = store(home, audio)
    (home.vault / "vault.pem").unlink()
    nowhere, out = Home(tmp_path / "nowhere"), tmp_path / "out.flac"
    run(nowhere, "recover", str(path), "--key", str(recovery), "--out", str(out))
    assert out.read_bytes() == audio
    assert not nowhere.root.exists()
    with pytest.raises(Refused, match="exists already"):
        run(nowhere, "recover", str(path), "--key", str(recovery), "--out", str(out))
    with pytest.raises(Refused, match="not wrapped"):
        run(nowhere, "recover", str(before), "--key", str(recovery), "--out", str(tmp_path / "b.flac"))
    with pytest.raises(BadInput, match="passphrase"):
        run(nowhere, "recover", str(path), "--key", str(recovery), "--out", str(tmp_path / "c"), passphrase="wrong")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError):
        run(nowhere, "recover", str(path), "--key", str(recovery), "--out", str(tmp_path / "c.flac"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["home", "out.flac", "recovery.pem"]


def test_a_recovery_key_is_replaced_only_when_told_so(home: Home, tmp_path: Path) -> None:
    run(home, "recovery-key", "--out", str(tmp_path / "first.pem"))
    public = (home.vault / "recovery-public.pem").read_bytes()
    for arguments in (("--out", str(tmp_path / "2.pem")), ("--out", str(tmp_path / "first.pem"), "--replace")):
        with pytest.raises(Refused):
            run(home, "recovery-key", *arguments)
    with pytest.raises(Refused, match="12 characters"):
        run(home, "recovery-key", "--out", str(tmp_path / "2.pem"), "--replace", passphrase="short")
    assert (home.vault / "recovery-public.pem").read_bytes() == public
    run(home, "recovery-key", "--out", str(tmp_path / "2.pem"), "--replace")
    assert (home.vault / "recovery-public.pem").read_bytes() != public


def test_memory_stays_bounded_by_one_chunk(home: Home) -> None:
    import tracemalloc

    path = store(home, bytes(64 * CHUNK_BYTES))
    read(home, path)
    tracemalloc.start()
    try:
        with open_recording(home, path) as file:
            while file.read(8192):
                pass
        assert tracemalloc.get_traced_memory()[1] < 6 * CHUNK_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["vault.pem", "recovery-public.pem"])
def test_a_damaged_key_is_named_and_holds_up_no_recording(
    home: Home, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (home.vault / name).write_text("rubbish")
    assert read(home, store(home, b"audio")) == b"audio"
    assert name in caplog.text
    assert "rubbish" in [file.read_text() for file in home.vault.iterdir()]


def test_recorders_that_find_a_damaged_key_at_once_agree_on_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one sets aside the key under which the other has just encrypted."""
    (home.vault / "vault.pem").write_text("rubbish")
    both_read = threading.Barrier(2)
    load = vault_keys._load_private

    def slow(pem: bytes, passphrase: str | None) -> Any:
        if pem == b"rubbish":
            with suppress(threading.BrokenBarrierError):
                both_read.wait(0.5)  # the other one comes here too, unless it must wait until we are done
        return load(pem, passphrase)

    monkeypatch.setattr(vault_keys, "_load_private", slow)
    with ThreadPoolExecutor(2) as pool:
        keys = [one.result() for one in [pool.submit(vault_keys.own_device_key, home) for _ in range(2)]]
    assert len({key.public_key().public_bytes_raw() for key in keys}) == 1
    (aside,) = home.vault.glob("*.set-aside")
    assert aside.read_text() == "rubbish"


def test_key_files_of_other_versions_are_refused() -> None:
    with pytest.raises(BadInput, match="does not know"):
        vault_keys.read_key_file(b'{"key_file_version":2,"recording_id":"","wrapping":"","wrapped":[]}')
