"""The stand-alone verifier: one file, its own process, and a verdict for whatever it is given."""

from __future__ import annotations

import ast
import base64
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from evidence_material import Box, bytes_of_second, encode, flip, read, speech

from firmware.config import Home
from firmware.store.connection import open_store
from recorder.library.evidence.anchors import make_anchor, read_anchor
from recorder.library.evidence.proof import export
from recorder.library.verification.verifier import tapdeck_verify

SCRIPT = Path(tapdeck_verify.__file__)


def run(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """The verifier as somebody without the box runs it: exit code and verdicts."""
    command = [sys.executable, "-I", str(SCRIPT), "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def one(*arguments: object) -> tuple[int, dict[str, Any]]:
    code, results = run(*arguments)
    (result,) = results
    return code, result


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(home, monkeypatch)
    made.run(1)
    return made


def exported(box: Box, audio: Path, out: Path) -> Path:
    """The exported audio, with manifest and proof beside it."""
    calls = open_store(box.home.calls_db, readonly=True)
    try:
        return export(box.home, calls, read(audio.with_suffix(".json")).manifest["id"], out)[0]
    finally:
        calls.conn.close()


def damage(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["kind"], one["from_ms"], one["to_ms"], one["of_ms"]) for one in result["damage"]]


def starts(audio: Path) -> list[int]:
    """Where each second begins, and the last one ends, in ms."""
    described = read(audio.with_suffix(".json")).manifest["audio"]
    return [first // 8 for first, _, _ in described["seconds"]] + [described["samples"] // 8]


def test_it_is_one_file_for_python_3_9() -> None:
    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    rooms = {name.split(".")[0] for name in names if name}
    assert rooms - {"cryptography"} <= sys.stdlib_module_names
    assert "recorder" not in rooms


@pytest.mark.parametrize("audio_format", ["flac", "alaw", "opus", "mp3"])
def test_an_export_is_authentic(box: Box, tmp_path: Path, audio_format: Any) -> None:
    audio = exported(box, box.record("13800138000", 5, audio_format), tmp_path / "out")
    code, result = one(audio.parent, "--key", box.log.device)
    assert (code, result["verdict"]) == (0, "authentic")
    assert (result["self_consistent"], result["key_known"], result["in_log"]) == (True, True, True)
    assert (result["anchored"], result["notes"], result["simulated"]) == ([], [], False)
    assert one(audio, "--key", box.log.device)[0] == 0
    assert one(audio.with_suffix(".json"), "--key", box.log.device)[0] == 0


def test_the_three_statements_are_apart(box: Box, tmp_path: Path) -> None:
    audio = box.record("13800138000")
    first = read_anchor(make_anchor(box.home, False, box.now_ms))
    copy = exported(box, audio, tmp_path / "out")
    (tmp_path / "anchor.json").write_bytes(next((box.home.evidence / "device" / "anchors").iterdir()).read_bytes())
    code, result = one(copy)
    assert (code, result["verdict"], result["self_consistent"]) == (2, "unknown_device", True)
    assert [claim["by"] for claim in result["anchored"]] == ["box"]
    code, result = one(copy, "--key", "0" * 32)
    assert (code, result["verdict"], result["key_known"]) == (1, "unknown_device", False)
    for anchor in (tmp_path / "anchor.json", first.digest()[:16]):
        code, result = one(copy, "--key", box.log.device, "--anchor", anchor)
        assert (code, [claim["by"] for claim in result["anchored"]]) == (0, ["held", "box"])
        assert result["anchored"][0]["before_ms"] == box.now_ms
    _, result = one(copy, "--key", box.log.device, "--anchor", "f" * 16)
    assert [claim["by"] for claim in result["anchored"]] == ["box"]


@pytest.mark.parametrize("audio_format", ["flac", "alaw", "opus", "mp3"])
def test_every_damaged_second_is_named(box: Box, audio_format: Any) -> None:
    audio = box.record("1", 9, audio_format)
    at = starts(audio)
    flip(audio, bytes_of_second(audio, 3)[0] + 40)
    flip(audio, bytes_of_second(audio, 6)[1] - 1)
    flip(audio, bytes_of_second(audio, 7)[0] + 40)
    code, result = one(audio, "--key", box.log.device)
    assert (code, result["verdict"]) == (1, "altered")
    assert damage(result) == [("altered", at[3], at[4], None), ("altered", at[6], at[8], None)]


def rewrite(audio: Path, *parts: tuple[int, int] | bytes) -> None:
    """Put the file together anew: header, then seconds (from, to) and foreign bytes."""
    data = audio.read_bytes()
    whole = data[: bytes_of_second(audio, 0)[0]]
    for part in parts:
        if isinstance(part, bytes):
            whole += part
        elif part[0] < part[1]:
            whole += data[bytes_of_second(audio, part[0])[0] : bytes_of_second(audio, part[1] - 1)[1]]
    audio.write_bytes(whole)


FOREIGN = b"\x55\xd5" * 3000
EDITS: dict[str, tuple[list[Any], str, list[tuple[str, int, int, int | None]]]] = {
    "end cut off": ([(0, 6)], "part_missing", [("missing", 6, 9, None)]),
    "beginning cut off": ([(2, 9)], "part_missing", [("missing", 0, 2, None)]),
    "seconds removed": ([(0, 3), (5, 9)], "part_missing", [("missing", 3, 5, None)]),
    "removed in two places": (
        [(0, 2), (3, 5), (7, 9)], "part_missing", [("missing", 2, 3, None), ("missing", 5, 7, None)],
    ),
    "all removed": ([], "part_missing", [("missing", 0, 9, None)]),
    "two seconds swapped": (
        [(0, 2), (6, 7), (3, 6), (2, 3), (7, 9)], "altered", [("moved", 2, 3, 6), ("moved", 6, 7, 2)],
    ),
    "a second over another": ([(0, 2), (6, 7), (3, 9)], "altered", [("moved", 2, 3, 6)]),
    "something put between": ([(0, 4), FOREIGN, (4, 9)], "altered", [("added", 4, 4, None)]),
    "something put at the end": ([(0, 9), FOREIGN], "altered", [("added", 9, 9, None)]),
    "a second replaced by something longer": ([(0, 4), FOREIGN * 3, (5, 9)], "altered", [("altered", 4, 5, None)]),
}  # fmt: skip


@pytest.mark.parametrize("audio_format", ["flac", "alaw"])
@pytest.mark.parametrize("edit", EDITS)
def test_what_was_done_to_the_audio_is_told(box: Box, edit: str, audio_format: Any) -> None:
    audio = box.record("1", 9, audio_format)
    parts, verdict, expected = EDITS[edit]
    at = starts(audio)
    rewrite(audio, *parts)
    code, result = one(audio, "--key", box.log.device)
    assert (code, result["verdict"]) == (1, verdict)
    assert damage(result) == [
        (kind, at[low], at[high], None if of is None else at[of]) for kind, low, high, of in expected
    ]


def test_a_cut_in_the_middle_of_a_second_and_another_recording(box: Box) -> None:
    audio = box.record("1", 5)
    at = starts(audio)
    audio.write_bytes(audio.read_bytes()[: bytes_of_second(audio, 3)[0] + 100])
    assert damage(one(audio)[1]) == [("missing", at[3], at[5], None)]
    audio.write_bytes(encode(speech(5, 99)))
    assert damage(one(audio)[1]) == [("altered", 0, at[5], None)]
    audio.unlink()
    code, result = one(audio.with_suffix(".json"), "--key", box.log.device)
    assert (code, result["verdict"], damage(result)) == (1, "part_missing", [("missing", 0, at[5], None)])


def test_other_tags_leave_every_second_intact(box: Box) -> None:
    import mutagen.flac

    audio = box.record("1", 5)
    flac = mutagen.flac.FLAC(audio)
    flac["comment"] = "another caller" * 20
    flac.save()
    code, result = one(audio, "--key", box.log.device)
    assert (code, result["verdict"], damage(result)) == (1, "altered", [("header", 0, 0, None)])


def change_manifest(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = json.loads(path.read_text())
    change(file)
    path.write_text(json.dumps(file, ensure_ascii=False))


MANIFEST_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "number": lambda file: file["manifest"]["call"].update(caller_number="110"),
    "time": lambda file: file["manifest"].update(started_ms=1),
    "duration": lambda file: file["manifest"]["call"].update(talk_ms=1),
    "fraction": lambda file: file["manifest"]["call"].update(talk_ms=5000.0),
    "id": lambda file: file["manifest"].update(id="another"),
    "key": lambda file: file.update(public_key=base64.b64encode(bytes(32)).decode()),
    "no signature": lambda file: file.pop("signature"),
    "signature": lambda file: file.update(signature="AAAA"),
    "no manifest": lambda file: file.pop("manifest"),
}


@pytest.mark.parametrize("change", MANIFEST_CHANGES)
def test_a_changed_manifest_is_seen(box: Box, change: str) -> None:
    audio = box.record("1", 2)
    change_manifest(audio.with_suffix(".json"), MANIFEST_CHANGES[change])
    code, result = one(audio, "--key", box.log.device)
    assert (code, result["verdict"], result["self_consistent"]) == (1, "manifest_altered", False)


GAPS = [
    {"from_sample": 8000, "to_sample": 16_000, "reason": "not_received"},
    {"from_sample": 16_000, "to_sample": 20_000, "reason": "not_written"},
    {"from_sample": 20_000, "to_sample": 20_800, "reason": "unreadable"},
    {"from_sample": 20_800, "to_sample": 24_000, "reason": "overwritten"},
    {"from_sample": 24_000, "to_sample": 32_000, "reason": "box_stopped"},
    {"from_sample": 33_000, "to_sample": 34_000, "reason": "unknown"},
    {"from_sample": 36_000, "to_sample": 36_001, "reason": "not received"},
]
PAUSE = {"from_sample": 0, "to_sample": 8000, "by": "8001", "reason": "card number"}
SILENT_MS = {
    "not_received": (1000, 2000), "not_written": (2000, 2500), "unreadable": (2500, 2600), "overwritten": (2600, 3000),
    "box_stopped": (3000, 4000), "unknown": (4125, 4250), "not received": (4500, 4500), "paused": (0, 1000),
}  # fmt: skip


def with_silences(audio: Path, box: Box, **changes: object) -> None:
    """Sign the manifest again, with gaps and a pause; ``not received``: as versions before wrote all of them."""
    path = audio.with_suffix(".json")
    signed = box.log.sign(read(path).manifest | {"gaps": GAPS, "pauses": [PAUSE]} | changes)
    path.write_bytes(msgspec.json.encode(signed))


def test_it_says_why_a_recording_is_silent(box: Box) -> None:
    audio = box.record("1", 6)
    with_silences(audio, box)
    code, result = one(audio, "--key", box.log.device)
    assert (code, result["verdict"]) == (0, "authentic")
    assert {one["reason"]: (one["from_ms"], one["to_ms"]) for one in result["silences"]} == SILENT_MS
    for lang, words in {
        "en": "silent 00:00:03–00:00:04: the recorder",
        "zh": "00:00:03–00:00:04 无声:录音程序",
    }.items():
        said = [line for line in tapdeck_verify.describe(result, lang) if "~" in line]
        assert len(said) == 8
        assert any(words in line for line in said)
    for wrong in ([{**GAPS[0], "reason": 7}], [{"to_sample": 3, "reason": ""}], {}, [None]):
        with_silences(audio, box, gaps=wrong)
        assert one(audio, "--key", box.log.device)[1]["verdict"] == "manifest_altered"


def test_a_name_given_twice_is_no_manifest(box: Box) -> None:
    audio = box.record("1", 2)
    path = audio.with_suffix(".json")
    path.write_text(path.read_text().replace('"caller_number"', '"caller_number": "110", "caller_number"', 1))
    assert one(audio)[1]["verdict"] == "manifest_altered"


def test_a_missed_call_and_an_encrypted_recording(box: Box) -> None:
    assert one(box.miss("123"), "--key", box.log.device)[0] == 0
    content = b"nobody can read this" * 100
    import hashlib

    manifest = read(box.record("1", 3).with_suffix(".json")).manifest
    stored = {"file": "x.flac.tde", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
              "cipher": "AES-256-GCM", "chunk_bytes": 65536}  # fmt: skip
    signed = box.log.sign(manifest | {"stored": stored})
    folder = box.home.root / "encrypted"
    folder.mkdir()
    (folder / "x.json").write_bytes(msgspec.json.encode(signed))
    file = folder / "x.flac.tde"
    file.write_bytes(content)
    code, result = one(file, "--key", box.log.device)
    assert (code, result["notes"]) == (0, ["encrypted: checked as it is stored"])
    flip(file, 7)
    assert one(file, "--key", box.log.device)[1]["verdict"] == "altered"


PROOF_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another recording": lambda proof: proof.update(manifest_id="another"),
    "another place": lambda proof: proof.update(index=proof["index"] + 1),
    "no path": lambda proof: proof.update(path=[]),
    "a longer path": lambda proof: proof["path"].append("0" * 64),
    "no hash": lambda proof: proof["path"].__setitem__(0, "x"),
    "another root": lambda proof: proof["head"]["head"].update(root="0" * 64),
    "another log": lambda proof: proof.update(log="library"),
    "another anchor path": lambda proof: proof["anchors"][0]["path"].reverse(),
    "an altered anchor": lambda proof: proof["anchors"][0]["anchor"]["anchor"].update(at_ms=1),
    "another place, without anchors": lambda proof: proof.update(index=proof["index"] - 1, anchors=[]),
    "another node, without anchors": lambda proof: proof.update(path=["0" * 64, *proof["path"][1:]], anchors=[]),
    "an index beyond": lambda proof: proof.update(index=99),
}


@pytest.mark.parametrize("change", PROOF_CHANGES)
def test_a_proof_that_proves_nothing_is_seen(box: Box, tmp_path: Path, change: str) -> None:
    for number in range(6):
        audio = box.record(str(number), 1)
    make_anchor(box.home, False, box.now_ms)
    copy = exported(box, audio, tmp_path / "out")
    assert one(copy, "--key", box.log.device)[0] == 0
    change_manifest(copy.with_suffix(".proof.json"), PROOF_CHANGES[change])
    code, result = one(copy, "--key", box.log.device)
    assert (code, result["verdict"], result["in_log"]) == (1, "not_in_log", False)


def test_whole_logs_and_the_anchors_one_holds(box: Box, tmp_path: Path) -> None:
    audio = box.record("1", 2)
    anchor = make_anchor(box.home, False, box.now_ms)
    box.record("2", 2)
    log = tmp_path / "card-a.log"
    for path in (box.log.path, box.log.path.with_suffix(".heads")):
        shutil.copy(path, tmp_path)
    given = ("--key", box.log.device, "--log", log, "--anchor", anchor)
    code, result = one(audio, *given)
    assert (code, result["in_log"], [claim["by"] for claim in result["anchored"]]) == (0, True, ["held", "box"])
    assert run("--log", log) == (0, [])
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], lines[2], lines[1]]))
    code, results = run("--log", log, "--anchor", anchor)
    assert code == 1
    assert {"chain_broken", "root_differs", "anchor_differs"} <= {found["code"] for found in results}
    log.write_bytes(b"".join(lines[:2]))
    code, results = run(box.home.recordings, *given)
    assert [found["code"] for found in results if "code" in found] == ["log_short"]
    assert [found["verdict"] for found in results if "verdict" in found].count("not_in_log") == 1


