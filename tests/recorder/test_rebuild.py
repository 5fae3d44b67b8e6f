"""A store is made anew from the recordings alone, and nothing of it depends on what was lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from archived_office import START_MS, ArchivedOffice
from click.testing import CliRunner
from recorded_lines import CARD_ID, rows

from firmware.cli import root as tapdeck
from firmware.config import Home
from firmware.errors import StoreBusy, StoreError
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate
from recorder.library.keeping.library import open_library
from recorder.library.rebuilding.rebuild import rebuild
from recorder.library.rebuilding.reconciliation import Pass
from recorder.library.storage.conversion import convert
from recorder.library.storage.deletion import delete_recordings


@pytest.fixture
def office(home: Home) -> ArchivedOffice:
    return ArchivedOffice(home)


def rebuilt(home: Home) -> Pass:
    return rebuild(home, "test", lambda _: False)


def test_calls_and_recordings_come_back_as_they_were(office: ArchivedOffice) -> None:
    office.day()
    calls, recordings = office.calls(), office.recordings()
    assert len(recordings) == 5
    assert {row["state"] for row in recordings} == {"ready"}
    office.lose_the_store()
    done = rebuilt(office.home)
    assert (done.phase, done.new_calls, done.new_recordings, done.counts) == ("done", 3, 5, {})
    assert office.calls() == calls
    # The one thing that no manifest tells: what was asked for when FLAC was the only way to keep every sample.
    for row in recordings:
        row["wanted_format"] = "g711" if row["format"] in ("alaw", "ulaw") else "flac"
    assert office.recordings() == recordings


def test_the_old_store_is_set_aside_whole(office: ArchivedOffice) -> None:
    office.day()
    before = {path.name: path.read_bytes() for path in office.home.root.glob("calls.db*")}
    rebuilt(office.home)
    (aside,) = office.home.root.glob("calls-*.set-aside")
    for name, content in before.items():
        assert aside.with_name(aside.name + name.removeprefix("calls.db")).read_bytes() == content
    (alarm,) = rows(office.home, "SELECT * FROM alarms WHERE cleared_ms IS NULL")
    assert alarm["code"] == "store_rebuilt"
    assert json.loads(alarm["data"]) == {"reason": "test", "set_aside": aside.name, "lost": []}
    assert not list(office.home.root.glob("calls.new*"))
    assert not list(office.home.root.glob("*.damaged"))


def test_the_event_log_begins_a_new_epoch(office: ArchivedOffice) -> None:
    office.day()
    (before,) = rows(office.home, "SELECT value FROM meta WHERE key = 'epoch'")
    rebuilt(office.home)
    (after,) = rows(office.home, "SELECT value FROM meta WHERE key = 'epoch'")
    assert before != after
    assert rows(office.home, "SELECT * FROM events") == []


def test_without_a_manifest_the_tags_tell(office: ArchivedOffice) -> None:
    office.day()
    calls, recordings = office.calls(), office.recordings()
    for path in office.home.recordings.rglob("*.json"):
        if path.with_suffix(".flac").exists() or path.with_suffix(".wav").exists():
            path.unlink()
    office.lose_the_store()
    done = rebuilt(office.home)
    assert done.counts == {"without_manifest": 5}
    assert office.calls() == calls
    only_in_manifests = {"pauses": "[]", "wanted_format": "flac"}
    assert office.recordings() == [{**row, **only_in_manifests} for row in recordings]
    (alarm,) = rows(office.home, "SELECT * FROM alarms WHERE code = 'manifest_missing'")
    assert json.loads(alarm["data"])["count"] == 5


def test_without_manifest_and_tags_the_name_tells(office: ArchivedOffice, tmp_path: Path) -> None:
    import soundfile

    office.recording("bare", office.call("bare"))
    office.cut()
    audio = office.audio("bare")
    samples, rate = soundfile.read(audio, dtype="int16")
    soundfile.write(audio, samples, rate, "PCM_16")
    audio.with_suffix(".json").unlink()
    office.lose_the_store()
    rebuilt(office.home)
    (call,), (recording,) = office.calls(), office.recordings()
    assert recording["call_id"] == call["id"]
    assert recording["started_ms"] == call["started_ms"] == START_MS
    assert (call["direction"], call["caller_number"], call["channel"]) == ("incoming", "13800138000", 1)
    assert (recording["state"], recording["duration_ms"]) == ("ready", 1000)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[]", b'{"manifest": {"kind": "recording"}}', b"[" * 100_000, b'{"manifest": 7}'],
    ids=["empty", "binary", "list", "no fields", "deep", "number"],
)
def test_a_damaged_manifest_harms_only_itself(office: ArchivedOffice, content: bytes) -> None:
    office.day()
    calls, recordings = office.calls(), office.recordings()
    office.audio("by-hand").with_suffix(".json").write_bytes(content)
    office.lose_the_store()
    done = rebuilt(office.home)
    assert done.counts == {"damaged": 1, "without_manifest": 1}
    assert office.calls() == calls
    assert [row["id"] for row in office.recordings()] == [row["id"] for row in recordings]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (("audio", "file"), "../../../../etc/passwd"),
        (("audio", "samples"), -1),
        (("audio", "samples"), 2**63),
        (("tape", "from_sample"), 1.5),
        (("call", "id"), {"no": "text"}),
        (("call", "direction"), "sideways"),
        (("call", "machine"), "kettle"),
        (("call", "ended_ms"), 2**70),
        (("call", "id"), None),
        (("channel",), 0),
    ],
)
def test_impossible_values_harm_only_themselves(office: ArchivedOffice, field: tuple[str, ...], value: object) -> None:
    office.day()
    paper = office.audio("paused").with_suffix(".json")
    content = json.loads(paper.read_bytes())
    place = content["manifest"]
    for name in field[:-1]:
        place = place[name]
    place[field[-1]] = value
    paper.write_text(json.dumps(content))
    office.lose_the_store()
    done = rebuilt(office.home)
    assert done.counts["damaged"] == 1
    assert {row["id"] for row in office.calls()} >= {"call-long", "call-missed"}
    assert {"rec-long-0", "rec-long-1", "rec-round-the-clock", "rec-by-hand"} <= {
        row["id"] for row in office.recordings()
    }


def test_version_1_manifests_are_read(office: ArchivedOffice) -> None:
    """As version 0.1 wrote them: no channel, no port, no kind, the time as text."""
    office.day()
    calls, recordings = office.calls(), office.recordings()
    for paper in office.home.recordings.rglob("*.json"):
        content = json.loads(paper.read_bytes())
        manifest = content["manifest"]
        if manifest["kind"] == "recording" and manifest["recording_kind"] != "call":
            continue
        manifest["manifest_version"] = 1
        for name in ("recording_kind", "channel", "started_ms", "stored", "pauses", "device", "clock"):
            manifest.pop(name, None)
        manifest.get("tape", {}).pop("port", None)
        paper.write_text(json.dumps({"manifest": manifest, "public_key": "", "signature": ""}))
    office.lose_the_store()
    assert rebuilt(office.home).counts == {}
    assert office.calls() == calls
    assert [row["started_ms"] for row in office.recordings()] == [row["started_ms"] for row in recordings]
    assert [row["channel"] for row in office.recordings()] == [row["channel"] for row in recordings]


def test_a_copied_folder_is_no_second_recording(office: ArchivedOffice) -> None:
    office.day()
    folder = office.audio("by-hand").parent
    shutil.copytree(folder, folder.with_name("CH009"))
    recordings = office.recordings()
    office.lose_the_store()
    done = rebuilt(office.home)
    assert len(office.recordings()) == len(recordings)
    assert done.counts == {}


def test_a_call_that_was_running_is_ended_where_its_last_segment_ends(office: ArchivedOffice) -> None:
    call = office.call("running", state="talking", ended_ms=None, talk_ms=0)
    office.recording("running-0", call)
    office.recording("running-1", call, segment=1)
    office.cut()
    office.lose_the_store()
    rebuilt(office.home)
    (row,) = office.calls()
    assert (row["state"], row["result"], row["end_reason"]) == ("ended", "answered", "store_lost")
    assert row["ended_ms"] == START_MS + 2000


def test_the_later_segment_knows_how_the_call_ended(office: ArchivedOffice) -> None:
    """Whichever is read first: names are those of the channel's local time, which may go back."""
    call = office.call("changed", state="talking", ended_ms=None)
    office.recording("changed-0", call, started_ms=START_MS + 5000)
    office.cut()
    with closing((db := open_store(office.home.calls_db)).conn), write(db) as connection:
        connection.execute("UPDATE calls SET state = 'ended', ended_ms = ?", (START_MS + 9000,))
    office.recording("changed-1", call, segment=1, started_ms=START_MS)
    office.cut()
    calls = office.calls()
    office.lose_the_store()
    rebuilt(office.home)
    assert office.calls() == calls


