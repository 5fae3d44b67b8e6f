"""A number is erased through the API of a running box: shown, exported, gone, and certified."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from office import Box, Person
from scripted import mixed_day, record_script, wait_until

from firmware.config import Home
from firmware.store.connection import open_store
from recorder.library.erasure.erase import number_sha256

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]


def _rows(home: Home, query: str) -> list[dict[str, Any]]:
    with closing((db := open_store(home.calls_db, readonly=True)).conn):
        return [dict(row) for row in db.query(query)]


def _traces(home: Home, number: str) -> list[str]:
    """Recordings and evidence, by name and content; stores by what they say."""
    needle = number.encode()
    files = [path for root in (home.recordings, home.evidence) for path in root.rglob("*") if path.is_file()]
    return [str(path) for path in files if number in path.name or needle in path.read_bytes()]


def test_a_number_is_shown_exported_and_erased(home: Home, tmp_path: Path) -> None:
    record_script(home, mixed_day(30, seed=21), tmp_path)
    call = _rows(
        home,
        "SELECT c.caller_number AS number, r.path FROM calls c JOIN recordings r ON r.call_id = c.id"
        " WHERE c.caller_number IS NOT NULL AND r.state = 'ready' ORDER BY c.started_ms",
    )[0]
    number, audio = call["number"], (home.recordings / call["path"]).read_bytes()
    others = _rows(home, f"SELECT count(*) AS n FROM recordings r JOIN calls c ON c.id = r.call_id"
                         f" WHERE coalesce(c.caller_number, '') <> '{number}'"
                         f" AND coalesce(c.dialled_number, '') <> '{number}' AND r.state = 'ready'")  # fmt: skip
    assert others[0]["n"] > 3
    with Box(home, "--no-exchange") as box:
        boss = Person(box.url, *box.one_time_password())
        boss.call("POST", "/customers", {"name": "张三", "phones": [{"label": "", "number": number}]})
        found = boss.call("POST", "/erasures/search", {"number": number})
        assert {"call", "recording", "customer"} <= found["counts"].keys()

        exported = boss.call("POST", "/erasures/export", {"number": number})
        with zipfile.ZipFile(io.BytesIO(exported)) as archive:
            assert archive.testzip() is None
            contents = {name: archive.read(name) for name in archive.namelist()}
        assert contents[Path(call["path"]).name] == audio
        assert {one["kind"] for one in json.loads(contents["found.json"])} == found["counts"].keys()

        placed = boss.call("POST", "/erasures", {"number": number, "going": found["going"]})
        path = f"/erasures/{placed['order']}"
        wait_until(lambda: boss.call("GET", path)["state"] != "pending", 60, "the keeper has erased")
        done = boss.call("GET", path)
        assert done["state"] == "done", done
        certificate = done["certificate"]["manifest"]
        spellings = {number, f"+86{number}", number.removeprefix("0")}
        assert certificate["number_sha256"] in {number_sha256(placed["salt"], one) for one in spellings}
        assert certificate["erased"]["recording"] >= 1
        again = boss.call("POST", "/erasures/search", {"number": number})
        assert again["going"] == 0, again
    assert _traces(home, number) == []
    kept = "SELECT path, sha256 FROM recordings WHERE state = 'ready'"
    assert len(_rows(home, kept)) >= others[0]["n"]
    for row in _rows(home, kept):
        assert hashlib.sha256((home.recordings / row["path"]).read_bytes()).hexdigest() == row["sha256"]
    verify = subprocess.run(
        [sys.executable, "-m", "firmware", "--home", str(home.root), "verify", "--all", "--json"],
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert json.loads(verify.stdout.splitlines()[-1])["summary"]["errors"] == 0, verify.stdout
