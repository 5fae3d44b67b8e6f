"""What the API says of orders, holds, retention, storage and evidence: the structs of these answers.

Times are ISO 8601 UTC with milliseconds (``*_at``, ``at``), durations ms (``*_ms``).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class OrderPlaced(msgspec.Struct, frozen=True):
    """The number of an order; ``GET /orders/{order}`` tells what became of it."""

    order: int


class OrderInfo(msgspec.Struct, frozen=True):
    """An order. ``error_code``: why it was refused, ``held`` or a code of ``order_…``; ``message`` says it in words."""

    id: int
    verb: str
    channel: int | None
    call_id: str | None
    recording_id: str | None
    reason: str
    asked_at: str
    state: Literal["pending", "done", "refused"]
    done_at: str | None
    message: str
    error_code: str | None


class HoldInfo(msgspec.Struct, frozen=True):
    """A hold. It protects until ``released_at``; who confirms is another person than who asked."""

    id: str
    kind: Literal["call", "number", "customer", "period"]
    subject: str | None
    from_at: str | None
    to_at: str | None
    channel: int | None
    reason: str
    set_by: str
    set_at: str
    release_asked_by: str | None
    release_asked_at: str | None
    released_by: str | None
    released_at: str | None


class Holds(msgspec.Struct, frozen=True):
    """Holds, oldest first."""

    holds: list[HoldInfo]


class RetentionRuleInfo(msgspec.Struct, frozen=True):
    """How long recordings of one subject are kept; ``days`` 0: for ever."""

    kind: Literal["channel", "group", "customer", "operator"]
    subject: str
    days: int
    set_by: str
    set_at: str


class RetentionRules(msgspec.Struct, frozen=True):
    """Every rule."""

    rules: list[RetentionRuleInfo]


class ArchiveInfo(msgspec.Struct, frozen=True):
    """What an archive lacks; ``oldest_at``: since when the oldest waits."""

    name: str
    required: bool
    waiting: int
    waiting_bytes: int
    oldest_at: str | None


class StorageInfo(msgspec.Struct, frozen=True):
    """How the storage stands. ``quota_bytes`` 0: none. ``full``: new recordings wait on the tape.

    ``room_bytes``: until a limit is reached. ``days_left`` null: nothing can be said yet, or the room never ends.
    ``clock_lag_ms``: how far the clock by which recordings grow old is behind, after the box's clock leapt.
    """

    recordings: int
    used_bytes: int
    free_bytes: int
    quota_bytes: int
    reserve_bytes: int
    room_bytes: int
    full_action: Literal["overwrite_oldest", "stop_and_alarm", "move_to_archive"]
    full: bool
    oldest_at: str | None
    held: int
    holds: int
    clock_lag_ms: int
    mean_bytes_a_day: int | None
    days_left: float | None
    archives: list[ArchiveInfo]


class PreviewShare(msgspec.Struct, frozen=True):
    """What retention or quota would delete: recordings that began from ``first_at`` to ``last_at``."""

    rule: Literal["retention", "quota"]
    recordings: int
    bytes: int
    first_at: str | None
    last_at: str | None


class PreviewInfo(msgspec.Struct, frozen=True):
    """What would be deleted. ``held`` and ``unarchived``: recordings whose time is over, but which are protected.

    ``short_bytes``: what could not be made free: new recordings would stop. ``text``: in words, by language (en, zh).
    """

    shares: list[PreviewShare]
    held: int
    unarchived: int
    short_bytes: int
    text: dict[str, str]


class HeadInfo(msgspec.Struct, frozen=True):
    """The newest signed head of an evidence log: at ``at`` it had so many leaves and this root."""

    log: str
    tree_size: int
    root: str
    at: str
    reason: str


class AnchorInfo(msgspec.Struct, frozen=True):
    """The newest anchor. ``receipts``: kinds of those outside who saw it (rfc3161, webhook, email, printed)."""

    number: int
    at: str
    digest: str
    receipts: list[str]


class DeviceEvidence(msgspec.Struct, frozen=True):
    """The logs of one signing key. ``device`` null: nothing is signed yet. ``problems``: what cannot be read."""

    device: str | None
    heads: list[HeadInfo]
    anchor: AnchorInfo | None
    problems: list[str]


class EvidenceInfo(msgspec.Struct, frozen=True):
    """The evidence of real cards, and that of simulated ones."""

    device: DeviceEvidence
    practice: DeviceEvidence


class RecordingEvidence(msgspec.Struct, frozen=True):
    """``manifest``: the manifest file. ``proof``: that it is in the log; null while ``missing`` says why."""

    manifest: dict[str, Any]
    proof: dict[str, Any] | None
    missing: str


class Damaged(msgspec.Struct, frozen=True):
    """A stretch of a recording that is not as it was; ``kind``: altered, missing, added, moved, header."""

    kind: str
    from_ms: int
    to_ms: int


class Silence(msgspec.Struct, frozen=True):
    """A stretch in which a recording is silent and the line need not have been, as its manifest says.

    ``reason``: not_received, not_written, unreadable, overwritten, box_stopped, unknown, paused; in manifests of older
    versions ``not received`` for whatever was missing.
    """

    from_ms: int
    to_ms: int
    reason: str


class VerdictInfo(msgspec.Struct, frozen=True):
    """What a check found. ``text``: the whole in words, by language (en, zh).

    ``verdict``: authentic, altered, part_missing, manifest_altered, unknown_device, not_in_log, deleted,
    cannot_check. ``key_known``: the key that this box publishes as its own signed it. ``in_log`` null: no signed head
    covers it yet.
    """

    verdict: str
    self_consistent: bool
    key_known: bool | None
    in_log: bool | None
    anchored_before: list[str]
    damage: list[Damaged]
    silences: list[Silence]
    notes: list[str]
    text: dict[str, list[str]]


class FoundItem(msgspec.Struct, frozen=True):
    """One thing that the box keeps about a number; ``stays``: why it must stay, null when it may go."""

    kind: str
    id: str
    at: str | None
    stays: str | None


class FoundItems(msgspec.Struct, frozen=True):
    """What there is about a number: the first thousand, how many of each kind, and how many may go."""

    items: list[FoundItem]
    counts: dict[str, int]
    going: int
    staying: int


class ErasurePlaced(msgspec.Struct, frozen=True):
    """``GET /erasures/{order}`` tells what became of it.

    ``salt``: with it and the number anybody can show whom the certificate is about; the box forgets it.
    """

    order: int
    salt: str


class ErasureInfo(msgspec.Struct, frozen=True):
    """An erasure; ``certificate``: the signed file as it stands in the evidence folder, once it is done.

    ``error_code`` and ``message``: why it was refused.
    """

    order: int
    state: Literal["pending", "done", "refused"]
    message: str
    error_code: str | None
    certificate: dict[str, Any] | None
