"""Evidence: a log that survives torn lines, full disks and crashes, and shows any change."""

from __future__ import annotations

import base64
import hashlib
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from firmware.config import Home
from firmware.errors import StoreError
from recorder.library.evidence import log_lines
from recorder.library.evidence.files import GENESIS, begun_path, heads_path, read_entries, read_manifest
from recorder.library.evidence.heads import HeadLine, last_head
from recorder.library.evidence.log import (
    EvidenceLog,
    LogEntry,
    LogInUse,
    NewEntry,
    SignedManifest,
    canonical,
    device_id,
)
from recorder.library.evidence.log_note import note_path
from recorder.library.evidence.merkle import Frontier, leaf_hash
from recorder.library.evidence.signing import load_key
from recorder.library.evidence.untold import untold_path


@contextmanager
def opened(home: Home, name: str = "c", simulated: bool = False) -> Iterator[EvidenceLog]:
    log = EvidenceLog(home, name, simulated)
    try:
        yield log
    finally:
        log.close()


def signed(log: EvidenceLog, name: str) -> SignedManifest:
    return log.sign(log.describe("recording", name))


def enter(log: EvidenceLog, *names: str) -> None:
    for name in names:
        log.enter(name, "recording", 1, signed(log, name))


def entries(path: Path) -> list[LogEntry]:
    return [entry for entry, _ in read_entries(path)]


def names(log: EvidenceLog) -> list[str]:
    """What the log names after its first leaf."""
    return [entry.manifest_id for entry in entries(log.path)[1:]]


def heads(log: EvidenceLog) -> list[HeadLine]:
    """The heads, after a look at every signature, link and root."""
    lines = heads_path(log.path).read_bytes().split(b"\n")
    assert lines.pop() == b""
    found = [msgspec.json.decode(line, type=HeadLine) for line in lines]
    assert all(head.is_genuine() for head in found)
    assert found[0].head.previous == GENESIS
    for line, after in zip(lines, found[1:], strict=False):
        assert after.head.previous == hashlib.sha256(line).hexdigest()
    roots, tree = {}, Frontier()
    for entry in entries(log.path):
        tree.append(leaf_hash(bytes.fromhex(entry.commitment)))
        roots[tree.size] = tree.root().hex()
    assert all(head.head.root == roots[head.head.tree_size] for head in found)
    return found


def told(log: EvidenceLog) -> list[tuple[str, int]]:
    return [(head.head.reason, head.head.tree_size) for head in heads(log)]


