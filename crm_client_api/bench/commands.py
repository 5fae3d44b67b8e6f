"""``tapdeck bench …`` of the office side."""

from __future__ import annotations

from pathlib import Path

import click

from recorder.bench.commands import bench

_DEFAULT_SEED = 1


@bench.command("seed")
@click.option("--calls", type=click.IntRange(1), default=10_000_000, show_default=True)
@click.option("--customers", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--communications", type=click.IntRange(0), default=3_000_000, show_default=True)
@click.option("--channels", type=click.IntRange(1, 4096), default=256, show_default=True)
@click.option("--days", type=click.IntRange(1, 3660), default=365, show_default=True, help="How far back calls reach.")
@click.option("--seed", "seed_number", type=click.IntRange(0), default=_DEFAULT_SEED, show_default=True)
@click.argument("directory", type=click.Path(path_type=Path))
def seed_command(
    calls: int, customers: int, communications: int, channels: int, days: int, seed_number: int, directory: Path
) -> None:
    """Make the home DIRECTORY, full of data that looks like an office's; never inside a box's home."""
    from crm_client_api.bench.seed import seed
    from crm_client_api.bench.seed_calls import DAY_MS, Size
    from firmware.clock import now_ms

    shown: dict[str, int] = {}

    def progress(what: str, done: int, wanted: int) -> None:
        percent = 100 * done // max(1, wanted)
        if percent >= shown.get(what, -10) + 10 or done == wanted:
            shown[what] = percent
            click.echo(f"bench seed: {what} {percent} %", err=True)

    midnight_ms = now_ms() // DAY_MS * DAY_MS - DAY_MS // 3  # of China, so that days are whole
    size = Size(calls, customers, communications, channels, days, midnight_ms, seed_number)
    click.echo(str(seed(directory, size, progress).root))


@bench.command("api")
@click.option("--requests", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Of each kind.")
@click.option("--only", default="", metavar="TEXT", help="Only questions that have this in their name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
def api_command(requests: int, only: str, as_json: bool, directory: Path) -> None:
    """Ask the API, over HTTP, everything that people wait for; in a home made by ``bench seed``."""
    import msgspec

    from crm_client_api.bench.api import measure

    figures = measure(directory, requests, only, lambda text: click.echo(f"bench api: {text}", err=True))
    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    click.echo(f"{'':44}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'cpu ms':>9}{'goal ms':>9}")
    for one in figures.questions:
        mark = "" if one.good else "  over"
        click.echo(
            f"{one.name:44}{one.p50_ms:9.1f}{one.p99_ms:9.1f}{one.max_ms:9.1f}{one.cpu_ms:9.1f}{one.goal_ms:9.0f}{mark}"
        )


@bench.command("push")
@click.option("--clients", type=click.IntRange(1, 500), default=500, show_default=True)
@click.option("--channels", type=click.IntRange(1, 4096), default=500, show_default=True)
@click.option(
    "--concerned", type=click.IntRange(1, 500), default=10, show_default=True, help="Clients for each channel."
)
@click.option("--calls", type=click.FloatRange(0.1, 1000), default=20, show_default=True, help="Calls a second.")
@click.option("--seconds", type=click.IntRange(1, 3600), default=30, show_default=True)
@click.option("--restart/--no-restart", default=True, help="Restart the API under way.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def push_command(
    clients: int, channels: int, concerned: int, calls: float, seconds: int, restart: bool, as_json: bool
) -> None:
    """From a caller ID in the event log to the cards of many clients, over HTTP and through a restart of the API."""
    import msgspec

    from crm_client_api.bench.push import measure

    figures = measure(
        clients, channels, concerned, calls, seconds, restart, lambda text: click.echo(f"bench push: {text}", err=True)
    )
    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    for name, value in msgspec.to_builtins(figures).items():
        click.echo(f"{name:24} {value}")


@bench.command("popup")
@click.option("--calls", type=click.IntRange(1, 1000), default=60, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def popup_command(calls: int, as_json: bool) -> None:
    """From the last bit of a caller ID on the line to the card painted in a browser, through a whole box."""
    import msgspec

    from crm_client_api.bench.popup import measure

    figures = measure(calls, lambda text: click.echo(f"bench popup: {text}", err=True))
    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    click.echo(f"{figures.calls} calls, {figures.painted} painted, {figures.doubled} doubled, {figures.wrong} wrong")
    click.echo(f"{'':28}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for one in figures.stages:
        click.echo(f"{one.name:28}{one.p50_ms:9.1f}{one.p99_ms:9.1f}{one.max_ms:9.1f}")


@bench.command("page")
@click.option("--customers", type=click.IntRange(1000), default=1_000_000, show_default=True, help="In the table.")
@click.option("--channels", type=click.IntRange(1, 4096), default=256, show_default=True, help="On the board.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=15, show_default=True, help="For each thing watched.")
@click.option("--slowed", type=click.FloatRange(1, 20), default=4, show_default=True, help="How much slower a CPU.")
@click.option("--web-root", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Another build.")
@click.option("--check", is_flag=True, help="Exit with status 1 when a goal is missed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def page_command(
    customers: int, channels: int, seconds: float, slowed: float, web_root: Path | None, check: bool, as_json: bool
) -> None:
    """The web UI in a browser: first load, table of customers, pop-ups and live board, against their budget."""
    import msgspec

    from crm_client_api.bench.page import measure

    figures = measure(
        customers, channels, seconds, slowed, web_root, lambda text: click.echo(f"bench page: {text}", err=True)
    )
    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
    else:
        for name, value in msgspec.to_builtins(figures).items():
            if name != "goals":
                click.echo(f"{name:24} {value}")
        for goal in figures.goals:
            click.echo(f"{'met' if goal.met else 'MISSED':6} {goal.name} {goal.seen} (at most {goal.limit:g})")
    if check and not all(goal.met for goal in figures.goals):
        raise SystemExit(1)


@bench.command("excel")
@click.option("--rows", type=click.IntRange(100), default=1_000_000, show_default=True)
@click.option(
    "--place", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None, help="For the files."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def excel_command(rows: int, place: Path | None, as_json: bool) -> None:
    """Import a large workbook of customers and export it again, through a courier of its own."""
    import msgspec

    from crm_client_api.bench.excel import measure

    figures = measure(rows, place, lambda text: click.echo(f"bench excel: {text}", err=True))
    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    for name, value in msgspec.to_builtins(figures).items():
        click.echo(f"{name:24} {value}")


@bench.command("take-home")
@click.option("--recordings", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--bytes", "each_bytes", type=click.IntRange(1), default=200_000, show_default=True, help="Of each.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--place", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None, help="On the medium."
)
@click.option(
    "--record", "channels", type=click.IntRange(0, 4096), default=0, show_default=True, help="Lines recorded meanwhile."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def take_home_command(
    recordings: int, each_bytes: int, rounds: int, place: Path | None, channels: int, as_json: bool
) -> None:
    """Take recordings home, and copy the same bytes with cp, sync and a cold read-back, by turns."""
    import msgspec

    from crm_client_api.bench.take_home import measure

    figures = measure(
        recordings, each_bytes, rounds, place, channels, lambda text: click.echo(f"bench take-home: {text}", err=True)
    )
    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    for name, value in msgspec.to_builtins(figures).items():
        click.echo(f"{name:24} {value}")


@bench.command("backup")
@click.option("--calls", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--manifests/--no-manifests", default=True, show_default=True, help="With a manifest for each call.")
@click.option("--place", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where there is room.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def backup_command(calls: int, manifests: bool, place: Path | None, as_json: bool) -> None:
    """A box of many calls backed up, tried out, restored into a new home, and compared; the goal is 15 minutes."""
    import msgspec

    from crm_client_api.bench.backup import GOAL_S, measure

    figures = measure(calls, manifests, place, lambda text: click.echo(f"bench backup: {text}", err=True))
    if as_json:
        click.echo(msgspec.json.encode(figures).decode())
        return
    click.echo(f"{figures.calls} calls, {figures.manifests} manifests, {figures.store_bytes / 2**20:.0f} MiB of stores")
    click.echo(f"backup   {figures.backup_s:8.1f} s   {figures.backup_bytes / 2**20:.0f} MiB, tried out")
    click.echo(f"restore  {figures.restore_s:8.1f} s")
    click.echo(f"together {figures.backup_s + figures.restore_s:8.1f} s   goal {GOAL_S:.0f} s")
    click.echo(f"differences: {', '.join(figures.differences[:10]) or 'none'}")
