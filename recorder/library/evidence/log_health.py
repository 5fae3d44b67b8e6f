"""Whether logs are what their last heads say, also those that nobody opens any more: of removed cards, of practice."""

from __future__ import annotations

import threading
from pathlib import Path

from firmware.config import Home
from recorder.library.evidence.files import heads_path, log_folders, read_leaves
from recorder.library.evidence.heads import last_head
from recorder.library.evidence.log_aside import is_version_1
from recorder.library.evidence.merkle import Frontier, leaf_hash


def damaged_logs(home: Home) -> dict[str, str]:
    """Folder and name of every log that is not what its last head says, with the reason. Reads them all."""
    found = {}
    for folder in log_folders(home):
        for path in sorted(folder.glob("*.log")):
            try:
                if is_version_1(path):
                    continue
                head = last_head(heads_path(path))  # before the lines: they grow meanwhile
                problem = None if head is None else _problem(path, head.head.tree_size, head.head.root)
            except (OSError, ValueError) as error:
                problem = str(error)
            if problem is not None:
                found[f"{path.parent.name}/{path.stem}"] = problem
    return found


def _problem(path: Path, size: int, root: str) -> str | None:
    tree = Frontier()
    for number, leaf in enumerate(read_leaves(path)):
        if number == size:
            break
        if leaf is None:
            return f"line {number + 1} cannot be read"
        tree.append(leaf_hash(bytes.fromhex(leaf.commitment)))
    if tree.size < size:
        return f"it has {tree.size} lines, its last head says {size}"
    return None if tree.root().hex() == root else f"its first {size} lines are not what its last head says"


class LogLook:
    """One look at all logs, beside everything else: long logs take seconds. ``damaged``: what was found."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.damaged: dict[str, str] = {}
        self._thread = threading.Thread(target=self._look, name="evidence logs", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether ``damaged`` is complete."""
        return not self._thread.is_alive()

    def _look(self) -> None:
        self.damaged = damaged_logs(self._home)
