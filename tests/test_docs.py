"""What the code offers is described in docs/, and what docs/ link to exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import crm_client_api.http.app  # noqa: F401 - registers the routes
from crm_client_api.http.routing import PREFIX, ROUTES, Route
from drivers.api import EventKind
from drivers.registry import driver_names
from firmware.cli import root as tapdeck
from firmware.parameters_page import parameters_page
from recorder.calls import CallEventKind

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def verbs(command: click.Command, path: str) -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        if child.hidden:
            continue
        found += verbs(child, f"{path} {name}")
    return found


def test_parameters() -> None:
    assert page("parameters.md") == parameters_page(), "run: .venv/bin/tapdeck parameters > docs/parameters.md"


@pytest.mark.parametrize("verb", verbs(tapdeck, "tapdeck"))
def test_command(verb: str) -> None:
    assert f"`{verb}`" in page("commands.md")


@pytest.mark.parametrize("kind", [*EventKind, *CallEventKind], ids=lambda kind: f"{type(kind).__name__}-{kind}")
def test_event(kind: EventKind | CallEventKind) -> None:
    assert f"`{kind.value}`" in page("events.md")


def test_events_written_elsewhere() -> None:
    written = set()
    for file in (ROOT / "recorder").rglob("*.py"):
        written |= set(re.findall(r'"((?:card|recording)_(?:lost|present|ready))"', file.read_text()))
    assert written >= {"card_lost", "card_present", "recording_ready"}
    assert [kind for kind in sorted(written) if f"`{kind}`" not in page("events.md")] == []


@pytest.mark.parametrize("one", ROUTES, ids=lambda one: f"{one.method} {one.path}")
def test_route(one: Route) -> None:
    described = re.findall(rf"\b{one.method}`?[ |`]+(?:{PREFIX})?(/[^`\s?|]*)", page("api.md"))
    assert without_names(one.path) in {without_names(path) for path in described}


def without_names(path: str) -> str:
    return re.sub(r"\{.*?\}", "{}", path)


@pytest.mark.parametrize("name", driver_names())
def test_driver(name: str) -> None:
    assert f"`{name}`" in page("adding-a-driver.md")


def test_every_page_is_reachable_and_every_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    reached = {ROOT / "README.md"}
    broken = []
    for file in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            place = (file.parent / target).resolve()
            if not place.exists():
                broken.append(f"{file.relative_to(ROOT)}: {target}")
            reached |= {place, *(place.glob("*.md") if place.is_dir() and DOCS in place.parents else ())}
    assert broken == []
    assert [str(file) for file in DOCS.rglob("*.md") if file not in reached] == []