def test_channel_numbers_stay_without_any_store(office: ArchivedOffice) -> None:
    office.day()
    channels = rows(office.home, "SELECT * FROM channels")
    office.lose_the_store()
    (office.home.root / "channels.json").unlink(missing_ok=True)
    rebuilt(office.home)
    assert rows(office.home, "SELECT * FROM channels") == channels
    assert ArchivedOffice(office.home).channels == [1, 2]


def test_the_kept_file_knows_channels_that_nobody_used(home: Home) -> None:
    office = ArchivedOffice(home, ports=4)
    office.day()
    rebuilt(home)  # writes the file
    channels = rows(home, "SELECT * FROM channels")
    assert len(channels) == 4
    office.lose_the_store()
    for path in home.root.glob("calls-*"):
        path.unlink()
    rebuilt(home)
    assert rows(home, "SELECT * FROM channels") == channels


def test_what_only_the_old_store_knows_is_taken_over(office: ArchivedOffice) -> None:
    office.day()
    running = office.call("running", state="talking", ended_ms=None)
    office.recording("waiting", running, segment=3)
    with closing((db := open_store(office.home.calls_db)).conn), write(db) as connection:
        connection.execute("INSERT INTO recorder_state VALUES (?, ?, 4000, 7, '[]')", (CARD_ID, office.epoch))
        connection.execute("INSERT INTO order_marks VALUES ('library', 12)")
        connection.execute("INSERT INTO archive_copies (recording_id, target, state) VALUES ('r', 't', 'verified')")
        connection.execute("INSERT INTO archive_elsewhere VALUES ('r', 't', 'mark', 'path')")
    tables = ("recorder_state", "order_marks", "archive_copies", "archive_elsewhere", "cards", "channels")
    before = [rows(office.home, f"SELECT * FROM {table}") for table in tables]
    calls, recordings = office.calls(), office.recordings()
    rebuilt(office.home)
    assert [rows(office.home, f"SELECT * FROM {table}") for table in tables] == before
    assert office.calls() == calls
    assert [row["state"] for row in office.recordings()] == [row["state"] for row in recordings]
    office.cut()
    assert {row["state"] for row in office.recordings()} == {"ready"}


