"""What can go wrong with a request: one exception for each kind, all with the API's code and sentence."""

from __future__ import annotations


class Unreachable(Exception):
    """The box did not answer, or not in its own words."""


class Refusal(Exception):
    """The box answered with an error. ``code`` is for programs, the text for people."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int | None = None) -> None:
        super().__init__(f"{message} ({code})")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class Invalid(Refusal):
    """Something in the request is wrong (400, 411, 413, 416)."""


class NotLoggedIn(Refusal):
    """Log in first, or again; or the token or password is wrong (401)."""


class NotAllowed(Refusal):
    """A permission is missing, a password must be changed first, or the address may not (403)."""


class NotFound(Refusal):
    """It does not exist, or is out of the operator's scope (404)."""


class Conflict(Refusal):
    """A rule forbids it, or somebody was faster (409)."""


class TooManyFailures(Refusal):
    """Wait ``retry_after_s`` before the next log-in (429)."""


class Busy(Refusal):
    """The box is busy: try again after ``retry_after_s`` (503)."""


_KINDS: dict[int, type[Refusal]] = {
    400: Invalid, 411: Invalid, 413: Invalid, 416: Invalid, 401: NotLoggedIn, 403: NotAllowed, 404: NotFound,
    405: NotFound, 409: Conflict, 429: TooManyFailures, 503: Busy,
}  # fmt: skip


def refusal_of(status: int, code: str, message: str, retry_after: str | None) -> Refusal:
    """The exception for an error of the API."""
    wait_s = int(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    return _KINDS.get(status, Refusal)(status, code, message, wait_s)
