"""Every kind of target against a real one: a disk, OpenSSH's SFTP server, an S3 server."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from archive_servers import SSHD, S3Server, SshServer, free_port, s3_server

from firmware.config import Home
from firmware.errors import BadInput
from recorder.library.archive import folder, sftp
from recorder.library.archive.places import access_path, open_place, split_url, write_access
from recorder.library.archive.s3 import S3Access
from recorder.library.archive.target import Target, TargetError

NAME = "2026/09/21/CH001/20260921T100000+0800_CH001_in_张三_1.flac"


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[SshServer]:
    if not Path(SSHD).exists():
        pytest.skip("needs Debian's openssh-server")
    server = SshServer(tmp_path / "ssh", free_port())
    server.make()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@dataclass
class Place:
    """A target under test, and what somebody else sees of it."""

    url: str
    open: Callable[[], AbstractContextManager[Target]]
    names: Callable[[], list[str]]
    content: Callable[[str], bytes]


def folder_place(home: Home, root: Path) -> Place:
    root.mkdir(exist_ok=True)
    url = f"file://{root}"
    return Place(
        url,
        lambda: open_place(home, "t", url),
        lambda: sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()),
        lambda name: (root / name).read_bytes(),
    )


def sftp_place(home: Home, ssh: SshServer) -> Place:
    write_access(home, "t", sftp.SftpAccess(sftp.ask_host_key("127.0.0.1", ssh.port), ssh.identity.read_text()))
    seen = folder_place(home, ssh.root)
    return Place(ssh.url, lambda: open_place(home, "t", ssh.url), seen.names, seen.content)


def s3_place(home: Home, s3: S3Server) -> Place:
    write_access(home, "t", S3Access("office", "secret"))
    return Place(
        s3.url,
        lambda: open_place(home, "t", s3.url),
        lambda: [key.removeprefix("box/one/") for key in s3.names()],
        lambda name: s3.content(f"box/one/{name}"),
    )


@pytest.fixture(params=["file", "sftp", "s3"])
def place(request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> Place:
    if request.param == "file":
        return folder_place(home, tmp_path / "second disk")
    if request.param == "sftp":
        return sftp_place(home, request.getfixturevalue("ssh"))
    return s3_place(home, request.getfixturevalue("s3"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.flac"
    path.write_bytes(os.urandom(700_001))
    return path


def test_what_is_put_is_there_and_read_back(place: Place, source: Path) -> None:
    with place.open() as target:
        assert target.sha256(NAME) is None
        target.put(NAME, source)
        assert target.sha256(NAME) == hashlib.sha256(source.read_bytes()).hexdigest()
        target.put("empty", Path(os.devnull))
        assert target.sha256("empty") == hashlib.sha256(b"").hexdigest()
    assert place.names() == sorted([NAME, "empty"])
    assert place.content(NAME) == source.read_bytes()


def test_putting_again_replaces(place: Place, source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with place.open() as target:
        target.put(NAME, source)
        target.put(NAME, other)
        assert target.sha256(NAME) == hashlib.sha256(b"other").hexdigest()
    assert place.content(NAME) == b"other"
    assert place.names() == [NAME]


def test_what_is_removed_is_gone(place: Place, source: Path) -> None:
    with place.open() as target:
        target.remove("never/was.flac")
        target.put(NAME, source)
        target.put(f"{NAME}.tde", source)
        target.remove(NAME)
        target.remove(NAME)
        assert target.sha256(NAME) is None
    assert place.names() == [f"{NAME}.tde"]


def test_what_earlier_attempts_left_goes_with_the_next_and_with_the_copy(
    home: Home, tmp_path: Path, source: Path
) -> None:
    place = folder_place(home, tmp_path / "second disk")
    left, others = tmp_path / "second disk" / f"{NAME}.0a1b.part", tmp_path / "second disk" / f"{NAME}x.0a1b.part"
    left.parent.mkdir(parents=True)
    others.touch()
    with place.open() as target:
        left.write_bytes(b"half")
        target.put(NAME, source)
        assert place.names() == [NAME, f"{NAME}x.0a1b.part"]
        left.write_bytes(b"half")
        target.remove(NAME)
        assert place.names() == [f"{NAME}x.0a1b.part"]
        left.mkdir()  # one that cannot be removed
        target.put(NAME, source)
        assert target.sha256(NAME) == hashlib.sha256(source.read_bytes()).hexdigest()
        with pytest.raises(TargetError):
            target.remove(NAME)


def test_half_a_copy_on_an_sftp_server_goes_with_the_copy(home: Home, ssh: SshServer, source: Path) -> None:
    place = sftp_place(home, ssh)
    with place.open() as target:
        target.put(NAME, source)
        (ssh.root / f"{NAME}.part").write_bytes(b"half")
        target.remove(NAME)
    assert place.names() == []


def test_a_source_that_cannot_be_read_is_not_the_targets_fault(place: Place, tmp_path: Path) -> None:
    with place.open() as target, pytest.raises(FileNotFoundError):
        target.put(NAME, tmp_path / "none")
    assert place.names() == []


def test_an_object_of_several_parts(home: Home, s3: S3Server, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(os.urandom(1024) * 12_000)  # above minio's smallest part, 5 MiB
    place = s3_place(home, s3)
    with place.open() as target:
        target.put(NAME, source)
        assert target.sha256(NAME) == hashlib.sha256(source.read_bytes()).hexdigest()
    assert place.content(NAME) == source.read_bytes()


def test_half_an_upload_goes_with_the_next_and_with_the_copy(home: Home, s3: S3Server, source: Path) -> None:
    """A box that loses its power in the middle of a large object."""
    place = s3_place(home, s3)
    for act in ("put", "remove"):
        for key in (NAME, f"{NAME}.other"):
            begun = s3.boto.create_multipart_upload(Bucket=s3.bucket, Key=f"box/one/{key}")
            s3.boto.upload_part(
                Bucket=s3.bucket, Key=begun["Key"], UploadId=begun["UploadId"], PartNumber=1, Body=b"half of it"
            )
        with place.open() as target:
            target.put(NAME, source) if act == "put" else target.remove(NAME)
        left = s3.boto.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", [])
        assert {one["Key"] for one in left} == {f"box/one/{NAME}.other"}, act


def test_all_versions_of_an_object_go(home: Home, s3: S3Server, source: Path) -> None:
    s3.boto.put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    with s3_place(home, s3).open() as target:
        target.put(NAME, source)
        target.put(NAME, source)
        target.remove(NAME)
    left = s3.boto.list_object_versions(Bucket=s3.bucket)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_a_bucket_that_is_not_there_and_a_server_that_is_not_there(home: Home, s3: S3Server) -> None:
    write_access(home, "t", S3Access("office", "secret"))
    for url, words in (
        (s3.url.replace("office", "elsewhere"), "no bucket"),
        (f"s3://office?endpoint=http://127.0.0.1:{free_port()}&region=us-east-1", "127.0.0.1"),
    ):
        with pytest.raises(TargetError, match=words), open_place(home, "t", url):
            pass


def test_another_host_key_is_refused(home: Home, ssh: SshServer) -> None:
    place = sftp_place(home, ssh)
    ssh.stop()
    ssh.make_key("host")
    ssh.start()
    with pytest.raises(TargetError, match="another host key"), place.open():
        pass


def test_a_key_that_the_server_does_not_know_is_refused(home: Home, ssh: SshServer) -> None:
    write_access(home, "t", sftp.SftpAccess(sftp.ask_host_key("127.0.0.1", ssh.port), sftp.new_private_key()))
    with pytest.raises(TargetError, match="Authentication"), open_place(home, "t", ssh.url):
        pass


def test_a_new_key_works_once_the_server_knows_its_line(home: Home, ssh: SshServer, source: Path) -> None:
    private = sftp.new_private_key()
    (ssh.folder / "authorized").write_text(sftp.public_line(private) + "\n")
    write_access(home, "t", sftp.SftpAccess(sftp.ask_host_key("127.0.0.1", ssh.port), private))
    with open_place(home, "t", ssh.url) as target:
        target.put(NAME, source)
    assert (ssh.root / NAME).read_bytes() == source.read_bytes()


def test_the_fingerprint_is_that_of_ssh_keygen(ssh: SshServer) -> None:
    said = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(ssh.folder / "host.pub")], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert sftp.fingerprint(sftp.ask_host_key("127.0.0.1", ssh.port)) == said


def test_a_root_that_is_not_there_is_not_made(home: Home, ssh: SshServer, source: Path) -> None:
    place = sftp_place(home, ssh)
    shutil.rmtree(ssh.root)
    with place.open() as target, pytest.raises(TargetError):
        target.put(NAME, source)
    assert not ssh.root.exists()


def test_a_server_that_goes_away_in_the_middle(home: Home, ssh: SshServer, source: Path) -> None:
    with sftp_place(home, ssh).open() as target:
        target.put(NAME, source)
        assert ssh.process is not None
        for child in psutil.Process(ssh.process.pid).children(recursive=True):
            child.kill()
        with pytest.raises(TargetError):
            target.put("next", source)


def test_nothing_is_written_below_a_mount_point_without_its_disk(home: Home, tmp_path: Path, source: Path) -> None:
    root = tmp_path / "mnt"
    root.mkdir()
    with pytest.raises(TargetError, match="nothing is mounted"):
        open_place(home, "t", f"file://{root}?mount=1")
    with open_place(home, "t", "file:///proc?mount=1"):
        pass
    with open_place(home, "t", f"file://{root}") as target:
        root.rmdir()
        with pytest.raises(TargetError, match="not a folder"):
            target.put(NAME, source)
    assert not root.exists()


def test_nothing_is_written_below_a_disk_that_was_just_unmounted(
    home: Home, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder takes the place of the disk between the look at it and the copy."""
    root, away = tmp_path / "mnt", tmp_path / "away"
    root.mkdir()
    looked = folder._is_mount

    def unmount(fd: int) -> bool:
        looked(fd)
        root.rename(away)
        root.mkdir()
        return True

    with open_place(home, "t", f"file://{root}") as target:
        monkeypatch.setattr(target, "_must_be_mounted", True)
        monkeypatch.setattr(folder, "_is_mount", unmount)
        target.put(NAME, source)
    assert list(root.iterdir()) == []
    assert (away / NAME).read_bytes() == source.read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one MiB."""
    image, root = tmp_path / "image", tmp_path / "small"
    root.mkdir()
    with image.open("wb") as file:
        file.truncate(1024 * 1024)
    made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], capture_output=True, check=False)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(root)], capture_output=True, check=False)
    if made.returncode or mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    yield root
    subprocess.run(["umount", str(root)], check=True)


def test_a_full_disk_keeps_what_it_has_and_no_torn_copy(home: Home, small_disk: Path, source: Path) -> None:
    place = folder_place(home, small_disk)
    with open_place(home, "t", f"{place.url}?mount=1") as target:
        target.put(NAME, source)
        with pytest.raises(TargetError, match="No space left"):
            target.put("second.flac", source)
        assert target.sha256("second.flac") is None
        assert target.sha256(NAME) == hashlib.sha256(source.read_bytes()).hexdigest()
    assert place.names() == [NAME]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/path", "begins with none of"),
        ("/mnt/second", "begins with none of"),
        ("file://host/path", "file:///mnt/second"),
        ("file:relative", "file:///mnt/second"),
        ("file:///mnt?mounted=1", "unknown option mounted"),
        ("sftp://host/path", "sftp://USER@HOST/PATH"),
        ("sftp://user@host", "sftp://USER@HOST/PATH"),
        ("sftp://user:secret@host/path", "holds no password"),
        ("sftp://user@host:99999/path", "out of range"),
        ("s3://bucket", "endpoint"),
        ("s3://bucket?endpoint=host", "endpoint"),
        ("s3:///prefix?endpoint=https://host", "BUCKET"),
    ],
)
def test_addresses_that_cannot_be(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        split_url(url)


def test_keys_are_for_the_group_of_the_keys_folder_and_their_absence_is_named(home: Home) -> None:
    write_access(home, "t", S3Access("a", "b"))
    assert access_path(home, "t").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in home.keys.iterdir()] == ["archive-t.json"]
    for torn in (b"{", b'{"access_key":"\xff"}'):
        access_path(home, "t").write_bytes(torn)
        for name in ("t", "none"):
            with pytest.raises(TargetError, match=rf"archive-{name}\.json"):
                open_place(home, name, "s3://bucket?endpoint=https://host")


def test_a_folder_that_cannot_even_be_looked_at_is_the_targets_fault(home: Home) -> None:
    """As one on a share whose server is away (EHOSTDOWN, EIO); here its name is longer than the system takes."""
    with pytest.raises(TargetError, match="File name too long"):
        open_place(home, "t", f"file:///{'a' * 300}")
    with pytest.raises(TargetError, match="File name too long"):
        open_place(home, "t", f"file:///{'a' * 300}?mount=1")


def test_the_recordings_are_not_their_own_copies(home: Home, tmp_path: Path) -> None:
    home.recordings.mkdir(exist_ok=True)
    alias = tmp_path / "alias"
    alias.symlink_to(home.recordings)
    for path in (home.recordings, alias):
        with pytest.raises(TargetError, match="their own copies"):
            open_place(home, "t", f"file://{path}")
