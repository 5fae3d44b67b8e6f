"""A new box finds the former one's backups on real servers, OpenSSH's SFTP and S3, and takes over from one of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import test_http_restore
from backup_office import PASSPHRASE, back_up, file_of, office_in
from test_backup_servers import command
from test_http_restore import code, nothing_left, outcome

from firmware.start import make_ready

sys.path.append(str(Path(__file__).parents[1] / "recorder"))

from archive_servers import SSHD, SshServer, free_port, s3_server

old, keeper, page = test_http_restore.old, test_http_restore.keeper, test_http_restore.page


def recorded(home):
    return len(list(home.recordings.glob("2026/*.flac")))


@pytest.mark.skipif(not Path(SSHD).exists(), reason="this machine has no sshd")
def test_sftp(old, home, page, server, tmp_path):
    far = SshServer(tmp_path / "ssh", free_port())
    far.make()
    far.start()
    try:
        with office_in(old) as office:
            office.recorded("13812345678")
            command(old, "backup", "place", far.url, "--identity", str(far.identity), input="y\n")
            name = file_of(far.root, back_up(old, far.url, recordings=True)).name
        body = {"address": far.url}
        found = page.ask("POST", "/restore/look", body).json
        assert found["backups"] == []
        host = found["server"]
        assert host["fingerprint"].startswith("SHA256:")
        confirmed = {**body, "fingerprint": host["fingerprint"]}
        assert code(page.ask("POST", "/restore/look", confirmed)) == (409, "restore_server"), "it knows no key of ours"
        with (far.folder / "authorized").open("a") as lines:
            lines.write(f"{host['key_line']}\n")
        other = {**body, "fingerprint": "SHA256:AAAA"}
        assert code(page.ask("POST", "/restore/look", other)) == (409, "restore_host_key")
        found = page.ask("POST", "/restore/look", confirmed).json
        assert ([one["name"] for one in found["backups"]], found["server"]) == ([name], None)
        chosen = {**confirmed, "name": name, "passphrase": PASSPHRASE}
        unconfirmed = {**body, "name": name, "passphrase": PASSPHRASE}
        assert code(page.ask("POST", "/restore", unconfirmed)) == (409, "restore_host_key")
        assert code(page.ask("POST", "/restore/check", {**chosen, "name": "../x.tapdeck"})) == (409, "restore_gone")
        assert nothing_left(home)
        assert page.ask("POST", "/restore/check", chosen).json == found["backups"][0]
        assert page.ask("POST", "/restore", chosen).status == 202
        done = outcome(page)
        assert (done["state"], done["absent"]) == ("restarting", 0)
    finally:
        far.stop()
    server.stop()
    make_ready(home)
    assert recorded(home) == 1


def test_s3(old, home, page, server):
    with s3_server() as far:
        with office_in(old) as office:
            office.recorded("13812345678")
            command(old, "backup", "place", far.url, "--access-key", "office", "--secret-key", "hush-hush-key")
            job = back_up(old, far.url, recordings=True)
        assert job.state == "done", job.error
        body = {"address": far.url, "access_key": "office", "secret_key": "typed on the page"}
        (shown,) = page.ask("POST", "/restore/look", body).json["backups"]
        assert shown["name"] == job.result["name"]
        chosen = {**body, "name": shown["name"], "passphrase": PASSPHRASE}
        gone = next(name for name in far.names() if "/recordings/" in name)
        far.boto.delete_object(Bucket=far.bucket, Key=gone)
        assert page.ask("POST", "/restore", chosen).status == 202
        done = outcome(page)
        assert (done["state"], done["absent"]) == ("restarting", 1)
        assert [one for one in home.root.rglob("*") if one.is_file() and b"typed on the page" in one.read_bytes()] == []
    server.stop()
    make_ready(home)
    assert recorded(home) == 0


def test_addresses_and_servers_that_are_none(page):
    for address, why in (
        ("s3://bucket", (400, "restore_place")),
        ("sftp://office@127.0.0.1", (400, "restore_place")),
        (f"sftp://office@127.0.0.1:{free_port()}/backups", (409, "restore_server")),
        (f"s3://bucket/box?endpoint=http://127.0.0.1:{free_port()}", (409, "restore_server")),
    ):
        assert code(page.ask("POST", "/restore/look", {"address": address})) == why, address
