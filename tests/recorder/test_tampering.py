"""Who can change what without being found out: every attack is carried out on real files, and the outcome is known.

The table of outcomes is printed in docs/evidence.md; ``python tests/recorder/test_tampering.py`` prints it anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import mutagen.flac
import numpy as np
import pytest
import soundfile
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from evidence_material import CARD, RATE_HZ, bytes_of_second, describe_audio, encode, flip, read, speech
from tamper_scene import Forgery, Manifest, Scene, serious

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.store.connection import open_store
from recorder.library.evidence.files import GENESIS, SignedManifest
from recorder.library.evidence.heads import HeadLine
from recorder.library.evidence.proof import export
from recorder.library.evidence.signing import canonical, device_of, sha256_hex, signer
from recorder.library.verification.verifier import tapdeck_verify

PAGE = Path(__file__).parents[2] / "docs" / "evidence.md"


def forged_audio(scene: Scene, *paths: Path) -> None:
    """Describe the audio of these recordings as it is now, in manifest and store, and sign everything."""
    described = {}
    for path in paths:
        manifest = read(path.with_suffix(".json")).manifest
        with soundfile.SoundFile(path) as audio:
            samples = audio.frames
        manifest["audio"] = describe_audio(path.name, path.read_bytes(), "flac", samples)
        manifest["tape"]["to_sample"] = manifest["tape"]["from_sample"] + samples
        described[manifest["id"]] = manifest
        scene.box.sql(
            "UPDATE recordings SET bytes = ?, sha256 = ?, duration_ms = ?, to_sample = ? WHERE id = ?",
            manifest["audio"]["bytes"], manifest["audio"]["sha256"], samples * 1000 // RATE_HZ,
            manifest["tape"]["to_sample"], manifest["id"],
        )  # fmt: skip
    Forgery(lambda manifest: described.get(manifest["id"], manifest)).commit(scene.box)


def forged_call(scene: Scene, **changes: Any) -> None:
    """Change the call of the target everywhere: manifest, tags, store; sign everything."""
    old = read(scene.target.with_suffix(".json")).manifest["call"]
    set_tag(scene.target, {**old, **changes})
    columns = ", ".join(f"{name} = ?" for name in changes)
    scene.box.sql(f"UPDATE calls SET {columns} WHERE id = ?", *changes.values(), old["id"])
    target = read(scene.target.with_suffix(".json")).manifest
    content = scene.target.read_bytes()
    audio = describe_audio(scene.target.name, content, "flac", target["audio"]["samples"])
    scene.box.sql("UPDATE recordings SET bytes = ?, sha256 = ? WHERE id = ?", audio["bytes"], audio["sha256"],
                  target["id"])  # fmt: skip

    def edit(manifest: Manifest) -> Manifest:
        if manifest["id"] != target["id"]:
            return manifest
        return manifest | {"audio": audio, "call": manifest["call"] | changes}

    Forgery(edit).commit(scene.box)


def forged_without(scene: Scene, *paths: Path) -> None:
    """Remove recordings or calls without a trace, and sign everything."""
    gone = {read(path.with_suffix(".json")).manifest["id"] for path in paths}
    Forgery(lambda manifest: None if manifest["id"] in gone else manifest).commit(scene.box)
    for path in paths:
        remove(scene, path)


# Single steps


def remove(scene: Scene, path: Path) -> None:
    manifest = read(path.with_suffix(".json")).manifest
    for one in {path, path.with_suffix(".json")}:
        one.unlink(missing_ok=True)
    scene.box.sql("DELETE FROM recordings WHERE id = ?", manifest["id"])
    scene.box.sql("DELETE FROM calls WHERE id = ?", manifest["call"]["id"])


def set_tag(audio: Path, call: dict[str, Any]) -> None:
    flac = mutagen.flac.FLAC(audio)
    flac["comment"] = json.dumps({"tapdeck_call": call}, ensure_ascii=False)
    flac.save()


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = json.loads(path.read_text())
    change(file)
    path.write_text(json.dumps(file, ensure_ascii=False))


def flip_second(audio: Path) -> None:
    flip(audio, bytes_of_second(audio, 3)[0] + 50)


def cut_off(audio: Path) -> None:
    audio.write_bytes(audio.read_bytes()[: bytes_of_second(audio, 4)[0]])


def splice(audio: Path) -> None:
    data = audio.read_bytes()
    audio.write_bytes(data[: bytes_of_second(audio, 2)[0]] + data[bytes_of_second(audio, 4)[0] :])


def encode_anew(audio: Path) -> None:
    samples, _ = soundfile.read(audio, dtype="int16")
    quieter = (samples // 2).astype("int16")
    audio.write_bytes(encode(quieter))


def swap(first: Path, second: Path) -> None:
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def silence(audio: Path) -> None:
    samples, _ = soundfile.read(audio, dtype="int16")
    samples[RATE_HZ : 3 * RATE_HZ] = 0
    audio.write_bytes(encode(samples))


PAUSE = {"from_sample": RATE_HZ, "to_sample": 3 * RATE_HZ, "by": "1001", "reason": "private"}


def reorder(scene: Scene) -> None:
    lines = scene.box.log.path.read_bytes().splitlines(keepends=True)
    lines[2], lines[3] = lines[3], lines[2]
    scene.box.log.path.write_bytes(b"".join(lines))


def call_of(scene: Scene) -> str:
    return str(read(scene.target.with_suffix(".json")).manifest["call"]["id"])


def forged_order(scene: Scene) -> None:
    Forgery(order=lambda manifests: [*manifests[:2], manifests[3], manifests[2], *manifests[4:]]).commit(scene.box)


def remove_last(scene: Scene) -> None:
    """The last entries with their heads, as if they had never been; files and rows too."""
    scene.box.stop(orderly=False)
    lines = scene.box.log.path.read_bytes().splitlines(keepends=True)
    scene.box.log.path.write_bytes(b"".join(lines[:-3]))
    heads = scene.box.log.path.with_suffix(".heads")
    kept = [line for line in heads.read_bytes().splitlines(keepends=True)
            if json.loads(line)["head"]["tree_size"] <= len(lines) - 3]  # fmt: skip
    heads.write_bytes(b"".join(kept))
    remove(scene, scene.last)
    remove(scene, scene.missed)
    scene.restart()


def roll_back(scene: Scene, to: str) -> None:
    scene.box.stop(orderly=False)
    scene.restore(to)
    scene.restart()


def replace_logs(scene: Scene) -> None:
    """Everything signed anew with a key of the attacker's own, which takes the place of the device's."""
    scene.box.stop(orderly=False)
    (scene.box.home.keys / "device.pem").unlink()
    Forgery(lambda manifest: manifest | {"device": signer(scene.box.home, False).device}).commit(scene.box)
    for heads in scene.logs.glob("*.heads"):
        hand, previous, lines = signer(scene.box.home, False), GENESIS, b""
        for line in heads.read_bytes().splitlines():
            old = msgspec.json.decode(line, type=HeadLine)
            head = msgspec.structs.replace(old.head, device=hand.device, previous=previous)
            new = canonical(HeadLine(head, hand.public_key, hand.sign(head)))
            lines, previous = lines + new + b"\n", sha256_hex(new)
        heads.write_bytes(lines)
    scene.restart()


def other_clock(scene: Scene) -> None:
    """A call is made while the clock stands an hour back."""
    scene.box.now_ms -= 3_600_000
    scene.box.record("13800000007", 3)
    scene.box.now_ms += 3_600_000
    scene.box.run(1)


def forged_clock(scene: Scene) -> None:
    """The same, but manifest, store and tape positions are made to agree."""
    manifest = read(scene.target.with_suffix(".json")).manifest
    before_ms = manifest["started_ms"] - 30_000
    changes = {"started_ms": before_ms, "answered_ms": before_ms, "ended_ms": before_ms + 6000}
    shift = 30 * RATE_HZ
    scene.box.sql("UPDATE recordings SET started_ms = ?, from_sample = from_sample - ?, to_sample = to_sample - ?"
                  " WHERE id = ?", before_ms, shift, shift, manifest["id"])  # fmt: skip

    def edit(one: Manifest) -> Manifest:
        if one["id"] == manifest["id"]:
            tape = one["tape"] | {key: one["tape"][key] - shift for key in ("from_sample", "to_sample")}
            return one | {"started_ms": before_ms, "started_at": iso_utc(before_ms), "tape": tape}
        return one

    Forgery(edit).commit(scene.box)
    forged_call(scene, **changes)


def new_recording(scene: Scene, audio: bytes) -> tuple[Path, Manifest]:
    """Files and rows of a call that never was, without a signature yet."""
    box, identifier = scene.box, str(uuid.uuid4())
    path = scene.target.with_name(f"20270115T161500+0800_CH001_in_110_{identifier}.flac")
    old = read(scene.target.with_suffix(".json")).manifest
    call = old["call"] | {"id": str(uuid.uuid4()), "caller_number": "110"}
    path.write_bytes(audio)
    set_tag(path, call)
    content = path.read_bytes()
    shift, moved_ms = 20 * RATE_HZ, 20_000
    tape = old["tape"] | {key: old["tape"][key] + shift for key in ("from_sample", "to_sample")}
    started_ms = old["started_ms"] + moved_ms
    call |= {"started_ms": started_ms, "answered_ms": started_ms, "ended_ms": started_ms + 6000}
    set_tag(path, call)
    content = path.read_bytes()
    manifest = old | {"id": identifier, "call": call, "audio": describe_audio(path.name, content, "flac", 6 * RATE_HZ),
                      "tape": tape, "started_ms": started_ms}  # fmt: skip
    relative = path.relative_to(box.home.recordings)
    box.rows(
        calls=call | {"manifest": relative.with_suffix(".json").as_posix()},
        recordings={
            "id": identifier, "call_id": call["id"], "channel": 1, "segment": 0, "state": "ready", "card_id": CARD,
            "tape_epoch": tape["epoch"], "from_sample": tape["from_sample"], "to_sample": tape["to_sample"],
            "sample_rate_hz": RATE_HZ, "started_ms": started_ms, "duration_ms": 6000, "format": "flac",
            "path": relative.as_posix(), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        },
    )  # fmt: skip
    return path, manifest


def own_signature(manifest: Manifest) -> SignedManifest:
    """What somebody without the device's key can do."""
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes_raw()
    mine = manifest | {"device": device_of(raw)}
    signature = base64.b64encode(key.sign(canonical(mine))).decode()
    return SignedManifest(mine, base64.b64encode(raw).decode(), signature, "0" * 64)


