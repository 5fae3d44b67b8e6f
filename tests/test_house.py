"""The rules of the house, each checked by the real tool on the whole repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
PACKAGES = ("firmware", "drivers", "recorder", "crm_client_api")
LONGEST_FILE_LINES = 600


def check_run(*command: str) -> None:
    environment = os.environ | {"PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{' '.join(command[:4])}\n{done.stdout}{done.stderr}"


def repository_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert len(files) > 50
    return [file for file in files if file.is_file()]


def text_of(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def package_files() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", "--strict"),
        ("lint-imports",),
        ("codespell",),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_tool(command: tuple[str, ...]) -> None:
    check_run(str(TOOLS / command[0]), *command[1:])


def test_shell_scripts() -> None:
    scripts = [
        file
        for file in repository_files()
        if file.suffix == ".sh" or re.match(r"#!.*\b(ba|da)?sh\b", (text_of(file) or "").partition("\n")[0])
    ]
    assert {ROOT / "tapdeck", ROOT / ".ci" / "run", ROOT / "systemd" / "follow-wanted"} <= set(scripts)
    check_run(str(TOOLS / "shellcheck"), *map(str, scripts))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_systemd_units(tmp_path: Path) -> None:
    names = []
    for unit in sorted((ROOT / "systemd").iterdir()):
        if unit.suffix in {".service", ".target", ".path"}:
            # The program is not installed here; everything else is verified as it is.
            (tmp_path / unit.name).write_text(re.sub(r"/opt/tapdeck/\S+", "/bin/true", unit.read_text()))
            names.append(str(tmp_path / unit.name.replace("@.", "@card.")))
    assert len(names) >= 6
    for unit in ("recorder", "mounter"):
        (tmp_path / f"tapdeck-{unit}@card.service").symlink_to(f"tapdeck-{unit}@.service")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "unit",
    ["tapdeck-recorder@", "tapdeck-keeper", "tapdeck-api", "tapdeck-integrations", "tapdeck-courier", "tapdeck-backup"],
)
def test_daemons_are_watched_and_sandboxed(unit: str) -> None:
    lines = (ROOT / "systemd" / f"{unit}.service").read_text().splitlines()
    for line in ("Type=notify", "WatchdogSec=10", "TimeoutStopSec=5", "Restart=always", "Group=tapdeck", "UMask=0007"):
        assert line in lines, line
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "CapabilityBoundingSet="):
        assert line in lines, line
    assert any(line.startswith("RestrictAddressFamilies=AF_UNIX") for line in lines)


def test_the_repository_knows_no_machine() -> None:
    places = [str(ROOT)] if len(ROOT.parts) > 2 else []
    found = []
    for file in repository_files():
        text = text_of(file) or ""
        found += [f"{file}: {place}" for place in places if place in text]
        if file.suffix == ".lock" or file.name in {"package-lock.json", ".npmrc"}:
            found += [
                f"{file}: {host}"
                for host in re.findall(
                    r"\"resolved\": \"\S+|https?://\S+\.whl|--(?:extra-)?index-url.*|--find-links.*", text
                )
            ]
    assert found == []


def test_nobody_uses_deferred_transactions() -> None:
    """sqlite-utils' atomic() fails at once with "database is locked" when two processes write."""
    assert [str(file) for file in package_files() if re.search(r"\.atomic\(", file.read_text())] == []


def test_no_file_grows_too_long() -> None:
    suffixes = {".py", ".ts", ".vue", ".sh"}
    long = {
        str(file.relative_to(ROOT)): count
        for file in repository_files()
        if file.suffix in suffixes
        and file.name != "tapdeck_verify.py"  # one file is its point: whoever checks a recording copies it
        and (count := len((text_of(file) or "").splitlines())) > LONGEST_FILE_LINES
    }
    assert long == {}


def test_nothing_is_left_over() -> None:
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
    suffixes = {".py", ".ts", ".vue", ".css", ".service", ".yaml", ".toml"}
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in repository_files()
        if file.suffix in suffixes
        for number, line in enumerate((text_of(file) or "").splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []
