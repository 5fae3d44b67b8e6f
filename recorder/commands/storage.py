"""``tapdeck storage``: how the storage stands, what rules would delete, what is held."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click
import msgspec

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.parameters import Value
from firmware.store.migrations import require_current_schema

if TYPE_CHECKING:
    from recorder.library.storage.status import StorageStatus


@click.group("storage")
def storage_group() -> None:
    """The storage of recordings."""


@storage_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def status_command(home: Home, as_json: bool) -> None:
    """Used, free, quota, forecast, the oldest recording, what is held, how far archives lag."""
    from recorder.library.storage.status import storage_status

    require_current_schema(home)
    status = storage_status(home)
    click.echo(msgspec.json.encode(status) if as_json else "\n".join(_lines(status)))


def _lines(status: StorageStatus) -> list[str]:
    quota = f"of {_gib(status.quota_bytes)}" if status.quota_bytes else "no quota"
    lines = [
        f"Used       已用      {_gib(status.used_bytes)} in {status.recordings:,} recordings ({quota})",
        f"Free       可用      {_gib(status.free_bytes)} on the disk, {_gib(status.reserve_bytes)} of it reserved",
        f"Room       余量      {_gib(status.room_bytes)}, then {status.action}",
        f"Forecast   预计      {_forecast(status)}",
        f"Oldest     最早      {'–' if status.oldest_ms is None else iso_utc(status.oldest_ms)}",
        f"Held       保全      {status.held:,} recordings by {status.holds} holds",
    ]
    for one in status.archives:
        since = "" if one.oldest_ms is None else f", the oldest since {iso_utc(one.oldest_ms)}"
        need = "" if one.required else " (not required)"
        lines.append(f"Archive    归档      {one.target}{need}: {one.recordings:,} waiting, {_gib(one.bytes)}{since}")
    if status.full:
        lines.append("FULL       存储已满  new recordings wait on the tape 新录音暂存于循环缓存")
    if status.aging_lag_ms > _DAY_MS:
        lines.append(
            f"CLOCK      时钟跳变  leapt by {status.aging_lag_ms // _DAY_MS} days: retention goes slow until"
            " it is right again, or 'tapdeck storage trust-clock'"
        )
    return lines


_DAY_MS = 86_400_000


def _forecast(status: StorageStatus) -> str:
    forecast = status.forecast
    if forecast.mean_bytes_a_day is None:
        return "not yet known 数据不足"
    a_day = f"{_gib(forecast.mean_bytes_a_day)} a day"
    return a_day if forecast.days_left is None else f"{forecast.days_left:,.0f} days 天 ({a_day})"


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):,.2f} GiB"


@storage_group.command("preview")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE",
    help="As if a parameter (retention_days=90, storage_quota_gib=200, …) or a rule (customer/17=365, group/2=30;"
    " empty: no such rule) had this value. May be given several times.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def preview_command(home: Home, changes: tuple[str, ...], as_json: bool) -> None:
    """What the rules would delete right now; deletes nothing."""
    from recorder.library.storage.preview import preview

    require_current_schema(home)
    found = preview(home, dict(_change(one) for one in changes))
    click.echo(msgspec.json.encode(found) if as_json else f"{found.text_zh}\n{found.text_en}")


def _change(text: str) -> tuple[str, Value]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        return key, value or None


@storage_group.command("holds")
@click.option("--all", "released", is_flag=True, help="Those that were released, too.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def holds_command(home: Home, released: bool, as_json: bool) -> None:
    """The holds, oldest first. They are set and lifted by people who log in."""
    from firmware.store.connection import open_store

    require_current_schema(home)
    crm = open_store(home.crm_db, readonly=True)
    with closing(crm.conn):
        condition = "1" if released else "released_ms IS NULL"
        rows = [dict(row) for row in crm.query(f"SELECT * FROM holds WHERE {condition} ORDER BY set_ms, id")]
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        state = "released" if row["released_ms"] else "release asked for" if row["release_asked_by"] else "holds"
        about = row["subject"] or "–".join(
            "…" if row[one] is None else iso_utc(row[one]) for one in ("from_ms", "to_ms")
        )
        channel = f" channel {row['channel']}" if row["channel"] else ""
        click.echo(f"{row['id']}\t{row['kind']}\t{about}{channel}\t{row['set_by']}\t{state}\t{row['reason']}")


@storage_group.command("trust-clock")
@click.pass_obj
def trust_clock_command(home: Home) -> None:
    """Vouch for the wall clock after a leap: recordings are as old as it says."""
    from recorder.library.storage.aging import trust_wall_clock

    click.echo(iso_utc(trust_wall_clock(home)))
