"""The custody log of calls: everything that the audit log says was done with them, from their first second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlite_utils

from crm_client_api.domain.audit_view import oversees
from crm_client_api.domain.scope import Viewer


class CustodyEntry(msgspec.Struct, frozen=True):
    """One deed. ``actor`` and ``address`` are "" where the reader does not oversee who did it. ``hash``: of the entry
    in the box's audit log; ``about``: which of the calls and recordings.
    """

    id: int
    at_ms: int
    actor: str
    address: str
    action: str
    about: tuple[str, ...]
    data: dict[str, Any]
    hash: str | None


def custody_of(crm: sqlite_utils.Database, ids: Sequence[str], viewer: Viewer) -> list[CustodyEntry]:
    """All that was done with these calls and recordings (their ids), oldest first; reads the whole log once."""
    wanted = set(ids)
    marks = " OR ".join("instr(data, ?)" for _ in ids)
    rows = crm.conn.execute(
        "SELECT id, at_ms, actor, address, action, subject, data, hash FROM audit"
        f" WHERE subject IN ({','.join('?' * len(ids))}) OR {marks or '0'} ORDER BY id",
        (*ids, *ids),
    )
    found = []
    for row in rows:
        data = _data(row["data"])
        about = {row["subject"], *_texts(data)} & wanted
        if about:
            seen = oversees(crm, viewer, row["actor"])
            # Of a reading of many calls, the others are nobody's business here.
            told = {key: value for key, value in data.items() if key != "ids"} if seen else {}
            found.append(
                CustodyEntry(
                    row["id"],
                    row["at_ms"],
                    row["actor"] if seen else "",
                    row["address"] if seen else "",
                    row["action"],
                    tuple(sorted(about)),
                    told,
                    row["hash"],
                )
            )
    return found


def _data(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return []
