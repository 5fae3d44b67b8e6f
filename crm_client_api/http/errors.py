"""Every error as an HTTP answer of one shape."""

from __future__ import annotations

import bottle
import msgspec

from crm_client_api.answers.errors import ErrorAnswer, ErrorBody
from crm_client_api.audio.listening import ListenersFull
from crm_client_api.domain.customers.write import Changed
from crm_client_api.domain.handing_over.reach import LevelMissing
from crm_client_api.domain.holds import SecondPersonNeeded
from crm_client_api.domain.invalid import Invalid
from crm_client_api.domain.operators import SetOnce, StaffNoUsed, WrongOldPassword
from crm_client_api.domain.recycling import Held
from crm_client_api.domain.second_factor import SecondFactorRequired, WrongCode
from crm_client_api.domain.sessions import WrongCredentials
from crm_client_api.domain.takings import Taken
from crm_client_api.domain.throttle import TooManyFailures
from crm_client_api.push.audience import StreamsFull
from firmware.errors import BadInput, BoxError, ConfigError, NotFound, Refused, StoreError
from firmware.media.medium import MediumRefused

_RETRY_AFTER_S = 2
_STREAMS_RETRY_AFTER_S = 5


class ApiError(BoxError):
    """An error that only HTTP knows: ``status``, a ``code`` for programs, and headers such as Retry-After.

    ``key``: of which parameter.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None, key: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.key = key


class PermissionMissing(ApiError):
    """The operator does not hold the permission, whatever the level."""

    def __init__(self, permission: str) -> None:
        super().__init__(403, "permission_missing", f"this needs the permission {permission}")


_KINDS: tuple[tuple[type[BoxError], int, str], ...] = (
    (WrongCredentials, 401, "wrong_credentials"),
    (SecondFactorRequired, 401, "second_factor_required"),
    (WrongCode, 401, "wrong_code"),
    (SetOnce, 409, "set_once"),
    (StaffNoUsed, 409, "staff_no_used"),
    (LevelMissing, 403, "level_missing"),
    (Changed, 409, "changed"),
    (Taken, 409, "taken"),
    (WrongOldPassword, 409, "wrong_old_password"),
    (SecondPersonNeeded, 409, "second_person"),
    (Held, 409, "held"),
    (NotFound, 404, "not_found"),
    (Refused, 409, "refused"),
    (BadInput, 400, "bad_input"),
    (ConfigError, 400, "bad_value"),
)


def as_api_error(error: BoxError) -> ApiError:
    """The HTTP form of one of the box's errors."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, TooManyFailures):
        return ApiError(429, "too_many_failures", str(error), {"Retry-After": str(-(-error.wait_ms // 1000))})
    if isinstance(error, (StreamsFull, ListenersFull)):
        return ApiError(503, "streams_full", str(error), {"Retry-After": str(_STREAMS_RETRY_AFTER_S)})
    if isinstance(error, StoreError):
        return ApiError(503, "store_busy", "the store is busy, try again", {"Retry-After": str(_RETRY_AFTER_S)})
    if isinstance(error, Invalid):
        return ApiError(400, error.code, str(error))
    if isinstance(error, MediumRefused):
        return ApiError(409, f"medium_{error.code}", str(error))
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            return ApiError(status, code, str(error), key=error.key if isinstance(error, ConfigError) else None)
    return ApiError(500, "internal", "an error inside the box")


def error_response(error: ApiError) -> bottle.HTTPResponse:
    """The answer for an error."""
    body = msgspec.json.encode(
        ErrorAnswer(ErrorBody(error.code, str(error), msgspec.UNSET if error.key is None else error.key))
    )
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"} | error.headers
    return bottle.HTTPResponse(body, error.status, **headers)
