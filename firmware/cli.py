"""The ``tapdeck`` command: one root, to which every room adds its verbs through entry points."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click

from firmware.config import find_home
from firmware.errors import BoxError
from firmware.store import lean  # noqa: F401  before anything that uses sqlite_utils


class OpenGroup(click.Group):
    """A group of verbs to which higher rooms add theirs when they are read."""


class _Rooms(click.Group):
    """Loads the rooms' commands from the lowest floor up, and no higher than the wanted one needs.

    So ``tapdeck callerid`` starts without importing the HTTP API.
    """

    @cached_property
    def _unread(self) -> list[EntryPoint]:
        return sorted(entry_points(group="tapdeck.commands"), key=lambda point: point.name)

    def _read_next_room(self) -> None:
        for command in self._unread.pop(0).load():
            self.add_command(command)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        while cmd_name not in self.commands and self._unread:
            self._read_next_room()
        while isinstance(self.commands.get(cmd_name), OpenGroup) and self._unread:
            self._read_next_room()
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        while self._unread:
            self._read_next_room()
        return super().list_commands(ctx)


@click.group(cls=_Rooms, context_settings={"auto_envvar_prefix": "TAPDECK", "help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    "home_dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TAPDECK_HOME",
    help="Where the box keeps everything: stores, tapes, recordings.  [default: ./data]",
)
@click.version_option(package_name="tapdeck", prog_name="tapdeck")
@click.pass_context
def root(ctx: click.Context, home_dir: Path | None) -> None:
    """Tapdeck records telephone lines. Every option can also be set as TAPDECK_<COMMAND>_<OPTION>."""
    ctx.obj = find_home(home_dir)


def main() -> None:
    """Run the command line; an error of the box becomes one line on stderr and its exit code.

    Linear algebra keeps to its caller's thread: others would spin idly, and a box has more processes than cores.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        root.main(prog_name="tapdeck")
    except BoxError as error:
        click.echo(f"tapdeck: {error}", err=True)
        sys.exit(error.exit_code)
