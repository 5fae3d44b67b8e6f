"""Which work the courier does: a function for each kind of job, and how a job that fails is cleared away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Work:
    """How a kind of job is done. ``take_back`` undoes what nobody has seen; False when it must be finished instead."""

    run: Callable[[Context], None]
    take_back: Callable[[Context], bool] = lambda context: True


KINDS: Mapping[str, Work] = {
    "import_customers": Work(run_import_job, take_back_import),
    "import_communications": Work(run_import_job, take_back_import),
    "export_customers": Work(run_export),
    "export_communications": Work(run_export),
    "export_calls": Work(run_export),
    "clear_customers": Work(run_clearing),
    "clear_communications": Work(run_clearing),
    HAND_OVER: Work(run_hand_over, take_back_hand_over),
    TAKE_BACK: Work(run_taking_back, lambda context: False),
}
"""By ``Job.kind``."""
