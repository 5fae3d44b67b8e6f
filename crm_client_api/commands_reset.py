"""The verb ``tapdeck factory-reset``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click
import msgspec

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.errors import Refused


@click.command("factory-reset")
@click.option("--keep-recordings", "mode", flag_value="keep_recordings", help="Recordings, evidence, keys stay.")
@click.option("--wipe", "mode", flag_value="wipe", help="Everything goes: keys first, then all files.")
@click.option("--overwrite", is_flag=True, help="Write over every file before it goes; hours on a large disk.")
@click.option("--statement", type=click.Path(dir_okay=False, path_type=Path), help="Write the signed statement there.")
@click.option("--confirm", help="What must be typed; asked for when left out.")
@click.pass_obj
def factory_reset_command(
    home: Home,
    mode: Literal["keep_recordings", "wipe"] | None,
    overwrite: bool,
    statement: Path | None,
    confirm: str | None,
) -> None:
    """Make the box a new one. Prints a signed statement of what was removed. Stop the box first."""
    from crm_client_api.backup.factory_reset import confirmation, factory_reset, require_box

    if mode is None:
        raise click.UsageError("say --keep-recordings or --wipe")
    require_box(home)
    if statement is not None and (statement.exists() or home.root in statement.absolute().parents):
        raise Refused(f"{statement} exists already, or would be removed with the rest")
    wanted = confirmation(home, mode)
    if confirm is None:
        what = "EVERYTHING in" if mode == "wipe" else "customers, operators, settings and calls in"
        click.echo(f"This removes {what} {home.root}. There is no way back without a backup.")
        click.echo("此操作不可撤销;没有备份就无法恢复。")
        confirm = click.prompt(f"Type '{wanted}' 输入以上文字确认", default="", show_default=False)
    if confirm != wanted:
        raise Refused("that is not what must be typed: nothing was changed. 输入不符,未作任何更改。")
    done = factory_reset(home, mode, overwrite=overwrite, told=lambda *_: None)
    text = msgspec.json.format(msgspec.json.encode(done), indent=1).decode()
    if statement is not None:
        statement.write_text(f"{text}\n", encoding="utf-8")
    click.echo(text)
    files = sum(kind["files"] for kind in done.said["removed"].values())
    click.echo(f"{files} files removed 已删除 {files} 个文件, {iso_utc(done.said['at_ms'])}")
    click.echo("Copies in archives, backups and anchors elsewhere are untouched. 归档、备份等外部副本不受影响。")
    click.echo("So are disks that are mounted in the home. 挂载在数据目录内的其他磁盘也不受影响。")
