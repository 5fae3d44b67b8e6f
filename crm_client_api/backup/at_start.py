"""The step of a start that lets a restored backup take over; see entry point ``tapdeck.start_steps``."""

from __future__ import annotations

from crm_client_api.backup.restore_state import end_state
from crm_client_api.backup.stage import PLACING, READY, clear_stages, stages
from firmware.config import Home
from firmware.errors import StoreError


def take_over_at_start(home: Home) -> list[str]:
    """Before any daemon works: what was proved takes over, what was not is removed; what was done, for people.

    Raises StoreError: it was begun, and cannot go on.
    """
    if (home.root / READY).exists():
        return _take_over(home)
    if any(stage.exists() for stage in (*stages(home), *stages(home, PLACING))):
        clear_stages(home)
    end_state(home, "restore_cut_off")
    return []


def _take_over(home: Home) -> list[str]:
    from crm_client_api.backup.taking_over import GivenUp, clear, has_begun, read_ready, take_over

    try:
        ready = read_ready(home)
    except StoreError:
        if has_begun(home):
            raise
        clear(home)
        end_state(home, "restore_failed")
        return []
    if ready is None:
        return []
    try:
        take_over(home, ready)
    except GivenUp as error:
        end_state(home, "restore_failed", str(error))
        return [f"restore: given up, and nothing was changed: {error}"]
    end_state(home)
    return [f"restore: the backup of {ready.backup} has taken over"]
