"""Proofs after a log was set aside, and beside one that is damaged: what was in a log stays provable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from evidence_material import DAY_MS, MINUTE_MS, Box, flip, read

from crm_client_api.evidence import verdict_on
from firmware.cli import root
from firmware.config import Home
from firmware.errors import Refused
from recorder.library.evidence.anchors import make_anchor
from recorder.library.evidence.files import heads_path
from recorder.library.evidence.proof import proof_for
from recorder.library.verification.verifier import tapdeck_verify


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(home, monkeypatch)


def damage_heads(box: Box) -> None:
    heads = heads_path(box.log.path)
    flip(heads, heads.stat().st_size - 40)


def damage_line(box: Box, number: int, word: bytes) -> None:
    """Flip a bit of a word in a line."""
    lines = box.log.path.read_bytes().splitlines(keepends=True)
    flip(box.log.path, sum(map(len, lines[:number])) + lines[number].index(word))


def set_aside(box: Box) -> Path:
    """The box starts again and finds the damage; returns what was set aside."""
    box.now_ms += 1000
    box.start()
    assert box.log.problems
    (aside,) = box.log.path.parent.glob("*.set-aside")
    return aside


def verdict(box: Box, audio: Path) -> tuple[str, bool | None]:
    manifest = audio.with_suffix(".json")
    said = verdict_on(box.home, read(manifest).manifest["id"], audio, manifest, simulated=False)
    return said.verdict, said.in_log


def exported(box: Box, audio: Path, out: Path, *more: str) -> dict[str, Any]:
    identifier = read(audio.with_suffix(".json")).manifest["id"]
    home = ["--home", str(box.home.root)]
    done = CliRunner().invoke(root, [*home, "evidence", "proof", identifier, "--out", str(out)])
    assert done.exit_code == 0, done.output
    (result,) = tapdeck_verify.verify_all(out, tapdeck_verify.Known(devices=[box.log.device]))
    return result


def anchors_in(box: Box, audio: Path) -> list[int]:
    proof = proof_for(box.home, read(audio.with_suffix(".json")).manifest["id"])
    return [one["anchor"]["anchor"]["number"] for one in proof["anchors"]]


def test_recordings_before_and_after_it_was_set_aside(box: Box, tmp_path: Path) -> None:
    old = [box.record(str(number), 1) for number in range(4)]
    make_anchor(box.home, False, box.now_ms)
    box.stop()
    damage_heads(box)
    set_aside(box)
    new = [box.record(f"1{number}", 1) for number in range(4)]
    make_anchor(box.home, False, box.now_ms + MINUTE_MS)
    for number, audio in enumerate([*old, *new]):
        assert verdict(box, audio) == ("authentic", True)
        result = exported(box, audio, tmp_path / str(number))
        assert (result["verdict"], result["in_log"]) == ("authentic", True)
    assert [anchors_in(box, audio) for audio in (old[0], new[0])] == [[1], [2]]


def test_a_line_that_is_wrong_beside_what_the_root_says(box: Box) -> None:
    old = [box.record(str(number), 1) for number in range(4)]
    make_anchor(box.home, False, box.now_ms)
    box.stop()
    damage_line(box, 2, b"kind")
    set_aside(box)
    assert [verdict(box, audio) for audio in old] == [("authentic", True)] * 4
    assert anchors_in(box, old[3]) == [1]


@pytest.mark.parametrize("line", [1, 3])
@pytest.mark.parametrize("word", [b"commitment", b"\n"])
def test_a_line_that_cannot_be_read(box: Box, line: int, word: bytes) -> None:
    """What a head before the damage covers is proven; of the rest nobody can say that it is not in the log."""
    old = [box.record(str(number), 1) for number in range(4)]
    make_anchor(box.home, False, box.now_ms)
    box.stop()
    damage_line(box, line, word)
    set_aside(box)
    box.record("new", 1)
    provable = [verdict(box, audio) for audio in old]
    assert provable == [("authentic", True)] * (line - 1) + [("authentic", None)] * (5 - line)
    with pytest.raises(Refused, match="damaged"):
        proof_for(box.home, read(old[-1].with_suffix(".json")).manifest["id"])


def test_what_no_log_names_is_still_not_in_the_log(box: Box) -> None:
    box.record("1", 1)
    box.stop()
    damage_heads(box)
    set_aside(box)
    audio = box.record("2", 1)
    signed = box.log.sign({**read(audio.with_suffix(".json")).manifest, "id": "never entered"})
    audio.with_suffix(".json").write_bytes(msgspec.json.encode(signed))
    assert verdict(box, audio) == ("not_in_log", False)


def test_a_log_that_ends_too_early_proves_what_it_has(box: Box) -> None:
    """What it lacks may have been in it."""
    old = [box.record(str(number), 1) for number in range(4)]
    lines = box.log.path.read_bytes().splitlines(keepends=True)
    box.stop()
    box.log.path.write_bytes(b"".join(lines[:3]))
    set_aside(box)
    assert [verdict(box, audio)[1] for audio in old] == [True, True, None, None]


def test_one_damaged_log_does_not_concern_the_others(box: Box) -> None:
    """The log of a removed card comes first in the folder, and nobody opens it any more."""
    audio = box.record("1", 1)
    for ending in (".log", ".heads"):
        (box.log.path.parent / f"aaa{ending}").write_bytes(b"\0\0\n{}\n")
    assert verdict(box, audio) == ("authentic", True)
    assert anchors_in(box, audio) == []


def test_the_verifier_reads_a_log_that_was_set_aside(box: Box, tmp_path: Path) -> None:
    old = box.record("1", 1)
    first = make_anchor(box.home, False, DAY_MS)
    box.stop()
    damage_heads(box)
    aside = set_aside(box)
    new = box.record("2", 1)
    second = make_anchor(box.home, False, DAY_MS + MINUTE_MS)

    def check(*logs: Path) -> list[tuple[str, list[int]]]:
        known, problems = tapdeck_verify.read_known(
            [box.log.device], [str(first), str(second)], [str(one) for one in logs], []
        )
        assert {problem.code for _, problem in problems} <= {"head_damaged", "stopped"}
        found = []
        for audio in (old, new):
            result = tapdeck_verify.verify(audio.with_suffix(".json"), known)
            numbers = sorted({one["number"] for one in result["anchored"]})
            found.append((result["verdict"], numbers))
        return found

    assert check(aside, box.log.path) == check(box.log.path, aside) == [("authentic", [1]), ("authentic", [2])]
    assert json.loads(first.read_bytes())["anchor"]["number"] == 1
