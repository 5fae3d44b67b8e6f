"""Anchors are numbered, chained, sent to those outside, and missed when they are not."""

from __future__ import annotations

import base64
import email
import hashlib
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from evidence_material import DAY_MS, Box
from outside_world import Authority, mail_server, web_server

from firmware.config import Home
from firmware.errors import ConfigError, Refused, StoreError
from firmware.parameters import get_all, set_value
from firmware.store.connection import open_store
from recorder.library.evidence import anchor_task
from recorder.library.evidence.anchor_task import AnchorTask
from recorder.library.evidence.anchors import (
    add_receipt,
    anchor_paths,
    make_anchor,
    newest_heads,
    printed_page,
    read_anchor,
)
from recorder.library.evidence.files import read_entries
from recorder.library.evidence.log import EvidenceLog
from recorder.library.evidence.outlets import OutletFailed, ask_time_stamp, send_email, send_webhook
from recorder.library.evidence.proof import proof_for
from recorder.library.evidence.signing import canonical
from recorder.library.keeping.task import Library
from recorder.library.keeping.tasks import TASKS
from recorder.library.verification.check_logs import check_logs
from recorder.library.verification.index import EvidenceIndex
from recorder.library.verification.verifier import tapdeck_verify

HOUR_MS = 3_600_000


@pytest.fixture
def box(home: Home, monkeypatch: pytest.MonkeyPatch) -> Box:
    made = Box(home, monkeypatch)
    made.record("1", 1)
    return made


@pytest.fixture(scope="module", params=["rsa", "ec"])
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "here", request.param)


def test_anchors_are_numbered_chained_and_signed(box: Box) -> None:
    paths = []
    for day in range(3):
        box.run(1)
        paths.append(make_anchor(box.home, False, DAY_MS + day * 86_400_000))
    assert paths == anchor_paths(box.home, False)
    assert [path.name for path in paths] == ["20270115T080000Z.json", "20270116T080000Z.json", "20270117T080000Z.json"]
    anchors = [tapdeck_verify.read_anchor(json.loads(path.read_bytes())) for path in paths]
    assert [one.number for one in anchors] == [1, 2, 3]
    assert [one.previous for one in anchors] == ["0" * 64, anchors[0].digest, anchors[1].digest]
    assert {one.device for one in anchors} == {box.log.device}
    heads = {line.head.log: (line.head.root, line.head.tree_size) for line in newest_heads(box.home, False)}
    assert heads == dict(anchors[2].heads)
    assert set(heads) == {"card-a", "library"}
    assert heads["card-a"][1] == 2


def test_no_second_anchor_of_one_second_and_none_of_nothing(box: Box, tmp_path: Path) -> None:
    make_anchor(box.home, False, DAY_MS)
    with pytest.raises(Refused):
        make_anchor(box.home, False, DAY_MS + 400)
    empty = Home(tmp_path / "empty")
    empty.create()
    with pytest.raises(Refused):
        make_anchor(empty, False, DAY_MS)


def findings(box: Box) -> list[str]:
    folder = check_logs(box.home, False, [box.log.device], [], box.now_ms, EvidenceIndex())
    return [one.code for one in folder if one.code.startswith("anchor")]


def test_a_clock_that_went_back_breaks_no_chain(box: Box) -> None:
    """A clock leaps into next year, an anchor is made, and the clock is set right: names are no order."""
    year_ms = 365 * 86_400_000
    at = [DAY_MS, DAY_MS + year_ms, DAY_MS + 86_400_000, DAY_MS + 2 * 86_400_000]
    paths = [make_anchor(box.home, False, at_ms) for at_ms in at]
    assert anchor_paths(box.home, False) == paths
    assert [read_anchor(path).anchor.number for path in paths] == [1, 2, 3, 4]
    assert findings(box) == []


def test_a_damaged_anchor_is_named_and_stops_neither_anchors_nor_proofs(box: Box) -> None:
    paths = [make_anchor(box.home, False, DAY_MS + day * 86_400_000) for day in range(3)]
    paths[1].write_bytes(b"{")
    paths.append(make_anchor(box.home, False, DAY_MS + 3 * 86_400_000))
    assert findings(box) == ["anchor_damaged"]
    paths[3].write_bytes(b"")
    paths.append(make_anchor(box.home, False, DAY_MS + 4 * 86_400_000))
    assert anchor_paths(box.home, False) == paths
    assert findings(box) == ["anchor_damaged", "anchor_damaged"]
    (entry,) = [entry for entry, _ in read_entries(box.log.path) if entry.kind == "recording"]
    proof = proof_for(box.home, entry.manifest_id)
    assert [one["anchor"]["anchor"]["number"] for one in proof["anchors"]] == [1, 5]