def test_what_belongs_to_nothing_is_not_called_authentic(box: Box, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "x.flac").write_bytes(encode(speech(1, 1)))
    assert one(folder / "x.flac")[0] == 2
    assert one(folder)[1]["verdict"] == "cannot_check"
    assert one(folder / "none.flac")[0] == 2
    assert run()[0] == 2
    assert run("--key", "no key", folder)[0] == 2
    (folder / "x.json").write_text("{")
    assert one(folder)[1]["verdict"] == "manifest_altered"


def test_it_speaks_both_languages(box: Box) -> None:
    audio = box.record("1", 12)
    flip(audio, bytes_of_second(audio, 3)[0] + 40)
    said = {}
    for lang in ("en", "zh"):
        command = [sys.executable, "-I", str(SCRIPT), "--lang", lang, str(audio)]
        said[lang] = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "altered at 00:00:03–00:00:04" in said["en"]
    assert "00:00:03–00:00:04 被改动" in said["zh"]
    assert len(said["en"].splitlines()) == len(said["zh"].splitlines())
    assert not re.search("[\u4e00-\u9fff]", said["en"])


def test_practice_is_called_practice(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(home, monkeypatch, simulated=True)
    code, result = one(box.record("1", 1), "--key", box.log.device)
    assert (code, result["simulated"]) == (0, True)


def test_hostile_files_never_crash_it(box: Box, tmp_path: Path) -> None:
    """Every file mangled in many ways, all in one process; each still gets a verdict."""
    audio = exported(box, box.record("1", 4), tmp_path / "out")
    make_anchor(box.home, False, box.now_ms)
    files = {path.name: path.read_bytes() for path in audio.parent.iterdir()}
    known = tapdeck_verify.Known(devices=[box.log.device])
    dice = random.Random(5)
    verdicts = set()
    for _ in range(400):
        name = dice.choice(sorted(files))
        (audio.parent / name).write_bytes(_mangled(files[name], dice))
        for result in tapdeck_verify.verify_all(audio.parent, known):
            assert tapdeck_verify.describe(result, "en")
            verdicts.add(result["verdict"])
        (audio.parent / name).write_bytes(files[name])
    assert {"altered", "part_missing", "manifest_altered", "not_in_log"} <= verdicts
    assert [one["verdict"] for one in tapdeck_verify.verify_all(audio.parent, known)] == ["authentic"]


def _mangled(data: bytes, dice: random.Random) -> bytes:
    at, end = sorted(dice.sample(range(len(data) + 1), 2))
    return {
        0: lambda: data[:at],
        1: lambda: data[:at] + data[end:],
        2: lambda: data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :] + b"\n",
        3: lambda: data[:at] + dice.randbytes(30) + data[at:],
        4: lambda: b"[" * 100_000,
        5: lambda: re.sub(rb"\d+", lambda found: found[0] + b"9" * dice.randrange(40), data, count=dice.randrange(9)),
        6: lambda: re.sub(rb'"[a-z_]+":', lambda found: dice.choice([found[0], b'"x":']), data),
        7: lambda: data.replace(dice.choice([b"0", b"1", b'"', b"{", b"["]), dice.choice([b"null", b"-1", b"[]"]), 1),
    }[dice.randrange(8)]()


