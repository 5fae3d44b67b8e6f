"""Which backups may still hold a number that is erased from the box, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crm_client_api.backup.generations import end_of, policy_of, series_of
from crm_client_api.backup.records import list_made
from crm_client_api.domain.settings import read_settings
from firmware.clock import iso_utc, now_ms
from firmware.parameters import get_all
from recorder.library.erasure.erase import Found, Subject
from recorder.library.keeping.task import Library, Stores

KIND = "backup"


class BackupEraser:
    """See ``recorder.library.erasure.erase.Eraser``. A sealed file cannot lose one number, and the box cannot look into
    it: every backup that is there is told, with the day by which newer ones displace it.
    """

    def find(self, stores: Stores, subject: Subject) -> list[Found]:
        """All backups: the number may have been on the box when they were made."""
        made, at_ms = list_made(stores.crm), now_ms()
        policy, zone = policy_of(get_all(stores.crm, "system")), read_settings(stores.crm).zone
        found = []
        for one in made:
            beside = [other.made_ms for other in made if series_of(other, at_ms) == series_of(one, at_ms)]
            until = end_of(one.made_ms, beside, at_ms, policy, zone).isoformat()
            about = {"made_at": iso_utc(one.made_ms), "place": one.address, "medium": one.medium, "until": until}
            reason = f"{one.name} may hold it until {until}, or longer when no backup follows it there"
            found.append(Found(KIND, f"{one.medium}/{one.name}", about, reason))
        return found

    def export(self, stores: Stores, found: Sequence[Found], folder: Path) -> None:
        """Nothing: only the passphrase opens a backup."""

    def erase(self, library: Library, subject: Subject, by: str) -> list[Found]:
        """Nothing goes; what is told stands in the certificate."""
        return self.find(library, subject)