def test_orders_are_not_carried_out_twice_when_nobody_knows_how_far_they_were(office: ArchivedOffice) -> None:
    from recorder.orders import add_order

    with closing((db := open_store(office.home.crm_db)).conn), write(db) as connection:
        add_order(connection, at_ms=1, asked_by="1000", verb="pause", channel=1)
        last = add_order(connection, at_ms=2, asked_by="1000", verb="delete", recording_id="rec-long-0")
    office.day()
    office.lose_the_store()
    rebuilt(office.home)
    marks = rows(office.home, "SELECT * FROM order_marks ORDER BY reader")
    assert marks == [{"reader": "library", "last_id": last}, {"reader": CARD_ID, "last_id": last}]


def test_a_store_in_use_is_left_alone(office: ArchivedOffice) -> None:
    office.day()
    program = (
        "import sys\nfrom pathlib import Path\nfrom firmware.store.connection import open_store\n"
        "db = open_store(Path(sys.argv[1]), readonly=True)\ndb.conn.execute('SELECT 1 FROM calls').fetchall()\n"
        "print('open', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(office.home.calls_db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"open\n"
        with pytest.raises(StoreBusy, match="stop the box first"):
            rebuilt(office.home)
        assert reader.stdin is not None
        reader.stdin.close()
        assert reader.wait(30) == 0
    assert not list(office.home.root.glob("calls-*"))
    rebuilt(office.home)


def leave_in_the_log(store: Path) -> None:
    """As a killed process leaves it: the newest transactions are in the log beside the store, and nowhere else."""
    with closing((db := open_store(store)).conn):
        (waiting,) = db.conn.execute("SELECT * FROM recordings WHERE id = 'rec-waiting'").fetchall()
        row = {name: waiting[name] for name in waiting.keys() if name != "ended_ms"}  # noqa: SIM118 - a Row
        with write(db) as connection:
            connection.execute("DELETE FROM recordings WHERE id = 'rec-waiting'")
        db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with write(db) as connection:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO recordings ({names}) VALUES ({marks})", list(row.values()))
        left = {path: path.read_bytes() for path in (store, store.with_name(f"{store.name}-wal"))}
    for path, content in left.items():
        path.write_bytes(content)


STEPS = ["mark", "aside", "companions", "in place", "unmark"]


@pytest.mark.parametrize("step", range(len(STEPS)), ids=STEPS)
def test_a_kill_at_any_step_loses_nothing(office: ArchivedOffice, step: int) -> None:
    """The process is killed before the n-th change of a name in the home directory."""
    office.day()
    running = office.call("running", state="talking", ended_ms=None)
    office.recording("waiting", running, segment=3)
    calls, recordings = office.calls(), office.recordings()
    leave_in_the_log(office.home.calls_db)
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom firmware.config import Home\n"
        "import firmware.store.replace as replace\nfrom recorder.library.rebuilding.rebuild import rebuild\n"
        "left = [int(sys.argv[2])]\n"
        "def counted(change):\n"
        "    def changing(self, *arguments, **named):\n"
        "        if replaced and self.name.startswith('calls.'):\n"
        "            if not left[0]:\n                os.kill(os.getpid(), 9)\n"
        "            left[0] -= 1\n"
        "        return change(self, *arguments, **named)\n"
        "    return changing\n"
        "replaced = []\n"
        "whole = replace.put_in_place\n"
        "def put(*arguments):\n    replaced.append(1)\n    whole(*arguments)\n"
        "import recorder.library.rebuilding.rebuild as module\nmodule.put_in_place = put\n"
        "Path.rename, Path.unlink = counted(Path.rename), counted(Path.unlink)\n"
        "rebuild(Home(Path(sys.argv[1])), 'killed', lambda _: False)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(office.home.root), str(step)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    migrate(office.home)
    assert office.calls() == calls
    assert [row["id"] for row in office.recordings()] == [row["id"] for row in recordings]
    assert [row["state"] for row in office.recordings()] == [row["state"] for row in recordings]
    assert migrate(office.home) == []


def test_a_damaged_store_is_made_anew_at_the_start(office: ArchivedOffice) -> None:
    office.day()
    calls, recordings = office.calls(), office.recordings()
    with office.home.calls_db.open("r+b") as file:
        file.write(b"\xff" * 4096)
    assert migrate(office.home) == ["calls: made anew, because file is not a database"]
    assert office.calls() == calls
    assert [row["id"] for row in office.recordings()] == [row["id"] for row in recordings]


def test_a_store_that_is_gone_is_made_anew_at_the_start(office: ArchivedOffice) -> None:
    office.day()
    calls = office.calls()
    office.lose_the_store()
    assert migrate(office.home) == ["calls: made anew, because it is not there"]
    assert office.calls() == calls


def test_a_disk_without_room_leaves_the_old_store(office: ArchivedOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    office.day()
    if os.geteuid() != 0 or not Path("/dev/full").exists():
        pytest.skip("needs root, to mount a small disk")
    small = office.home.root.with_name("small")
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)], check=True)
    try:
        home = Home(small)
        shutil.copytree(office.home.root, small, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tapes", "crm*"))
        before = home.calls_db.read_bytes()
        (small / "filling").write_bytes(b"\0" * (os.statvfs(small).f_bavail * os.statvfs(small).f_frsize))
        with pytest.raises(StoreError):
            rebuilt(home)
        assert home.calls_db.read_bytes() == before
        (small / "filling").unlink()
        assert [path.name for path in small.glob("calls*")] == ["calls.db"]
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_the_command_tells_what_it_found(office: ArchivedOffice) -> None:
    office.day()
    office.audio("by-hand").with_suffix(".json").unlink()
    run = CliRunner()
    before = office.home.calls_db.read_bytes()
    dry = run.invoke(tapdeck, ["--home", str(office.home.root), "rebuild", "--dry-run", "--json"])
    assert dry.exit_code == 0, dry.output
    assert office.home.calls_db.read_bytes() == before
    assert not list(office.home.root.glob("calls-*"))
    real = run.invoke(tapdeck, ["--home", str(office.home.root), "rebuild"])
    assert real.exit_code == 0, real.output
    told = json.loads(dry.output)
    assert (told["new_calls"], told["new_recordings"], told["counts"]) == (3, 5, {"without_manifest": 1})
    assert "calls entered: 3   recordings entered: 5" in real.output
    assert "audio without a manifest: 1" in real.output
    shown = run.invoke(tapdeck, ["--home", str(office.home.root), "reconcile"])
    assert "recordings entered: 5" in shown.output


def test_encrypted_recordings_come_back(office: ArchivedOffice) -> None:
    with closing((db := open_store(office.home.crm_db)).conn), write(db) as connection:
        connection.execute("INSERT INTO parameters VALUES ('system', '', 'recording_encryption', 'true', 0, '')")
    office.day()
    recordings = office.recordings()
    assert {row["encrypted"] for row in recordings} == {1}
    office.lose_the_store()
    done = rebuilt(office.home)
    assert done.counts == {}
    for row in recordings:
        row["wanted_format"] = "flac"
    assert office.recordings() == recordings


def test_deleted_and_converted_recordings_stay_so(office: ArchivedOffice) -> None:
    office.day()
    with open_library(office.home) as library:
        assert convert(library, "rec-long-0", "opus")
        assert convert(library, "rec-long-1", "opus")
        gone = delete_recordings(library, ["rec-by-hand", "rec-long-1"], "retention", "box", "older than 1 d")
        assert len(gone.deleted) == 2
        delete_recordings(library, ["rec-round-the-clock"], "erasure", "1000", "asked for", remove_manifest=True)
    recordings = office.recordings()
    office.lose_the_store()
    done = rebuilt(office.home)
    assert done.counts == {}
    expected = [row for row in recordings if row["id"] != "rec-round-the-clock"]
    for row in expected:
        row["wanted_format"] = "flac"
    assert office.recordings() == expected


def test_a_deletion_that_was_cut_off_is_carried_on_with(office: ArchivedOffice) -> None:
    """The tombstone is there, and so is the audio: the keeper deletes rows that have a rule."""
    office.day()
    audio = office.audio("by-hand")
    content = audio.read_bytes()
    with open_library(office.home) as library:
        delete_recordings(library, ["rec-by-hand"], "retention", "box", "older than 1 d")
    audio.write_bytes(content)
    office.lose_the_store()
    rebuilt(office.home)
    (row,) = rows(office.home, "SELECT * FROM recordings WHERE id = 'rec-by-hand'")
    assert (row["state"], row["deleted_rule"], row["deleted_by"]) == ("ready", "retention", "box")


def test_what_was_marked_for_deletion_is_not_forgotten(office: ArchivedOffice) -> None:
    office.day()
    db = open_store(office.home.calls_db)
    with write(db) as connection:
        connection.execute("UPDATE recordings SET deleted_rule = 'never_list' WHERE id = 'rec-by-hand'")
    db.conn.close()
    before = office.recordings()
    assert rebuilt(office.home).counts == {}
    after = {row["id"]: row["deleted_rule"] for row in office.recordings()}
    assert after == {row["id"]: row["deleted_rule"] for row in before}
    assert after["rec-by-hand"] == "never_list"
