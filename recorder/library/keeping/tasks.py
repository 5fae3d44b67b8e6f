"""The jobs of the keeper's two threads for recordings, in the order in which they begin.

Their modules stay small in memory: what only a rare step needs is imported in that step.
"""

from __future__ import annotations

from collections.abc import Callable

from recorder.library.archive.copying import ArchiveTask
from recorder.library.evidence.anchor_task import AnchorTask
from recorder.library.evidence.earlier_keeping import EarlierTask
from recorder.library.evidence.heartbeat import HeartbeatTask
from recorder.library.keeping.number_keys import NumberKeysTask
from recorder.library.keeping.task import Library, LibraryTask, Stores
from recorder.library.rebuilding.examination import ExaminationTask
from recorder.library.rebuilding.reconcile import ReconcileTask
from recorder.library.storage.aging import AgingTask
from recorder.library.storage.conversion import ConversionTask
from recorder.library.storage.deletion_tasks import FinishTask, MarkedTask, OrdersTask
from recorder.library.storage.quota_task import QuotaTask
from recorder.library.storage.retention_task import RetentionTask

TASKS: list[Callable[[], LibraryTask[Library]]] = [
    HeartbeatTask,
    EarlierTask,
    AgingTask,
    FinishTask,
    OrdersTask,
    MarkedTask,
    NumberKeysTask,
    RetentionTask,
    QuotaTask,
    ConversionTask,
    ReconcileTask,
    ExaminationTask,
    AnchorTask,
]
ARCHIVE_TASKS: list[Callable[[], LibraryTask[Stores]]] = [ArchiveTask]
"""An archive that hangs must not keep the others from making room for new recordings."""