def insert(scene: Scene, audio: bytes) -> None:
    path, manifest = new_recording(scene, audio)
    signed = own_signature(manifest)
    path.with_suffix(".json").write_bytes(msgspec.json.encode(signed))


def forged_insert(scene: Scene, audio: bytes) -> None:
    path, manifest = new_recording(scene, audio)
    Forgery(insert=[manifest]).commit(scene.box)
    (scene.box.home.recordings / f"{manifest['id']}.json").rename(path.with_suffix(".json"))


def add_pause(file: dict[str, Any]) -> None:
    file["manifest"]["pauses"] = [PAUSE]


def forged_pause(scene: Scene) -> None:
    silence(scene.target)
    set_tag(scene.target, read(scene.target.with_suffix(".json")).manifest["call"])
    wanted = read(scene.target.with_suffix(".json")).manifest["id"]
    Forgery(lambda one: one | {"pauses": [PAUSE]} if one["id"] == wanted else one).commit(scene.box)
    forged_audio(scene, scene.target)


def forged_swap(scene: Scene) -> None:
    """The audio of two calls changes places, tags and all."""
    swap(scene.target, scene.other)
    for path in (scene.target, scene.other):
        set_tag(path, read(path.with_suffix(".json")).manifest["call"])
    forged_audio(scene, scene.target, scene.other)


