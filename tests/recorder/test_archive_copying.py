"""The archive task with real stores and targets: everything arrives, is proved to, and nothing holds up the rest."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from archive_box import START_MS, ArchiveBox, standing_alarms
from archive_servers import SSHD, S3Server, SshServer, free_port, s3_server
from click.testing import CliRunner

from firmware.cli import root as tapdeck
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BadInput, BoxError, NotFound, Refused
from firmware.store.connection import write
from recorder.library.archive import copying, sftp
from recorder.library.archive.copying import ArchiveTask
from recorder.library.archive.marks import MARK
from recorder.library.archive.office import add_place, archive_status, remove_place
from recorder.library.archive.places import write_access
from recorder.library.storage.deletion import delete_recordings

DAY_MS = 86_400_000


@pytest.fixture
def box(home: Home) -> Iterator[ArchiveBox]:
    one = ArchiveBox(home)
    yield one
    one.close()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    root = tmp_path / "second"
    root.mkdir()
    return root


def add(box: ArchiveBox, name: str, url: str, required: bool = True) -> None:
    add_place(box.calls, box.crm, name, url, required=required, by="1000")


def run(box: ArchiveBox, task: ArchiveTask | None = None) -> ArchiveTask:
    task = task or ArchiveTask()
    with box.library() as library:
        task.run(library, lambda: False)
    return task


def copies(box: ArchiveBox, target: str = "disk") -> dict[str, dict[str, Any]]:
    rows = box.calls.query("SELECT * FROM archive_copies WHERE target = ?", [target])
    return {row["recording_id"]: dict(row) for row in rows}


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_audio_manifest_and_key_arrive_and_are_noted(box: ArchiveBox, disk: Path) -> None:
    plain, secret = box.recording(), box.recording(encrypted=True)
    add(box, "disk", f"file://{disk}")
    run(box)
    wanted = [path.relative_to(box.home.recordings).as_posix() for path in box.files() if path.suffix != ".peaks"]
    assert names(disk) == [*wanted, MARK]
    assert len(wanted) == 5
    for name in wanted:
        assert (disk / name).read_bytes() == (box.home.recordings / name).read_bytes()
    noted = copies(box)
    for row in (plain, secret):
        one = noted[row["id"]]
        assert (one["state"], one["path"], one["attempts"], one["error"]) == ("verified", row["path"], 1, None)
        assert one["sha256"] == hashlib.sha256((disk / row["path"]).read_bytes()).hexdigest()
        assert one["verified_ms"] is not None
    assert standing_alarms(box.calls) == []


def test_only_what_is_new_is_copied(box: ArchiveBox, disk: Path) -> None:
    first = box.recording()
    add(box, "disk", f"file://{disk}")
    task = run(box)
    before = {name: (disk / name).stat().st_ino for name in names(disk)}
    new = box.recording(started_ms=now_ms() - 5000)
    box.recording(state="pending")
    run(box, task)
    assert copies(box).keys() == {first["id"], new["id"]}
    run(box)  # another keeper, later
    assert {name: (disk / name).stat().st_ino for name in before} == before


def test_copies_that_are_there_already_are_read_and_not_written_again(box: ArchiveBox, disk: Path) -> None:
    row = box.recording()
    add(box, "disk", f"file://{disk}")
    run(box)
    inode = (disk / row["path"]).stat().st_ino
    with write(box.calls) as connection:
        connection.execute("DELETE FROM archive_copies")  # as in a store that was rebuilt
    run(box)
    assert copies(box)[row["id"]]["state"] == "verified"
    assert (disk / row["path"]).stat().st_ino == inode


def test_a_wrong_copy_is_never_noted_as_verified(box: ArchiveBox, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes everything and keeps something else."""
    from recorder.library.archive.folder import FolderTarget

    row = box.recording()
    add(box, "disk", f"file://{disk}")
    put = FolderTarget.put

    def rot(self: FolderTarget, name: str, source: Path) -> None:
        put(self, name, source)
        content = bytearray((disk / name).read_bytes())
        content[len(content) // 2] ^= 1
        (disk / name).write_bytes(content)

    monkeypatch.setattr(FolderTarget, "put", rot)
    run(box)
    assert copies(box)[row["id"]]["state"] == "failed"
    assert "read back" in copies(box)[row["id"]]["error"]
    monkeypatch.undo()
    run(box)
    assert copies(box)[row["id"]] | {"state": "verified", "attempts": 2} == copies(box)[row["id"]]


@pytest.mark.parametrize(
    "damage", ["audio altered", "audio gone", "manifest gone", "manifest torn", "manifest garbled"]
)
def test_a_damaged_recording_is_not_archived_and_holds_up_no_other(box: ArchiveBox, disk: Path, damage: str) -> None:
    bad, good = box.recording(), box.recording()
    audio = box.home.recordings / bad["path"]
    manifest = audio.with_suffix(".json")
    if damage == "audio altered":
        audio.write_bytes(audio.read_bytes()[:-1] + b"!")
    elif damage in ("manifest torn", "manifest garbled"):
        manifest.write_bytes(b'{"manifest": 3}' if damage.endswith("torn") else b'{"manifest\xff')
    else:
        (audio if damage == "audio gone" else manifest).unlink()
    add(box, "disk", f"file://{disk}")
    run(box)
    noted = copies(box)
    assert noted[good["id"]]["state"] == "verified"
    assert noted[bad["id"]]["state"] == "failed"
    assert noted[bad["id"]]["error"]
    assert not [name for name in names(disk) if bad["id"] in name and name.endswith(".flac")]


def test_one_target_that_is_gone_does_not_hold_up_the_others(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    row = box.recording()
    add(box, "another", f"file://{tmp_path / 'none'}")
    add(box, "disk", f"file://{disk}")
    add(box, "far", f"sftp://user@127.0.0.1:{free_port()}/x")
    task = run(box)
    assert copies(box)[row["id"]]["state"] == "verified"
    assert copies(box, "another") == copies(box, "far") == {}
    assert standing_alarms(box.calls) == []  # nothing waits for a day yet
    (tmp_path / "none").mkdir()
    run(box, task)  # it rests
    assert copies(box, "another") == {}
    run(box)
    assert copies(box, "another")[row["id"]]["state"] == "verified"


def test_a_server_that_talks_nonsense_does_not_hold_up_the_others(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    """A greeting in the log-in shell of the account lands in the channel of SFTP."""
    if not Path(SSHD).exists():
        pytest.skip("needs Debian's openssh-server")
    server = SshServer(tmp_path / "ssh", free_port(), "echo Welcome to the office; exec /usr/lib/openssh/sftp-server")
    server.make()
    server.start()
    access = sftp.SftpAccess(sftp.ask_host_key("127.0.0.1", server.port), server.identity.read_text())
    write_access(box.home, "account", access)
    try:
        add(box, "account", server.url)
        add(box, "disk", f"file://{disk}")
        row = box.recording()
        run(box)
        assert copies(box)[row["id"]]["state"] == "verified"
        another = box.recording()
        run(box)
        assert copies(box)[another["id"]]["state"] == "verified"
        assert copies(box, "account") == {}
    finally:
        server.stop()


def test_a_target_rests_longer_each_time_and_is_itself_again_after_a_success(
    box: ArchiveBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    box.recording()
    add(box, "disk", f"file://{tmp_path / 'none'}")
    task = ArchiveTask()
    tries = []
    opened = copying.open_place

    def open_place(*arguments: Any) -> Any:
        tries.append(clock[0])
        return opened(*arguments)

    monkeypatch.setattr(copying, "open_place", open_place)
    with box.library() as library:
        for _ in range(500):
            task.run(library, lambda: False)
            clock[0] += 30
        rests = [after - before for before, after in pairwise(tries)]
        assert rests == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
        (tmp_path / "none").mkdir()
        while not copies(box):
            task.run(library, lambda: False)
            clock[0] += 30
    assert copies(box).popitem()[1]["state"] == "verified"


def test_lag_raises_an_alarm_and_catching_up_ends_it(box: ArchiveBox, disk: Path) -> None:
    box.recording()
    row = box.recording()
    manifest = (box.home.recordings / row["path"]).with_suffix(".json")
    manifest.rename(manifest.with_suffix(".away"))
    add(box, "disk", f"file://{disk}")
    task = run(box)
    assert standing_alarms(box.calls) == []
    with write(box.crm) as connection:  # the target was added long ago
        connection.execute("UPDATE archive_targets SET set_ms = ?", (START_MS,))
    with write(box.calls) as connection:
        connection.execute("UPDATE recordings SET started_ms = ?", (now_ms() - 25 * 3_600_000,))
    task = run(box)
    assert standing_alarms(box.calls) == [("archive_lag", "disk")]
    (data,) = box.calls.query("SELECT data FROM alarms")
    told = json.loads(data["data"])
    assert told["recordings"] == 1
    assert told["error"]
    (status,) = archive_status(box.calls, box.crm)
    assert (status.verified, status.backlog.recordings, status.backlog.failed, status.lagging) == (1, 1, 1, True)
    manifest.with_suffix(".away").rename(manifest)
    run(box, task)
    run(box, task)
    assert standing_alarms(box.calls) == []


def test_a_longer_limit_or_a_removed_target_ends_the_alarm(box: ArchiveBox, tmp_path: Path) -> None:
    box.recording()
    add(box, "disk", f"file://{tmp_path / 'none'}")
    with write(box.crm) as connection:
        connection.execute("UPDATE archive_targets SET set_ms = ?", (START_MS,))
    with write(box.calls) as connection:
        connection.execute("UPDATE recordings SET started_ms = ?", (now_ms() - 25 * 3_600_000,))
    run(box)
    assert standing_alarms(box.calls) == [("archive_lag", "disk")]
    with write(box.crm) as connection:
        connection.execute("INSERT INTO parameters VALUES ('system', '', 'archive_lag_alarm_h', '48', 0, '')")
    run(box)
    assert standing_alarms(box.calls) == []
    with write(box.crm) as connection:
        connection.execute("DELETE FROM parameters")
    run(box)
    assert standing_alarms(box.calls) == [("archive_lag", "disk")]
    remove_place(box.home, box.crm, "disk")
    run(box)
    assert standing_alarms(box.calls) == []


def test_stopping_ends_after_the_file_in_hand(box: ArchiveBox, disk: Path) -> None:
    for _ in range(3):
        box.recording()
    add(box, "disk", f"file://{disk}")
    task = ArchiveTask()
    with box.library() as library:
        task.run(library, lambda: bool(copies(box)))
    assert len(copies(box)) == 1
    run(box, task)
    assert len(copies(box)) == 3


def test_a_tombstone_follows_its_recording(box: ArchiveBox, disk: Path) -> None:
    """Deletion on the box leaves the archive's copy alone and tells it of the deletion."""
    row = box.recording()
    add(box, "disk", f"file://{disk}")
    run(box)
    audio = box.home.recordings / row["path"]
    tombstone = audio.with_name(f"{audio.stem}.tombstone.json")
    with write(box.calls) as connection:
        connection.execute("UPDATE recordings SET state = 'deleted', deleted_rule = 'retention'")
    audio.unlink()
    run(box)
    assert copies(box)[f"tombstone:{row['id']}"]["state"] == "failed"
    tombstone.write_bytes(b'{"manifest": {}}')
    run(box)
    assert copies(box)[f"tombstone:{row['id']}"]["state"] == "verified"
    assert (disk / row["path"]).exists()
    assert (disk / tombstone.relative_to(box.home.recordings)).read_bytes() == b'{"manifest": {}}'
    assert archive_status(box.calls, box.crm)[0].verified == 1


def test_many_recordings_over_a_real_wire(box: ArchiveBox, tmp_path: Path) -> None:
    ssh = SshServer(tmp_path / "ssh", free_port())
    ssh.make()
    ssh.start()
    try:
        with s3_server() as s3:
            commands(box.home, s3, ssh)
            rows = [box.recording(encrypted=bool(number % 2)) for number in range(6)]
            run(box)
            for target, root in (("far", ssh.root), ("cloud", None)):
                assert {one["state"] for one in copies(box, target).values()} == {"verified"}
                for row in rows:
                    audio = (box.home.recordings / row["path"]).read_bytes()
                    assert audio == (
                        (root / row["path"]).read_bytes() if root else s3.content(f"box/one/{row['path']}")
                    )
    finally:
        ssh.stop()


def tap(home: Home, *arguments: str, typed: str = "") -> str:
    result = CliRunner().invoke(tapdeck, ["--home", str(home.root), "archive", *arguments], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def commands(home: Home, s3: S3Server, ssh: SshServer) -> None:
    assert "works" in tap(home, "add", "cloud", s3.url, typed="office\nsecret\n")
    said = tap(home, "add", "far", ssh.url, "--identity", str(ssh.identity), typed="y\n")
    assert "SHA256:" in said
    assert "works" in said


def test_a_fingerprint_that_is_not_the_expected_one_adds_nothing(box: ArchiveBox, tmp_path: Path) -> None:
    ssh = SshServer(tmp_path / "ssh", free_port())
    ssh.make()
    ssh.start()
    try:
        with pytest.raises(Refused, match="not SHA256:x"):
            tap(box.home, "add", "far", ssh.url, "--fingerprint", "SHA256:x")
        result = CliRunner().invoke(tapdeck, ["--home", str(box.home.root), "archive", "add", "far", ssh.url], "n\n")
        assert result.exit_code == 1
        assert (tap(box.home, "list"), list(box.home.keys.glob("archive-*"))) == ("", [])
        said = tap(box.home, "add", "far", ssh.url, typed="y\n")
        (line,) = [line for line in said.splitlines() if line.startswith("ssh-ed25519 ")]
        with pytest.raises(BoxError):
            tap(box.home, "test", "far")
        (ssh.folder / "authorized").write_text(f"{line}\n")
        assert tap(box.home, "test", "far") == "far: works\n"
        assert names(ssh.root) == []
    finally:
        ssh.stop()


def test_the_verbs(box: ArchiveBox, disk: Path, tmp_path: Path) -> None:
    home = box.home
    assert "works" in tap(home, "add", "disk", f"file://{disk}")
    assert names(disk) == []
    result = CliRunner().invoke(
        tapdeck, ["--home", str(home.root), "archive", "add", "later", f"file://{tmp_path}/none", "--optional"]
    )
    assert (result.exit_code, "does not work yet" in result.output) == (0, True)
    assert tap(home, "list").splitlines() == [
        f"disk\tfile://{disk}\trequired",
        f"later\tfile://{tmp_path}/none\toptional",
    ]
    box.recording()
    run(box)
    first, second = json.loads(tap(home, "status", "--json"))
    assert (first["place"]["name"], first["verified"], first["backlog"]["recordings"]) == ("disk", 1, 0)
    assert (second["verified"], second["backlog"]["recordings"]) == (0, 1)
    assert "1 waiting" in tap(home, "status")
    for name, error in (("disk", Refused), ("Disk!", BadInput)):
        with pytest.raises(error):
            tap(home, "add", name, f"file://{disk}")
    with pytest.raises(NotFound):
        tap(home, "test", "none")
    tap(home, "remove", "disk")
    assert names(disk)
    with pytest.raises(Refused, match="choose another"):  # its copies would pass for those of the new place
        tap(home, "add", "disk", f"file://{tmp_path}")


def test_copies_of_what_must_not_exist_go(box: ArchiveBox, disk: Path) -> None:
    """A call with a number that is never recorded, known too late."""
    row, other = box.recording(), box.recording()
    add(box, "disk", f"file://{disk}")
    run(box)
    with box.library() as library:
        delete_recordings(library, [row["id"]], "never_list", "box", "")
    run(box)
    assert not [name for name in names(disk) if row["id"] in name]
    assert [name for name in names(disk) if other["id"] in name]
    assert copies(box)[row["id"]]["state"] == "removed"


def test_a_copy_that_cannot_be_removed_does_not_keep_the_others(box: ArchiveBox, disk: Path) -> None:
    stuck, other = box.recording(), box.recording()
    add(box, "disk", f"file://{disk}")
    run(box)
    in_the_way = disk / f"{copies(box)[stuck['id']]['path']}.0a1b.part"
    in_the_way.mkdir()
    with box.library() as library:
        delete_recordings(library, [stuck["id"], other["id"]], "never_list", "box", "")
    run(box)
    assert not [name for name in names(disk) if other["id"] in name]
    assert copies(box)[other["id"]]["state"] == "removed"
    assert copies(box)[stuck["id"]]["state"] != "removed"
    in_the_way.rmdir()
    run(box)
    assert copies(box)[stuck["id"]]["state"] == "removed"


def test_killed_again_and_again_it_loses_nothing_and_claims_nothing(box: ArchiveBox, disk: Path) -> None:
    """A real keeper is killed in the middle; what is noted as verified is there whole at any time."""
    rows = [box.recording(encrypted=bool(number % 2)) for number in range(30)]
    add(box, "disk", f"file://{disk}")
    code = (
        "import sys; from pathlib import Path; from firmware.config import Home\n"
        "from recorder.library.keeping.library import open_library\n"
        "from recorder.library.archive.copying import ArchiveTask\n"
        "with open_library(Home(Path(sys.argv[1]))) as library: ArchiveTask().run(library, lambda: False)"
    )
    for least in (1, 4, 9, 17):
        with subprocess.Popen([sys.executable, "-c", code, str(box.home.root)]) as keeper:
            while sum(one["state"] == "verified" for one in copies(box).values()) < least and keeper.poll() is None:
                time.sleep(0.005)
            keeper.kill()
        for one in copies(box).values():
            if one["state"] == "verified":
                assert hashlib.sha256((disk / one["path"]).read_bytes()).hexdigest() == one["sha256"]
    run(box)
    assert {one["state"] for one in copies(box).values()} == {"verified"}
    assert len(copies(box)) == len(rows)
    assert not list(disk.rglob("*.part"))
