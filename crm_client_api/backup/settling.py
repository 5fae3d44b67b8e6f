"""What a restored store must be told before a box works with it: newer schema, that time went back, who is out."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from crm_client_api.backup.contents import STORES, About
from crm_client_api.backup.far import Lying
from crm_client_api.backup.media import relist_restored
from crm_client_api.backup.refusals import OtherVersion
from crm_client_api.backup.sealing import Head
from crm_client_api.backup.snapshot import applied_steps
from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from firmware.clock import iso_utc, now_ms, uuid7
from firmware.config import Home
from firmware.errors import BoxError, StoreError
from firmware.store.connection import open_store, write
from firmware.store.migrations import apply_steps, require_current_schema


def require_known_steps(about: About, folder: Path) -> None:
    """Refuse stores with a step that this version does not know. ``folder``: where there is room.

    Raises OtherVersion.
    """
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        for name in STORES:
            store = Path(empty) / name
            apply_steps(Path(name).stem, store)
            unknown = set(about.schema.get(name, [])) - set(applied_steps(store))
            if unknown:
                raise OtherVersion(
                    f"the backup was made by a newer version ({about.software}, {min(unknown)[1]}): update this box"
                    " first. 备份由更新的软件版本制作,请先升级本机。"
                )


def settle(home: Home, about: About, head: Head, folder: Lying, actor: Actor, noted: Mapping[str, object]) -> list[str]:
    """Make both stores in ``home`` ready to be worked with; the steps of schema that were taken.

    ``folder``: where the backup lies; ``actor``, ``noted``: for the audit log. Raises StoreError.
    """
    try:
        steps = [step for name in STORES for step in apply_steps(Path(name).stem, home.root / name)]
        require_current_schema(home)
        _begin_epoch(home.calls_db)
        with closing((db := open_store(home.crm_db)).conn) as crm:
            with write(db) as connection:
                # Positions that clients remember lie in the future of this store: they mean nothing any more.
                connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (_new_epoch(),))
                connection.execute("DELETE FROM sessions")
                # What took effect goes on; of the rest nobody knows any more whether it is still wanted.
                connection.execute(
                    "UPDATE jobs SET cancel_asked = 1, held = '' WHERE phase <> 'applying'"
                    " AND state IN ('waiting', 'running', 'needs_answer')"
                )
                connection.execute("UPDATE jobs SET state = 'waiting' WHERE cancel_asked AND state = 'needs_answer'")
                made = {"made_at": iso_utc(about.made_ms), "software": about.software, "backup": head.id}
                audit.append(connection, actor, "box.restore", head.id, {**made, **noted})
            with suppress(OSError, BoxError):  # the next backup there looks again
                relist_restored(db, folder)
            _into_one_file(crm)
        return steps
    except sqlite3.Error as error:
        raise StoreError(f"the stores of the backup cannot be made ready: {error}") from error


def _begin_epoch(calls_db: Path) -> None:
    with closing((db := open_store(calls_db)).conn) as calls:
        with write(db) as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (_new_epoch(),))
        _into_one_file(calls)


def _new_epoch() -> str:
    """As ``firmware.store.schema.create_event_log`` makes one."""
    return uuid7(now_ms())[:13].replace("-", "")


def _into_one_file(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
