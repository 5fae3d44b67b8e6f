"""A case package: originals with everything that proves them, checked by our verifier and by openssl alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from crm_office import hire
from excel_office import work
from stick_office import folder_of

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.take_home.case import CUSTODY, REPORT
from firmware.clock import now_ms
from recorder.library.evidence.anchors import make_anchor

CASE = {"title": "合同纠纷 <2026>", "reason": "court order 17"}


@pytest.fixture
def package(office, home, browse, stick):
    """A package of two calls, one of which somebody listened to; its folder."""
    place, medium = stick
    browser = browse("1")
    (first, recording, _), (second, _, _) = office.recorded(), office.recorded("13900001111", channel=2)
    office.recorded("13900002222")
    assert browser.ask("GET", f"/recordings/{recording}/audio").status == 200
    make_anchor(home, True, now_ms())
    body = {"medium": medium, "calls": [first["id"], second["id"]], **CASE}
    answer = browser.ask("POST", "/case-packages", body)
    assert answer.status == 202, answer.body
    work(home)
    job = browser.get(f"/jobs/{answer.json['id']}")
    assert job["state"] == "done", job
    return folder_of(place, job), recording


def test_the_verifier_finds_both_authentic_and_anchored(office, package):
    folder, _ = package
    checked = subprocess.run(
        [sys.executable, str(folder / "verify/tapdeck_verify.py"), str(folder / "recordings"), "--key",
         office.log.device, "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [json.loads(line) for line in checked.stdout.splitlines()]
    assert [one["verdict"] for one in found] == ["authentic"] * 2, checked.stderr
    assert all(one["in_log"] and one["anchored"] for one in found)


def test_the_custody_log_names_every_listening_and_this_very_copy(package):
    folder, recording = package
    entries = json.loads((folder / CUSTODY).read_text())
    deeds = [one for one in entries if one["action"] in ("recording.listen", "recording.take_home")]
    assert [one["action"] for one in deeds] == ["recording.listen", "recording.take_home"]
    assert deeds[0]["actor"] == "1"
    assert recording in deeds[0]["about"]
    assert all(len(one["hash"]) == 64 for one in entries)


def test_the_report_says_it_in_both_languages_and_text_stays_text(package):
    folder, recording = package
    text = (folder / REPORT).read_text(encoding="utf-8")
    for part in (
        "证据包报告",
        "Report of the case package",
        recording,
        "合同纠纷 &lt;2026&gt;",
        "court order 17",
        "13900001111",
    ):
        assert part in text, part
    assert "13900002222" not in text
    assert "<2026>" not in text
    assert "时钟" in text


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_alone_finds_it_good_and_finds_every_change(package):
    folder, _ = package

    def check():
        return subprocess.run(["sh", "openssl/check.sh"], cwd=folder, capture_output=True, text=True, check=False)

    good = check()
    assert good.returncode == 0, good.stderr
    assert good.stdout.count("Signature Verified Successfully") == 2
    assert good.stdout.count("Hash OK") == 2
    (signed, *_) = sorted((folder / "openssl").glob("*.signed"))
    before = signed.read_bytes()
    signed.write_bytes(before.replace(b"13812345678", b"13812345679").replace(b'"samples":', b'"sampleS":', 1))
    assert check().returncode != 0
    signed.write_bytes(before)
    (audio, *_) = sorted((folder / "recordings").rglob("*.flac"))
    audio.write_bytes(audio.read_bytes()[:-1] + b"!")
    assert check().returncode != 0


def test_it_needs_the_audit_log_and_calls_in_scope(office, crm, browse, stick):
    _, medium = stick
    call, _, _ = office.recorded(channel=1)
    hire(crm, "2", "super", permissions=ALL_PERMISSIONS - {Permission.AUDIT_READ})
    hire(crm, "3", "ordinary", channels=(2,))
    body = {"medium": medium, "calls": [call["id"]], **CASE}
    assert browse("2").ask("POST", "/case-packages", body).code == "permission_missing"
    assert browse("3").ask("POST", "/case-packages", body).status == 404


def test_the_report_names_what_the_package_lacks(office, home, browse, stick):
    place, medium = stick
    (call, lost, _), browser = office.recorded(), browse("1")
    office.recording_of(call, segment=1)
    next((home.recordings / "2026").glob(f"{call['id']}-0.flac")).unlink()
    answer = browser.ask("POST", "/case-packages", {"medium": medium, "calls": [call["id"]], **CASE})
    work(home)
    job = browser.get(f"/jobs/{answer.json['id']}")
    assert (job["state"], job["take_home"]["recordings"], job["take_home"]["lost"]) == ("done", 1, 1)
    text = (folder_of(place, job) / REPORT).read_text(encoding="utf-8")
    for said in ("录音盒读不出此录音", "the box cannot read this recording"):
        assert text.count(f"{lost}</h3><p>") == 2
        assert said in text
