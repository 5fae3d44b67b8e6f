"""The command ``tapdeck tones``: which call progress, fax and modem tones are in these recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recorder.commands.audio_files import show_files
from recorder.dsp.tone_profiles import COUNTRIES, DEFAULT_COUNTRY

if TYPE_CHECKING:
    from recorder.tones_file import FileTones

_COLUMNS = "{:<28} {:>9} {:>9} {:>2}  {:<20} {:<28} {:>11}"


@click.command("tones")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--country", type=click.Choice(COUNTRIES), default=DEFAULT_COUNTRY, show_default=True, help="Whose call progress."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file and line.")
@click.pass_context
def tones_command(context: click.Context, files: tuple[Path, ...], country: str, as_json: bool) -> None:
    """Show the call progress, fax and modem tones in audio files.

    Exit code 0 if a tone was found, 1 if none was, 2 if any file could not be read.
    """
    # The audio libraries take a second to load; the other commands should not wait for them.
    from recorder.tones_file import tones_of_file

    head = _COLUMNS.format("file", "from", "to", "ch", "tone", "frequencies", "level").rstrip()
    show_files(
        context,
        (tones_of_file(path, country) for path in files),
        head=None if as_json else head,
        rows=_rows,
        found=lambda result: bool(result.tones),
        nothing="no tone",
    )


def _rows(name: str, result: FileTones) -> list[str]:
    return [
        _COLUMNS.format(
            name,
            f"{tone.start_s:.2f} s",
            f"{tone.end_s:.2f} s",
            tone.channel,
            tone.tone,
            " + ".join(f"{tone_hz:.0f}" for tone_hz in tone.frequencies_hz) + " Hz",
            f"{tone.level_dbm0:.1f} dBm0",
        )
        for tone in result.tones
    ]