def forged_edit(edit: Callable[[np.ndarray], np.ndarray]) -> Callable[[Scene], None]:
    """The target's samples changed, everything else made to agree."""

    def run(scene: Scene) -> None:
        samples, _ = soundfile.read(scene.target, dtype="int16")
        scene.target.write_bytes(encode(edit(samples)))
        set_tag(scene.target, read(scene.target.with_suffix(".json")).manifest["call"])
        forged_audio(scene, scene.target)

    return run


def without_tombstone(scene: Scene) -> None:
    scene.tombstone.unlink()
    scene.tombstone.with_name(scene.tombstone.name.replace(".tombstone", "")).unlink()
    scene.box.sql("DELETE FROM calls WHERE caller_number = '13800000005'")
    scene.box.sql("DELETE FROM recordings WHERE state = 'deleted'")


def forged_without_tombstone(scene: Scene) -> None:
    gone = {read(scene.tombstone).manifest["id"], read(scene.tombstone).manifest["of"]}
    Forgery(lambda manifest: None if manifest["id"] in gone else manifest).commit(scene.box)
    without_tombstone(scene)


# The table

Export = Path
"""The folder with what an operator exported: the target's and the other's audio, manifest and proof."""


@dataclass(frozen=True)
class Attack:
    """What each attacker does. None: he cannot, with what he has."""

    name: str
    operator: Callable[[Scene, Export], None] | None
    root: Callable[[Scene], None]
    root_with_key: Callable[[Scene], None]


