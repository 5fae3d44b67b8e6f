"""The stick that a job writes to: asked for, waited for when it is gone, and gone on with when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from crm_client_api.courier.context import SetAside
from crm_client_api.courier.jobs import held_jobs, set_job
from crm_client_api.stores import Stores
from firmware.config import Home
from firmware.errors import NotFound
from firmware.media.asking import Wanted, ask_to_write
from firmware.media.medium import Medium, MediumGone, MediumRefused, find_medium
from firmware.store.connection import write

PASSING = ("gone", "busy", "ejected", "not_answering", "keeper_away")
"""Why a job waits for its stick and goes on by itself; for anything else somebody has to do something first."""


@contextmanager
def writable(home: Home, medium_id: str, who: str) -> Iterator[Wanted]:
    """The stick, while it may be written to. Raises SetAside: not now, or not any more; the job waits for it."""
    try:
        with ask_to_write(home, medium_id, who) as wanted:
            yield wanted
    except MediumRefused as error:
        raise SetAside(error.code, str(error)) from error
    except MediumGone as error:
        raise SetAside("gone", str(error)) from error


def medium_now(home: Home, medium_id: str) -> Medium:
    """The stick as it is now. Raises NotFound: it is not plugged in."""
    with suppress(OSError):
        found = find_medium(home, medium_id)
        if found is not None:
            return found
    raise NotFound("there is no such stick plugged in")


def let_go_on(stores: Stores) -> None:
    """Jobs whose stick is back and free go on. Raises StoreError."""
    for job in held_jobs(stores.crm, PASSING):
        with suppress(NotFound):
            if medium_now(stores.home, str(job.wanted["medium"])).state == "mounted":
                with write(stores.crm) as connection:
                    set_job(connection, job.id, held="", error=None)
