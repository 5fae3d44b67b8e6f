"""The command ``tapdeck dtmf``: which digits were dialled in these recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from recorder.dtmf_file import FileDigits

_COLUMNS = "{:<28} {:>9} {:>7} {:>2}  {:<5} {:>8} {:>8} {:>10} {:>8}"


@click.command("dtmf")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file and line.")
@click.pass_context
def dtmf_command(context: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Show the DTMF digits in audio files.

    Exit code 0 if a digit was found, 1 if none was, 2 if any file could not be read.
    """
    # The audio libraries take a second to load; the other commands should not wait for them.
    from recorder.dtmf_file import read_digits

    results: list[FileDigits] = []
    if not as_json:
        click.echo(_COLUMNS.format("file", "at", "on", "ch", "digit", "low", "high", "level", "twist"))
    for path in files:
        result = read_digits(path)
        results.append(result)
        if as_json:
            click.echo(msgspec.json.encode(result).decode("utf-8"))
            continue
        for line in _lines(result):
            click.echo(line)
    if any(result.error for result in results):
        context.exit(2)
    context.exit(0 if any(result.digits for result in results) else 1)


def _lines(result: FileDigits) -> list[str]:
    """The table rows of one file: every digit, then the strings that they make."""
    name = Path(result.file).name
    if result.error:
        return [f"{name:<28} error: {result.error}"]
    if not result.digits:
        return [f"{name:<28} no digits"]
    rows = [
        _COLUMNS.format(
            name,
            f"{digit.start_s:.3f} s",
            f"{1000 * (digit.end_s - digit.start_s):.0f} ms",
            digit.channel,
            digit.symbol,
            f"{digit.low_hz:.0f} Hz",
            f"{digit.high_hz:.0f} Hz",
            f"{digit.level_dbm0:.1f} dBm0",
            f"{digit.twist_db:.1f} dB",
        )
        for digit in result.digits
    ]
    return rows + [f"{name:<28} channel {one.channel} at {one.start_s:.3f} s: {one.digits}" for one in result.strings]