def test_what_cannot_be_read_is_not_called_altered(box: Box) -> None:
    audio = box.record("1", 2)
    path = audio.with_suffix(".json")
    for unreadable in (audio, path, audio.with_name(f"{audio.stem}.proof.json")):
        kept = unreadable.read_bytes() if unreadable.exists() else b""
        unreadable.unlink(missing_ok=True)
        unreadable.symlink_to("/proc/self/mem")  # opens, and fails with EIO when it is read
        result = tapdeck_verify.verify(path, tapdeck_verify.Known(devices=[box.log.device]))
        assert result["verdict"] in ("cannot_check", "authentic"), unreadable.suffixes
        assert result["in_log"] is None
        assert result["notes"]
        unreadable.unlink()
        unreadable.write_bytes(kept)


def test_numbers_and_depths_that_languages_read_differently_are_refused() -> None:
    for text in (b"9007199254740992", b"-9007199254740992", b"1e2", b"[" * 101 + b"1" + b"]" * 101, b'"\\ud800"',
                 b"\xef\xbb\xbf1", b'"\xff"', b"NaN", b"9" * 5000, b"[" * 900 + b"]" * 900):  # fmt: skip
        with pytest.raises(tapdeck_verify.Malformed):
            tapdeck_verify.parse(text)
    for text in (b"9007199254740991", b"-9007199254740991", b"[" * 100 + b"1" + b"]" * 100, b'"\\ud83d\\ude00"'):
        tapdeck_verify.parse(text)


