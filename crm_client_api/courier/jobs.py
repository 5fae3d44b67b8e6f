"""Jobs: what somebody asked the courier to do, how far it is, what came of it.

Everybody sees the own ones only; who manages all operators may list those of others, and give them up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.permissions import Permission
from firmware import doorbell
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import NotFound, Refused
from firmware.store.connection import write

KEPT_FOR_MS = 7 * 86_400_000
"""How long a job's files stay; one that waits for an answer is cancelled after a day."""
ANSWER_WITHIN_MS = 86_400_000
_OPEN = ("waiting", "running", "needs_answer")
PAUSED = "paused"
"""Why a job is set aside that somebody paused."""
FETCHING = "fetching"
"""The phase of an import whose file lies on a stick still: a lane of its own waits for the stick."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored. ``wanted`` is what was asked for, ``result`` what is known so far; times Unix ms UTC.

    ``phase``: fetching, reading, inserting, applying, writing, clearing, handing_over, taking_back, choosing, checking,
    copying; ``question``, in ``result``, while ``state`` is needs_answer. ``held``: why it is set aside until somebody
    lets it go on (``paused``, or what is the matter with its stick), "" when it is not.
    """

    id: int
    kind: str
    staff_no: str
    address: str
    state: str
    phase: str
    tries: int
    wanted: Mapping[str, Any]
    permissions: frozenset[Permission]
    done_rows: int
    all_rows: int | None
    result: Mapping[str, Any]
    error_code: str | None
    error: str | None
    created_ms: int
    changed_ms: int
    cancel_asked: bool
    held: str

    @property
    def actor(self) -> Actor:
        """Who asked for it, and from where."""
        return Actor(self.staff_no, self.address)


_COLUMNS = (
    "id, kind, staff_no, address, state, phase, tries, wanted, permissions, done_rows, all_rows, result, error_code,"
    " error, created_ms, changed_ms, cancel_asked, held"
)


def job_folder(home: Home, job_id: int) -> Path:
    """Where a job's files lie; they hold personal data."""
    return home.root / "jobs" / str(job_id)


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    return Job(
        **values
        | {
            "wanted": msgspec.json.decode(values["wanted"]),
            "permissions": msgspec.json.decode(values["permissions"], type=frozenset[Permission]),
            "result": msgspec.json.decode(values["result"]),
            "cancel_asked": bool(values["cancel_asked"]),
        }
    )


def add_job(
    connection: sqlite3.Connection,
    kind: str,
    actor: Actor,
    wanted: Mapping[str, Any],
    permissions: frozenset[Permission],
) -> int:
    """Ask the courier for something, inside the caller's transaction; the job's number.

    It may do what who asked may do at that time, and no more than ``permissions``.
    """
    at_ms = now_ms()
    cursor = connection.execute(
        "INSERT INTO jobs (kind, staff_no, address, state, wanted, permissions, created_ms, changed_ms)"
        " VALUES (?,?,?,'waiting',?,?,?,?)",
        (
            kind,
            actor.staff_no,
            actor.address,
            msgspec.json.encode(wanted).decode(),
            msgspec.json.encode(sorted(permissions)).decode(),
            at_ms,
            at_ms,
        ),
    )
    job_id = int(cursor.lastrowid or 0)
    audit.append(connection, actor, "job.add", str(job_id), {"kind": kind, **_audited(wanted)})
    return job_id


def _audited(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Filters by their names only: the log cannot forget what was looked for. A hand-over has entries of its own."""
    chosen = wanted.get("filter", {})
    named = {"filters": sorted(name for name, value in chosen.items() if value not in (None, "", [], False))}
    told = {name: value for name, value in wanted.items() if name not in ("filter", "order")}
    return told | (named if chosen else {})


def get_job(crm: sqlite_utils.Database, job_id: int, staff_no: str | None = None) -> Job:
    """A job; with ``staff_no`` only if it is that person's. Raises NotFound."""
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE id = ? AND staff_no = coalesce(?, staff_no)", (job_id, staff_no)
    ).fetchone()
    if row is None:
        raise NotFound("there is no such job")
    return _job(row)


def list_jobs(crm: sqlite_utils.Database, staff_no: str, limit: int, before: int | None = None) -> list[Job]:
    """Somebody's jobs, newest first."""
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE staff_no = ? AND id < coalesce(?, id + 1) ORDER BY id DESC LIMIT ?",
        (staff_no, before, limit),
    )
    return [_job(row) for row in rows]


def next_job(
    crm: sqlite_utils.Database, kinds: Collection[str] = (), *, only: bool = False, fetching: bool | None = None
) -> Job | None:
    """The oldest job that is to be done, or that a courier left unfinished; not of these kinds, or ``only`` of these;
    with ``fetching`` only those that wait for a stick, or only the others.

    One that is set aside waits until it is let go on, or given up.
    """
    row = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE state IN ('waiting', 'running') AND (held = '' OR cancel_asked)"
        f" AND kind {'IN' if only else 'NOT IN'} ({','.join('?' * len(kinds))})"
        " AND (? IS NULL OR (phase = ?) = ?) ORDER BY state = 'waiting', id LIMIT 1",
        (*kinds, fetching, FETCHING, fetching),
    ).fetchone()
    return None if row is None else _job(row)


