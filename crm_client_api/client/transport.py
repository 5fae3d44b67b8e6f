"""Requests over one kept connection, with the session or token of whoever asks."""

from __future__ import annotations

import http
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from crm_client_api.answers.errors import ErrorAnswer
from crm_client_api.answers.jobs import JobInfo
from crm_client_api.client.errors import Refusal, Unreachable, refusal_of

PREFIX = "/api/v1"
_COOKIE = "tapdeck_session"
_READ_BYTES = 64 * 1024
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


@dataclass(slots=True)
class Credentials:
    """How requests say who asks: by a token, or by the cookie and CSRF value of a session."""

    token: str = ""
    cookie: str = ""
    csrf: str = ""

    def headers(self, *, changing: bool) -> dict[str, str]:
        """The headers of a request."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        found = {"Cookie": f"{_COOKIE}={self.cookie}"} if self.cookie else {}
        if changing and self.csrf:
            found["X-Tapdeck-CSRF"] = self.csrf
        return found

    def take_cookie(self, header: str | None) -> None:
        """Keep what the box sets; an empty value ends the session."""
        name, _, value = (header or "").partition(";")[0].partition("=")
        if name.strip() == _COOKIE:
            self.cookie = value


@dataclass(slots=True)
class Transport:
    """Thread: one at a time. ``url``: of the box, ``https://…`` or ``http://…``, without a path."""

    url: str
    credentials: Credentials
    timeout_s: float = 30.0
    tls: ssl.SSLContext | None = None
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def connect(self, timeout_s: float | None = None) -> http.client.HTTPConnection:
        """A new connection, not opened yet. Raises ValueError for an address that is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.url!r} is not the address of a box: http://… or https://…")
        wait_s = self.timeout_s if timeout_s is None else timeout_s
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=wait_s)
        context = self.tls or ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=wait_s, context=context)

    def close(self) -> None:
        """Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, method: str, path: str, kind: type[_Answer], body: object = None, **query: object) -> _Answer:
        """One request with a JSON answer. Raises Refusal, Unreachable."""
        content, _ = self.raw(method, path, body, **query)
        return _decoded(method, path, content, kind)

    def ask_later(self, method: str, path: str, kind: type[_Answer], body: object = None) -> _Answer | JobInfo:
        """The same of what may take longer: then the job that goes on with it. Raises Refusal, Unreachable."""
        status, content, _ = self._answer(method, path, body, {})
        if status == http.HTTPStatus.ACCEPTED:
            return _decoded(method, path, content, JobInfo)
        return _decoded(method, path, content, kind)

    def tell(self, method: str, path: str, body: object = None) -> None:
        """One request without an answer. Raises Refusal, Unreachable."""
        self.raw(method, path, body)

    def raw(self, method: str, path: str, body: object = None, **query: object) -> tuple[bytes, Mapping[str, str]]:
        """One request; the answer's bytes and headers. Raises Refusal, Unreachable."""
        _, content, headers = self._answer(method, path, body, query)
        return content, headers

    def _answer(
        self, method: str, path: str, body: object, query: Mapping[str, object]
    ) -> tuple[int, bytes, Mapping[str, str]]:
        answer = self._send(method, path, body, query)
        try:
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{method} {path}: {error}") from error
        if answer.status >= 400:
            raise _refusal(answer, content)
        return answer.status, content, dict(answer.getheaders())

    def _send(
        self, method: str, path: str, body: object, query: Mapping[str, object]
    ) -> http.client.HTTPResponse:  # fmt: skip
        """Over the kept connection; once more over a new one when the box has closed that meanwhile."""
        headers = self.credentials.headers(changing=method != "GET")
        data: bytes | None = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        kept = self._connection is not None
        while True:
            connection = self._connection = self._connection or self.connect()
            try:
                connection.request(method, target(path, query), data, headers)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                gone = isinstance(error, (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError))
                # Only what changes nothing may be sent again: the box may have done it before the connection broke.
                if not (kept and gone and method == "GET"):
                    raise Unreachable(f"{self.url}: {error}") from error
                kept = False
            else:
                self.credentials.take_cookie(answer.getheader("Set-Cookie"))
                return answer


def _decoded(method: str, path: str, content: bytes, kind: type[_Answer]) -> _Answer:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise Unreachable(f"{method} {path}: not the answer of this API: {error}") from error


def target(path: str, query: Mapping[str, object]) -> str:
    """Path and query of a request; what is None is left out. A trailing underscore frees names that Python has."""
    pairs = [(name.rstrip("_"), _text(value)) for name, value in query.items() if value is not None]
    return PREFIX + path + (f"?{urlencode(pairs)}" if pairs else "")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refusal(answer: http.client.HTTPResponse, content: bytes) -> Refusal | Unreachable:
    try:
        error = msgspec.json.decode(content, type=ErrorAnswer).error
    except msgspec.MsgspecError:
        return Unreachable(f"the box, or what stands before it, answered {answer.status} {answer.reason}")
    return refusal_of(answer.status, error.code, error.message, answer.getheader("Retry-After"))


def read_refusal(answer: http.client.HTTPResponse) -> Refusal | Unreachable:
    """The exception for an answer that is an error."""
    return _refusal(answer, answer.read(_READ_BYTES))
