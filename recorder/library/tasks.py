"""The jobs of the keeper's library thread, in the order in which they begin.

Their modules stay small in memory: what only a rare step needs is imported in that step.
"""

from __future__ import annotations

from collections.abc import Callable

from recorder.library.aging import AgingTask
from recorder.library.anchor_task import AnchorTask
from recorder.library.archive.copying import ArchiveTask
from recorder.library.conversion import ConversionTask
from recorder.library.deletion_tasks import FinishTask, MarkedTask, OrdersTask
from recorder.library.examination import ExaminationTask
from recorder.library.heartbeat import HeartbeatTask
from recorder.library.quota_task import QuotaTask
from recorder.library.reconcile import ReconcileTask
from recorder.library.retention_task import RetentionTask
from recorder.library.task import LibraryTask

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
