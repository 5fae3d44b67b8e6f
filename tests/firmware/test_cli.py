"""The ``tapdeck`` command: places, errors, and how little it loads."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from firmware.config import Home
from firmware.supervise import DaemonSpec, write_wanted


def tapdeck(*args: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TAPDECK_")}
    program = Path(sys.executable).with_name("tapdeck")
    return subprocess.run(
        [str(program), *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env=clean | environment,
        stdin=subprocess.DEVNULL,
    )


def test_migrate_makes_the_home_and_is_repeatable(tmp_path: Path) -> None:
    first = tapdeck("--home", str(tmp_path / "new"), "migrate")
    assert first.returncode == 0, first.stderr
    assert "calls:firmware:0001_event_log" in first.stdout.split()
    assert (tmp_path / "new" / "crm.db").is_file()
    second = tapdeck("--home", str(tmp_path / "new"), "migrate")
    assert (second.returncode, second.stdout) == (0, "nothing to do\n")


def test_home_comes_from_the_environment_else_from_here(tmp_path: Path) -> None:
    assert tapdeck("migrate", cwd=tmp_path, TAPDECK_HOME=str(tmp_path / "chosen")).returncode == 0
    assert (tmp_path / "chosen" / "calls.db").is_file()
    assert not (tmp_path / "data").exists()
    assert tapdeck("migrate", cwd=tmp_path).returncode == 0
    assert (tmp_path / "data" / "calls.db").is_file()


def test_an_error_of_the_box_is_one_line_and_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    failed = tapdeck("--home", str(tmp_path / "file" / "below"), "migrate")
    assert failed.returncode == 3
    assert failed.stderr.startswith("tapdeck: home directory")
    assert len(failed.stderr.splitlines()) == 1


def test_an_unknown_verb_is_refused(tmp_path: Path) -> None:
    failed = tapdeck("--home", str(tmp_path), "frobnicate")
    assert failed.returncode == 2
    assert "frobnicate" in failed.stderr


def test_help_lists_the_verbs_of_all_rooms() -> None:
    listed = tapdeck("--help").stdout
    for verb in (
        "run",
        "supervise",
        "wanted",
        "migrate",
        "exchange",
        "recorder",
        "keeper",
        "callerid",
        "api",
        "operator",
    ):
        assert f"\n  {verb} " in listed, verb


def test_a_verb_of_a_lower_floor_loads_no_upper_floor() -> None:
    program = (
        "import sys; from firmware.cli import root; root.get_command(__import__('click').Context(root), sys.argv[1]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )

    def loaded(verb: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", program, verb], capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    rooms = {"firmware", "drivers", "recorder", "crm_client_api"}
    assert loaded("migrate") & rooms == {"firmware"}
    assert "crm_client_api" not in loaded("callerid")
    assert "crm_client_api" in loaded("api")


def test_wanted_becomes_the_process(home: Home) -> None:
    write_wanted(home, DaemonSpec("job@x", ("migrate",)))
    done = tapdeck("--home", str(home.root), "wanted", "job@x")
    assert (done.returncode, done.stdout) == (0, "nothing to do\n")


def test_wanted_by_nobody_is_a_configuration_error(home: Home) -> None:
    failed = tapdeck("--home", str(home.root), "wanted", "job@y")
    assert failed.returncode == 3
    assert "nobody wants 'job@y'" in failed.stderr
    assert tapdeck("--home", str(home.root), "wanted", "../../etc/passwd").returncode == 3


def test_a_malformed_wanted_file_is_named(home: Home) -> None:
    (home.wanted / "job.json").write_text(json.dumps({"argv": [], "later": 1}))
    failed = tapdeck("--home", str(home.root), "wanted", "job")
    assert failed.returncode == 1
    assert "job.json" in failed.stderr


def test_run_says_that_the_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = tapdeck("--home", str(tmp_path / "home"), "run", "--port", str(port))
    assert failed.returncode == 3
    assert f"port {port} on 127.0.0.1 cannot be used" in failed.stderr
    assert "--port" in failed.stderr
