"""The verbs ``tapdeck backup …`` and ``tapdeck restore``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import sqlite_utils

from firmware.clock import iso_utc, now_ms
from firmware.config import Home
from firmware.errors import BoxError, ConfigError, NotFound, Refused
from firmware.store.connection import open_store, write
from firmware.store.migrations import require_current_schema

if TYPE_CHECKING:
    from crm_client_api.backup.far import Lying
    from crm_client_api.courier.jobs import Job

_DAY_MS = 86_400_000
_IDENTITY = click.Path(exists=True, dir_okay=False, path_type=Path)
_PHRASES = {
    "snapshot": "copies the stores 复制数据库",
    "recordings": "brings recordings 备份录音",
    "packing": "packs and seals 打包加密",
    "trying": "tries the backup out 试恢复校验",
    "writing": "writes it to its place 写入目标",
    "clearing": "clears old recordings away 清理旧录音",
    "unpacking": "unpacks 解包",
    "settling": "makes everything ready 准备就绪",
}


def _from_servers(command: Callable[..., None]) -> Callable[..., None]:
    """Options of verbs that read backups: how to get at those on a server, on a box that has no keys for it."""
    for option in (
        click.option("--secret-key", help="S3: asked for when left out."),
        click.option("--access-key", help="S3: asked for when left out."),
        click.option("--fingerprint", help="SFTP: the host key that must be shown, SHA256:…; else asked."),
        click.option("--identity", type=_IDENTITY, help="SFTP: private key that the server lets in."),
    ):
        command = option(command)
    return command


@contextmanager
def _source(
    source: str, identity: Path | None, fingerprint: str | None, access_key: str | None, secret_key: str | None
) -> Iterator[Lying]:
    """A file or folder, or the folder of backups on a server. Raises BadInput, NotFound, Refused, TargetError."""
    from urllib.parse import unquote

    from crm_client_api.backup.access import server_folder, sftp_access
    from recorder.library.archive.places import split_url
    from recorder.library.archive.s3 import S3Access
    from recorder.library.archive.sftp import SftpAccess

    scheme = source.partition("://")[0] if "://" in source else "file"
    if scheme == "file":
        place = Path(unquote(split_url(source)[0].path) if "://" in source else source)
        if not place.exists():
            raise NotFound(f"{place} does not exist")
        yield place
        return
    split_url(source)
    access: SftpAccess | S3Access
    if scheme == "sftp":
        if identity is None:
            raise ConfigError("name a private key that the server lets in with --identity")
        access = sftp_access(source, identity.read_text(), fingerprint, _is_right)
    else:
        key = access_key or click.prompt("Access key")
        access = S3Access(key, secret_key or click.prompt("Secret key", hide_input=True))
    with server_folder(source, access) as folder:
        yield folder


@click.group("backup")
def backup_group() -> None:
    """Backups. TAPDECK_BACKUP_…_PASSPHRASE can stand for the prompt of a passphrase."""


@contextmanager
def _crm(home: Home) -> Iterator[sqlite_utils.Database]:
    require_current_schema(home)
    db = open_store(home.crm_db)
    with closing(db.conn):
        yield db


@backup_group.command("passphrase")
@click.password_option("--passphrase", help="12 characters or more; asked for when left out.")
@click.pass_obj
def passphrase_command(home: Home, passphrase: str) -> None:
    """Choose the passphrase that opens backups from now on. Keep it elsewhere: the box does not know it."""
    from crm_client_api.backup.keys import make_key
    from crm_client_api.backup.records import set_key
    from crm_client_api.domain.audit import CONSOLE, Actor

    key = make_key(passphrase)
    with _crm(home) as crm:
        set_key(crm, key, Actor(CONSOLE))
    click.echo("Backups open with this passphrase from now on. Without it nobody can open them; keep it elsewhere.")
    click.echo("此后的备份都用此口令打开。口令遗失则无法恢复,请妥善保存,不要只存在本机。")


@backup_group.command("place")
@click.argument("address")
@click.option("--identity", type=_IDENTITY, help="SFTP: private key.")
@click.option("--fingerprint", help="SFTP: the host key that must be shown, SHA256:…; asked for when left out.")
@click.option("--access-key", help="S3: asked for when left out.")
@click.option("--secret-key", help="S3: asked for when left out; better not typed where others see it.")
@click.pass_obj
def place_command(
    home: Home,
    address: str,
    identity: Path | None,
    fingerprint: str | None,
    access_key: str | None,
    secret_key: str | None,
) -> None:
    """Set where the backup of every night goes: file:///path, sftp://user@host/path, s3://bucket/…, usb:STICK."""
    from crm_client_api.backup.access import keep_s3_access, keep_sftp_access
    from crm_client_api.backup.addresses import check_address, medium_of, require_outside
    from crm_client_api.backup.parameters import PLACE
    from crm_client_api.domain import audit
    from crm_client_api.domain.audit import CONSOLE, Actor
    from firmware.parameters import get_value, store_value
    from recorder.library.archive.places import split_url

    check_address(address)
    require_outside(home, address, follow=True)
    line = ""
    scheme = "usb" if medium_of(address) is not None else split_url(address)[0].scheme
    with _crm(home) as crm:
        if scheme == "sftp":
            line = keep_sftp_access(home, address, identity, fingerprint, _is_right)
        elif scheme == "s3":
            access_key = access_key or click.prompt("Access key")
            keep_s3_access(home, access_key, secret_key or click.prompt("Secret key", hide_input=True))
        with write(crm) as connection:
            before = get_value(crm, "system", PLACE)
            store_value(connection, "system", PLACE, address, subject="", changed_by=CONSOLE)
            changed = {"before": {PLACE: before}, "after": {PLACE: address}}
            audit.append(connection, Actor(CONSOLE), "system.change", "", changed)
    click.echo(f"Let the server know this key:\n{line}" if line else f"backups go to {address}")


