"""What the commands that look into audio files share: one file after the other, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
import msgspec


class Result(Protocol):
    """What was found in one file; ``error`` says why it cannot be read."""

    @property
    def file(self) -> str:
        """Its path."""

    @property
    def error(self) -> str | None:
        """None when it could be read."""


_Result = TypeVar("_Result", bound=Result)


def show_files(
    context: click.Context,
    results: Iterable[_Result],
    *,
    head: str | None,
    rows: Callable[[str, _Result], list[str]],
    found: Callable[[_Result], bool],
    nothing: str,
    to_json: Callable[[_Result], Any] = lambda result: result,
) -> None:
    """Print each result as it comes and leave: exit code 0 if something was found, 1 if not, 2 if a file failed.

    ``head``: of the table, None for JSON. ``rows``: of one file, given its name; ``nothing`` is said when there are
    none. ``to_json``: what is printed of a result as JSON.
    """
    failed = any_found = False
    if head is not None:
        click.echo(head)
    for result in results:
        failed = failed or result.error is not None
        any_found = any_found or found(result)
        if head is None:
            click.echo(msgspec.json.encode(to_json(result)).decode("utf-8"))
            continue
        name = Path(result.file).name
        if result.error:
            click.echo(f"{name:<28} error: {result.error}")
            continue
        for line in rows(name, result) or [f"{name:<28} {nothing}"]:
            click.echo(line)
    context.exit(2 if failed else 0 if any_found else 1)
