"""The HTTP server: cheroot's threads around the application, sized so that streams never starve requests."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from cheroot.wsgi import Gateway_10, Server

from crm_client_api.encoded import EncodedCopies
from crm_client_api.http.app import LARGEST_BODY_BYTES, make_app
from crm_client_api.http.routing import SOCKET_KEY, Api
from crm_client_api.listening import Listeners
from crm_client_api.push import QUEUE_EVENTS, Hub
from crm_client_api.stores import StorePool
from firmware.config import Home
from firmware.errors import ConfigError

MAX_STREAMS = 200
MAX_LISTENERS = 16
REQUEST_THREADS = 32
SEND_TIMEOUT_S = 10
_LARGEST_HEADER_BYTES = 64 * 1024
_STOP_TIMEOUT_S = 2
_LOOP_PERIOD_S = 0.1  # stopping waits for one turn of cheroot's loop
_log = logging.getLogger(__name__)

WEB_ROOT = Path(__file__).resolve().parents[1] / "webui" / "dist"


class _Gateway(Gateway_10):
    """Lets streams see their socket: WSGI itself cannot tell that a client has gone."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        if self.req.chunked_read:  # nobody reads such a body: what is left of it must not pass for a request
            self.req.close_connection = True
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        return {**environ, SOCKET_KEY: self.req.conn.socket}


class ApiServer:
    """The API on a socket. ``port`` 0 takes a free one. Raises StoreError; ``start`` raises ConfigError.

    A client that takes no bytes for ``send_timeout_s`` is cut off.
    """

    def __init__(
        self,
        home: Home,
        bind: str,
        port: int,
        *,
        web_root: Path = WEB_ROOT,
        max_streams: int = MAX_STREAMS,
        queue_events: int = QUEUE_EVENTS,
        send_timeout_s: int = SEND_TIMEOUT_S,
    ) -> None:
        self.pool = StorePool(home)
        self.hub = Hub(self.pool, max_streams, queue_events)
        self.copies = EncodedCopies(home)
        self._listeners = Listeners(self.pool, MAX_LISTENERS)
        self._bind = bind
        self._server = Server(
            (bind, port),
            make_app(Api(home, self.pool, self.hub, self.copies, self._listeners, web_root)),
            numthreads=max_streams + MAX_LISTENERS + REQUEST_THREADS,
            server_name="tapdeck",
            timeout=send_timeout_s,
            shutdown_timeout=_STOP_TIMEOUT_S,
        )
        self._server.expiration_interval = _LOOP_PERIOD_S
        self._server.gateway = _Gateway
        self._server.max_request_body_size = LARGEST_BODY_BYTES
        self._server.max_request_header_size = _LARGEST_HEADER_BYTES
        self._server.error_log = _log_server_error  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)

    def start(self) -> None:
        """Listen and serve in the background. Raises ConfigError when the address cannot be had."""
        try:
            self._server.prepare()
        except OSError as error:
            self.hub.stop()
            raise ConfigError(f"cannot listen on {self._bind}: {error}") from error
        self.hub.start()
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.bind_addr[1])

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._bind, self._bind)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether requests and events are served."""
        return self._thread.is_alive() and self.hub.alive

    def stop(self) -> None:
        """End all streams, then the server. A client that hangs in the middle can take ``send_timeout_s``."""
        self.hub.stop()
        self._listeners.stop()
        self._server.stop()
        self.pool.close()


def _log_server_error(msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    # Broken connections are a client's affair; only what the server says of itself is worth a line.
    _log.log(level if level >= logging.ERROR else logging.DEBUG, "%s", msg, exc_info=traceback)
