"""The command ``tapdeck dtmf``: which digits were dialled in these recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recorder.commands.audio_files import show_files

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

    head = _COLUMNS.format("file", "at", "on", "ch", "digit", "low", "high", "level", "twist")
    show_files(
        context,
        map(read_digits, files),
        head=None if as_json else head,
        rows=_rows,
        found=lambda result: bool(result.digits),
        nothing="no digits",
    )


def _rows(name: str, result: FileDigits) -> list[str]:
    """Every digit, then the strings that they make."""
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