def test_a_hostile_file_writes_nothing_into_the_terminal(box: Box) -> None:
    """Self-signed by anybody: a file's name that clears the line and says what the verifier would say."""
    import msgspec

    audio = box.record("1", 1)
    manifest = read(audio.with_suffix(".json")).manifest
    manifest["audio"]["file"] = "x\x1b[2K\rgood.flac: authentic\n  signed by a key you know: yes\u202e.flac"
    folder = box.home.root / "hostile"
    folder.mkdir()
    (folder / "y.json").write_bytes(msgspec.json.encode(box.log.sign(manifest)))
    shutil.copy(audio, folder / "y.flac")
    command = [sys.executable, "-I", str(SCRIPT), "--lang", "en", str(folder)]
    said = subprocess.run(command, capture_output=True, check=False).stdout.decode()
    assert not [sign for sign in said if not sign.isprintable() and sign != "\n"]
    assert len(said.splitlines()) == 6


def test_nothing_is_not_authentic_and_other_audio_is_named(box: Box, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert one(tmp_path / "empty")[0] == 2
    audio = exported(box, box.record("1", 1), tmp_path / "out")
    for name in ("x.FLAC", "x.m4a"):
        shutil.copy(audio, audio.with_name(name))
    code, results = run(audio.parent, "--key", box.log.device)
    assert (code, [result["verdict"] for result in results]) == (2, ["authentic", "cannot_check", "cannot_check"])


def test_the_short_form_as_it_is_printed(box: Box, tmp_path: Path) -> None:
    audio = box.record("1", 1)
    digits = read_anchor(make_anchor(box.home, False, box.now_ms)).digest()
    short = "-".join(digits[at : at + 4] for at in range(0, 16, 4))
    _, result = one(exported(box, audio, tmp_path / "out"), "--key", box.log.device, "--anchor", short)
    assert [claim["by"] for claim in result["anchored"]] == ["held", "box"]


def test_a_tombstone_speaks_for_the_manifest_that_it_names(box: Box) -> None:
    """Of two manifests of one id, say of before and after a repair, only the one that was deleted."""
    import msgspec

    audio = box.record("1", 1)
    box.delete(audio)
    path = audio.with_suffix(".json")
    known = tapdeck_verify.Known(devices=[box.log.device])
    result = tapdeck_verify.verify(path, known)
    assert result["verdict"] == "deleted"
    assert "by 1001, rule order" in result["notes"][-1]
    path.write_bytes(msgspec.json.encode(box.log.sign(read(path).manifest)))
    assert tapdeck_verify.verify(path, known)["verdict"] == "part_missing"


def test_a_log_of_others_and_lines_that_nobody_signed_prove_nothing(box: Box, tmp_path: Path) -> None:
    audio = box.record("1", 1)
    for path in (box.log.path, box.log.path.with_suffix(".heads")):
        shutil.copy(path, tmp_path)
    log = tmp_path / "card-a.log"
    late = box.record("2", 1)
    log.write_bytes(box.log.path.read_bytes())  # one line more, and no head for it
    given = ("--key", box.log.device, "--log", log)
    code, results = run(audio, *given)
    assert (code, results[0]["code"], results[1]["in_log"]) == (0, "not_signed_yet", True)
    code, results = run(late, *given)
    assert (code, results[1]["verdict"]) == (1, "not_in_log")
    other = log.rename(tmp_path / "card-b.log")
    log.with_suffix(".heads").rename(tmp_path / "card-b.heads")
    code, results = run(audio, "--key", box.log.device, "--log", other)
    assert code == 1
    assert {found.get("code") for found in results} >= {"head_foreign"}


def test_an_anchor_that_the_log_contradicts_is_claimed_for_nothing(box: Box, tmp_path: Path) -> None:
    """Root with the key writes history anew; whoever holds the old anchor is told; no recording is adorned by it."""
    box.record("1", 1)
    held = make_anchor(box.home, False, box.now_ms)
    box.stop()
    for path in box.log.path.parent.glob("card-a.*"):
        path.unlink()
    box.start()
    audio = box.record("2", 1)
    code, results = run(audio, "--key", box.log.device, "--log", box.log.path, "--anchor", held)
    assert code == 1
    assert [found["code"] for found in results if "code" in found] == ["anchor_differs"]
    assert results[-1]["anchored"] == []


def test_time_stamps_never_crash_it() -> None:
    dice = random.Random(6)
    for _ in range(2000):
        token = bytes([0x30, dice.randrange(130)]) + dice.randbytes(dice.randrange(120))
        with pytest.raises(tapdeck_verify.Malformed):
            tapdeck_verify.read_time_stamp(token, bytes(32), ())
