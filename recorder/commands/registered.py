"""What the recorder's floor adds to the ``tapdeck`` command."""

from __future__ import annotations

import logging

import click

from firmware.config import Home
from recorder.bench.commands import bench
from recorder.commands.archive import archive_group
from recorder.commands.callerid import callerid_command
from recorder.commands.dtmf import dtmf_command
from recorder.commands.erase import erase_number_command
from recorder.commands.keeper import keeper_command
from recorder.commands.rebuild import rebuild_command, reconcile_command
from recorder.commands.storage import storage_group
from recorder.commands.tones import tones_command
from recorder.commands.vault import vault_group
from recorder.commands.verify import evidence_group, verify_command


@click.command("recorder")
@click.option("--name", required=True, help="Name of tape and status file.")
@click.option("--driver", required=True, help="Driver of the line card, e.g. serial_card.")
@click.option("--address", required=True, help="Where the card is, as its driver understands it.")
@click.option("--simulated", is_flag=True, help="Mark every call as simulated and keep its evidence apart.")
@click.option("--simulated-time", is_flag=True, help="The card runs faster than real time and waits for us.")
@click.option(
    "--tape-minutes", type=click.FloatRange(0.5, 100_000), default=30, show_default=True, help="Length of the tape."
)
@click.option("--tape-hours", type=click.FloatRange(0.01, 100_000), help="Length of the tape, in hours.")
@click.option("--tape-gib", type=click.FloatRange(0.001, 100_000), help="Size of the tape, instead of its length.")
@click.pass_obj
def recorder_command(
    home: Home,
    name: str,
    driver: str,
    address: str,
    simulated: bool,
    simulated_time: bool,
    tape_minutes: float,
    tape_hours: float | None,
    tape_gib: float | None,
) -> None:
    """Record one line card."""
    from recorder.daemon import RecorderOptions, run_recorder

    if tape_hours is not None and tape_gib is not None:
        raise click.UsageError("--tape-hours and --tape-gib: give one of them")
    minutes = tape_minutes if tape_hours is None else tape_hours * 60
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    run_recorder(home, RecorderOptions(name, driver, address, simulated, simulated_time, minutes, tape_gib))


commands = [
    recorder_command,
    keeper_command,
    callerid_command,
    tones_command,
    dtmf_command,
    bench,
    vault_group,
    archive_group,
    erase_number_command,
    rebuild_command,
    reconcile_command,
    verify_command,
    evidence_group,
    storage_group,
]
