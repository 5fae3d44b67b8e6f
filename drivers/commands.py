"""What the drivers add to the ``tapdeck`` command."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import click

from firmware.errors import ConfigError

_IDLE_AFTER_SCRIPT_S = 15


@click.command()
@click.option("--link", type=click.Path(path_type=Path), required=True, help="Name to give to the card's serial port.")
@click.option("--lines", type=click.IntRange(1, 255), help="Number of lines; a script brings its own.  [default: 8]")
@click.option(
    "--speed",
    type=click.Choice(["real", "max"]),
    default="real",
    show_default=True,
    help="max: as fast as the reader takes it, without loss.",
)
@click.option("--seed", type=click.IntRange(0), help="Same seed, same day; a script brings its own.  [default: 0]")
@click.option(
    "--script", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON file with the calls to play."
)
@click.option("--office-day", is_flag=True, help="Random calls as in an office, without end.")
@click.option(
    "--truth",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for one JSON line per finished call: what truly happened.",
)
@click.option(
    "--exit-when-done",
    is_flag=True,
    help="With --speed max and --script: end when the script and 15 s of idle line were read.",
)
def exchange(
    link: Path,
    lines: int | None,
    speed: str,
    seed: int | None,
    script: Path | None,
    office_day: bool,
    truth: Path | None,
    exit_when_done: bool,
) -> None:
    """Simulate a telephone exchange behind an emulated serial line card."""
    if script is not None and (lines is not None or seed is not None or office_day):
        raise click.UsageError("--script brings its own lines, seed and calls")
    if exit_when_done and (script is None or speed != "max"):
        raise click.UsageError("--exit-when-done needs --script and --speed max")

    from drivers.exchange.lines import OPENED_AT, SAMPLE_RATE_HZ, Exchange
    from drivers.exchange.office_day import OfficeDay, office_settings
    from drivers.exchange.script import load_script
    from drivers.exchange_card.card import EmulatedCard
    from drivers.exchange_card.feed import ExchangeFeed
    from drivers.exchange_card.process import CardProcess
    from drivers.exchange_card.pty import PtyLink

    if script is not None:
        simulated = load_script(script.read_bytes()).exchange()
    else:
        count = 8 if lines is None else lines
        settings = office_settings(count) if office_day else None
        simulated = Exchange(count, seed or 0, settings, opened_at=datetime.now() if speed == "real" else OPENED_AT)
    day = OfficeDay(simulated, simulated.seed) if office_day else None
    last_sample = None
    if exit_when_done:
        script_end = max(map(simulated.free_from, range(simulated.lines)))
        last_sample = script_end + _IDLE_AFTER_SCRIPT_S * SAMPLE_RATE_HZ
    with ExitStack() as stack:
        truth_file = None
        if truth is not None:
            try:
                truth_file = stack.enter_context(truth.open("ab"))
            except OSError as error:
                raise ConfigError(f"truth = {truth}: {error}") from error
        feed = ExchangeFeed(simulated, day, truth_file)
        card = EmulatedCard(feed, simulated.lines, os.urandom(8), f"SIM-{simulated.seed}")
        port = PtyLink(link)
        stack.callback(port.close)
        process = CardProcess(card, port, speed == "real", last_sample)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.stop())
        process.run()


commands = [exchange]
