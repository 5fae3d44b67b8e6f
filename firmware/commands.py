"""The box's own verbs: ``run``, ``supervise``, ``wanted``, ``migrate``, ``parameters``."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from importlib.metadata import entry_points

import click
import msgspec

from firmware.config import Home
from firmware.errors import ConfigError
from firmware.parameters_page import parameters_page
from firmware.start import make_ready
from firmware.supervise import read_wanted, remove_wanted, take_restart, wanted_names
from firmware.supervisor import Supervisor, only_supervisor, registered_daemons


@click.command("migrate")
@click.pass_obj
def migrate_command(home: Home) -> None:
    """Make the home directory, let a restored backup take over, and bring both stores to this version's schema."""
    steps = make_ready(home)
    click.echo("\n".join(steps) if steps else "nothing to do")


@click.command("supervise")
@click.pass_obj
def supervise_command(home: Home) -> None:
    """Run the daemons until Ctrl-C or SIGTERM; stores must be migrated."""
    home.create()
    with only_supervisor(home):
        Supervisor(home, registered_daemons(), between=lambda: _start_anew(home)).run()


@click.command("wanted")
@click.argument("name")
@click.pass_obj
def wanted_command(home: Home, name: str) -> None:
    """Become the process that the keeper wants under NAME (for systemd's units)."""
    spec = read_wanted(home, name)
    command = (sys.executable, "-m", "firmware", "--home", str(home.root), *spec.argv)
    os.execv(command[0], command)


@click.command("parameters")
def parameters_command() -> None:
    """Print every parameter as a Markdown page."""
    click.echo(parameters_page(), nl=False)


@click.command("run")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Where the web page is.")
@click.option(
    "--bind", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for the office LAN."
)
@click.option("--lines", type=click.IntRange(1, 255), default=8, show_default=True, help="Simulated lines.")
@click.option("--no-exchange", is_flag=True, help="Start no simulated exchange when no line card is found.")
@click.pass_obj
def run_command(home: Home, port: int, bind: str, lines: int, no_exchange: bool) -> None:
    """Run the whole box here until Ctrl-C, with a simulated exchange when no line card is found."""
    environment = {
        "TAPDECK_API_PORT": str(port),
        "TAPDECK_API_BIND": bind,
        "TAPDECK_KEEPER_LINES": str(lines),
        "TAPDECK_KEEPER_NO_EXCHANGE": "1" if no_exchange else "0",
    }
    greetings: list[str] | None = None

    def greet(name: str) -> None:
        nonlocal greetings
        if name == "api" and greetings is not None:
            _print_welcome(home, greetings)
            greetings = None

    def start() -> None:
        nonlocal greetings
        _start_anew(home)
        points = sorted(entry_points(group="tapdeck.greetings"), key=lambda point: point.name)
        greetings = [line for point in points for line in point.load()(home)]
        click.echo("Starting … 正在启动 …")

    supervisor = Supervisor(home, registered_daemons(), environment=environment, on_ready=greet, between=start)
    home.create()
    with only_supervisor(home):
        _require_free_port(bind, port)
        start()
        supervisor.run()


def _start_anew(home: Home) -> None:
    make_ready(home)
    for name in wanted_names(home):  # left over from before; the keeper looks for cards anew
        remove_wanted(home, name)
    (home.run / "api.json").unlink(missing_ok=True)
    take_restart(home)


def _require_free_port(bind: str, port: int) -> None:
    try:
        with socket.create_server((bind, port), family=socket.AF_INET6 if ":" in bind else socket.AF_INET):
            return
    except OSError as error:
        raise ConfigError(
            f"port {port} on {bind} cannot be used ({error.strerror or error}): choose another with --port."
            f" 端口 {port} 无法使用,请用 --port 换一个。"
        ) from error


def _url(home: Home) -> str:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        found = msgspec.json.decode((home.run / "api.json").read_bytes(), type=dict[str, object])
        return str(found.get("url", ""))
    return ""


def _print_welcome(home: Home, greetings: list[str]) -> None:
    lines = [
        "",
        f"  Tapdeck is running  录音盒已启动:  {_url(home)}",
        *(f"  {line}" for line in greetings),
        f"  Recordings  录音文件:  {home.recordings}",
        "  Stop with Ctrl-C  按 Ctrl-C 停止",
        "",
    ]
    with contextlib.suppress(OSError):  # nobody reads us: the box goes on
        click.echo("\n".join(lines))
        sys.stdout.flush()


commands = [run_command, supervise_command, wanted_command, migrate_command, parameters_command]