def test_receipts_are_kept_and_change_nothing_signed(box: Box) -> None:
    path = make_anchor(box.home, False, DAY_MS)
    before = read_anchor(path)
    add_receipt(box.home, False, path, {"kind": "printed", "at_ms": 1})
    add_receipt(box.home, False, path, {"kind": "email", "to": "a@b", "at_ms": 2})
    after = read_anchor(path)
    assert [receipt["kind"] for receipt in after.receipts] == ["printed", "email"]
    assert (after.anchor, after.digest()) == (before.anchor, before.digest())
    assert tapdeck_verify.read_anchor(json.loads(path.read_bytes())).digest == before.digest()


def test_the_printed_page_has_the_digits(box: Box) -> None:
    anchor = read_anchor(make_anchor(box.home, False, DAY_MS))
    page = printed_page(anchor)
    digits = "".join(line.replace(" ", "") for line in page.splitlines()[7:11])
    assert digits == anchor.digest()
    short = next(line for line in page.splitlines() if line.startswith("Short form")).split()[-1]
    assert short.replace("-", "") == anchor.digest()[:16]
    assert box.log.device in page


def test_webhook(box: Box) -> None:
    path = make_anchor(box.home, False, DAY_MS)
    with web_server(lambda body: (204, b"")) as (url, seen):
        receipt = send_webhook(read_anchor(path), {"anchor_webhook": url})
    assert (receipt["kind"], receipt["url"], receipt["status"]) == ("webhook", url, 204)
    ((content_type, body),) = seen
    assert content_type == "application/json"
    assert tapdeck_verify.read_anchor(json.loads(body)).digest == read_anchor(path).digest()
    with web_server(lambda body: (500, b"")) as (url, _), pytest.raises(OutletFailed, match="500"):
        send_webhook(read_anchor(path), {"anchor_webhook": url})
    with pytest.raises(OutletFailed):
        send_webhook(read_anchor(path), {"anchor_webhook": f"http://127.0.0.1:{closed_port()}/"})
    with pytest.raises(ConfigError):
        send_webhook(read_anchor(path), {"anchor_webhook": "file:///etc/passwd"})


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def stamped(box: Box, authority: Authority) -> tuple[bytes, bytes]:
    """Token and imprint of an anchor."""
    anchor = read_anchor(make_anchor(box.home, False, DAY_MS))
    with web_server(authority.answer) as (url, seen):
        receipt = ask_time_stamp(anchor, {"anchor_tsa": url})
    assert seen[0][0] == "application/timestamp-query"
    assert receipt["kind"] == "rfc3161"
    return base64.b64decode(receipt["token"]), hashlib.sha256(canonical(anchor.anchor)).digest()


def test_time_stamp_of_a_real_authority(box: Box, authority: Authority, tmp_path: Path) -> None:
    token, imprint = stamped(box, authority)
    roots = x509.load_pem_x509_certificates(authority.root.read_bytes())
    unchecked = tapdeck_verify.read_time_stamp(token, imprint, ())
    assert (unchecked.authority, unchecked.checked) == ("Test Time Stamps", False)
    assert tapdeck_verify.read_time_stamp(token, imprint, roots) == unchecked._replace(checked=True)
    stranger = Authority(tmp_path / "stranger")
    others = x509.load_pem_x509_certificates(stranger.root.read_bytes())
    assert not tapdeck_verify.read_time_stamp(token, imprint, others).checked
    (tmp_path / "token").write_bytes(token)
    subprocess.run(
        ["openssl", "ts", "-verify", "-token_in", "-in", tmp_path / "token", "-digest", imprint.hex(), "-CAfile",
         authority.root], check=True, capture_output=True,
    )  # fmt: skip


def test_every_changed_byte_of_a_time_stamp_is_seen_or_harmless(box: Box, authority: Authority) -> None:
    token, imprint = stamped(box, authority)
    genuine = tapdeck_verify.read_time_stamp(token, imprint, ())
    with pytest.raises(tapdeck_verify.Forged):
        tapdeck_verify.read_time_stamp(token, bytes(32), ())
    for at in range(len(token)):
        changed = token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :]
        try:
            found = tapdeck_verify.read_time_stamp(changed, imprint, ())
        except tapdeck_verify.Malformed:
            continue
        assert found.at_ms == genuine.at_ms
    for length in range(len(token)):
        with pytest.raises(tapdeck_verify.Malformed):
            tapdeck_verify.read_time_stamp(token[:length], imprint, ())


