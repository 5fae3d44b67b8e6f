"""Which work the courier does: a function for each kind of job, and how a job that fails is cleared away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crm_client_api.backup.asking import BACKUP
from crm_client_api.courier.clearing import run_clearing
from crm_client_api.courier.context import Context
from crm_client_api.courier.exports import run_export
from crm_client_api.courier.hand_overs import (
    HAND_OVER,
    TAKE_BACK,
    run_hand_over,
    run_taking_back,
    take_back_hand_over,
)
from crm_client_api.courier.imports import run_import_job, take_back_import
from crm_client_api.courier.number_lists import NUMBER_LIST, run_number_list
from crm_client_api.take_home.job import TAKE_HOME, end_take_home, run_take_home


@dataclass(frozen=True, slots=True)
class Work:
    """How a kind of job is done. ``take_back`` undoes what nobody has seen; False when it must be finished instead.

    ``lane``: jobs of one lane are done one after the other; an hour of copying holds up no import.
    """

    run: Callable[[Context], None]
    take_back: Callable[[Context], bool] = lambda context: True
    lane: str = "office"


LANES = ("office", "sticks", "fetching")
BACKUPS = "backups"
"""The lane of a process of its own: it reads keys and reaches servers, which the courier may not."""


def _make_backup(context: Context) -> None:
    from crm_client_api.backup.job import run_backup  # the courier never does, and needs none of it

    run_backup(context)


KINDS: Mapping[str, Work] = {
    "import_customers": Work(run_import_job, take_back_import),
    "import_communications": Work(run_import_job, take_back_import),
    NUMBER_LIST: Work(run_number_list),
    "export_customers": Work(run_export),
    "export_communications": Work(run_export),
    "export_calls": Work(run_export),
    "clear_customers": Work(run_clearing),
    "clear_communications": Work(run_clearing),
    HAND_OVER: Work(run_hand_over, take_back_hand_over),
    TAKE_BACK: Work(run_taking_back, lambda context: False),
    TAKE_HOME: Work(run_take_home, end_take_home, lane="sticks"),
    BACKUP: Work(_make_backup, lane=BACKUPS),
}
"""By ``Job.kind``."""


def kinds_of(lane: str) -> tuple[tuple[str, ...], bool]:
    """Which kinds of jobs a lane does: these only, or with False all but these. Without a lane: all.

    What is fetched from a stick is of the office's kinds: see ``is_fetching``.
    """
    if lane in ("", LANES[0], LANES[2]):
        return tuple(kind for kind, work in KINDS.items() if lane and work.lane != LANES[0]), False
    return tuple(kind for kind, work in KINDS.items() if work.lane == lane), True


def is_fetching(lane: str) -> bool | None:
    """Whether a lane does what waits for a stick and nothing else, or all but that; None: whatever there is."""
    return lane == LANES[2] if lane else None
