"""The box as a program sees it."""

from __future__ import annotations

import ssl
from typing import TypeVar

import msgspec

from crm_client_api.answers.box import Health
from crm_client_api.answers.session import SessionInfo
from crm_client_api.client.resources import (
    CallResource,
    ChannelResource,
    CommunicationResource,
    CustomerResource,
    HandOverResource,
    JobResource,
    RecordingResource,
    TaskResource,
    WebhookResource,
)
from crm_client_api.client.stream import EventStream
from crm_client_api.client.transport import Credentials, Transport

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class Client:
    """One box, asked by one operator: with an API token, or after ``log_in``.

    ``url`` without a path; ``tls``: how the box's certificate is checked, by default against the system's authorities.
    All requests raise Refusal (by kind: NotFound, NotAllowed, …) and Unreachable. Thread: one at a time.
    """

    def __init__(
        self, url: str, *, token: str = "", timeout_s: float = 30.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.transport = Transport(url.rstrip("/"), Credentials(token), timeout_s, tls)
        self.calls = CallResource(self.transport)
        self.channels = ChannelResource(self.transport)
        self.recordings = RecordingResource(self.transport)
        self.customers = CustomerResource(self.transport)
        self.communications = CommunicationResource(self.transport)
        self.tasks = TaskResource(self.transport)
        self.hand_overs = HandOverResource(self.transport)
        self.jobs = JobResource(self.transport)
        self.webhooks = WebhookResource(self.transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_given: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a session goes on. Idempotent."""
        self.transport.close()

    def health(self) -> Health:
        """Whether the API answers, and its version."""
        return self.transport.ask("GET", "/health", Health)

    def log_in(self, staff_no: str, password: str, **more: object) -> SessionInfo:
        """Begin a session. ``more``: a one-time code, where the operator has a second factor.

        Raises NotLoggedIn for a wrong password, TooManyFailures with the seconds to wait.
        """
        credentials = {"staff_no": staff_no, "password": password} | more
        self.transport.credentials = Credentials()
        found = self.transport.ask("POST", "/session", SessionInfo, credentials)
        self.transport.credentials.csrf = found.csrf
        return found

    def log_out(self) -> None:
        """End the session."""
        self.transport.tell("DELETE", "/session")
        self.transport.credentials = Credentials()

    def session(self) -> SessionInfo:
        """Who asks."""
        return self.transport.ask("GET", "/session", SessionInfo)

    def change_password(self, old: str, new: str) -> None:
        """Change the own password; a one-time password must be changed before anything else."""
        found = self.transport.ask(
            "POST", "/session/password", SessionInfo, {"old_password": old, "new_password": new}
        )  # fmt: skip
        self.transport.credentials.csrf = found.csrf

    def events(self, position: str | None = None) -> EventStream:
        """The event stream, from a position of ``calls.popups()`` or of an event; without one, from now on."""
        return EventStream(self.transport, position)

    def ask(self, method: str, path: str, kind: type[_Answer], body: object = None, **query: object) -> _Answer:
        """Anything else of the API: ``ask("GET", "/storage", StorageInfo)``."""
        return self.transport.ask(method, path, kind, body, **query)
