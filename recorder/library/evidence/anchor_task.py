"""The keeper's daily anchor: made, sent wherever it is to go, sent again every hour until it is there."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from firmware.clock import now_ms
from firmware.errors import BoxError, Refused
from firmware.parameters import get_all
from recorder.library.keeping.alarms import clear_alarm, let_stand, raise_alarm
from recorder.library.keeping.task import Library, Stopping

if TYPE_CHECKING:
    from pathlib import Path

    from recorder.library.evidence.anchors import AnchorFile
    from recorder.library.evidence.log_health import LogLook

log = logging.getLogger("library")

DAY_MS = 86_400_000
ALARM = "anchor_failed"
UNREADABLE_ALARM = "evidence_unreadable"
ALARM_AFTER_MS = 3 * DAY_MS


class AnchorTask:
    """See ``LibraryTask``. Runs every hour and does what the day still lacks. Practice is anchored, but not sent."""

    name = "anchor"
    every_s = 3600.0

    def __init__(self) -> None:
        self._look: LogLook | None = None
        self._look_due_s = 0.0
        self._damaged: Mapping[str, str] = {}

    def run(self, library: Library, stopping: Stopping) -> None:
        """Anchor the device's logs, and then those of practice; tell which are damaged. Raises StoreError."""
        self._look_at_logs(library)
        newest = _todays(library, False)
        if newest is not None:
            _send(library, newest, get_all(library.crm, "system"), stopping)
        _todays(library, True)

    def _look_at_logs(self, library: Library) -> None:
        """Heads every time, and once a day the logs, which takes longer."""
        from recorder.library.evidence.anchors import damaged_heads
        from recorder.library.evidence.files import evidence_folder
        from recorder.library.evidence.log_health import LogLook

        if self._look is not None and self._look.is_over:
            self._damaged, self._look = self._look.damaged, None
        if self._look is None and time.monotonic() >= self._look_due_s:
            self._look, self._look_due_s = LogLook(library.home), time.monotonic() + DAY_MS / 1000
        heads = {
            f"{evidence_folder(library.home, simulated).name}/{name}": problem
            for simulated in (False, True)
            for name, problem in damaged_heads(library.home, simulated).items()
        }
        found = {**self._damaged, **heads}
        let_stand(library.calls, UNREADABLE_ALARM, {name: {"problem": problem} for name, problem in found.items()})


def _todays(library: Library, simulated: bool) -> Path | None:
    from recorder.library.evidence.anchors import make_anchor, read_anchor, readable_anchors

    newest = readable_anchors(library.home, simulated)[-1:]
    if newest and 0 <= now_ms() - read_anchor(newest[0]).anchor.at_ms < DAY_MS:
        return newest[0]
    try:
        return make_anchor(library.home, simulated, now_ms())
    except Refused:  # no log yet
        return None


def _send(library: Library, path: Path, settings: Mapping[str, Any], stopping: Stopping) -> None:
    from recorder.library.evidence.anchors import add_receipt, read_anchor
    from recorder.library.evidence.outlets import OUTLETS

    for kind, (parameter, outlet) in OUTLETS.items():
        if not settings[parameter]:
            clear_alarm(library.calls, ALARM, kind)
            continue
        anchor = read_anchor(path)
        if _has(anchor, kind):
            clear_alarm(library.calls, ALARM, kind)
            continue
        if stopping():
            return
        try:
            add_receipt(library.home, False, path, outlet(anchor, settings))
        except BoxError as error:
            log.warning("anchor %d: %s", anchor.anchor.number, error)
            if now_ms() - _failing_since(library, kind, parameter) >= ALARM_AFTER_MS:
                raise_alarm(library.calls, ALARM, kind, {"error": str(error)})
        else:
            clear_alarm(library.calls, ALARM, kind)


def _has(anchor: AnchorFile, kind: str) -> bool:
    return any(receipt.get("kind") == kind for receipt in anchor.receipts)


def _failing_since(library: Library, kind: str, parameter: str) -> int:
    """When the first anchor was made that this outlet did not get, or when the outlet was set, in Unix ms."""
    from recorder.library.evidence.anchors import read_anchor, readable_anchors

    row = library.crm.conn.execute(
        "SELECT changed_ms FROM parameters WHERE scope = 'system' AND key = ?", (parameter,)
    ).fetchone()
    set_ms = 0 if row is None else int(row[0])
    since_ms = now_ms()
    for path in reversed(readable_anchors(library.home, False)):
        anchor = read_anchor(path)
        if _has(anchor, kind) or anchor.anchor.at_ms < set_ms:
            break
        since_ms = anchor.anchor.at_ms
    return max(since_ms, set_ms)
