"""Backups: how they stand, the passphrase that opens them, and one made at once. For super operators only.

Whoever has a backup and its passphrase has everything: the records of all, and the keys of the box.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.backup import BackupInfo, Backups, BackupTry
from crm_client_api.answers.jobs import JobInfo
from crm_client_api.backup import records
from crm_client_api.backup.addresses import usb_address
from crm_client_api.backup.asking import BACKUP, NEEDED, wanted_at
from crm_client_api.backup.keys import LONGEST_PASSPHRASE, SHORTEST_PASSPHRASE, make_key
from crm_client_api.backup.nightly import next_night_ms
from crm_client_api.backup.parameters import HOUR, PLACE, RECORDINGS
from crm_client_api.courier.jobs import add_job, get_job, wake_courier
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.permissions import Level
from crm_client_api.domain.sessions import check_password
from crm_client_api.http.errors import ApiError
from crm_client_api.http.jobs import job_info
from crm_client_api.http.routing import Request, route
from crm_client_api.take_home.media import medium_now
from firmware.clock import iso_utc, now_ms
from firmware.parameters import get_all
from firmware.store.connection import write


class NewPassphrase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``passphrase`` opens backups from now on, and the box does not keep it. ``password``: the own one once more."""

    passphrase: Annotated[str, msgspec.Meta(min_length=SHORTEST_PASSPHRASE, max_length=LONGEST_PASSPHRASE)]
    password: str


class WantedBackup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``medium``: onto this stick; left out: to where that of the night goes. ``recordings`` left out: as at night."""

    medium: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    recordings: bool | None = None


@route("GET", "/backups", "How backups stand", answer=Backups, permissions=NEEDED)
def get_backups(request: Request) -> Backups:
    """Show the place, the last try, and the backups that are there."""
    _require_super(request)
    crm = request.stores.crm
    system = get_all(crm, "system")
    place, hour = system[PLACE], system[HOUR]
    place = place if isinstance(place, str) else ""
    made_ms = crm.conn.execute("SELECT max(made_ms) FROM backup_keys").fetchone()[0]
    night = isinstance(hour, int) and place and made_ms is not None
    return Backups(
        passphrase_at=None if made_ms is None else iso_utc(made_ms),
        place=place,
        next_at=iso_utc(next_night_ms(now_ms(), int(str(hour)), request.settings.zone)) if night else None,
        last_try=_last_try(request),
        backups=[
            BackupInfo(
                one.name,
                iso_utc(one.made_ms),
                iso_utc(one.tried_ms),
                one.address,
                one.medium,
                one.bytes,
                one.recordings,
            )
            for one in records.list_made(crm)
        ],
    )


@route(
    "PUT", "/backups/passphrase", "Choose the passphrase that opens backups from now on",
    status=204, permissions=NEEDED, persons_only=True, also=(429,),
)  # fmt: skip
def put_backup_passphrase(request: Request, body: NewPassphrase) -> None:
    """Make a new key under it; older backups open with the older one."""
    _require_super(request)
    check_password(request.stores.crm, request.operator.staff_no, body.password, request.actor)
    records.set_key(request.stores.crm, make_key(body.passphrase), request.actor)


@route("POST", "/backups", "Make a backup now", answer=JobInfo, status=202, permissions=NEEDED, also=(404,))
def post_backup(request: Request, body: WantedBackup) -> JobInfo:
    """Ask for it; it is made while the box works."""
    _require_super(request)
    crm = request.stores.crm
    if records.read_key(crm) is None:
        raise Invalid("backup_no_passphrase", "choose a passphrase for backups first")
    system = get_all(crm, "system")
    if body.medium is not None:
        medium_now(request.api.home, body.medium)
        place = usb_address(body.medium)
    else:
        place = str(system[PLACE])
    if not place:
        raise Invalid("backup_no_place", "set where backups go first, or choose a stick")
    audio = system[RECORDINGS] is True if body.recordings is None else body.recordings
    with write(crm) as connection:
        wanted = msgspec.to_builtins(wanted_at(place, recordings=audio))
        job_id = add_job(connection, BACKUP, request.actor, wanted, request.operator.permissions)
    wake_courier(request.api.home)
    return job_info(request, get_job(crm, job_id))


def _require_super(request: Request) -> None:
    if request.operator.level is not Level.SUPER:
        raise ApiError(403, "super_only", "only a super operator may: everybody's records are in a backup")


def _last_try(request: Request) -> BackupTry | None:
    row = request.stores.crm.conn.execute(
        "SELECT id, created_ms, staff_no, state, phase, done_rows, all_rows, held, error_code, error FROM jobs"
        " WHERE kind = ? ORDER BY id DESC LIMIT 1",
        (BACKUP,),
    ).fetchone()
    if row is None:
        return None
    return BackupTry(row["id"], iso_utc(row["created_ms"]), *tuple(row)[2:])
