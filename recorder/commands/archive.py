"""``tapdeck archive``: where copies of recordings go, and how far that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import sqlite_utils

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.errors import Refused
from firmware.store.connection import open_store
from firmware.store.migrations import require_current_schema

if TYPE_CHECKING:
    from recorder.library.archive.office import TargetStatus


@click.group("archive")
def archive_group() -> None:
    """Copies of recordings elsewhere: file:///path, sftp://user@host/path, s3://bucket/prefix?endpoint=https://…"""


@contextmanager
def _stores(home: Home, readonly: bool = True) -> Iterator[tuple[sqlite_utils.Database, sqlite_utils.Database]]:
    require_current_schema(home)
    calls, crm = open_store(home.calls_db, readonly=readonly), open_store(home.crm_db)
    with closing(calls.conn), closing(crm.conn):
        yield calls, crm


@archive_group.command("add")
@click.argument("name")
@click.argument("url")
@click.option("--optional", is_flag=True, help="Recordings may be deleted although this target lacks them.")
@click.option("--identity", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="SFTP: private key.")
@click.option("--fingerprint", help="SFTP: the host key that must be shown, SHA256:…; asked for when left out.")
@click.option("--access-key", help="S3: asked for when left out.")
@click.option("--secret-key", help="S3: asked for when left out; better not typed where others see it.")
@click.pass_obj
def add_command(
    home: Home,
    name: str,
    url: str,
    optional: bool,
    identity: Path | None,
    fingerprint: str | None,
    access_key: str | None,
    secret_key: str | None,
) -> None:
    """Add a target; the keeper begins to copy within a minute."""
    from recorder.library.archive.office import add_place, check_name, find_place, try_place
    from recorder.library.archive.places import access_path, split_url, write_access
    from recorder.library.archive.s3 import S3Access
    from recorder.library.archive.target import TargetError

    parts, _ = split_url(url)
    with _stores(home) as (calls, crm):
        check_name(calls, crm, name)
        line = ""
        if parts.scheme == "sftp":
            line = _sftp_access(home, name, parts.hostname or "", parts.port, identity, fingerprint)
        elif parts.scheme == "s3":
            access_key = access_key or click.prompt("Access key")
            secret_key = secret_key or click.prompt("Secret key", hide_input=True)
            write_access(home, name, S3Access(access_key, secret_key))
        try:
            add_place(calls, crm, name, url, required=not optional, by="console")
        except BaseException:
            access_path(home, name).unlink(missing_ok=True)
            raise
        if line:
            click.echo(f"Let the server know this key, then run 'tapdeck archive test {name}':\n{line}")
            return
        try:
            try_place(home, find_place(crm, name))
        except TargetError as error:
            click.echo(f"{name}: added, but it does not work yet: {error}", err=True)
            return
    click.echo(f"{name}: added, works")


def _sftp_access(
    home: Home, name: str, host: str, port: int | None, identity: Path | None, fingerprint: str | None
) -> str:
    """Pin the host key and keep a private key; the line for the server when the key is new."""
    from recorder.library.archive import sftp
    from recorder.library.archive.places import write_access

    host_key = sftp.ask_host_key(host, port or sftp.PORT)
    shown = sftp.fingerprint(host_key)
    if fingerprint is None:
        click.confirm(f"{host} shows the host key {shown}. Is it the right one?", abort=True)
    elif fingerprint != shown:
        raise Refused(f"{host} shows the host key {shown}, not {fingerprint}")
    private = identity.read_text() if identity else sftp.new_private_key()
    line = sftp.public_line(private)
    write_access(home, name, sftp.SftpAccess(host_key, private))
    return "" if identity else line


@archive_group.command("remove")
@click.argument("name")
@click.pass_obj
def remove_command(home: Home, name: str) -> None:
    """Forget a target; the copies there stay."""
    from recorder.library.archive.office import remove_place

    with _stores(home) as (_, crm):
        remove_place(home, crm, name)
    click.echo(f"{name}: removed; the copies there stay")


@archive_group.command("test")
@click.argument("name")
@click.pass_obj
def test_command(home: Home, name: str) -> None:
    """Write a small file to a target, read it back, remove it."""
    from recorder.library.archive.office import find_place, try_place

    with _stores(home) as (_, crm):
        try_place(home, find_place(crm, name))
    click.echo(f"{name}: works")


@archive_group.command("list")
@click.pass_obj
def list_command(home: Home) -> None:
    """List the targets: name, address, whether recordings may be deleted without it."""
    from recorder.library.archive.places import read_places

    with _stores(home) as (_, crm):
        for place in read_places(crm):
            click.echo(f"{place.name}\t{place.url}\t{'required' if place.required else 'optional'}")


@archive_group.command("media")
@click.argument("name")
@click.pass_obj
def media_command(home: Home, name: str) -> None:
    """List the media of a target that copies wait to be removed from: mark, where it is, how many."""
    from recorder.library.archive.marks import known_mark
    from recorder.library.archive.removing import awaited_media

    with _stores(home) as (calls, _):
        present, awaited = known_mark(calls, name), awaited_media(home, calls, name)
    for mark, copies in awaited.items():
        click.echo(f"{mark or 'any'}\t{'here' if mark in ('', present) else 'elsewhere'}\t{copies} to remove")


@archive_group.command("forget")
@click.argument("name")
@click.argument("mark", default="")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget_command(home: Home, name: str, mark: str, yes: bool) -> None:
    """Wait no more to remove copies from a medium that is gone for good; of a removed target: from any."""
    from recorder.library.archive.removing import forget_media

    if not yes:
        click.confirm("Was it destroyed? What should have been removed from it stays on it.", abort=True)
    with _stores(home, readonly=False) as (calls, crm):
        given_up = forget_media(home, calls, crm, name, mark)
    click.echo(f"{name}: {given_up} copies given up")


@archive_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@click.pass_obj
def status_command(home: Home, as_json: bool) -> None:
    """Show how many recordings each target holds and lacks, and since when."""
    from recorder.library.archive.office import archive_status

    with _stores(home) as (calls, crm):
        found = archive_status(calls, crm)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for one in found:
        click.echo(_status_line(one))


def _status_line(one: TargetStatus) -> str:
    left = one.backlog
    parts = [f"{one.place.name}: {one.verified} verified, {left.recordings} waiting ({left.bytes / 2**20:.1f} MiB)"]
    if left.oldest_ms is not None:
        parts.append(f"the oldest since {iso_utc(left.oldest_ms)}")
    if left.failed:
        parts.append(f"{left.failed} failed: {left.error}")
    if one.lagging:
        parts.append("LAGGING 归档滞后")
    return ", ".join(parts)
