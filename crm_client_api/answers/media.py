"""What the API says of USB sticks: the structs of these answers."""

from __future__ import annotations

from typing import Literal

import msgspec

MediumState = Literal["seen", "mounted", "checking", "writing", "flushing", "safe_to_remove", "forbidden", "refused"]
MediumReason = Literal[
    "", "policy_none", "policy_unknown",
    "empty", "no_file_system", "unsupported", "encrypted", "damaged", "io_errors", "not_answering", "too_many",
    "not_mountable", "no_right",
]  # fmt: skip


class MediumInfo(msgspec.Struct, frozen=True):
    """A file system on a stick that is plugged in, since ``since_at``. The states are described in docs/usb.md.

    ``label``: what its owner calls it; ``name``: what the office calls a known stick. ``writer``: who writes to it.
    ``simulated``: a folder of a developer's machine, no stick. ``free_bytes`` null: not mounted.
    """

    id: str
    label: str
    name: str
    known: bool
    model: str
    file_system: str
    partition: int | None
    size_bytes: int
    free_bytes: int | None
    state: MediumState
    reason: MediumReason
    unclean: bool
    write_protected: bool
    writer: str
    simulated: bool
    since_at: str


class AutoExportInfo(msgspec.Struct, frozen=True):
    """What goes onto a stick by itself whenever it is plugged in. ``set_by`` answers for it: it is in that scope.

    ``from_at``: calls that began then or later. ``ran_at``, ``job_id``: when it last began, and the job.
    ``problem``: why nothing was begun when the stick was plugged in last: ``asker_gone`` (who set it up works here no
    more), ``permission_missing``, ``level_missing``, ``paused`` (the last job waits: somebody paused it); "" otherwise.
    """

    set_by: str
    set_at: str
    channel: int | None
    direction: Literal["incoming", "outgoing"] | None
    from_at: str | None
    language: Literal["zh", "en"]
    format: Literal["original", "flac", "wav", "mp3", "opus"]
    evidence: bool
    customers: bool
    communications: bool
    ran_at: str | None
    job_id: int | None
    problem: Literal["", "asker_gone", "permission_missing", "level_missing", "paused"]


class KnownMedium(msgspec.Struct, frozen=True):
    """A stick that the office remembers, plugged in or not. ``auto_export``: what goes onto it by itself."""

    id: str
    name: str
    remembered_by: str
    remembered_at: str
    auto_export: AutoExportInfo | None = None


class Media(msgspec.Struct, frozen=True):
    """All sticks. ``allowed``: the system parameter ``usb_sticks``."""

    allowed: Literal["all", "known", "none"]
    media: list[MediumInfo]
    known: list[KnownMedium]


class MediumEventInfo(msgspec.Struct, frozen=True):
    """Event ``medium``: a stick appeared (``medium_present``), has another state (``medium_changed``), or vanished."""

    kind: Literal["medium_present", "medium_changed", "medium_gone"]
    medium: MediumInfo
