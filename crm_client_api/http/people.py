"""What colleagues are called whose staff numbers stand in an answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from crm_client_api.answers.staff import People
from crm_client_api.domain.staff.names import names_of
from crm_client_api.http.routing import Request, route

MOST_AT_ONCE = 100
_NO = "[0-9A-Za-z]{1,16}"


class PeopleQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``staff_no``: one or more, with commas between them."""

    staff_no: Annotated[str, msgspec.Meta(pattern=f"^{_NO}(,{_NO}){{0,{MOST_AT_ONCE - 1}}}$")]


@route("GET", "/people", "What people are called, by staff number", answer=People)
def get_people(request: Request, query: PeopleQuery) -> People:
    """Name those who were asked for, also who has left; a staff number that was never given is left out. People are no
    records, and nothing but the name is told."""
    return People(names_of(request.stores.crm, query.staff_no.split(",")))
