"""``tapdeck rebuild``, ``tapdeck reconcile``: a new store from the recordings; what store and disk lack."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click
import msgspec

from firmware.config import Home

if TYPE_CHECKING:
    from recorder.library.rebuilding.reconciliation import Pass

_TEXTS = {
    "missing": "audio is missing",
    "wrong_size": "audio has another length than its manifest says",
    "without_manifest": "audio without a manifest",
    "damaged": "damaged manifest",
    "unreadable": "cannot be read",
    "duplicate": "a second file of a recording that is known",
}


@click.command("rebuild")
@click.option("--dry-run", is_flag=True, help="Only tell what would be found; the box may be running.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def rebuild_command(home: Home, dry_run: bool, as_json: bool) -> None:
    """Make a new calls.db from the recordings; the old one is set aside. Stop the box first."""
    from firmware.supervisor import only_supervisor
    from recorder.library.rebuilding.rebuild import rebuild
    from recorder.library.rebuilding.shelf import places

    home.create()
    total = sum(1 for _ in places(home.recordings, {}))
    with click.progressbar(length=total, label="folders", hidden=as_json) as bar:

        def progress(now: Pass) -> bool:
            bar.update(now.folders - bar.pos)
            return False

        if dry_run:
            done = rebuild(home, "asked for", progress, dry_run=True)
        else:
            with only_supervisor(home):
                done = rebuild(home, "asked for", progress)
    _show(done, as_json)


@click.command("reconcile")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--now", "at_once", is_flag=True, help="Let the keeper begin anew within a minute.")
@click.pass_obj
def reconcile_command(home: Home, as_json: bool, at_once: bool) -> None:
    """Show what the last comparison of store and disk found, or how far the present one has come."""
    from firmware.store.connection import open_store
    from recorder.library.rebuilding.reconciliation import begin_pass, load_pass

    with closing((db := open_store(home.calls_db)).conn):
        found = begin_pass(db) if at_once else load_pass(db)
    if found is None:
        click.echo("null" if as_json else "store and disk have not been compared yet")
        return
    _show(found, as_json)


def _show(found: Pass, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    if found.phase != "done":
        click.echo(f"under way: {found.folders} folders so far")
    click.echo(f"calls entered: {found.new_calls}   recordings entered: {found.new_recordings}")
    click.echo(f"found again: {found.found_again}   leftovers cleared away: {found.cleared}")
    for kind, count in sorted(found.counts.items()):
        click.echo(f"{_TEXTS[kind]}: {count}")
    for place, why in sorted(found.unread.items()):
        click.echo(f"not read: {place or 'recordings'}: {why}")
    for one in found.findings:
        click.echo(f"  {one.path}: {_TEXTS[one.kind]}")
