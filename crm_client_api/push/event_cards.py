"""The card that an event of the recorder's log brings up for an operator, made once for all of one's streams."""

from __future__ import annotations

from collections.abc import Hashable

from crm_client_api.answers.push import PopupInfo
from crm_client_api.domain.operators import Operator
from crm_client_api.push.audience import Queued
from crm_client_api.push.call_news import CallNews
from crm_client_api.push.popup_cards import card_by_rules
from crm_client_api.stores import Stores
from crm_client_api.views.calls import open_desk


def card_key(operator: Operator) -> Hashable:
    """Under which the card is in ``Queued.once``: all of an operator that decides about it.

    A token may have fewer permissions than its operator, and a stream may be from before a new appointment.
    """
    return "card", operator.viewer


def card_of_event(stores: Stores, operator: Operator, queued: Queued, news: CallNews) -> PopupInfo | None:
    """The card, None when the rules show none."""
    return queued.once.get(
        card_key(operator),
        lambda: card_by_rules(open_desk(stores, operator, queued.settings, queued.once), news.call),
    )
