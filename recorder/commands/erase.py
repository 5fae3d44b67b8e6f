"""``tapdeck erase-number``: what there is about a telephone number, an export of it, and its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware.clock import iso_utc
from firmware.config import Home
from firmware.store.connection import open_store
from firmware.store.migrations import require_current_schema

if TYPE_CHECKING:
    from recorder.library.erasure.erase import Certificate, Found

_PATIENCE_S = 600.0


@click.command("erase-number")
@click.argument("number")
@click.option(
    "--export", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write all of it here first."
)
@click.option("--by", default="console", show_default=True, help="Staff number of whoever has it erased.")
@click.option("--yes", is_flag=True, help="Erase without asking.")
@click.pass_obj
def erase_number_command(home: Home, number: str, folder: Path | None, by: str, yes: bool) -> None:
    """Show everything about NUMBER, in any spelling, and erase what no hold protects.

    A signed certificate says what was erased, by a salted hash instead of the number.
    """
    from recorder.library.erasure.erase import export_all, find_all, new_salt, subject_of
    from recorder.library.erasure.erase_order import erase_now
    from recorder.library.keeping.task import Stores

    require_current_schema(home)
    calls, crm = open_store(home.calls_db, readonly=True), open_store(home.crm_db, readonly=True)
    with closing(calls.conn), closing(crm.conn):
        stores, subject = Stores(home, calls, crm), subject_of(crm, number)
        found = find_all(stores, subject) if folder is None else export_all(stores, subject, folder)
    _show(found)
    going = sum(one.kept is None for one in found)
    if not going:
        click.echo("Nothing to erase. 没有可删除的内容。")
        return
    if not yes:
        click.confirm(f"Erase {going} of {len(found)} for ever? 永久删除?", abort=True)
    salt = new_salt()
    _tell(home, erase_now(home, number, by, salt, _PATIENCE_S), salt)


def _show(found: Sequence[Found]) -> None:
    for one in found:
        at = one.about.get("started_ms")
        when = f"  {iso_utc(at)}" if isinstance(at, int) else ""
        kept = f"  stays: {one.kept}" if one.kept else ""
        click.echo(f"{one.kind}  {one.id}{when}{kept}")
    counts = Counter(one.kind for one in found)
    click.echo("; ".join(f"{count} × {kind}" for kind, count in counts.items()) or "nothing 无")


def _tell(home: Home, certificate: Certificate, salt: str) -> None:
    for kind, count in certificate.erased.items():
        click.echo(f"erased 已删除: {count} × {kind}")
    for one in certificate.kept:
        click.echo(f"stays 保留: {one['count']} × {one['kind']}: {one['reason']}")
    click.echo(f"certificate 证明: {home.root / certificate.file}")
    click.echo(f"salt of the number's hash, for whoever asked for this; the box forgets it 号码散列盐: {salt}")
