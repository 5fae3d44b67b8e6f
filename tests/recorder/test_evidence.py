"""Evidence: a chain that survives torn lines, full disks and crashes, and shows any change."""

from __future__ import annotations

import base64
import hashlib
import resource
from itertools import pairwise

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from firmware.config import Home
from firmware.errors import StoreError
from recorder.library.evidence import GENESIS, EvidenceLog, LogEntry, canonical, load_key, read_manifest


def enter(log: EvidenceLog, *names: str) -> None:
    for name in names:
        log.enter(name, 1, log.sign({"id": name}))


def chain(log: EvidenceLog) -> list[str]:
    """Names in the log, after a look at every link."""
    lines = log.path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    entries = [msgspec.json.decode(line, type=LogEntry) for line in lines]
    assert [entry.index for entry in entries] == list(range(len(entries)))
    assert not entries or entries[0].previous == GENESIS
    for (line, _), (_, entry) in pairwise(zip(lines, entries, strict=True)):
        assert entry.previous == hashlib.sha256(line).hexdigest()
    return [entry.manifest_id for entry in entries]


def test_signature_holds_and_shows_a_change(home: Home) -> None:
    signed = EvidenceLog(home, "c", False).sign({"id": "a", "talk_ms": 5, "name": "张三"})
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed.public_key))
    key.verify(base64.b64decode(signed.signature), canonical(signed.manifest))
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(signed.signature), canonical({**signed.manifest, "talk_ms": 6}))


def test_every_manifest_is_named_once_in_one_chain(home: Home) -> None:
    log = EvidenceLog(home, "c", False)
    enter(log, "a", "b", "a")
    again = EvidenceLog(home, "c", False)
    enter(again, "b", "c")
    assert chain(again) == ["a", "b", "c"]
    assert again.names("c", again.sign({"id": "c"}))
    assert not again.names("c", again.sign({"id": "c", "changed": True}))


def test_a_manifest_that_was_made_anew_is_named_anew(home: Home) -> None:
    log = EvidenceLog(home, "c", False)
    enter(log, "a")
    changed = log.sign({"id": "a", "version": 2})
    log.enter("a", 2, changed)
    assert chain(log) == ["a", "a"]
    assert EvidenceLog(home, "c", False).names("a", changed)


@pytest.mark.parametrize("tail", [b"{", b'{"index":2', b"\0" * 500])
def test_a_torn_line_is_cut_off_and_entered_again(home: Home, tail: bytes) -> None:
    log = EvidenceLog(home, "c", False)
    enter(log, "a", "b")
    with log.path.open("ab") as file:
        file.write(tail)
    again = EvidenceLog(home, "c", False)
    enter(again, "c")
    assert chain(again) == ["a", "b", "c"]


def test_every_cut_of_the_last_line_recovers(home: Home) -> None:
    log = EvidenceLog(home, "c", False)
    enter(log, "a", "b")
    whole = log.path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        log.path.write_bytes(whole[:length])
        again = EvidenceLog(home, "c", False)
        enter(again, "b")
        assert again.path.read_bytes() == whole


def test_a_full_disk_tears_no_line(home: Home) -> None:
    log = EvidenceLog(home, "c", False)
    enter(log, "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 40, before[1]))
    try:
        with pytest.raises(StoreError):
            enter(log, "b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    enter(log, "b", "c")
    assert chain(log) == ["a", "b", "c"]


@pytest.mark.parametrize("damage", [(b'"index":0', b'"index":7'), (b'"manifest_id"', b'"manifest_no"')])
def test_a_damaged_log_is_set_aside_and_recording_goes_on(home: Home, damage: tuple[bytes, bytes]) -> None:
    log = EvidenceLog(home, "c", False)
    enter(log, "a", "b")
    damaged = log.path.read_bytes().replace(*damage, 1)
    log.path.write_bytes(damaged)
    again = EvidenceLog(home, "c", False)
    enter(again, "c")
    assert chain(again) == ["c"]
    (kept,) = again.path.parent.glob("*.set-aside")
    assert kept.read_bytes() == damaged


def test_practice_has_a_key_and_a_log_of_its_own(home: Home) -> None:
    enter(EvidenceLog(home, "c", False), "real")
    enter(EvidenceLog(home, "c", True), "practice")
    assert chain(EvidenceLog(home, "c", False)) == ["real"]
    keys = [load_key(home, simulated).public_key().public_bytes_raw() for simulated in (False, True)]
    assert keys[0] != keys[1]
    assert load_key(home, False).public_key().public_bytes_raw() == keys[0]
    assert [path.stat().st_mode & 0o777 for path in home.keys.iterdir()] == [0o600, 0o600]


def test_a_key_or_manifest_that_cannot_be_used_is_named(home: Home) -> None:
    (home.keys / "device.pem").write_text("no key")
    with pytest.raises(StoreError, match=r"device\.pem"):
        EvidenceLog(home, "c", False)
    (home.root / "x.json").write_text("{")
    assert read_manifest(home.root / "x.json") is None
    with pytest.raises(StoreError):
        read_manifest(home.root / "none.json")
