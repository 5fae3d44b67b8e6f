"""Evidence over HTTP: real logs, real signatures, and a verdict that names the damaged second."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from crm_office import hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.clock import now_ms
from firmware.config import Home
from firmware.store.connection import write
from recorder.cutting.seconds import seconds_of
from recorder.library.evidence.anchors import add_receipt, make_anchor
from recorder.library.evidence.log import EvidenceLog
from recorder.library.verification.verifier import tapdeck_verify

SECONDS = 6
GAPS = [{"from_sample": 8000, "to_sample": 12_000, "reason": "box_stopped"}]
PAUSES = [{"from_sample": 0, "to_sample": 800, "by": "8001", "reason": "card number"}]
SILENCES = [
    {"from_ms": 1000, "to_ms": 1500, "reason": "box_stopped"}, {"from_ms": 0, "to_ms": 100, "reason": "paused"},
]  # fmt: skip


@pytest.fixture
def log(home):
    one = EvidenceLog(home, "test-1", True)
    yield one
    one.close()


@pytest.fixture
def recording(home, crm, exchange, log):
    """A recording of 6 s with its manifest in the log; returns its id and its audio file."""
    hire(crm, "1", "super")
    samples = np.random.default_rng(5).normal(0, 900, SECONDS * 8000).astype(np.int16)
    whole = io.BytesIO()
    soundfile.write(whole, samples, 8000, "PCM_16", format="FLAC")
    content, file = whole.getvalue(), home.recordings / "one.flac"
    file.write_bytes(content)
    name = exchange.recording(exchange.call(1), "one.flac", format="flac", sha256=hashlib.sha256(content).hexdigest())
    signed = log.sign(log.describe("recording", name) | {"started_at": "2026-11-21T00:00:00.000Z",
                                                         "audio": described(content), "stored": None,
                                                         "gaps": GAPS, "pauses": PAUSES})  # fmt: skip
    (home.recordings / "one.json").write_bytes(msgspec.json.encode(signed))
    log.enter(name, "recording", now_ms(), signed)
    return name, file


def described(content: bytes) -> dict:
    header, seconds = seconds_of("flac", content, 8000, 1)
    return {
        "file": "one.flac", "format": "flac", "sample_rate_hz": 8000, "channels": 1, "samples": SECONDS * 8000,
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "header": {"bytes": header, "sha256": hashlib.sha256(content[:header]).hexdigest()},
        "seconds": [[first, size, hashlib.sha256(content[at : at + size]).hexdigest()] for first, at, size in seconds],
    }  # fmt: skip


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_what_the_box_vouches_for(home, crm, log, recording, browse):
    browser = browse("1")
    found = browser.get("/evidence")
    assert found["device"] == {"device": None, "heads": [], "anchor": None, "problems": []}
    practice = found["practice"]
    assert (practice["device"], practice["problems"]) == (log.device, [])
    assert [(one["log"], one["tree_size"], one["reason"]) for one in practice["heads"]] == [("test-1", 2, "entry")]
    anchor = make_anchor(home, True, now_ms())
    add_receipt(home, True, anchor, {"kind": "printed", "at_ms": 1})
    shown = browser.get("/evidence")["practice"]["anchor"]
    assert (shown["number"], shown["receipts"]) == (1, ["printed"])
    heads = home.evidence / "practice" / "test-1.heads"
    heads.write_bytes(heads.read_bytes().replace(b'"tree_size":2', b'"tree_size":3'))
    assert "not genuine" in browser.get("/evidence")["practice"]["problems"][0]


def test_the_proof_holds_without_the_box(tmp_path, recording, browse):
    name, file = recording
    evidence = browse("1").get(f"/recordings/{name}/evidence")
    assert evidence["missing"] == ""
    (tmp_path / "one.flac").write_bytes(file.read_bytes())
    (tmp_path / "one.json").write_text(json.dumps(evidence["manifest"]))
    (tmp_path / "one.proof.json").write_text(json.dumps(evidence["proof"]))
    device = evidence["manifest"]["manifest"]["device"]
    verdict = tapdeck_verify.verify(tmp_path / "one.json", tapdeck_verify.Known(devices=[device]))
    assert (verdict["verdict"], verdict["in_log"]) == ("authentic", True)


def test_an_untouched_recording_is_authentic(crm, recording, browse):
    name, _ = recording
    verdict = browse("1").ask("POST", f"/recordings/{name}/verify").json
    assert (verdict["verdict"], verdict["self_consistent"], verdict["key_known"], verdict["in_log"]) == (
        "authentic", True, True, True,
    )  # fmt: skip
    assert (verdict["damage"], verdict["silences"]) == ([], SILENCES)
    assert "真实完整" in verdict["text"]["zh"][0]
    assert any("录音程序未运行" in line for line in verdict["text"]["zh"])
    rows = crm.conn.execute("SELECT subject, data FROM audit WHERE action = 'recording.verify'").fetchall()
    assert [tuple(row) for row in rows] == [(name, '{"verdict":"authentic"}')]


def test_an_altered_second_is_named(recording, browse):
    name, file = recording
    _, seconds = seconds_of("flac", file.read_bytes(), 8000, 1)
    first, at, size = seconds[3]
    flip(file, at + size // 2)
    verdict = browse("1").ask("POST", f"/recordings/{name}/verify").json
    assert (verdict["verdict"], verdict["self_consistent"]) == ("altered", False)
    assert [(one["kind"], one["from_ms"]) for one in verdict["damage"]] == [("altered", first // 8)]


def test_an_altered_manifest_and_one_that_is_in_no_log(home, log, recording, browse):
    name, _ = recording
    browser, file = browse("1"), home.recordings / "one.json"
    signed = msgspec.json.decode(file.read_bytes())
    forged = log.sign(signed["manifest"] | {"started_at": "2026-11-22T00:00:00.000Z"})
    file.write_bytes(msgspec.json.encode(forged))
    verdict = browser.ask("POST", f"/recordings/{name}/verify").json
    assert (verdict["verdict"], verdict["in_log"]) == ("not_in_log", False), "signed with the key, but never entered"
    foreign = log.sign(signed["manifest"] | {"id": "another"})
    file.write_bytes(msgspec.json.encode(foreign))
    assert browser.ask("POST", f"/recordings/{name}/verify").json["verdict"] == "manifest_altered"
    file.write_bytes(msgspec.json.encode(signed | {"manifest": signed["manifest"] | {"started_at": "x"}}))
    assert browser.ask("POST", f"/recordings/{name}/verify").json["verdict"] == "manifest_altered"
    file.write_bytes(b"{")
    assert browser.ask("POST", f"/recordings/{name}/verify").json["verdict"] == "manifest_altered"
    assert browser.ask("GET", f"/recordings/{name}/evidence").status == 503
    file.unlink()
    assert browser.ask("GET", f"/recordings/{name}/evidence").status == 404
    assert browser.ask("POST", f"/recordings/{name}/verify").status == 404


def test_another_file_in_its_place(home, exchange, recording, browse):
    """The row points at what the manifest beside it does not speak of: that is played, and so that is judged."""
    name, file = recording
    (home.recordings / "two.flac").write_bytes(file.read_bytes()[:-100])
    (home.recordings / "two.json").write_bytes((home.recordings / "one.json").read_bytes())
    with write(exchange.db) as connection:
        connection.execute("UPDATE recordings SET path = 'two.flac' WHERE id = ?", (name,))
    verdict = browse("1").ask("POST", f"/recordings/{name}/verify").json
    assert (verdict["verdict"], verdict["self_consistent"]) == ("altered", False)


def test_only_the_published_key_is_trusted(home, tmp_path, recording, browse):
    """Neither the heads of a stranger, however new, nor his manifests."""
    name, _ = recording
    other = Home(tmp_path / "other")
    other.create()
    stranger = EvidenceLog(other, "stranger", True)
    signed = msgspec.json.decode((home.recordings / "one.json").read_bytes())
    forged = stranger.sign(signed["manifest"] | {"device": stranger.device})
    (home.recordings / "one.json").write_bytes(msgspec.json.encode(forged))
    stranger.enter(name, "recording", now_ms(), forged)
    stranger.close()
    for path in stranger.path.parent.glob("stranger.*"):
        (home.evidence / "practice" / path.name).write_bytes(path.read_bytes())
    verdict = browse("1").ask("POST", f"/recordings/{name}/verify").json
    assert (verdict["verdict"], verdict["key_known"]) == ("unknown_device", False)
    found = browse("1").get("/evidence")["practice"]
    assert found["device"] != stranger.device
    assert [one for one in found["problems"] if "stranger: signed by another device" in one]


def test_permission_and_scope(crm, recording, browse):
    name, _ = recording
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.RECORDING_QUERY})
    hire(crm, "3", "ordinary", None, (2,))
    for staff_no, status in (("2", 403), ("3", 404)):
        browser = browse(staff_no)
        assert browser.ask("GET", f"/recordings/{name}/evidence").status == status
        assert browser.ask("POST", f"/recordings/{name}/verify").status == status
        assert browser.ask("GET", "/evidence").status == 200
