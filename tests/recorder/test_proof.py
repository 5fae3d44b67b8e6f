"""Every recording can be proven to be in the log, under any head and any anchor, to somebody who has nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from evidence_material import Box, read

from firmware.cli import root
from firmware.config import Home
from firmware.errors import NotFound, Refused
from recorder.library.evidence.anchors import add_receipt, make_anchor
from recorder.library.evidence.proof import proof_for
from recorder.library.verification.verifier import tapdeck_verify


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(home, monkeypatch)


def test_every_leaf_of_every_tree_has_a_proof(box: Box) -> None:
    """Trees of 2 to 18 leaves; the verifier's own code is the judge."""
    missed = []
    for number in range(17):
        missed.append(read(box.miss(str(number))))
        for signed in missed:
            proof = proof_for(box.home, signed.manifest["id"])
            assert proof["head"]["head"]["tree_size"] == number + 2
            commitment = bytes.fromhex(signed.commitment())
            assert tapdeck_verify.check_proof(proof, signed.manifest["id"], commitment, box.log.device) == []
            with pytest.raises(tapdeck_verify.Forged):
                tapdeck_verify.check_proof(proof, signed.manifest["id"], bytes(32), box.log.device)


def test_a_proof_names_the_first_anchor_the_first_of_each_kind_and_the_newest(box: Box) -> None:
    early = read(box.miss("early"))
    for number in range(6):
        box.run(1)
        path = make_anchor(box.home, False, box.now_ms)
        if number in (2, 3):
            add_receipt(box.home, False, path, {"kind": "webhook", "at_ms": 1})
        if number == 1:
            late = read(box.miss("late"))
    commitment = bytes.fromhex(early.commitment())
    anchors = tapdeck_verify.check_proof(
        proof_for(box.home, early.manifest["id"]), early.manifest["id"], commitment, box.log.device
    )
    assert [one.number for one in anchors] == [1, 3, 6]
    proof = proof_for(box.home, late.manifest["id"])
    assert [one["anchor"]["anchor"]["number"] for one in proof["anchors"]] == [3, 6]


def test_what_no_log_names_has_no_proof(box: Box) -> None:
    with pytest.raises(NotFound):
        proof_for(box.home, "nothing")
    box.miss("1")
    lines = box.log.path.read_bytes().splitlines(keepends=True)
    box.log.path.write_bytes(lines[1] + lines[0])
    with pytest.raises(Refused, match="damaged"):
        proof_for(box.home, "nothing")


def test_the_command_exports_three_files_that_verify(box: Box, tmp_path: Path) -> None:
    audio = box.record("13800138000", 2)
    identifier = read(audio.with_suffix(".json")).manifest["id"]
    out = tmp_path / "out"
    home = ["--home", str(box.home.root)]
    done = CliRunner().invoke(root, [*home, "evidence", "proof", identifier, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [audio.name, audio.with_suffix(".json").name, f"{audio.stem}.proof.json"]
    )
    (result,) = tapdeck_verify.verify_all(out, tapdeck_verify.Known(devices=[box.log.device]))
    assert (result["verdict"], result["in_log"]) == ("authentic", True)
    assert set(json.loads((out / f"{audio.stem}.proof.json").read_text())) == {
        "manifest_id", "log", "index", "head", "path", "anchors",
    }  # fmt: skip
    assert CliRunner().invoke(root, [*home, "verify", str(out)]).exit_code == 0


def test_the_evidence_commands(box: Box) -> None:
    box.record("1", 1)
    home = ["--home", str(box.home.root), "evidence"]

    def say(*arguments: str) -> str:
        done = CliRunner().invoke(root, [*home, *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    assert say("key").startswith(box.log.device)
    assert [line.split()[0] for line in say("head").splitlines()] == ["card-a", "library"]
    page = say("anchor", "--print")
    (line,) = say("anchors").splitlines()
    assert line.endswith("printed")
    assert line.split()[2][:4] in page
