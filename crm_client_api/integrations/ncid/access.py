"""Whose pop-ups an NCID client gets: by an API token among the words of its HELLO, or by its address."""

from __future__ import annotations

from dataclasses import dataclass

import sqlite_utils

from crm_client_api.domain.addresses import PARAMETER, is_allowed
from crm_client_api.domain.operators import Operator, get_operator
from crm_client_api.domain.tokens import ApiToken, find_token
from crm_client_api.integrations.ncid.desks import staff_no_of_address
from firmware.errors import NotFound
from firmware.parameters import get_value


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is for. ``word``: the token in its HELLO that says so; both empty when its address does."""

    operator: Operator
    word: str = ""
    token: ApiToken | None = None


def identify(crm: sqlite_utils.Database, words: tuple[str, ...], address: str, at_ms: int) -> Identity | None:
    """Who a client is, None for nobody. A token (``tdk_…`` or ``token=tdk_…``) counts before the address."""
    if not is_allowed(str(get_value(crm, "system", PARAMETER) or ""), address):
        return None
    for word in words:
        found = find_token(crm, word.removeprefix("token="), at_ms, address)
        if found is not None:
            return Identity(found[1], word, found[0])
    return _by_address(crm, address)


def still_allowed(crm: sqlite_utils.Database, identity: Identity, address: str, at_ms: int) -> Identity | None:
    """The same client now, with the operator as it is now; None when it has to go."""
    now = identify(crm, (identity.word,), address, at_ms)
    same = now is not None and (now.word, now.operator.staff_no) == (identity.word, identity.operator.staff_no)
    return now if same else None


def _by_address(crm: sqlite_utils.Database, address: str) -> Identity | None:
    staff_no = staff_no_of_address(address, str(get_value(crm, "system", "ncid_desks")))
    try:
        operator = get_operator(crm, staff_no or "")
    except NotFound:
        return None
    return Identity(operator) if operator.may_log_in and not operator.must_change_password else None
