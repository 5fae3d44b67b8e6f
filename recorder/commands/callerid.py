"""The command ``tapdeck callerid``: which caller IDs are in these recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recorder.commands.audio_files import show_files

if TYPE_CHECKING:
    from recorder.callerid_file import FileResult

_COLUMNS = "{:<28} {:>8} {:>2}  {:<12} {:<12} {:<20} {:<16} {:<11} {:>4}"


@click.command("callerid")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file and line.")
@click.pass_context
def callerid_command(context: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Show the caller IDs that FSK (Bell 202, V.23) and DTMF carry in audio files.

    Exit code 0 if a valid message was found, 1 if none was, 2 if any file could not be read.
    """
    # The audio libraries take a second to load; the other commands should not wait for them.
    from recorder.callerid_file import decode_file

    head = _COLUMNS.format("file", "at", "ch", "signalling", "format", "number", "name", "date", "q")
    show_files(
        context,
        map(decode_file, files),
        head=None if as_json else head,
        rows=_rows,
        found=lambda result: any(each.message.valid for each in result.messages),
        nothing="no caller ID",
        to_json=lambda result: result.builtins(),
    )


def _rows(name: str, result: FileResult) -> list[str]:
    rows: list[str] = []
    for each in result.messages:
        message = each.message
        number = message.number or message.absence or "-"
        if not message.valid:
            number = f"damaged: {message.partial or '-'}"
        rows.append(
            _COLUMNS.format(
                name,
                f"{each.start_s:.2f} s",
                each.channel,
                message.signalling,
                message.format,
                number,
                message.name or "",
                f"{message.date or ''} {message.time or ''}".strip(),
                f"{message.quality:.2f}",
            )
        )
    return rows