def test_signature_holds_and_shows_a_change(home: Home) -> None:
    with opened(home) as log:
        made = log.sign({"id": "a", "talk_ms": 5, "name": "张三"})
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(made.public_key))
    key.verify(base64.b64decode(made.signature), canonical(made.manifest))
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(made.signature), canonical({**made.manifest, "talk_ms": 6}))
    assert made.is_genuine()
    assert not msgspec.structs.replace(made, manifest={**made.manifest, "talk_ms": 6}).is_genuine()


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_json)
def test_canonical_json_is_what_every_other_language_writes(value: object) -> None:
    assert canonical(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def test_a_commitment_is_computed_as_the_document_says(home: Home) -> None:
    with opened(home) as log:
        made = signed(log, "a")
        other = log.sign(made.manifest)
        enter_both = [NewEntry("a", "recording", 5, made)]
        log.enter_many(enter_both)
        (entry,) = entries(log.path)[1:]
    inner = hashlib.sha256(
        json.dumps(made.manifest, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    ).digest()
    assert entry.commitment == hashlib.sha256(bytes.fromhex(made.salt) + inner).hexdigest()
    assert (entry.kind, entry.at_ms, entry.index) == ("recording", 5, 1)
    assert len(made.salt) == 64
    assert other.commitment() != made.commitment(), "without the salt it tells nothing"


def test_every_manifest_begins_alike_and_names_device_and_clock(home: Home) -> None:
    with opened(home) as log:
        manifest = log.describe("call", "x")
        assert manifest["device"] == device_id(home, False) == log.device
    raw = load_key(home, False).public_key().public_bytes_raw()
    assert manifest["device"] == hashlib.sha256(raw).hexdigest()[:32]
    assert (manifest["manifest_version"], manifest["kind"], manifest["id"], manifest["simulated"]) == (
        2, "call", "x", False,
    )  # fmt: skip
    assert set(manifest["clock"]) == {"synchronised", "max_error_ms"}


def test_every_manifest_is_named_once_in_one_chain_that_begins_with_the_log(home: Home) -> None:
    with opened(home) as log:
        first, second = signed(log, "a"), signed(log, "b")
        log.enter_many([NewEntry("a", "recording", 1, first), NewEntry("b", "call", 2, second)])
        log.enter("a", "recording", 3, first)
    with opened(home) as again:
        again.enter("b", "call", 4, second)
        enter(again, "c")
        assert names(again) == ["a", "b", "c"]
        assert again.problems == []
        assert again.names("a", first)
        assert not again.names("a", second)
        assert not again.names("x", first)
    begun = read_manifest(begun_path(again.path))
    assert begun is not None
    assert (begun.manifest["kind"], begun.manifest["log"], begun.manifest["follows"]) == ("log_begun", "c", None)
    assert entries(again.path)[0].commitment == begun.commitment()
    assert told(again) == [
        ("start", 1), ("entry", 3), ("stop", 3), ("start", 3), ("entry", 4), ("stop", 4),
    ]  # fmt: skip


def test_a_manifest_that_was_made_anew_is_named_anew(home: Home) -> None:
    with opened(home) as log:
        enter(log, "a", "a")
        assert names(log) == ["a", "a"]


def test_what_is_older_than_memory_is_found_in_the_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "_REMEMBERED", 3)
    with opened(home) as log:
        made = {name: signed(log, name) for name in "abcdefgh"}
        log.enter_many([NewEntry(name, "recording", 1, one) for name, one in made.items()])
        assert len(log._lines.recent) == 3
        assert log.entered(["a", "h", "z"]) == {"a": made["a"].commitment(), "h": made["h"].commitment()}
        assert log.names("a", made["a"])


NOTE_DAMAGE: dict[str, Callable[[Path], object]] = {
    "nothing": lambda note: None,
    "gone": lambda note: note.unlink(),
    "torn": lambda note: note.write_bytes(note.read_bytes()[:30]),
    "another tree": lambda note: replace_in(note, b'"complete":["', b'"complete":["00'),
    "a node": lambda note: note.write_bytes(canonical({**json.loads(note.read_bytes()), "complete": ["ab" * 32] * 2})),
    "another hash": lambda note: note.write_bytes(canonical({**json.loads(note.read_bytes()), "previous": "ab" * 32})),
    "another place": lambda note: note.write_bytes(canonical({**json.loads(note.read_bytes()), "end": 10})),
}


@pytest.mark.parametrize("count", [9, 12])
@pytest.mark.parametrize("damage", NOTE_DAMAGE)
def test_a_long_log_is_opened_by_its_note_which_is_not_believed_blindly(
    home: Home, monkeypatch: pytest.MonkeyPatch, damage: str, count: int
) -> None:
    monkeypatch.setattr(log_lines, "NOTE_EVERY", 5)
    with opened(home) as log:
        enter(log, *"abcdefghijkl"[:count])
    note = note_path(log.path)
    assert json.loads(note.read_bytes())["tree_size"] == 10
    NOTE_DAMAGE[damage](note)
    with opened(home) as again:
        assert again.problems == []
        assert len(again._lines.recent) == (count - 9 if damage == "nothing" else count + 1)
        enter(again, "m")
        assert names(again) == [*"abcdefghijkl"[:count], "m"]
    heads(again)


@pytest.mark.parametrize("lines", [2, 5, 9])
def test_a_note_hides_no_cut(home: Home, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    monkeypatch.setattr(log_lines, "NOTE_EVERY", 5)
    with opened(home) as log:
        enter(log, *"abcdefghijkl")
    cut_last(log.path, lines)
    with opened(home) as again:
        assert f"{13 - lines} lines, its last head says 13" in again.problems[0]
        enter(again, "m")
    with opened(home) as third:
        assert third.problems == []
        assert names(third) == ["m"]


def test_heartbeats_come_once_a_minute_and_after_the_clock_went_back(home: Home) -> None:
    with opened(home) as log:
        begun = last_head(heads_path(log.path))
        assert begun is not None
        start = begun.head.at_ms
        for at_ms in (start + 1000, start + 54_000, start + 60_000, start + 61_000, start + 120_000, start - 5000):
            log.heartbeat(at_ms)
    beats = [head.head.at_ms - start for head in heads(log) if head.head.reason == "heartbeat"]
    assert beats == [60_000, 120_000, -5000]


def test_one_writer_a_log(home: Home) -> None:
    with opened(home):
        with pytest.raises(LogInUse):
            EvidenceLog(home, "c", False)
        with opened(home, "d"), opened(home, "c", True):
            pass
    with opened(home):
        pass


@pytest.mark.parametrize("tail", [b"{", b'{"index":2', b"\0" * 500])
@pytest.mark.parametrize("which", [lambda log: log.path, lambda log: heads_path(log.path)])
def test_a_torn_line_is_cut_off(home: Home, tail: bytes, which: Callable[[EvidenceLog], Path]) -> None:
    with opened(home) as log:
        enter(log, "a", "b")
    with which(log).open("ab") as file:
        file.write(tail)
    with opened(home) as again:
        enter(again, "c")
        assert again.problems == []
        assert names(again) == ["a", "b", "c"]
    assert told(again)[-2:] == [("entry", 4), ("stop", 4)]


def crash_states(home: Home) -> Iterator[tuple[bytes, bytes]]:
    """Log and heads after every cut of the last writes: a head is only written when its leaves are there."""
    log = EvidenceLog(home, "c", False)
    enter(log, "a")
    log_before, heads_before = log.path.read_bytes(), heads_path(log.path).read_bytes()
    enter(log, "b")
    log_after, heads_after = log.path.read_bytes(), heads_path(log.path).read_bytes()
    log.close(orderly=False)
    for length in range(len(log_before), len(log_after) + 1, 7):
        yield log_after[:length], heads_before
    for length in range(len(heads_before), len(heads_after) + 1, 7):
        yield log_after, heads_after[:length]


def test_every_cut_of_the_last_writes_recovers(home: Home) -> None:
    for log_bytes, heads_bytes in list(crash_states(home)):
        path = home.evidence / "device" / "c.log"
        path.write_bytes(log_bytes)
        heads_path(path).write_bytes(heads_bytes)
        with opened(home) as again:
            assert again.problems == []
            assert names(again) in (["a"], ["a", "b"])
            enter(again, "c")
            assert names(again)[-1] == "c"
        heads(again)


def test_the_first_leaf_survives_a_cut_at_any_step(home: Home) -> None:
    with opened(home) as log:
        whole = log.path.read_bytes()
    begun = begun_path(log.path).read_bytes()
    for length in range(0, len(whole), 20):
        log.path.write_bytes(whole[:length])
        heads_path(log.path).unlink(missing_ok=True)
        with opened(home) as again:
            assert again.problems == []
            assert begun_path(again.path).read_bytes() == begun
            assert len(entries(again.path)) == 1


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_a_full_disk_tore_is_gone_with_the_next_entry(home: Home) -> None:
    with opened(home) as log:
        batch = [NewEntry(name, "recording", 1, signed(log, name)) for name in "abc"]
        with no_file_beyond(log.path.stat().st_size + 600), pytest.raises(StoreError):
            log.enter_many(batch)
        enter(log, "d")
        assert names(log) == ["d"]
    with opened(home) as again:
        assert again.problems == []
        assert names(again) == ["d"]


def test_a_head_names_the_device_of_its_key(home: Home) -> None:
    with opened(home) as log:
        (found,) = heads(log)
        assert found.is_genuine()
        other = msgspec.structs.replace(found.head, device="0" * 32)
        forged = HeadLine(other, found.public_key, log._signer.sign(other))
        assert not forged.is_genuine()


def test_a_full_disk_tears_no_line(home: Home) -> None:
    with opened(home) as log:
        enter(log, "a")
        with no_file_beyond(log.path.stat().st_size + 40), pytest.raises(StoreError):
            enter(log, "b")
        enter(log, "b", "c")
        assert names(log) == ["a", "b", "c"]
    assert told(log)[1:-1] == [("entry", 2), ("entry", 3), ("entry", 4)]


def test_a_head_that_the_disk_refused_is_written_with_the_next_attempt(home: Home) -> None:
    with opened(home) as log:
        for _ in range(3):
            log.heartbeat(log._heads.written_ms + 60_000)
        made = signed(log, "a")
        assert heads_path(log.path).stat().st_size > log.path.stat().st_size + 400
        with no_file_beyond(heads_path(log.path).stat().st_size + 40), pytest.raises(StoreError):
            log.enter("a", "recording", 1, made)
        assert not heads_path(log.path).read_bytes().endswith(b"\n"), "torn"
        log.enter("a", "recording", 1, made)
        assert names(log) == ["a"]
        assert told(log)[-1] == ("entry", 2)


def cut_last(path: Path, lines: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def replace_in(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def swap_lines(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-2], lines[-1], lines[-2]]))


def rewrite_chain(path: Path) -> None:
    """What root can do without the key: another commitment, and every link after it made right again."""
    previous, lines = GENESIS, []
    for entry in entries(path):
        commitment = "ab" * 32 if entry.index == 1 else entry.commitment
        line = canonical(msgspec.structs.replace(entry, commitment=commitment, previous=previous))
        previous = hashlib.sha256(line).hexdigest()
        lines.append(line + b"\n")
    path.write_bytes(b"".join(lines))


def other_key(path: Path) -> None:
    (path.parents[2] / "keys" / "device.pem").unlink()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "an index": (lambda path: replace_in(path, b'"index":1', b'"index":7'), "does not follow"),
    "a name": (lambda path: replace_in(path, b'"manifest_id"', b'"manifest_no"'), "cannot be read"),
    "a commitment": (lambda path: replace_in(path, b'"commitment":"', b'"commitment":"x'), "no commitment"),
    "two lines swapped": (swap_lines, "does not follow"),
    "the last line cut off": (lambda path: cut_last(path, 1), "3 lines, its last head says 4"),
    "all cut off": (lambda path: path.write_bytes(b""), "0 lines, its last head says 4"),
    "the log gone": (lambda path: path.unlink(), "0 lines, its last head says 4"),
    "the chain made anew": (rewrite_chain, "not what its last head says"),
    "the heads gone": (lambda path: heads_path(path).unlink(), "heads are gone"),
    "a head altered": (
        lambda path: replace_in(heads_path(path), b'"reason":"stop"', b'"reason":"none"'), "last head is damaged",
    ),
    "a head forged": (
        lambda path: replace_in(heads_path(path), b'"reason":"stop","root":"', b'"reason":"stop","root":"0'),
        "not genuine",
    ),
    "another key": (other_key, "another log or device"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_log_that_was_tampered_with_is_set_aside_and_recording_goes_on(home: Home, damage: str) -> None:
    with opened(home) as log:
        enter(log, "a", "b", "c")
    begun = begun_path(log.path).read_bytes()
    change, problem = DAMAGE[damage]
    change(log.path)
    left = log.path.read_bytes() if log.path.exists() else b""
    with opened(home) as again:
        (found,) = again.problems
        assert problem in found
        enter(again, "d")
        assert names(again) == ["d"]
    heads(again)
    (kept,) = again.path.parent.glob("*.set-aside")
    assert kept.read_bytes() == left
    assert kept.with_name(f"{kept.name}.begun.json").read_bytes() == begun
    assert kept.with_name(f"{kept.name}.heads").exists() == (damage != "the heads gone")
    fresh = read_manifest(begun_path(again.path))
    assert fresh is not None
    assert fresh.manifest["follows"] == {"file": kept.name, "sha256": hashlib.sha256(left).hexdigest()}
    assert entries(again.path)[0].commitment == fresh.commitment()
    with opened(home) as third:
        assert third.problems == []


def test_a_disk_that_refuses_the_note_of_what_was_found_stops_no_log(home: Home) -> None:
    with opened(home) as log:
        enter(log, "a")
    untold_path(log.path).mkdir()  # can be neither read nor replaced
    log.path.unlink()
    with opened(home) as again:
        assert "0 lines" in again.untold[0]
        enter(again, "b")
    (log.path.parent / "key.pub").write_bytes(b"x")
    with opened(home) as third:
        assert "key.pub" in third.untold[0]
        enter(third, "c")
        assert names(third) == ["b", "c"]


def test_logs_rolled_back_together_are_a_log_without_heartbeats(home: Home) -> None:
    """Not to be known from the log alone: what shows is the time that no stop explains."""
    with opened(home) as log:
        enter(log, "a")
        saved = [(path, path.read_bytes()) for path in (log.path, heads_path(log.path))]
        enter(log, "b")
    for path, content in saved:
        path.write_bytes(content)
    with opened(home) as again:
        assert again.problems == []
    reasons = [reason for reason, _ in told(again)]
    assert ("entry", "start") in list(pairwise(reasons))


class Killed(BaseException):
    """What kill -9 is to the process."""


@pytest.mark.parametrize("renames", range(4))
def test_setting_aside_survives_a_kill_at_any_step(home: Home, monkeypatch: pytest.MonkeyPatch, renames: int) -> None:
    with opened(home) as log:
        enter(log, "a", "b")
    cut_last(log.path, 1)
    left = log.path.read_bytes()
    rename, done = Path.rename, 0

    def killing(path: Path, target: Path) -> Path:
        nonlocal done
        if done == renames and path.parent == log.path.parent:
            raise Killed
        done += 1
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killing)
        with pytest.raises(Killed):
            EvidenceLog(home, "c", False)
    with opened(home) as again:
        enter(again, "c")
        assert names(again) == ["c"]
        fresh = read_manifest(begun_path(again.path))
    assert fresh is not None
    kept = again.path.with_name(fresh.manifest["follows"]["file"])
    assert kept.read_bytes() == left
    assert kept.with_name(f"{kept.name}.heads").exists() or list(kept.parent.glob("*.heads"))


@pytest.mark.parametrize("renames", range(4))
def test_setting_a_log_aside_that_has_only_begun_survives_a_kill_too(
    home: Home, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    with opened(home) as log:
        pass
    left = log.path.read_bytes()
    replace_in(heads_path(log.path), b'"reason":"stop"', b'"reason":"none"')
    rename, done = Path.rename, 0

    def killing(path: Path, target: Path) -> Path:
        nonlocal done
        if done == renames and path.parent == log.path.parent:
            raise Killed
        done += 1
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killing)
        with pytest.raises(Killed):
            EvidenceLog(home, "c", False)
    with opened(home) as again:
        fresh = read_manifest(begun_path(again.path))
        assert fresh is not None
        assert entries(again.path)[0].commitment == fresh.commitment()
    kept = again.path.with_name(fresh.manifest["follows"]["file"])
    assert kept.read_bytes() == left


@pytest.mark.parametrize("which", [lambda path: path, heads_path], ids=["log", "heads"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: cut_last(path, 1)], ids=["gone", "cut"])
def test_a_log_cut_off_under_its_writer_is_noticed_at_once(
    home: Home, which: Callable[[Path], Path], damage: Callable[[Path], None]
) -> None:
    """Not filled with zeros: the writer says so, and whoever opens it anew sets it aside."""
    with opened(home) as log:
        enter(log, "a", "b")
        damage(which(log.path))
        left = which(log.path).read_bytes() if which(log.path).exists() else None
        with pytest.raises(StoreError, match="cut off"):
            enter(log, "c")
        assert (which(log.path).read_bytes() if which(log.path).exists() else None) == left


def test_a_log_of_version_1_is_followed_by_a_new_one(home: Home) -> None:
    folder = home.evidence / "device"
    folder.mkdir()
    old = canonical({"at_ms": 1, "index": 0, "manifest_id": "a", "manifest_sha256": "0" * 64, "previous": GENESIS})
    (folder / "c.log").write_bytes(old + b"\n")
    with opened(home) as log:
        assert log.problems == []
        enter(log, "b")
        assert names(log) == ["b"]
        begun = read_manifest(begun_path(log.path))
    assert begun is not None
    kept = folder / begun.manifest["follows"]["file"]
    assert kept.read_bytes() == old + b"\n"


def test_practice_has_a_key_and_a_log_of_its_own(home: Home) -> None:
    with opened(home) as device, opened(home, simulated=True) as practice:
        enter(device, "real")
        enter(practice, "practised")
        assert names(device) == ["real"]
        assert device.device != practice.device
        assert practice.describe("call", "x")["simulated"] is True
    keys = [load_key(home, simulated).public_key().public_bytes_raw() for simulated in (False, True)]
    assert keys[0] != keys[1]
    assert load_key(home, False).public_key().public_bytes_raw() == keys[0]
    assert [path.stat().st_mode & 0o037 for path in home.keys.iterdir()] == [0, 0]


def test_a_key_or_manifest_that_cannot_be_used_is_named(home: Home) -> None:
    (home.keys / "device.pem").write_text("no key")
    with pytest.raises(StoreError, match=r"device\.pem"):
        EvidenceLog(home, "c", False)
    (home.root / "x.json").write_text("{")
    assert read_manifest(home.root / "x.json") is None
    with pytest.raises(StoreError):
        read_manifest(home.root / "none.json")
