"""The verbs ``tapdeck audit``."""

from __future__ import annotations

import sys

import click

from firmware.config import Home


@click.group("audit")
def audit_group() -> None:
    """The office's audit log."""


@audit_group.command("verify")
@click.option("--head", default="", help="A head that was printed earlier, ID:HASH: it must still be in the log.")
@click.pass_obj
def verify_command(home: Home, head: str) -> None:
    """Check every entry of the audit log; names the first that is not what was written (exit code 1)."""
    from crm_client_api.domain.audit_chain import parse_head, verify_chain
    from firmware.store.connection import open_store
    from firmware.store.migrations import require_current_schema

    known = parse_head(head) if head else None
    require_current_schema(home)
    crm = open_store(home.crm_db, readonly=True)
    try:
        verdict = verify_chain(crm, known)
    finally:
        crm.conn.close()
    click.echo(f"entries   {verdict.entries}")
    if verdict.unchained:
        click.echo(f"unchained {verdict.unchained}  (older than the chain)")
    if verdict.erased:
        click.echo(f"erased    {verdict.erased}  (their data was taken out)")
    if verdict.broken_id is not None:
        click.echo(f"BROKEN at entry {verdict.broken_id}: {verdict.reason}")
        sys.exit(1)
    click.echo(f"head      {verdict.head or '-'}")
    click.echo("the audit log is what was written")
