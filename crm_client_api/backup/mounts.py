"""What is mounted below a folder: a disk or share of somebody else, also one that only shows another folder again."""

from __future__ import annotations

import re
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mounts_below(root: Path) -> frozenset[Path]:
    """Folders and files below ``root`` at which something is mounted (proc_pid_mountinfo(5)). Raises OSError."""
    top = root.resolve()
    found = (_plain(line.split()[4]) for line in _TABLE.read_text(errors="surrogateescape").splitlines())
    return frozenset(root / one.relative_to(top) for one in found if one != top and one.is_relative_to(top))


def _plain(escaped: str) -> Path:
    """Blanks and the like stand there as octal numbers."""
    return Path(_ESCAPED.sub(lambda one: chr(int(one[1], 8)), escaped))