def _is_right(host: str, shown: str) -> bool:
    return click.confirm(f"{host} shows the host key {shown}. Is it the right one?")


@backup_group.command("now")
@click.option("--to", "address", help="An address; where the backup of every night goes when left out.")
@click.option("--recordings/--no-recordings", default=None, help="Audio too; as every night when left out.")
@click.pass_obj
def now_command(home: Home, address: str | None, recordings: bool | None) -> None:
    """Make a backup now, and wait for it; the box goes on working."""
    import msgspec

    from crm_client_api.backup.addresses import check_address
    from crm_client_api.backup.asking import BACKUP, wanted_at
    from crm_client_api.backup.parameters import PLACE, RECORDINGS
    from crm_client_api.courier.jobs import add_job, wake_courier
    from crm_client_api.domain.audit import CONSOLE, Actor
    from firmware.parameters import get_value

    with _crm(home) as crm:
        place = address or str(get_value(crm, "system", PLACE))
        if not place:
            raise ConfigError("say where to with --to, or set 'tapdeck backup place' once")
        check_address(place)
        audio = bool(get_value(crm, "system", RECORDINGS)) if recordings is None else recordings
        with write(crm) as connection:
            wanted = msgspec.to_builtins(wanted_at(place, recordings=audio))
            job_id = add_job(connection, BACKUP, Actor(CONSOLE), wanted, frozenset())
        wake_courier(home)
        job = _await(home, crm, job_id)
    if job.state != "done":
        raise BoxError(f"the backup failed: {job.error}" if job.state == "failed" else f"the backup was {job.state}")
    size = int(job.result["bytes"]) / 2**20
    click.echo(f"{job.result['name']}: {size:.1f} MiB, tried out 已试恢复校验")


def _await(home: Home, crm: sqlite_utils.Database, job_id: int) -> Job:
    """Follow the job to its end; without a daemon for it, do it here. A stick that is away is waited for."""
    from crm_client_api.backup.daemon import DAEMON
    from crm_client_api.courier.daemon import Courier
    from crm_client_api.courier.jobs import get_job
    from crm_client_api.courier.kinds import BACKUPS
    from crm_client_api.courier.life import only_one

    shown = ""
    while True:
        job = get_job(crm, job_id)
        if job.state in ("done", "failed", "cancelled"):
            return job
        if job.held:
            raise BoxError(f"the backup waits: {job.error}")
        now = _PHRASES.get(job.phase, "")
        if now and now != shown:
            shown = now
            click.echo(f"… {now}", err=True)
        try:
            with only_one(home, DAEMON):
                Courier(home, BACKUPS).turn()
        except ConfigError:  # its daemon works
            time.sleep(0.3)


@backup_group.command("list")
@click.argument("source", required=False)
@_from_servers
@click.pass_obj
def list_command(home: Home, /, source: str | None, **access: Any) -> None:
    """List backups: those that this box made, or those in SOURCE, a folder or server; newest first."""
    from crm_client_api.backup.finding import found_in
    from crm_client_api.backup.records import list_made

    if source is not None:
        with _source(source, **access) as folder:
            for one in found_in(folder):
                device = one.opening.head.device[:8]
                click.echo(f"{iso_utc(one.made_ms)}\t{one.bytes / 2**20:.1f} MiB\t{device}\t{one.path}")
        return
    with _crm(home) as crm:
        for made in list_made(crm):
            audio = "-" if made.recordings is None else f"{made.recordings} recordings"
            where = f"{made.address}\tmedium {made.medium[:8] or '-'}\t{made.name}"
            click.echo(f"{iso_utc(made.made_ms)}\t{made.bytes / 2**20:.1f} MiB\t{audio}\t{where}")


