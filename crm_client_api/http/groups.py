"""Groups of operators and channels: list, add, rename, delete."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import msgspec

from crm_client_api.answers.staff import GroupInfo, Groups
from crm_client_api.domain import groups as domain
from crm_client_api.domain.calls import list_channels
from crm_client_api.domain.permissions import Permission
from crm_client_api.http.routing import Request, route

_MANAGE = (Permission.OPERATOR_MANAGE,)
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=domain.LONGEST_NAME_CHARACTERS)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=domain.HIGHEST_NUMBER)]


class NewGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group to add; without ``number`` it gets the lowest one that was never used."""

    name: _Name
    number: _Number | None = None


class GroupName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another name for a group."""

    name: _Name


@route("GET", "/groups", "All groups, with how many operators and channels are in them", answer=Groups)
def get_groups(request: Request) -> Groups:
    """List the groups. Everybody knows their numbers and names; how many are in them, those who manage operators."""
    found = [GroupInfo(**asdict(one)) for one in domain.list_groups(request.stores.crm, _channels(request))]
    if Permission.OPERATOR_MANAGE in request.operator.permissions:
        return Groups(found)
    return Groups([GroupInfo(one.number, one.name, None, None, None) for one in found])


@route("POST", "/groups", "Add a group", answer=GroupInfo, status=201, permissions=_MANAGE)
def post_group(request: Request, body: NewGroup) -> GroupInfo:
    """Add a group. A number that a deleted group had is not given again."""
    number = domain.add_group(request.stores.crm, body.number, body.name, request.actor)
    return _info(request, number)


@route("PATCH", "/groups/{number}", "Rename a group", answer=GroupInfo, permissions=_MANAGE)
def patch_group(request: Request, number: int, body: GroupName) -> GroupInfo:
    """Rename a group."""
    domain.rename_group(request.stores.crm, number, body.name, request.actor)
    return _info(request, number)


@route("DELETE", "/groups/{number}", "Delete a group", status=204, permissions=_MANAGE)
def delete_one_group(request: Request, number: int) -> None:
    """Delete a group in which no operator and no channel is."""
    domain.delete_group(request.stores.crm, number, _channels(request), request.actor)


def _channels(request: Request) -> list[int]:
    return [row.number for row in list_channels(request.stores.calls)]


def _info(request: Request, number: int) -> GroupInfo:
    found = domain.list_groups(request.stores.crm, _channels(request))
    return GroupInfo(**asdict(next(one for one in found if one.number == number)))
