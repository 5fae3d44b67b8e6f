"""Backups on real servers, set up at the console: OpenSSH's SFTP and S3; fetched with other programs and restored."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from backup_office import PASSPHRASE, back_up, bring_back, file_of, office_in
from click.testing import CliRunner

from firmware.cli import root
from firmware.config import Home

sys.path.append(str(Path(__file__).parents[1] / "recorder"))

from archive_servers import SSHD, SshServer, free_port, s3_server


@pytest.fixture
def office(home):
    with office_in(home) as one:
        one.recorded("13812345678")
        yield one


def command(home, *words, **options):
    return CliRunner().invoke(root, ["--home", str(home.root), *words], catch_exceptions=False, **options)


PROVED = ("--passphrase", PASSPHRASE)


def reached(server):
    return ("--identity", str(server.identity))


def command_fails(home, server, *words):
    done = CliRunner().invoke(
        root, ["--home", str(home.root), "restore", server.url, *reached(server), *PROVED, *words]
    )
    assert done.exit_code
    return done


@pytest.mark.skipif(not Path(SSHD).exists(), reason="this machine has no sshd")
def test_sftp(office, home, tmp_path):
    server = SshServer(tmp_path / "ssh", free_port())
    server.make()
    server.start()
    try:
        done = command(home, "backup", "place", server.url, "--identity", str(server.identity), input="y\n")
        assert "SHA256:" in done.output
        job = back_up(home, server.url, recordings=True)
        file = file_of(server.root, job)
        assert bring_back(Home(tmp_path / "new"), file, PASSPHRASE).recordings == 1
        before = {one: one.stat().st_mtime_ns for one in server.root.rglob("recordings/**/*.tapdeck")}
        office.recorded("01062345678")
        again = back_up(home, server.url, recordings=True)
        after = {one: one.stat().st_mtime_ns for one in server.root.rglob("recordings/**/*.tapdeck")}
        assert (len(before), len(after), before.items() < after.items()) == (1, 2, True)
        assert not file.exists()  # the newer one of the day took its place
        newest = file_of(server.root, again)
        shown = command(Home(tmp_path / "none"), "backup", "list", server.url, *reached(server), input="y\n")
        assert newest.name in shown.output
        blank = Home(tmp_path / "blank")
        wrong = command_fails(blank, server, "--fingerprint", "SHA256:another")
        assert "not the right one" in str(wrong.exception)
        assert not blank.crm_db.exists()
        done = command(blank, "restore", server.url, *reached(server), *PROVED, input="y\n")
        assert "recordings brought back 恢复录音 2" in done.output
        assert len(list(blank.recordings.rglob("*.flac"))) == 2
        assert newest.name in command(blank, "backup", "list").output, "found there again"
    finally:
        server.stop()
    away = back_up(home, server.url)
    assert (away.state, "127.0.0.1" in away.error) == ("failed", True)


def test_s3(office, home, tmp_path):
    with s3_server() as server:
        command(home, "backup", "place", server.url, "--access-key", "office", "--secret-key", "hush-hush-key")
        assert b"hush-hush" not in home.crm_db.read_bytes()
        done = command(home, "backup", "now", "--recordings")
        assert "tried out" in done.output
        fetched = tmp_path / "fetched"
        for name in server.names():
            place = fetched / name.removeprefix("box/one/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(server.content(name))
        checked = command(home, "backup", "check", str(fetched), "--passphrase", PASSPHRASE)
        assert "whole" in checked.output
        assert "ABSENT" not in checked.output
        keys = ("--access-key", "office", "--secret-key", "hush-hush-key")
        far = Home(tmp_path / "far")
        (name,) = [one.rpartition("/")[2] for one in server.names() if one.count("/") == 3 and "tapdeck-2" in one]
        assert name in command(far, "backup", "list", server.url, *keys).output
        assert "ABSENT" not in command(far, "backup", "check", server.url, *keys, *PROVED).output
        assert "恢复录音 1" in command(far, "restore", server.url, *keys, *PROVED).output
        new = Home(tmp_path / "new")
        restored = command(new, "restore", str(fetched), "--passphrase", PASSPHRASE)
        assert "restored" in restored.output
        assert len(list(new.recordings.rglob("*.flac"))) == 1
        assert (new.keys / "archive-_backup.json").read_bytes() == (home.keys / "archive-_backup.json").read_bytes()
