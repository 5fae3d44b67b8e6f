"""What ./tapdeck says on a machine that lacks packages, to somebody who may not install them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "65534"


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A place that any user may read, with the script and a wish for a package that does not exist."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    script = (ROOT / "tapdeck").read_text(encoding="utf-8")
    wished = script.replace("packages=(asterisk-core", "packages=(no-such-package asterisk-core")
    assert wished != script
    (folder / "tapdeck").write_text(wished, encoding="utf-8")
    (folder / "tapdeck").chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "arguments", [("run",), ("--home", "test", "run"), ("test", "-k", "x"), ("exchange", "--help")]
)
def test_one_line_to_type_and_nothing_done(checkout: Path, arguments: tuple[str, ...]) -> None:
    as_nobody = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*as_nobody, str(checkout / "tapdeck"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert re.fullmatch(r"sudo apt-get install -y --no-install-recommends [a-z0-9 .+-]+\n", done.stderr), done.stderr
    assert "no-such-package" in done.stderr.split()
    assert sorted(file.name for file in checkout.iterdir()) == ["tapdeck"]


def test_the_locks_name_every_dependency_with_hashes() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-frontend.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        entries = re.split(r"\n(?=\S)", text.strip())
        assert entries
        assert all(re.match(r"[a-z0-9.-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries), name
    pinned = set((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())
    developers = set((ROOT / "requirements-dev.lock").read_text(encoding="utf-8").splitlines())
    assert {line for line in pinned - developers if "==" in line} == set()


def test_no_dependency_is_missing_in_the_locks() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = described["project"]
    extras = project["optional-dependencies"]
    needed = {
        "requirements.lock": project["dependencies"] + extras["build"],
        "requirements-dev.lock": project["dependencies"] + extras["build"] + extras["dev"],
        "requirements-frontend.lock": described["dependency-groups"]["frontend"],
    }
    for name, wanted in needed.items():
        pinned = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        names = {re.split(r"[~<>=!\[; ]", one)[0].lower().replace("_", "-") for one in wanted}
        assert names - pinned == set(), name