def held_jobs(crm: sqlite_utils.Database, reasons: Collection[str]) -> list[Job]:
    """The open jobs that are set aside for one of these reasons, or with "" among them for none."""
    rows = crm.conn.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE state IN ('waiting', 'running')"
        f" AND held IN ({','.join('?' * len(reasons))})",
        tuple(reasons),
    )
    return [_job(row) for row in rows]


def jobs_ahead(crm: sqlite_utils.Database, job: Job, kinds: Collection[str]) -> int | None:
    """How many jobs of these kinds are done before one of them that waits; None: it waits for something else."""
    if job.kind not in kinds or job.state != "waiting" or job.held:
        return None
    row = crm.conn.execute(
        "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running') AND held = '' AND id <> ?"
        f" AND (id < ? OR state = 'running') AND kind IN ({','.join('?' * len(kinds))})",
        (job.id, job.id, *kinds),
    ).fetchone()
    return int(row[0])


def pause_job(crm: sqlite_utils.Database, job_id: int, actor: Actor) -> Job:
    """Set one of the own jobs aside; while it runs, at its next step. Raises NotFound, Refused."""
    with write(crm) as connection:
        job = get_job(crm, job_id, actor.staff_no)
        if job.state not in ("waiting", "running") or job.held == PAUSED:
            raise Refused("this job does not run, so it cannot be paused")
        set_job(connection, job_id, held=PAUSED)
        audit.append(connection, actor, "job.pause", str(job_id))
    return get_job(crm, job_id, actor.staff_no)


def resume_job(crm: sqlite_utils.Database, job_id: int, actor: Actor) -> Job:
    """Let one of the own jobs that is set aside go on. Raises NotFound, Refused."""
    with write(crm) as connection:
        job = get_job(crm, job_id, actor.staff_no)
        if job.state not in ("waiting", "running") or not job.held:
            raise Refused("this job is not set aside")
        set_job(connection, job_id, held="", error=None)
        audit.append(connection, actor, "job.resume", str(job_id))
    return get_job(crm, job_id, actor.staff_no)


def answer_job(crm: sqlite_utils.Database, job_id: int, actor: Actor, answer: Mapping[str, Any]) -> Job:
    """Answer a job's question: ``answer`` is added to what is wanted. Raises NotFound, Refused."""
    with write(crm) as connection:
        job = get_job(crm, job_id, actor.staff_no)
        if job.state != "needs_answer":
            raise Refused("this job asks nothing")
        wanted = {**job.wanted, **answer}
        connection.execute(
            "UPDATE jobs SET state = 'waiting', tries = 0, done_rows = 0, all_rows = NULL, wanted = ?,"
            " error_code = NULL, error = NULL, changed_ms = ? WHERE id = ?",
            (msgspec.json.encode(wanted).decode(), now_ms(), job_id),
        )
        audit.append(connection, actor, "job.answer", str(job_id), dict(answer))
        _tell(connection, job_id)
    return get_job(crm, job_id, actor.staff_no)


def cancel_job(crm: sqlite_utils.Database, job_id: int, actor: Actor, *, of_others: bool = False) -> Job:
    """Give up a job: at once, or at the courier's next step when it runs. Raises NotFound, Refused when it is over.

    ``of_others``: also one that somebody else asked for; who may is the caller's to check.
    """
    owner = None if of_others else actor.staff_no
    with write(crm) as connection:
        job = get_job(crm, job_id, owner)
        if job.state not in _OPEN:
            raise Refused("this job is over")
        if job.phase == "applying":
            raise Refused("this has taken effect already, and goes on to its end")
        # The courier ends it in any case: it knows what has to be cleared away.
        state = "waiting" if job.state == "needs_answer" else job.state
        connection.execute(
            "UPDATE jobs SET state = ?, cancel_asked = 1, changed_ms = ? WHERE id = ?", (state, now_ms(), job_id)
        )
        audit.append(connection, actor, "job.cancel", str(job_id), {"asked_by": job.staff_no})
        _tell(connection, job_id)
    return get_job(crm, job_id, owner)


def set_job(connection: sqlite3.Connection, job_id: int, **values: Any) -> None:
    """Change columns of a job (``result`` as a mapping), and tell its owner, inside the caller's transaction."""
    if "result" in values:
        values["result"] = msgspec.json.encode(values["result"]).decode()
    values["changed_ms"] = now_ms()
    connection.execute(
        f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?", (*values.values(), job_id)
    )
    _tell(connection, job_id)


def _tell(connection: sqlite3.Connection, job_id: int) -> None:
    row = connection.execute(
        "SELECT staff_no, kind, state, phase, done_rows, all_rows, error_code, held FROM jobs WHERE id = ?", (job_id,)
    ).fetchone()
    about = {name: row[name] for name in ("kind", "state", "phase", "done_rows", "all_rows", "error_code", "held")}
    office_events.tell(connection, "job", {"id": job_id, **about}, to=[row["staff_no"]])


def wake_courier(home: Home) -> None:
    """Let the courier look at once; it would look within a second anyway."""
    doorbell.ring(home.doorbells)