def test_another_time_in_a_time_stamp_needs_another_signature(box: Box, authority: Authority) -> None:
    """Content and message digest are made to agree; only the signature is left to show it."""
    token, imprint = stamped(box, authority)
    time = re.search(rb"\x18\x0f(\d{14}Z)", token)
    assert time is not None
    content = next(
        token[start : start + length]
        for start in range(len(token))
        for length in range(60, 260)
        if hashlib.sha256(token[start : start + length]).digest() in token[start + length :]
    )
    changed = content.replace(time[1], b"20010101000000Z")
    forged = token.replace(content, changed).replace(hashlib.sha256(content).digest(), hashlib.sha256(changed).digest())
    with pytest.raises(tapdeck_verify.Forged, match="InvalidSignature"):
        tapdeck_verify.read_time_stamp(forged, imprint, ())


def test_a_certificate_for_something_else_stamps_nothing(box: Box, tmp_path: Path) -> None:
    tsa = Authority(tmp_path / "tsa")
    token, imprint = stamped(box, tsa)
    other = Authority(tmp_path / "other", usage="codeSigning")
    certificate = x509.load_pem_x509_certificate((tsa.folder / "signer.pem").read_bytes())
    assert tapdeck_verify.read_time_stamp(token, imprint, [certificate]).checked
    (other.folder / "query").write_bytes((tsa.folder / "query").read_bytes())
    refused = subprocess.run(
        ["openssl", "ts", "-reply", "-config", "settings", "-queryfile", "query", "-out", "reply"],
        cwd=other.folder, check=False, capture_output=True,
    )  # fmt: skip
    assert refused.returncode != 0, "even OpenSSL refuses such a signer"


def test_an_authority_that_answers_nonsense_is_not_believed(box: Box, authority: Authority) -> None:
    anchor = read_anchor(make_anchor(box.home, False, DAY_MS))
    for answer in (b"", b"<html>", b"0" * 500):
        with web_server(lambda body, answer=answer: (200, answer)) as (url, _), pytest.raises(OutletFailed):
            ask_time_stamp(anchor, {"anchor_tsa": url})
    other: list[bytes] = []
    with web_server(authority.answer) as (url, seen):
        ask_time_stamp(read_anchor(make_anchor(box.home, False, DAY_MS + 1000)), {"anchor_tsa": url})
        other.append(seen[0][1])
    with web_server(lambda body: authority.answer(other[0])) as (url, _), pytest.raises(OutletFailed, match="else"):
        ask_time_stamp(anchor, {"anchor_tsa": url})
    refusal = bytes.fromhex("30053003020102")
    with web_server(lambda body: (200, refusal)) as (url, _), pytest.raises(OutletFailed, match="granted"):
        ask_time_stamp(anchor, {"anchor_tsa": url})


def test_email(box: Box) -> None:
    anchor = read_anchor(make_anchor(box.home, False, DAY_MS))
    with mail_server() as (server, mails):
        settings = {"anchor_email": "law@example.org", "smtp_server": server, "smtp_sender": "box@example.org"}
        receipt = send_email(anchor, settings)
    assert (receipt["kind"], receipt["to"]) == ("email", "law@example.org")
    message = email.message_from_string(mails[0])
    text, attached = message.get_payload()
    assert printed_page(anchor).split() == text.get_payload(decode=True).decode().split()
    assert tapdeck_verify.read_anchor(json.loads(attached.get_payload(decode=True))).digest == anchor.digest()
    with pytest.raises(OutletFailed):
        send_email(anchor, settings | {"smtp_server": f"127.0.0.1:{closed_port()}"})
    with pytest.raises(ConfigError):
        send_email(anchor, settings | {"smtp_server": ""})


@contextmanager
def library(box: Box) -> Iterator[Library]:
    calls, crm = open_store(box.home.calls_db), open_store(box.home.crm_db)
    try:
        yield Library(box.home, calls, crm, box.library, box.library)
    finally:
        calls.conn.close()
        crm.conn.close()


def alarms(desk: Library, code: str = "anchor_failed") -> list[Any]:
    return [tuple(row) for row in desk.calls.conn.execute(
        "SELECT subject, cleared_ms IS NULL FROM alarms WHERE code = ? ORDER BY id", (code,))]  # fmt: skip


