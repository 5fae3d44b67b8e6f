"""What a new box recorded before another one's backup took over stays evidence: signed by its own key, and whole."""

from __future__ import annotations

import json
import shutil

import backup_office
import msgspec
import pytest
from backup_office import PASSPHRASE, back_up, bring_back, file_of, office_in
from click.testing import CliRunner

from crm_client_api.backup.restoring import prepare
from crm_client_api.backup.sealing import Unlocker
from crm_client_api.backup.stage import STAGE
from crm_client_api.courier.daemon import Courier
from crm_client_api.courier.kinds import BACKUPS
from crm_client_api.evidence import verdict_on
from firmware.cli import root
from firmware.config import Home
from firmware.start import make_ready
from firmware.store.migrations import migrate
from recorder.library.evidence.earlier_keeping import EarlierTask
from recorder.library.evidence.proof import proof_for
from recorder.library.evidence.signing import device_id
from recorder.library.keeping.library import open_library
from recorder.library.verification.everything import Summary, verify_box
from recorder.library.verification.verifier import tapdeck_verify as verifier

office, disk = backup_office.office, backup_office.disk

ABOUT_EARLIER = {
    "earlier_device",
    "earlier_device_idle",
    "earlier_changed",
    "earlier_unnamed",
    "manifest_foreign",
    "manifest_missing",
}
ABOUT_EARLIER |= {"manifest_not_in_log", "manifest_not_yet", "audio_without_manifest", "head_foreign", "practice_mixed"}


@pytest.fixture
def backup(office, home, disk):
    """A backup of ``home``, with one recording."""
    office.recorded("13812345678")
    return file_of(disk, back_up(home, f"file://{disk}", recordings=True))


@pytest.fixture
def new(tmp_path, backup):
    """Another box, which recorded a call before the backup is brought to it."""
    box = Home(tmp_path / "new")
    box.create()
    migrate(box)
    with office_in(box) as theirs:
        theirs.recorded("02155556666")
    shutil.rmtree(box.root / "run")
    box.create()
    return box


def told(home):
    """What the check says of earlier devices: how grave, which code, of what."""
    found = list(verify_box(home, Summary()))
    return [(one.severity, one.code, one.subject) for one in found if one.code in ABOUT_EARLIER]


def taken_over(new, backup):
    """The id of the device that was ``new`` until now."""
    before = device_id(new, True)
    prepare(new, backup, Unlocker(PASSPHRASE), told=lambda *_: None)
    make_ready(new)
    enter(new)
    return before


def enter(home):
    with open_library(home) as library:
        EarlierTask().run(library, lambda: False)


def interim(home):
    """The recording of the time before."""
    (paper,) = [
        one
        for one in home.recordings.glob("2026/*.json")
        if json.loads(one.read_bytes())["manifest"]["device"] != device_id(home, True)
    ]
    return paper


def test_while_a_restore_is_prepared_nothing_of_it_is_the_boxs_own(new, backup):
    assert told(new) == []
    prepare(new, backup, Unlocker(PASSPHRASE), told=lambda *_: None)
    assert len(list((new.recordings / STAGE).rglob("*.flac"))) == 1
    assert told(new) == []


def test_what_it_recorded_is_signed_by_a_known_device_and_complete(new, backup, home):
    before = taken_over(new, backup)
    assert device_id(new, True) == device_id(home, True) != before
    assert told(new) == [("warning", "earlier_device", before)]
    paper = interim(new)
    audio = paper.with_suffix(".flac")
    identifier = json.loads(paper.read_bytes())["manifest"]["id"]
    verdict = verdict_on(new, identifier, audio, paper, simulated=True)
    assert (verdict.verdict, verdict.key_known, verdict.in_log) == ("authentic", True, True)
    assert proof_for(new, identifier)["head"]["head"]["device"] == before
    strict = verifier.verify(paper, verifier.Known(devices=[device_id(new, True)]))
    assert strict["verdict"] == "unknown_device"
    done = CliRunner().invoke(root, ["--home", str(new.root), "verify", str(paper)])
    assert done.exit_code == 0, done.output
    keys = CliRunner().invoke(root, ["--home", str(new.root), "evidence", "key", "--practice"]).output.splitlines()
    assert [line[:32] for line in keys if len(line) == 64] == [device_id(new, True), before]
    paper.unlink()
    audio.unlink()
    assert ("error", "manifest_missing", f"earlier/{before}/test-1.log") in told(new)


def test_its_logs_stay_as_they_were_and_nobody_else_becomes_one(new, backup):
    before = taken_over(new, backup)
    kept = new.evidence / "earlier" / before
    heads = kept / "test-1.heads"
    whole = heads.read_bytes()
    heads.write_bytes(whole + whole.splitlines(keepends=True)[-1])
    assert ("error", "earlier_changed", f"earlier/{before}/test-1.heads") in told(new)
    heads.write_bytes(whole)
    shutil.copytree(kept, kept.with_name("0" * 32))
    assert ("error", "earlier_unnamed", f"earlier/{'0' * 32}") in told(new)
    shutil.rmtree(kept.with_name("0" * 32))
    assert told(new) == [("warning", "earlier_device", before)]
    (statement,) = (new.evidence / "practice" / "earlier").glob("*.json")
    said = msgspec.json.decode(statement.read_bytes())
    said["manifest"]["earlier"]["until_ms"] += 1
    statement.write_bytes(msgspec.json.encode(said))
    codes = {code for severity, code, _ in told(new) if severity == "error"}
    assert {"manifest_foreign", "earlier_unnamed"} <= codes


def test_a_box_that_takes_over_from_one_that_took_over_knows_both(new, backup, disk, tmp_path):
    before = taken_over(new, backup)
    Courier(new, BACKUPS).turn()  # gives up the job that was open in the backup
    file = file_of(disk, back_up(new, f"file://{disk}", recordings=True))
    third = Home(tmp_path / "third")
    bring_back(third, file)
    assert told(third) == [("warning", "earlier_device", before)]
    fourth = Home(tmp_path / "fourth")
    shutil.copytree(third.root, fourth.root)
    again = Home(tmp_path / "other")
    again.create()
    migrate(again)
    with office_in(again) as theirs:
        theirs.recorded("075588886666")
        other = file_of(disk, back_up(again, f"file://{disk}", recordings=True))
    last, idle = device_id(fourth, True), device_id(fourth, False)
    bring_back(fourth, other, replace=True)
    enter(fourth)
    assert sorted(told(fourth)) == sorted(
        [("note", "earlier_device_idle", idle), *(("warning", "earlier_device", one) for one in (before, last))]
    )
