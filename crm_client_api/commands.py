"""The verbs ``tapdeck api`` and ``tapdeck operator``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import sqlite_utils

import crm_client_api.bench.commands  # noqa: F401  its verbs join the group ``bench``
from crm_client_api.commands_audit import audit_group
from crm_client_api.commands_backup import backup_group, restore_command
from crm_client_api.commands_reset import factory_reset_command
from firmware.config import Home
from firmware.store.connection import open_store
from firmware.store.migrations import require_current_schema


@click.command("api")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.pass_obj
def api_command(home: Home, port: int, bind: str) -> None:
    """Serve the HTTP API, the event stream and the web page until SIGTERM."""
    from crm_client_api.daemon import run_api  # the other verbs need no server

    home.create()
    run_api(home, bind, port)


@click.command("courier")
@click.pass_obj
def courier_command(home: Home) -> None:
    """Do long jobs (import, export) one after the other, with low priority, until SIGTERM."""
    from crm_client_api.courier.daemon import run_courier  # the other verbs need none of it

    home.create()
    run_courier(home)


@click.group("operator")
def operator_group() -> None:
    """Operators, from the box's own console: no password needed."""


@contextmanager
def _crm(home: Home) -> Iterator[sqlite_utils.Database]:
    require_current_schema(home)
    db = open_store(home.crm_db)
    try:
        yield db
    finally:
        db.conn.close()


@operator_group.command("list")
@click.pass_obj
def list_command(home: Home) -> None:
    """List everybody: staff number, name, level, group, channels, active."""
    from crm_client_api.domain.operators import list_operators

    with _crm(home) as crm:
        for one in list_operators(crm):
            channels = ",".join(map(str, sorted(one.channels))) or "-"
            state = "active" if one.active else "inactive"
            click.echo(f"{one.staff_no}\t{one.name}\t{one.level}\t{one.group or '-'}\t{channels}\t{state}")


@operator_group.command("reset")
@click.argument("staff_no")
@click.pass_obj
def reset_command(home: Home, staff_no: str) -> None:
    """Give STAFF_NO a new one-time password and no second factor; open sessions end."""
    from crm_client_api.domain import second_factor
    from crm_client_api.domain.audit import CONSOLE, Actor
    from crm_client_api.domain.operators import reset_password

    with _crm(home) as crm:
        password = reset_password(crm, staff_no, Actor(CONSOLE), grantor=None)
        second_factor.reset(crm, staff_no, Actor(CONSOLE))
        click.echo(password)


def _numbers(_ctx: click.Context, _param: click.Parameter, text: str) -> frozenset[int]:
    try:
        return frozenset(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise click.BadParameter("numbers with commas between them, e.g. 1,2,5") from error


@operator_group.command("add")
@click.argument("staff_no")
@click.argument("name")
@click.option("--level", type=click.Choice(["super", "leader", "ordinary"]), default="ordinary", show_default=True)
@click.option("--group", type=int, default=None, help="Number of the group; none when left out.")
@click.option("--channels", default="", callback=_numbers, help="Associated channels, e.g. 1,2,5.")
@click.option("--permissions", default="", help="Identifiers with commas between them, or 'all'.")
@click.option("--returning", is_flag=True, help="The person who had this staff number before is back.")
@click.pass_obj
def add_command(
    home: Home,
    staff_no: str,
    name: str,
    level: str,
    group: int | None,
    channels: frozenset[int],
    permissions: str,
    returning: bool,
) -> None:
    """Add an operator and print the one-time password. What is set here is never modified."""
    from crm_client_api.domain.audit import CONSOLE, Actor
    from crm_client_api.domain.operators import Operator, add_operator
    from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level, Permission

    try:
        names = [part.strip() for part in permissions.split(",") if part.strip()]
        granted = ALL_PERMISSIONS if permissions == "all" else frozenset(Permission(one) for one in names)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--permissions") from error
    added = Operator(staff_no, name, Level(level), group, channels, granted)
    with _crm(home) as crm:
        click.echo(add_operator(crm, added, Actor(CONSOLE), grantor=None, returning=returning))


@operator_group.command("deactivate")
@click.argument("staff_no")
@click.pass_obj
def deactivate_command(home: Home, staff_no: str) -> None:
    """Let STAFF_NO log in no more; sessions and API tokens end at once."""
    _set_active(home, staff_no, False)


@operator_group.command("activate")
@click.argument("staff_no")
@click.pass_obj
def activate_command(home: Home, staff_no: str) -> None:
    """Let STAFF_NO log in again."""
    _set_active(home, staff_no, True)


def _set_active(home: Home, staff_no: str, active: bool) -> None:
    from crm_client_api.domain.audit import CONSOLE, Actor
    from crm_client_api.domain.operators import set_active

    with _crm(home) as crm:
        set_active(crm, staff_no, active, Actor(CONSOLE), grantor=None)


@click.command("integrations")
@click.pass_obj
def integrations_command(home: Home) -> None:
    """Serve other programs until SIGTERM: NCID clients, webhooks, MQTT, announcement in the network."""
    from crm_client_api.integrations.daemon import run_integrations  # the other verbs need none of it

    home.create()
    run_integrations(home)


commands = [
    api_command,
    courier_command,
    integrations_command,
    operator_group,
    audit_group,
    backup_group,
    restore_command,
    factory_reset_command,
]
