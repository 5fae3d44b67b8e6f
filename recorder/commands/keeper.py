"""``tapdeck keeper``: the daemon that knows the line cards."""

from __future__ import annotations

import logging

import click

from firmware.config import Home


@click.command("keeper")
@click.option("--lines", type=click.IntRange(1, 255), default=8, show_default=True, help="Simulated lines.")
@click.option("--no-exchange", is_flag=True, help="Start no simulated exchange when no line card is found.")
@click.pass_obj
def keeper_command(home: Home, lines: int, no_exchange: bool) -> None:
    """Watch for line cards and write down which processes they need."""
    from recorder.keeper import Keeper

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    Keeper(home, lines=lines, exchange=not no_exchange).run()
