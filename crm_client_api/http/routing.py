"""How a resource declares its routes: one decorator, from which dispatch, checks and OpenAPI follow.

A handler takes the request and, by name, what it needs: ``body`` and ``query`` (msgspec structs) and the
parameters of the path (int or str). What is not said to be open needs a session.
"""

from __future__ import annotations

import inspect
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

import bottle
import msgspec

from crm_client_api.audio.encoded import EncodedCopies
from crm_client_api.audio.listening import Listeners
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.sessions import Session
from crm_client_api.domain.settings import Settings
from crm_client_api.http.beginnings import Beginnings
from crm_client_api.http.errors import ApiError, PermissionMissing
from crm_client_api.push.delivery import Hub
from crm_client_api.statistics.figures import Figures
from crm_client_api.stores import StorePool, Stores
from crm_client_api.views.calls import Desk, open_desk
from firmware.config import Home

PREFIX = "/api/v1"
SOCKET_KEY = "tapdeck.socket"
"""Where the server puts the connection's socket into the WSGI environment."""
TAKE_OVER_KEY = "tapdeck.take_over"
"""Where it puts the function that gives the connection away, behind the head of the answer (``TakeOver``)."""

TakeOver = Callable[[], tuple[socket.socket, bool]]
"""Returns the socket, which the caller closes, and whether the answer goes on in chunks."""

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

Access = Literal["open", "any_session", "session"]
"""``open``: no session needed. ``any_session``: also while the password must be changed."""


@dataclass(frozen=True, slots=True)
class Api:
    """What the handlers share. ``web_root``: the built web UI."""

    home: Home
    pool: StorePool
    hub: Hub
    copies: EncodedCopies
    listeners: Listeners
    web_root: Path
    figures: Figures
    beginnings: Beginnings = field(default_factory=Beginnings)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, checked: session, permission and CSRF are settled before a handler sees it."""

    api: Api
    stores: Stores
    settings: Settings
    address: str
    headers: Mapping[str, str]
    session: Session | None

    @property
    def present(self) -> Session:
        """The session or API token that asks. Raises ApiError 401 without one."""
        if self.session is None:
            raise ApiError(401, "not_logged_in", "log in first")
        return self.session

    @property
    def operator(self) -> Operator:
        """Who asks. Raises ApiError 401 without a session."""
        return self.present.operator

    @property
    def actor(self) -> Actor:
        """Who asks, for the audit log."""
        return Actor(self.operator.staff_no, self.address)

    @property
    def desk(self) -> Desk:
        """What this operator may see."""
        return open_desk(self.stores, self.operator, self.settings)

    def require(self, permission: Permission) -> None:
        """Raises PermissionMissing unless the operator holds the permission."""
        if permission not in self.operator.permissions:
            raise PermissionMissing(permission)


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. ``media``: the content types of an answer that is not JSON.

    ``also``: statuses beyond those that follow from what the route takes; ``events``: what a stream sends, by name.
    ``reads``: which personal data the answer shows (``customer``, ``communication``, ``call``, ``recording``): each
    reading is audited as ``customer.read``. ``persons_only``: API tokens may not. ``file_bytes``: the body is a file of
    at most so many bytes, which the handler itself receives; 0 for all other routes.
    """

    method: str
    path: str
    summary: str
    handler: Callable[..., Any]
    answer: type[msgspec.Struct] | None
    status: int
    media: tuple[str, ...]
    access: Access
    permissions: tuple[Permission, ...]
    body: type[msgspec.Struct] | None
    query: type[msgspec.Struct] | None
    parameters: Mapping[str, type]
    also: tuple[int, ...] = ()
    events: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)
    reads: str = ""
    persons_only: bool = False
    file_bytes: int = 0

    @property
    def bottle_rule(self) -> str:
        """The path in bottle's notation."""
        rule = PREFIX + self.path
        for name, kind in self.parameters.items():
            rule = rule.replace("{" + name + "}", f"<{name}:int>" if kind is int else f"<{name}>")
        return rule

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        text = re.escape(PREFIX + self.path)
        for name, kind in self.parameters.items():
            text = text.replace(re.escape("{" + name + "}"), r"-?\d+" if kind is int else "[^/]+")
        return text


ROUTES: list[Route] = []
"""Every route of the API, in the order of declaration."""


def route(
    method: str,
    path: str,
    summary: str,
    *,
    answer: type[msgspec.Struct] | None = None,
    status: int = 200,
    media: tuple[str, ...] = (),
    access: Access = "session",
    permissions: tuple[Permission, ...] = (),
    also: tuple[int, ...] = (),
    events: Mapping[str, type[msgspec.Struct]] | None = None,
    reads: str = "",
    persons_only: bool = False,
    file_bytes: int = 0,
) -> Callable[[_Handler], _Handler]:
    """Register a handler. What shows personal data says so with ``reads`` (see ``Route``)."""

    def register(handler: _Handler) -> _Handler:
        hints = get_type_hints(handler, localns={"Request": Request})
        names = [name for name in list(inspect.signature(handler).parameters)[1:] if name not in ("body", "query")]
        ROUTES.append(
            Route(
                method, path, summary, handler, answer, status, media, access, permissions,
                hints.get("body"), hints.get("query"), {name: hints[name] for name in names}, also, events or {},
                reads, persons_only, file_bytes,
            )
        )  # fmt: skip
        return handler

    return register


def raw_answer(body: object, status: int, headers: Mapping[str, str]) -> bottle.HTTPResponse:
    """An answer that is not JSON."""
    return bottle.HTTPResponse(body, status, **headers)