def exported(scene: Scene, folder: Path) -> Path:
    return folder / scene.target.name


ATTACKS = (
    Attack("flip a byte of the audio", lambda scene, out: flip_second(exported(scene, out)),
           lambda scene: flip_second(scene.target),
           forged_edit(lambda samples: samples ^ 1)),
    Attack("cut the end off", lambda scene, out: cut_off(exported(scene, out)),
           lambda scene: cut_off(scene.target), forged_edit(lambda samples: samples[: 4 * RATE_HZ])),
    Attack("splice: take seconds out", lambda scene, out: splice(exported(scene, out)),
           lambda scene: splice(scene.target),
           forged_edit(lambda samples: np.delete(samples, slice(2 * RATE_HZ, 4 * RATE_HZ)))),
    Attack("encode anew", lambda scene, out: encode_anew(exported(scene, out)),
           lambda scene: encode_anew(scene.target), forged_edit(lambda samples: samples // 2)),
    Attack("swap the audio of two calls", lambda scene, out: swap(out / scene.target.name, out / scene.other.name),
           lambda scene: swap(scene.target, scene.other), forged_swap),
    Attack("delete a recording", lambda scene, out: scene.box.delete(scene.target) and None,
           lambda scene: remove(scene, scene.target), lambda scene: forged_without(scene, scene.target)),
    Attack("delete a missed call", None,
           lambda scene: remove(scene, scene.missed), lambda scene: forged_without(scene, scene.missed)),
    Attack("reorder the log", None, reorder, forged_order),
    Attack("change the number in the store", None,
           lambda scene: scene.box.sql("UPDATE calls SET caller_number = '110' WHERE id = ?", call_of(scene)),
           lambda scene: forged_call(scene, caller_number="110")),
    Attack("change the number in the tags", lambda scene, out: set_tag(exported(scene, out), {"caller_number": "110"}),
           lambda scene: set_tag(scene.target, {"caller_number": "110"}),
           lambda scene: forged_call(scene, caller_number="110")),
    Attack("change the number in the manifest",
           lambda scene, out: edit_json(exported(scene, out).with_suffix(".json"), lambda file:
                                        file["manifest"]["call"].update(caller_number="110")),
           lambda scene: edit_json(scene.target.with_suffix(".json"), lambda file:
                                   file["manifest"]["call"].update(caller_number="110")),
           lambda scene: forged_call(scene, caller_number="110")),
    Attack("change the time",
           lambda scene, out: edit_json(exported(scene, out).with_suffix(".json"), lambda file:
                                        file["manifest"].update(started_ms=1)),
           lambda scene: scene.box.sql("UPDATE calls SET started_ms = started_ms - 60000 WHERE id = ?", call_of(scene)),
           forged_clock),
    Attack("change the duration",
           lambda scene, out: edit_json(exported(scene, out).with_suffix(".json"), lambda file:
                                        file["manifest"]["call"].update(talk_ms=1000)),
           lambda scene: scene.box.sql("UPDATE calls SET talk_ms = 1000 WHERE id = ?", call_of(scene)),
           lambda scene: forged_call(scene, talk_ms=1000)),
    Attack("remove the last calls with their heads", None, remove_last,
           lambda scene: forged_without(scene, scene.last, scene.missed)),
    Attack("roll everything back to a moment of work", None, lambda scene: roll_back(scene, "running"),
           lambda scene: forged_without(scene, scene.target, scene.other, scene.missed, scene.last)),
    Attack("roll everything back to an orderly stop", None, lambda scene: roll_back(scene, "stopped"),
           lambda scene: forged_without(scene, scene.target, scene.other, scene.missed, scene.last)),
    Attack("replace all evidence with another key's",
           lambda scene, out: exported(scene, out).with_suffix(".json").write_bytes(
               msgspec.json.encode(own_signature(read(scene.target.with_suffix(".json")).manifest))) and None,
           replace_logs, lambda scene: forged_call(scene, caller_name="李四")),
    Attack("make a call while the clock is wrong", None, other_clock, forged_clock),
    Attack("insert a call that never was",
           lambda scene, out: (out / "new.json").write_bytes(
               msgspec.json.encode(own_signature(read(scene.missed).manifest))) and None,
           lambda scene: insert(scene, encode(speech(6, 77))),
           lambda scene: forged_insert(scene, encode(speech(6, 77)))),
    Attack("make a pause longer",
           lambda scene, out: edit_json(exported(scene, out).with_suffix(".json"), add_pause),
           lambda scene: edit_json(scene.target.with_suffix(".json"), add_pause), forged_pause),
    Attack("pass one recording off as another call",
           lambda scene, out: edit_json(exported(scene, out).with_suffix(".json"), lambda file:
                                        file["manifest"].update(id=str(uuid.uuid4()))),
           lambda scene: insert(scene, scene.target.read_bytes()),
           lambda scene: forged_insert(scene, scene.target.read_bytes())),
    Attack("remove a tombstone and what it stands for", None, without_tombstone, forged_without_tombstone),
)  # fmt: skip

ATTACKERS = ("operator", "root", "root with the device key")
CELLS = [(attack, attacker, anchored) for attack in ATTACKS for attacker in ATTACKERS for anchored in (False, True)]


def expected(attack: Attack, attacker: str, anchored: bool) -> str:
    """What the table promises."""
    if attacker == "operator":
        return "detected" if attack.operator else "out of reach"
    return "not detectable" if attacker == "root with the device key" and not anchored else "detected"


def outcome(scene: Scene, attack: Attack, attacker: str, out: Path) -> str:
    """Carry the attack out and look."""
    if attacker == "operator":
        return _by_operator(scene, attack, out)
    (attack.root if attacker == "root" else attack.root_with_key)(scene)
    return "detected" if serious(scene.findings()) else "not detectable"


def _by_operator(scene: Scene, attack: Attack, out: Path) -> str:
    calls = open_store(scene.box.home.calls_db, readonly=True)
    for audio in (scene.target, scene.other):
        export(scene.box.home, calls, read(audio.with_suffix(".json")).manifest["id"], out)
    calls.conn.close()
    known = tapdeck_verify.Known(devices=[scene.device])
    assert {one["verdict"] for one in tapdeck_verify.verify_all(out, known)} == {"authentic"}
    assert not [path for path in out.iterdir() if path.suffix in (".log", ".heads", ".db")]
    if attack.operator is None:
        return "out of reach"
    before = {one.subject for one in scene.findings()}
    attack.operator(scene, out)
    told = [one for one in scene.findings() if one.code == "tombstone" and one.subject not in before]
    seen = [one for one in tapdeck_verify.verify_all(out, known) if one["verdict"] != "authentic"]
    return "detected" if told or seen else "not detectable"


@pytest.mark.parametrize("anchored", [False, True], ids=["before", "after"])
def test_an_honest_box_has_no_findings(home: Home, monkeypatch: pytest.MonkeyPatch, anchored: bool) -> None:
    scene = Scene(home, monkeypatch, anchored)
    assert serious(scene.findings()) == set()
    assert {one.code for one in scene.findings()} - {"clock_unknown"} == {"stopped", "tombstone"}


@pytest.mark.parametrize(
    ("attack", "attacker", "anchored"),
    CELLS,
    ids=[f"{attack.name}-{attacker}-{'after' if anchored else 'before'}" for attack, attacker, anchored in CELLS],
)
def test_cell(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Attack, attacker: str, anchored: bool
) -> None:
    scene = Scene(home, monkeypatch, anchored)
    assert outcome(scene, attack, attacker, tmp_path / "out") == expected(attack, attacker, anchored)


def table() -> str:
    """The table of docs/evidence.md."""
    lines = [
        "| attack | operator | root, before | root, after | root with the key, before | root with the key, after |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for attack in ATTACKS:
        cells = [expected(attack, "operator", False)]
        cells += [expected(attack, attacker, anchored) for attacker in ATTACKERS[1:] for anchored in (False, True)]
        lines.append(f"| {attack.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_table_is_printed_in_the_documents() -> None:
    assert table() in PAGE.read_text(encoding="utf-8")


def test_nothing_below_root_with_the_key_before_the_anchor_goes_undetected() -> None:
    undetected = {
        (attacker, anchored) for attack, attacker, anchored in CELLS
        if expected(attack, attacker, anchored) == "not detectable"
    }  # fmt: skip
    assert undetected == {("root with the device key", False)}
    assert len(ATTACKS) >= 15


if __name__ == "__main__":
    print(table())
