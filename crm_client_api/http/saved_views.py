"""Saved views of lists: one's own, and those that others share."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crm_client_api.answers.customers import SavedView, SavedViews
from crm_client_api.domain.saved_views import (
    ListName,
    View,
    add_view,
    change_view,
    list_views,
    remove_view,
)
from crm_client_api.domain.shared_rows import changeable_ids
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc


class NewView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A view to save; ``body`` holds what the user interface needs to show it again."""

    list: ListName
    name: str
    body: dict[str, Any]
    shared: bool = False


class ViewChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a view; what is left out stays."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    body: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    shared: bool | msgspec.UnsetType = msgspec.UNSET


class ViewQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``list``: only views of this list."""

    list: ListName | Literal[""] = ""


def _info(view: View, *, may_change: bool = True) -> SavedView:
    return SavedView(
        view.id, view.list, view.name, dict(view.body), view.shared, view.owner, iso_utc(view.changed_ms), may_change
    )


@route("GET", "/saved-views", "Saved views", answer=SavedViews)
def get_saved_views(request: Request, query: ViewQuery) -> SavedViews:
    """One's own views and those that others share."""
    crm, viewer = request.stores.crm, request.operator.viewer
    own = changeable_ids(crm, "saved_views", viewer)
    return SavedViews([_info(one, may_change=one.id in own) for one in list_views(crm, viewer.staff_no, query.list)])


@route("POST", "/saved-views", "Save a view", answer=SavedView, status=201)
def post_saved_view(request: Request, body: NewView) -> SavedView:
    """Save a view under a name."""
    return _info(add_view(request.stores.crm, body.list, body.name, body.body, body.shared, request.actor))


@route("PATCH", "/saved-views/{view_id}", "Change one's own view", answer=SavedView)
def patch_saved_view(request: Request, view_id: int, body: ViewChange) -> SavedView:
    """Change name, content, or who sees it. A super operator also changes one that somebody shared who may not log in
    any more, and it is the super operator's then."""
    changed = change_view(
        request.stores.crm,
        view_id,
        None if body.name is msgspec.UNSET else body.name,
        None if body.body is msgspec.UNSET else body.body,
        None if body.shared is msgspec.UNSET else body.shared,
        request.actor,
        request.operator.viewer,
    )
    return _info(changed)


@route("DELETE", "/saved-views/{view_id}", "Remove one's own view", status=204)
def delete_saved_view(request: Request, view_id: int) -> None:
    """Remove a view. As with a change, a super operator also one of who left."""
    remove_view(request.stores.crm, view_id, request.actor, request.operator.viewer)
