"""``tapdeck bench …``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from firmware.cli import OpenGroup


@click.group(cls=OpenGroup)
def bench() -> None:
    """Measure the box on this machine; every benchmark prints one JSON object with --json."""


def _print(figures: dict[str, Any], as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    for name, value in figures.items():
        if name != "goals":
            click.echo(f"{name:30} {value}")
    for goal in figures.get("goals", ()):
        click.echo(f"{'met' if goal['met'] else 'MISSED':6} {goal['name']} {goal['seen']} (at most {goal['limit']})")


@bench.command()
@click.option("--channels", type=click.IntRange(1, 4096), default=256, show_default=True)
@click.option("--seconds", type=click.IntRange(5, 86_400), default=60, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def pipeline(channels: int, seconds: int, seed: int, as_json: bool) -> None:
    """The whole path: PCM in, tape, detectors, calls, FLAC."""
    import msgspec

    from recorder.bench.pipeline import run_pipeline

    _print(msgspec.to_builtins(run_pipeline(channels, seconds, seed)), as_json)


@bench.command("recorder")
@click.option("--channels", type=click.IntRange(1, 4096), default=1024, show_default=True)
@click.option("--seconds", type=click.IntRange(5, 86_400), default=120, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--search/--no-search", default=True, help="Look for the highest channel count that holds.")
@click.option("--check", is_flag=True, help="Exit with status 1 when a goal is missed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def recorder_bench(channels: int, seconds: int, seed: int, search: bool, check: bool, as_json: bool) -> None:
    """The same with all other daemons beside it, and how many channels this machine holds."""
    from recorder.bench.limit import run_recorder_bench

    figures = run_recorder_bench(channels, seconds, seed, search=search)
    _print(figures, as_json)
    if check and not all(goal["met"] for goal in figures["goals"]):
        raise SystemExit(1)


@bench.command()
@click.option("--messages", type=click.IntRange(4, 100_000), default=1000, show_default=True, help="For each ratio.")
@click.option("--hours", type=click.FloatRange(0.01, 1000), default=20.0, show_default=True, help="Without signals.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--quick", is_flag=True, help="A minute's worth of everything, to see that it runs.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw the curve as an SVG picture.")
@click.option(
    "--figures",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Draw what an earlier run printed with --json instead of measuring.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def signalling(
    messages: int,
    hours: float,
    seed: int,
    processes: int,
    quick: bool,
    plot: Path | None,
    figures: Path | None,
    as_json: bool,
) -> None:
    """Caller ID and DTMF receivers beside those of libspandsp and minimodem, on the same audio."""
    import msgspec

    from recorder.bench.curve_svg import curve_svg

    result = (
        msgspec.json.decode(figures.read_bytes(), type=dict[str, Any])
        if figures is not None
        else _measure_signalling(messages, hours, seed, processes, quick)
    )
    if plot is not None:
        plot.write_text(curve_svg(result["curve"]), encoding="utf-8")
    _print(result, as_json)


def _measure_signalling(messages: int, hours: float, seed: int, processes: int, quick: bool) -> dict[str, Any]:
    from recorder.bench.signalling import QUICK, Size, run_signalling

    def progress(done: int, jobs: int) -> None:
        if 20 * done // jobs > 20 * (done - 1) // jobs:
            click.echo(f"bench signalling: {100 * done // jobs} %", err=True)

    return run_signalling(QUICK if quick else Size(messages, hours), seed, processes, progress)


@bench.command(hidden=True)
@click.argument("address", type=click.Path(path_type=Path))
@click.argument("channels", type=int)
@click.argument("seconds", type=int)
@click.argument("seed", type=int)
@click.argument("report", type=click.Path(path_type=Path))
def generator(address: Path, channels: int, seconds: int, seed: int, report: Path) -> None:
    """The process that plays lines into the recorder under test."""
    from recorder.bench.generator import generate

    generate(address, channels, seconds, seed, report)
