"""The job that makes a backup: the stores copied, sealed, tried out, brought to their place; older ones thinned out."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from crm_client_api.backup import records
from crm_client_api.backup.addresses import at_medium
from crm_client_api.backup.asking import NEEDED, Wanted
from crm_client_api.backup.contents import STORES, About, KeptList, pack
from crm_client_api.backup.generations import policy_of, thinned
from crm_client_api.backup.keys import OwnKey
from crm_client_api.backup.media import is_own, name_of, recognise, relist
from crm_client_api.backup.places import ENDING, Place, open_for_backup
from crm_client_api.backup.recordings import Bringing, clear_recordings
from crm_client_api.backup.sealing import FORGED, Hashing, Opening, Sealer, sync
from crm_client_api.backup.snapshot import snapshot
from crm_client_api.backup.trial import try_out
from crm_client_api.courier.context import Context
from crm_client_api.domain import audit
from crm_client_api.domain.audit import BOX, CONSOLE
from crm_client_api.domain.invalid import Invalid
from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BadInput, StoreError, StoreFull
from firmware.media.asking import eject
from firmware.media.medium import MediumRefused
from firmware.parameters import get_all
from firmware.store.connection import write
from recorder.library.archive.target import TargetError
from recorder.library.evidence.public_key import read_public_device

_KEPT_FREE_BYTES = 64 << 20
_STEP_S = 0.1
_FILE = f"backup{ENDING}"


def run_backup(context: Context) -> None:
    """Make it. Raises BoxError; SetAside: the stick is not there. Older backups stay as they were until it is whole."""
    wanted = msgspec.convert(dict(context.job.wanted), Wanted)
    if context.job.staff_no not in (BOX, CONSOLE):
        context.operator(*NEEDED)
    key = records.read_key(context.crm)
    if key is None:
        raise Invalid("backup_no_passphrase", "choose a passphrase for backups first")
    folder = _empty_folder(context.home, context.job.id)
    try:
        _require_room(context.home, folder)
        with open_for_backup(context.home, wanted.place, f"job {context.job.id}") as place:
            at = at_medium(wanted.place, recognise(place, folder))
            _forget_unfinished(context, at, place)
            place.look(lambda folder: relist(context.crm, at, folder))
            made = _Making(context, wanted, key, folder, place, at).make()
            _thin_out(context, place, made)
            place.done()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = {"name": made.name, "bytes": made.bytes, "recordings": made.recordings, "safe": _eject(context, wanted)}
    context.note(state="done", phase="", held="", error=None, result=result)


class _Making:
    def __init__(self, context: Context, wanted: Wanted, key: OwnKey, folder: Path, place: Place, at: str) -> None:
        self._context, self._wanted, self._key = context, wanted, key
        self._folder, self._place, self._at = folder, place, at
        self._made_ms = now_ms()
        self._stepped_s = 0.0
        self._device = device_of_box(context.home)
        self._stamp = datetime.fromtimestamp(self._made_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")

    def make(self) -> records.Made:
        stores = self._folder / "stores"
        stores.mkdir()
        home = self._context.home
        snapshot([home.root / name for name in STORES], stores, lambda done, pages: self._step("snapshot", done, pages))
        kept = self._recordings(stores) if self._wanted.recordings else None
        file, sha256, file_key = self._pack(stores, kept)
        shutil.rmtree(stores)
        self._try_out(file, file_key)
        name = f"tapdeck-{self._stamp}-{name_of(self._device)}-{self._context.job.id}{ENDING}"
        self._context.note(phase="writing", result={"name": name})
        self._step("writing", 0, file.stat().st_size)
        self._place.put(name, file)
        if self._place.sha256(name) != sha256:
            self._place.remove(name)
            raise TargetError("what was read back is not what was written: the medium is failing")
        made = records.Made(
            0, self._made_ms, now_ms(), self._at, name, file.stat().st_size, sha256, self._key.id,
            None if kept is None else kept.count,
        )  # fmt: skip
        with write(self._context.crm) as connection:
            records.note_made(connection, made)
            told = {"place": made.address, "medium": made.medium, "bytes": made.bytes, "recordings": made.recordings}
            audit.append(connection, self._context.job.actor, "backup.make", name, told)
        return made

    def _step(self, phase: str, done: int, whole: int | None) -> None:
        """Often enough to be stopped soon, and not for each of a hundred thousand files."""
        now_s = time.monotonic()
        if now_s - self._stepped_s > _STEP_S:
            self._stepped_s = now_s
            self._context.step(phase, done, whole)

    def _recordings(self, stores: Path) -> KeptList:
        bringing = Bringing(self._context, self._key, self._at, self._place, self._folder, self._device)
        return bringing.bring(stores / "calls.db", self._made_ms)

    def _pack(self, stores: Path, kept: KeptList | None) -> tuple[Path, str, bytes]:
        file = self._folder / _FILE
        software = version("tapdeck")

        def about(schema: dict[str, list[tuple[str, str]]]) -> About:
            return About(self._made_ms, software, self._device, schema, kept is not None)

        try:
            with file.open("xb") as plain:
                hashed = Hashing(plain)
                sealer = Sealer(
                    hashed, self._key, "backup", self._stamp, self._made_ms, self._device, software,
                    None if kept is None else kept.count,
                )  # fmt: skip
                with sealer:
                    pack(
                        self._context.home, stores, about, kept, sealer,
                        lambda done: self._step("packing", done, None),
                    )  # fmt: skip
                sync(plain)
        except OSError as error:
            raise StoreError(f"the backup cannot be written: {error.strerror}") from error
        return file, hashed.digest.hexdigest(), sealer.file_key

    def _try_out(self, file: Path, file_key: bytes) -> None:
        folder = self._folder / "trial"
        folder.mkdir()
        size = file.stat().st_size

        def known(opening: Opening) -> bytes:
            if not self._key.made(opening.signed, opening.signature):
                raise BadInput(FORGED)
            return file_key

        try_out(file, known, folder, lambda done: self._step("trying", done, size))
        shutil.rmtree(folder)


def device_of_box(home: Home) -> str:
    """The device id of the box, "" before it has a key; that of practice when there is nothing else."""
    for simulated in (False, True):
        with suppress(StoreError):
            found = read_public_device(home, simulated)
            if found is not None:
                return found
    return ""


def _empty_folder(home: Home, job_id: int) -> Path:
    """Room for what is being made; also clears away what an earlier try left. Raises StoreError."""
    parent = home.root / "backup"
    shutil.rmtree(parent, ignore_errors=True)
    folder = parent / f"job-{job_id}"
    try:
        parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    return folder


def _require_room(home: Home, folder: Path) -> None:
    """Twice the stores: their copies and what is packed, then what is packed and its trial. Raises StoreFull."""
    size = sum((home.root / name).stat().st_size for name in STORES)
    free = shutil.disk_usage(folder).free
    if free < 2 * size + _KEPT_FREE_BYTES:
        raise StoreFull(f"the box needs {2 * size + _KEPT_FREE_BYTES >> 20} MiB of its own disk to make a backup")


def _forget_unfinished(context: Context, at: str, place: Place) -> None:
    """What an earlier try of this job left at the place was never entered."""
    place.tidy(is_own(records.read_keys(context.crm), device_of_box(context.home)))
    name = context.job.result.get("name")
    if name is not None and all(one.name != name for one in records.list_made(context.crm, at)):
        place.remove(str(name))


def _thin_out(context: Context, place: Place, now: records.Made) -> None:
    """Remove older backups that the policy does not keep, then recordings that none of the others names."""
    policy = policy_of(get_all(context.crm, "system"))
    made = records.list_made(context.crm, now.place)
    removed = thinned(made, now, policy, context.settings().zone)
    for one in removed:
        place.remove(one.name)
        records.note_removed(context.crm, [one.id])
    kept = [one for one in made if one not in removed]
    naming = [one.made_ms for one in kept if one.recordings]
    clear_recordings(context, now.place, place, min(naming or [one.made_ms for one in kept]))


def _eject(context: Context, wanted: Wanted) -> bool:
    """Whether somebody may pull the stick out now: of who asked at night nobody stands beside it."""
    if not wanted.medium or context.job.staff_no == BOX:
        return False
    try:
        return eject(context.home, wanted.medium).state == "safe_to_remove"
    except MediumRefused:
        return False
