"""``GET /metrics``, where Prometheus looks for it: for the box itself, for listed addresses, and for API tokens."""

from __future__ import annotations

import bottle

from crm_client_api.domain.addresses import is_allowed, parse_address
from crm_client_api.domain.permissions import Level, Permission
from crm_client_api.domain.tokens import find_token, touch_token
from crm_client_api.http.errors import ApiError, PermissionMissing, as_api_error, error_response
from crm_client_api.http.gate import bearer, client_address
from crm_client_api.http.routing import Api
from crm_client_api.metrics import MEDIA, Metrics
from crm_client_api.stores import Stores
from firmware.clock import now_ms
from firmware.errors import BoxError
from firmware.parameters import get_value

PATH = "/metrics"


def metrics_answer(api: Api, metrics: Metrics) -> bottle.HTTPResponse:
    """The figures, or why not."""
    try:
        with api.pool.use() as stores:
            _require_reader(stores, client_address(bottle.request.environ))
        return bottle.HTTPResponse(metrics.text(), 200, **{"Content-Type": MEDIA, "Cache-Control": "no-store"})
    except BoxError as error:
        return error_response(as_api_error(error))


def _require_reader(stores: Stores, address: str) -> None:
    """Raises ApiError unless the address is listed, or a super operator's API token with statistics comes along."""
    text = bearer(bottle.request.headers)
    if text is not None:
        found = find_token(stores.crm, text, now_ms(), address)
        if found is None:
            raise ApiError(401, "token_wrong", "this API token is unknown, revoked, expired or not for here")
        token, operator = found
        if Permission.STATISTICS not in operator.permissions:
            raise PermissionMissing(Permission.STATISTICS)
        if operator.level is not Level.SUPER:
            raise ApiError(
                403, "super_only", "the figures tell of every channel: only a super operator's token reads them"
            )
        touch_token(stores.crm, token, now_ms(), address)
        return
    listed = str(get_value(stores.crm, "system", "metrics_addresses"))
    at = parse_address(address)
    if not (listed.strip() and is_allowed(listed, address)) and not (at is not None and at.is_loopback):
        raise ApiError(403, "address_not_allowed", "the figures may not be read from this address")