def test_the_daily_task(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day without the server, four more, then it answers: one anchor a day, one alarm, and it is cleared."""
    monkeypatch.setattr(anchor_task, "now_ms", lambda: box.now_ms)
    monkeypatch.setattr("firmware.parameters.now_ms", lambda: box.now_ms)
    port = closed_port()
    with library(box) as desk:
        set_value(desk.crm, "system", "anchor_webhook", f"http://127.0.0.1:{port}/")
        for hour in range(4 * 24):
            AnchorTask().run(desk, lambda: False)
            assert alarms(desk) == ([("webhook", 1)] if hour >= 72 else [])
            box.now_ms += HOUR_MS
        assert len(anchor_paths(box.home, False)) == 4
        with web_server(lambda body: (200, b"")) as (url, seen):
            set_value(desk.crm, "system", "anchor_webhook", url)
            for _ in range(3):
                AnchorTask().run(desk, lambda: False)
                box.now_ms += HOUR_MS
        assert len(seen) == 1
        assert alarms(desk) == [("webhook", 0)]
        newest = read_anchor(anchor_paths(box.home, False)[-1])
        assert [receipt["kind"] for receipt in newest.receipts] == ["webhook"]


def test_a_damaged_log_is_left_out_and_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a removed card and of practice, whose logs nobody opens any more: the others are anchored, and sent."""
    monkeypatch.setattr(anchor_task, "now_ms", lambda: box.now_ms)
    practice = box.home.evidence / "practice"
    practice.mkdir()
    for folder, name in ((box.log.path.parent, "aaa"), (practice, "sim")):
        (folder / f"{name}.heads").write_bytes(b"\0 no head\n")
    with library(box) as desk, web_server(lambda body: (200, b"")) as (url, seen):
        set_value(desk.crm, "system", "anchor_webhook", url)
        AnchorTask().run(desk, lambda: False)
        assert len(seen) == 1
        assert alarms(desk, "evidence_unreadable") == [("device/aaa", 1), ("practice/sim", 1)]
        (made,) = anchor_paths(box.home, False)
        assert {head.log for head in read_anchor(made).anchor.heads} == {"card-a", "library"}
        (practice / "sim.heads").unlink()
        box.now_ms += 24 * HOUR_MS
        AnchorTask().run(desk, lambda: False)
        assert alarms(desk, "evidence_unreadable") == [("device/aaa", 1), ("practice/sim", 0)]
        assert len(anchor_paths(box.home, False)) == 2


@pytest.mark.parametrize("damage", ["line", "end", "other"])
def test_a_log_that_nobody_opens_is_looked_at_as_well(box: Box, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """Its heads are whole, so it is anchored; but it is not what they say."""
    EvidenceLog(box.home, "removed", False).close()
    log = box.log.path.with_name("removed.log")
    content = log.read_bytes()
    index = content.index(b'"commitment":"') + 14
    other = content[:index] + (b"0" if content[index : index + 1] != b"0" else b"1") + content[index + 1 :]
    log.write_bytes({"line": b"{}\n", "end": b"", "other": other}[damage])
    task = AnchorTask()
    with library(box) as desk:
        task.run(desk, lambda: False)
        assert task._look is not None
        task._look._thread.join()
        task.run(desk, lambda: False)
        assert alarms(desk, "evidence_unreadable") == [("device/removed", 1)]
        log.write_bytes(content)
        monkeypatch.setattr(task, "_look_due_s", 0.0)
        task.run(desk, lambda: False)
        task._look._thread.join()
        task.run(desk, lambda: False)
        assert alarms(desk, "evidence_unreadable") == [("device/removed", 0)]


def test_trouble_with_practice_does_not_keep_the_box_from_being_anchored(box: Box) -> None:
    EvidenceLog(box.home, "sim", True).close()
    (box.home.keys / "practice.pem").write_bytes(b"no key")
    with library(box) as desk:
        with pytest.raises(StoreError, match="practice"):
            AnchorTask().run(desk, lambda: False)
        assert len(anchor_paths(box.home, False)) == 1


def test_an_outlet_that_was_set_today_is_not_late(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchor_task, "now_ms", lambda: box.now_ms)
    monkeypatch.setattr("firmware.parameters.now_ms", lambda: box.now_ms)
    with library(box) as desk:
        for _ in range(10):
            AnchorTask().run(desk, lambda: False)
            box.now_ms += 24 * HOUR_MS
        set_value(desk.crm, "system", "anchor_webhook", f"http://127.0.0.1:{closed_port()}/")
        AnchorTask().run(desk, lambda: False)
        assert alarms(desk) == []
        set_value(desk.crm, "system", "anchor_webhook", "")
        assert get_all(desk.crm, "system")["anchor_webhook"] == ""


def test_the_keeper_runs_it() -> None:
    assert "anchor" in [make().name for make in TASKS]


def test_an_anchor_file_is_what_the_documents_say(box: Box) -> None:
    file = msgspec.json.decode(make_anchor(box.home, False, DAY_MS).read_bytes())
    assert set(file) == {"anchor", "public_key", "signature", "receipts"}
    assert set(file["anchor"]) == {"at_ms", "device", "heads", "number", "previous"}
    assert set(file["anchor"]["heads"][0]) == {"log", "root", "tree_size"}
