"""A call event as it concerns everybody: found out once, before it is handed out."""

from __future__ import annotations

from dataclasses import dataclass

from crm_client_api.answers.calls import CallInfo
from crm_client_api.domain.calls import Call, call_of_event
from crm_client_api.domain.customers import Match, match_number
from crm_client_api.domain.popup_causes import causes_popup
from crm_client_api.domain.settings import Settings
from crm_client_api.push.once import Once
from crm_client_api.stores import Stores
from crm_client_api.views.calls import bare_call_infos
from firmware.store.event_log import Event


@dataclass(frozen=True, slots=True)
class CallNews:
    """The call as it was at the event; ``info`` without customers; everybody who has the number; whether it pops up."""

    call: Call
    info: CallInfo
    matches: list[Match]
    pops_up: bool


def call_at(stores: Stores, event: Event) -> Call | None:
    """The call as it was at an event; None when the store does not know it (any more)."""
    row = stores.calls.conn.execute("SELECT * FROM calls WHERE id = ?", (event.call_id,)).fetchone()
    return None if row is None else call_of_event(event.data, row)


def call_news(stores: Stores, settings: Settings, event: Event, once: Once) -> CallNews | None:
    """What an event of the recorder's log says of its call; also left in ``once``, for desks."""

    def find() -> CallNews | None:
        call = call_at(stores, event)
        if call is None:
            return None
        infos = once.get(("calls", call.id), lambda: bare_call_infos(stores, settings, [call]))
        number = call.key(settings.site)
        matches = (
            once.get(("number", number), lambda: match_number(stores.crm, number, settings.site)) if number else []
        )
        withheld = settings.rules.popup_withheld
        return CallNews(call, infos[0], matches, causes_popup(stores.calls, stores.crm, event, call, withheld))

    return once.get("news", find)
