"""What a route says of personal data that it shows: ``reads="customer"`` puts every reading into the audit log.

One entry an answer, whatever its length; the same records shown again to the same session within a minute are the
same reading.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import bottle
import msgspec

from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor
from crm_client_api.http.errors import ApiError
from crm_client_api.http.routing import Request, Route
from crm_client_api.stores import Stores
from firmware.store.connection import write

AGAIN_AFTER_S = 60.0
_MOST = 4096
_TURNED_AWAY = frozenset(
    {
        "address_not_allowed", "cross_site", "csrf", "token_wrong", "token_read_only", "session_needed",
        "too_many_failures",
    }
)  # fmt: skip
_PAGING = frozenset({"limit", "before", "after"})

Reading = tuple[str, str, tuple[str, ...]]
"""The session (token hash), what was read, ids and filters; for who was turned away "", the reason and the address."""


class Readings:
    """What stands in the audit log since less than a minute, and is not news. Thread: any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted_s: OrderedDict[Reading, float] = OrderedDict()

    def is_news(self, reading: Reading, now_s: float) -> bool:
        """Whether it does not stand there yet."""
        with self._lock:
            noted_s = self._noted_s.get(reading)
            return noted_s is None or now_s - noted_s >= AGAIN_AFTER_S

    def note(self, reading: Reading, now_s: float) -> None:
        """Remember that it does; what is forgotten is noted once more."""
        with self._lock:
            self._noted_s[reading] = now_s
            self._noted_s.move_to_end(reading)
            while len(self._noted_s) > _MOST:
                self._noted_s.popitem(last=False)


def note_answer(readings: Readings, route: Route, request: Request, parameters: Mapping[str, Any], result: Any) -> None:
    """Audit what the answer of a route with ``reads`` shows, before it is sent."""
    if not route.reads or request.session is None:
        return
    ids = read_ids(route, parameters, result)
    filters = _filters(parameters.get("query"))
    reading = (request.session.token_hash, route.reads, (*ids, *filters))
    now_s = time.monotonic()
    if not readings.is_news(reading, now_s):
        return
    about = {"route": route.path, "filters": filters}
    with write(request.stores.crm) as connection:
        audit.note_read(connection, request.actor, route.reads, ids, about)
    readings.note(reading, now_s)


def note_turned_away(readings: Readings, stores: Stores, address: str, error: ApiError) -> None:
    """Audit that somebody was turned away at the gate: once a minute for each address and reason.

    Having to log in, or to change a one-time password, is how everybody begins, and no refusal.
    """
    reading = ("", error.code, (address,))
    now_s = time.monotonic()
    if error.code not in _TURNED_AWAY or not readings.is_news(reading, now_s):
        return
    subject = f"{bottle.request.method} {bottle.request.path}"[:200]
    with write(stores.crm) as connection:
        audit.append(connection, Actor("", address), "request.refused", subject, {"reason": error.code})
    readings.note(reading, now_s)


def read_ids(route: Route, parameters: Mapping[str, Any], result: Any) -> list[str]:
    """The records that an answer shows: the one in the path, else the answer's own id, else those of its list."""
    named = parameters.get(f"{route.reads}_id")
    if named is not None:
        return [str(named)]
    if not isinstance(result, msgspec.Struct):
        return []
    if route.reads == "audit":  # every reading adds an entry: by ids each would be another
        return []
    own = getattr(result, "id", None)
    if own is not None:
        return [str(own)]
    for name in result.__struct_fields__:
        value = getattr(result, name)
        if isinstance(value, list):
            return [_id(one) for one in value]
    return []


def _id(shown: Any) -> str:
    """A record's own id; a pop-up is known by its call."""
    return str(getattr(shown, "id", None) or getattr(getattr(shown, "call", None), "id", "") or "")


def _filters(query: Any) -> list[str]:
    """Which filters were used, by name: the log cannot forget what was looked for."""
    if not isinstance(query, msgspec.Struct):
        return []
    defaults = {field.encode_name: field.default for field in msgspec.structs.fields(query)}
    given = {field.encode_name: getattr(query, field.name) for field in msgspec.structs.fields(query)}
    return sorted(name for name, value in given.items() if value != defaults[name] and name not in _PAGING)
