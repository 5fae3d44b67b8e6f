"""The jobs of the keeper's library thread, in the order in which they begin.

Their modules stay small in memory: what only a rare step needs is imported in that step.
"""

from __future__ import annotations

from collections.abc import Callable

from recorder.library.archive.copying import ArchiveTask
from recorder.library.evidence.anchor_task import AnchorTask
from recorder.library.evidence.heartbeat import HeartbeatTask
from recorder.library.keeping.task import LibraryTask
from recorder.library.rebuilding.examination import ExaminationTask
from recorder.library.rebuilding.reconcile import ReconcileTask
from recorder.library.storage.aging import AgingTask
from recorder.library.storage.conversion import ConversionTask
from recorder.library.storage.deletion_tasks import FinishTask, MarkedTask, OrdersTask
from recorder.library.storage.quota_task import QuotaTask
from recorder.library.storage.retention_task import RetentionTask

TASKS: list[Callable[[], LibraryTask]] = [
    HeartbeatTask,
    AgingTask,
    FinishTask,
    OrdersTask,
    MarkedTask,
    RetentionTask,
    QuotaTask,
    ArchiveTask,
    ConversionTask,
    ReconcileTask,
    ExaminationTask,
    AnchorTask,
]
