"""The made home is a real one, the same for the same seed, never inside another; and the API answers every question."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from crm_office import Browser

from crm_client_api.bench.api import open_material
from crm_client_api.bench.questions import questions
from crm_client_api.bench.seed import seed
from crm_client_api.bench.seed_calls import Size
from crm_client_api.bench.seed_office import PASSWORD
from crm_client_api.http.server import ApiServer
from firmware.config import Home
from firmware.errors import ConfigError
from firmware.store.migrations import require_current_schema

SIZE = Size(calls=400, customers=60, communications=90, channels=4, days=20, last_ms=1_790_000_000_000, seed=3)


def silent(_what: str, _done: int, _wanted: int) -> None: ...


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Home:
    return seed(tmp_path_factory.mktemp("seed") / "home", SIZE, silent)


def rows(home: Home, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(home.calls_db)
    try:
        connection.execute("ATTACH ? AS crm", (str(home.crm_db),))
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_it_is_whole(made):
    require_current_schema(made)
    assert rows(made, "SELECT count(*) FROM calls") == [(400,)]
    assert rows(made, "SELECT count(*) FROM crm.customers") == [(60,)]
    assert rows(made, "SELECT count(*) FROM crm.living_communications") == [(90,)]
    assert rows(made, "SELECT count(*) FROM recordings WHERE call_id NOT IN (SELECT id FROM calls)") == [(0,)]
    assert rows(made, "PRAGMA integrity_check") == [("ok",)]
    overlapping = (
        "SELECT count(*) FROM calls a JOIN calls b ON a.channel = b.channel AND a.id < b.id"
        " AND a.started_ms < b.ended_ms AND b.started_ms < a.ended_ms"
    )
    assert rows(made, overlapping) == [(0,)]
    assert rows(made, "SELECT count(*) FROM crm.customer_stale") == [(0,)]


def test_the_same_seed_gives_the_same(made, tmp_path):
    again = seed(tmp_path / "again", SIZE, silent)
    for query in ("SELECT * FROM calls ORDER BY id", "SELECT name, company, owner FROM crm.customers ORDER BY id",
                  "SELECT content, call_id FROM crm.communications ORDER BY id"):  # fmt: skip
        assert rows(made, query) == rows(again, query)


def test_nothing_is_made_where_something_is(made, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("要保留")
    for place in (made.root, made.root / "below", made.recordings / "2026", tmp_path / "full"):
        before = sorted(Path(made.root).rglob("*"))
        with pytest.raises(ConfigError):
            seed(place, SIZE, silent)
        assert sorted(Path(made.root).rglob("*")) == before


def test_every_question_is_answered(made):
    server = ApiServer(made, "127.0.0.1", 0, max_streams=2)
    server.start()
    try:
        browsers: dict[str, Browser] = {}
        with open_material(made) as material:
            for one in questions(material):
                if one.who not in browsers:
                    browsers[one.who] = Browser(server.port)
                    assert browsers[one.who].log_in(one.who, PASSWORD).status == 200
                body = one.body(1) if one.body else None
                answer = browsers[one.who].ask("POST" if body else "GET", one.path(1), body)
                assert answer.status == 200 or b"no such route" in answer.body, (one.name, one.path(1), answer.body)
    finally:
        server.stop()
