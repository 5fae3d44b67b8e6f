"""No test process ends by what two threads do that decode a struct for the first time (see ``firmware.structs``)."""

from __future__ import annotations

from crm_client_api.http.routing import ROUTES


def test_what_a_server_takes_was_made_ready_before_its_threads(request, server):
    """For every test, whether it asks for that or not."""
    assert "structs_ready" in request.fixturenames
    taken = {kind for route in ROUTES for kind in (route.body, route.query) if kind is not None}
    assert taken
    assert taken <= request.getfixturevalue("structs_ready")
