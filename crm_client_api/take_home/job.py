"""The job that takes recordings home: chosen once, written file by file, gone on with after every interruption."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from crm_client_api.courier.context import Cancelled, Context, SetAside
from crm_client_api.courier.exports import require_export_level
from crm_client_api.courier.jobs import Job, held_jobs
from crm_client_api.domain import audit
from crm_client_api.domain.media import is_auto_job
from crm_client_api.domain.permissions import Permission
from crm_client_api.take_home.choice import Wanted, chosen_calls, filters_of, in_pages, left_out
from crm_client_api.take_home.folder import Folder, Plan
from crm_client_api.take_home.landing import MediumDamaged
from crm_client_api.take_home.media import PASSING, writable
from crm_client_api.take_home.past import Past, known_rate, note_past, read_past
from crm_client_api.take_home.secret import forget, passphrase_of
from crm_client_api.views.calls import open_desk
from firmware.clock import now_ms
from firmware.durable import write_whole
from firmware.errors import StoreError
from firmware.media.asking import eject
from firmware.media.medium import MediumRefused
from firmware.parameters import get_all
from firmware.store.connection import write

TAKE_HOME: Final = "take_home"
"""The kind of the job."""
NEEDED = (Permission.RECORDING_QUERY, Permission.RECORDING_EXPORT)
"""The permissions that it needs; workbooks of customers and communication records need their own beside."""
NOTHING_NEW: Mapping[str, Any] = {
    "folder": "", "calls": 0, "recordings": 0, "lost": 0, "too_large": 0, "files": 0, "bytes": 0, "all_bytes": 0,
    "seconds_left": None,
}  # fmt: skip
"""The figures of a stick that was plugged in when nothing had happened since the last time: nothing is written."""
_PLAN = "plan.json"


def needed_for(wanted: Wanted) -> tuple[Permission, ...]:
    """All permissions that somebody needs to ask for this."""
    return (
        *NEEDED,
        *((Permission.CUSTOMER_MANAGE,) if wanted.customers else ()),
        *((Permission.COMMUNICATION_MANAGE,) if wanted.communications else ()),
        *((Permission.AUDIT_READ,) if wanted.case is not None else ()),
    )


def run_take_home(context: Context) -> None:
    """Write what is not there yet. Raises BoxError; SetAside: the job goes on when its stick is back; Cancelled: the
    stick's rule names this job no more."""
    job = context.job
    wanted = msgspec.convert(dict(job.wanted), Wanted)
    if wanted.auto and not is_auto_job(context.crm, wanted.medium, job.id):
        raise Cancelled("the rule that began this is gone")
    operator = context.operator(*needed_for(wanted))
    if wanted.customers:
        require_export_level(get_all(context.crm, "system")["customer_export_level"], operator)
    desk = open_desk(context.stores, operator)
    passphrase = passphrase_of(context.home, job.id) if wanted.encrypted else None
    plan = _plan(context, wanted)
    if wanted.auto and not plan.calls and not (wanted.customers or wanted.communications):
        rate = known_rate(context.crm, wanted.medium)
        _finish(context, wanted, plan, NOTHING_NEW, rate, eject_it=False)  # it was plugged in for something else
        return
    begun_s = time.monotonic()
    with writable(context.home, wanted.medium, f"job {job.id}") as stick:
        folder = Folder(context, desk, wanted, plan, stick, passphrase)
        try:
            folder.write()
        except MediumDamaged as error:
            raise SetAside("io_errors", str(error)) from error
        stick.done()
    took_s = max(time.monotonic() - begun_s, 0.001)
    rate = int(folder.written_bytes / took_s)
    _finish(context, wanted, plan, folder.figures(), rate, eject_it=True)


def _finish(
    context: Context, wanted: Wanted, plan: Plan, figures: Mapping[str, Any], rate: int, *, eject_it: bool
) -> None:
    """Remember and audit what is on the stick now, and let people pull it out when ``eject_it``. ``rate``: bytes a
    second."""
    job = context.job
    past = Past(min(wanted.until_ms, wanted.filter.to_ms or wanted.until_ms), plan.left_out, rate)
    with write(context.crm) as connection:
        note_past(connection, wanted.medium, job.staff_no, wanted.filter, past)
        told = {"medium": wanted.medium, "count": figures["recordings"], "calls": figures["calls"], "form": wanted.form}
        told |= {key: figures[key] for key in ("lost", "too_large") if figures[key]}
        action = "recording.take_home" if wanted.case is None else "recording.case_package"
        audit.append(connection, job.actor, action, str(job.id), told | {"bytes": figures["bytes"]})
    forget(context.home, job.id)
    result = {**figures, "safe": eject_it and _eject(context, wanted)}
    context.note(
        held="",
        state="done",
        phase="",
        done_rows=figures["files"],
        all_rows=figures["files"],
        result=result,
        error=None,
    )


def end_take_home(context: Context) -> bool:
    """When it was given up, or failed: what has landed stays on the stick. Always True."""
    forget(context.home, context.job.id)
    return True


def _eject(context: Context, wanted: Wanted) -> bool:
    """Make the stick safe to pull out, unless another job of the queue is for it; whether it is."""
    others = [one for one in held_jobs(context.crm, ("", *PASSING)) if one.id != context.job.id]
    if any(_needs_stick(one) and one.wanted["medium"] == wanted.medium for one in others):
        return False
    try:
        return eject(context.home, wanted.medium).state == "safe_to_remove"
    except MediumRefused:
        return False


def _needs_stick(job: Job) -> bool:
    """Whether an open job writes to a stick, or is an import that has not fetched its file from one."""
    fetched = "sha256" in job.wanted
    return job.kind == TAKE_HOME or (job.kind.startswith("import_") and "medium" in job.wanted and not fetched)


def _plan(context: Context, wanted: Wanted) -> Plan:
    """What is taken, chosen once: a job that goes on takes the same. Raises StoreError."""
    file = context.folder / _PLAN
    try:
        return msgspec.json.decode(file.read_bytes(), type=Plan)
    except FileNotFoundError:
        pass
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{_PLAN}: {error}") from error
    operator = context.operator(*needed_for(wanted))
    desk = open_desk(context.stores, operator)
    past = read_past(context.crm, wanted.medium, operator.staff_no, wanted.filter) if wanted.since_last else None
    seen: set[str] = set()
    for page in chosen_calls(desk, filters_of(wanted, past)):
        seen.update(one.id for one in page)
        context.step("choosing", len(seen), None)
    pages = in_pages(seen)
    made_ms = now_ms()
    plan = Plan(pages, left_out(desk, pages, wanted.until_ms), made_ms)
    context.folder.mkdir(parents=True, exist_ok=True, mode=0o770)
    _note_taken(context, pages)
    write_whole(file, msgspec.json.encode(plan))
    return plan


def _note_taken(context: Context, pages: Sequence[Sequence[str]]) -> None:
    """The audit log says how much leaves the box, and names every call before its first byte does."""
    if not pages:
        return
    job = context.job
    with write(context.crm) as connection:
        told = {"rows": sum(map(len, pages)), "medium": job.wanted["medium"]}
        audit.append(connection, job.actor, "recording.export", str(job.id), told)
    for page in pages:
        with write(context.crm) as connection:
            audit.note_read(connection, job.actor, "recording", page, {"job": job.id}, verb="take_home")