def _warn(text: str) -> None:
    click.echo(f"passed over 已跳过: {text}", err=True)


@backup_group.command("check")
@click.argument("source")
@click.option("--passphrase", prompt=True, hide_input=True, help="Asked for when left out.")
@_from_servers
def check_command(source: str, passphrase: str, **access: Any) -> None:
    """Try a backup out on any machine: read all of it, open its stores, count what is in them."""
    import tempfile

    from crm_client_api.backup.finding import find_backup
    from crm_client_api.backup.sealing import Unlocker
    from crm_client_api.backup.trial import try_out

    unlocker = Unlocker(passphrase)
    with _source(source, **access) as place, tempfile.TemporaryDirectory(prefix="tapdeck-") as folder:
        file = find_backup(place, unlocker, _warn)
        about, kept, end = try_out(file, unlocker.file_key, Path(folder), lambda _: None)
        absent = sum(not (file.parent / one.object).is_file() for one in kept.read())
    rows = {name: count for store in end.rows.values() for name, count in store.items()}
    click.echo(f"{file}: whole; made {iso_utc(about.made_ms)} by version {about.software}")
    for name in ("calls", "recordings", "customers", "communications", "operators", "audit"):
        click.echo(f"{name:16}{rows.get(name, 0):>10}")
    click.echo(f"{'audio beside it':16}{kept.count - absent:>10}" + (f"   {absent} ABSENT" if absent else ""))


@backup_group.command("serve")
@click.pass_obj
def serve_command(home: Home) -> None:
    """Make the backup of every night, and those that people ask for, until SIGTERM."""
    from crm_client_api.backup.daemon import run_backups  # the other verbs need none of it

    home.create()
    run_backups(home)


@click.command("restore")
@click.argument("source")
@click.option("--passphrase", prompt=True, hide_input=True, help="Asked for when left out.")
@_from_servers
@click.option("--replace", is_flag=True, help="The home is not blank: set aside what is there.")
@click.option("--yes", is_flag=True, help="Do not ask once more before --replace.")
@click.pass_obj
def restore_command(home: Home, /, source: str, passphrase: str, replace: bool, yes: bool, **access: Any) -> None:
    """Put the backup SOURCE into a blank home. Stop the box first.

    SOURCE is a file; or a folder, sftp://… or s3://…: then the newest backup there that the passphrase proves.
    """
    with _source(source, **access) as place:
        _restore(home, place, passphrase, replace, yes)


def _restore(home: Home, source: Lying, passphrase: str, replace: bool, yes: bool) -> None:
    from crm_client_api.backup.finding import find_backup
    from crm_client_api.backup.restoring import is_blank, restore
    from crm_client_api.backup.sealing import Unlocker, opening_of

    file = find_backup(source, Unlocker(passphrase), _warn)
    made_ms = opening_of(file).head.made_ms
    days = (now_ms() - made_ms) // _DAY_MS
    click.echo(f"{file.name}: made 制作于 {iso_utc(made_ms)}, {days} days ago 天前")
    if replace and not yes and not is_blank(home):
        text = f"What is in {home.root} is set aside and {file.name} takes its place. Type 'replace' 输入 replace 确认"
        if click.prompt(text, default="", show_default=False) != "replace":
            raise Refused("nothing was changed. 未作任何更改。")
    shown: dict[str, int] = {}

    def told(what: str, done: int, whole: int) -> None:
        percent = 100 * done // max(whole, 1)
        if percent >= shown.get(what, -10) + 10:
            shown[what] = percent
            click.echo(f"… {_PHRASES[what]}" + (f" {percent} %" if whole else ""), err=True)

    done = restore(home, file, passphrase, replace=replace, told=told)
    rows = {name: count for store in done.end.rows.values() for name, count in store.items()}
    click.echo(f"restored 已恢复: {file.name}, made 制作于 {iso_utc(done.head.made_ms)}")
    click.echo(
        f"calls 通话 {rows['calls']}   customers 客户 {rows['customers']}   operators 操作员 {rows['operators']}"
    )
    click.echo(f"recordings brought back 恢复录音 {done.recordings}")
    if done.aside is not None:
        click.echo(f"what was there before is in the folders {done.aside}. 原有数据在上述目录中。")
    if done.absent:
        raise NotFound(
            f"{len(done.absent)} recordings are not beside the backup, or damaged: {', '.join(done.absent[:5])} …"
            " 部分录音缺失或损坏,其余均已恢复。"
        )
    click.echo("Check with: tapdeck verify --all   Start the box with: tapdeck run")
