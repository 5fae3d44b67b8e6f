"""``tapdeck bench …``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.group()
def bench() -> None:
    """Measure the box on this machine; every benchmark prints one JSON object with --json."""


def _print(figures: dict[str, Any], as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    for name, value in figures.items():
        click.echo(f"{name:30} {value}")


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
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def recorder_bench(channels: int, seconds: int, seed: int, search: bool, as_json: bool) -> None:
    """The same with keeper and API beside it, and how many channels this machine holds."""
    from recorder.bench.limit import run_recorder_bench

    _print(run_recorder_bench(channels, seconds, seed, search=search), as_json)


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
