"""Recordings as the recorder stores them; read only, with the viewer's scope."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import msgspec
import sqlite_utils

from crm_client_api.domain.scope import ChannelScope
from firmware.errors import NotFound

RecordingKind = Literal["call", "continuous", "manual"]


class Pause(msgspec.Struct, frozen=True):
    """Silence where somebody paused; positions on the tape. ``to_sample`` None: it goes on. ``by``: see events."""

    from_sample: int
    to_sample: int | None = None
    by: str = ""
    reason: str = ""


_pauses_decoder = msgspec.json.Decoder(tuple[Pause, ...])


def pauses_of(text: str | None) -> tuple[Pause, ...]:
    """The column ``pauses`` of a call or recording."""
    return _pauses_decoder.decode(text) if text else ()


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as stored. ``path`` is as the recorder wrote it; ``*_sample`` are positions on the tape."""

    id: str
    kind: str
    call_id: str | None
    channel: int
    segment: int
    state: str
    tape_epoch: str
    from_sample: int
    to_sample: int
    sample_rate_hz: int
    started_ms: int
    duration_ms: int
    tracks: int
    pauses: tuple[Pause, ...]
    format: str | None
    path: str | None
    missing_samples: int
    bytes: int | None
    sha256: str | None
    encrypted: bool
    simulated: bool
    deleted_ms: int | None
    deleted_rule: str | None
    deleted_by: str | None

    @property
    def missing_ms(self) -> int:
        """What was lost and is silence, rounded up."""
        return -(-self.missing_samples * 1000 // self.sample_rate_hz)

    @property
    def readable(self) -> bool:
        """Whether there is audio that may be heard; what waits to be deleted may not."""
        return self.state == "ready" and self.path is not None and self.deleted_rule is None

    @property
    def awaited(self) -> bool:
        """Whether it is still to be cut from the tape; what waits to be deleted may not be heard from there either."""
        return self.state == "pending" and self.deleted_rule is None


COLUMNS = tuple(field.name for field in fields(Recording))
"""What ``recording_of`` needs of a row."""
_COLUMNS = ", ".join(COLUMNS)


def recording_of(row: sqlite3.Row) -> Recording:
    """A recording from a row of the store."""
    values = {name: row[name] for name in COLUMNS}
    return Recording(
        **values
        | {
            "pauses": pauses_of(values["pauses"]),
            "encrypted": bool(values["encrypted"]),
            "simulated": bool(values["simulated"]),
        }
    )


def recordings_of(calls: sqlite_utils.Database, call_ids: Iterable[str]) -> dict[str, list[Recording]]:
    """The recordings of calls, by call, in the order of their segments."""
    wanted = list(call_ids)
    found: dict[str, list[Recording]] = defaultdict(list)
    marks = ",".join("?" * len(wanted))
    for row in calls.conn.execute(
        f"SELECT {_COLUMNS} FROM recordings WHERE call_id IN ({marks}) ORDER BY call_id, segment", wanted
    ):
        found[row["call_id"]].append(recording_of(row))
    return found


def get_recording(calls: sqlite_utils.Database, recording_id: str, scope: ChannelScope) -> Recording:
    """Raises NotFound, also out of scope."""
    condition, arguments = scope.sql("channel")
    row = calls.conn.execute(
        f"SELECT {_COLUMNS} FROM recordings WHERE id = ? AND {condition}", (recording_id, *arguments)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such recording")
    return recording_of(row)


def silent_ranges(pauses: Sequence[Pause], end_sample: int) -> list[tuple[int, int]]:
    """The pauses as ranges; one that goes on lasts until ``end_sample``."""
    return [(pause.from_sample, end_sample if pause.to_sample is None else pause.to_sample) for pause in pauses]
