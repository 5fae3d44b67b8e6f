"""The HTTP server: cheroot's threads around the application, sized so that streams never starve requests."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from typing import Any

from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.wsgi import Gateway_10

from crm_client_api.audio.encoded import EncodedCopies
from crm_client_api.audio.listening import Listeners
from crm_client_api.http.app import LARGEST_BODY_BYTES, make_app
from crm_client_api.http.patience import REQUEST_LIMIT_S, PatientInput, PatientServer
from crm_client_api.http.routing import PREFIX, ROUTES, SOCKET_KEY, TAKE_OVER_KEY, Api
from crm_client_api.push.audience import STREAMS_OF_AN_OPERATOR
from crm_client_api.push.delivery import QUEUE_EVENTS, Hub
from crm_client_api.push.number_watch import PATIENCE_S
from crm_client_api.statistics.figures import Figures
from crm_client_api.stores import StorePool
from firmware.config import Home
from firmware.errors import ConfigError

MAX_STREAMS = 500
MAX_LISTENERS = 16
REQUEST_THREADS = 32
STORES_AHEAD = 10
"""As many of the API's own threads may look into the stores at one moment."""
SEND_TIMEOUT_S = 10
_LARGEST_HEADER_BYTES = 64 * 1024
_STOP_TIMEOUT_S = 2
_LOOP_PERIOD_S = 0.1  # stopping waits for one turn of cheroot's loop
_log = logging.getLogger(__name__)

WEB_ROOT = Path(__file__).resolve().parents[2] / "webui" / "dist"


class _Request(HTTPRequest):
    """Takes a large body only where a route declares that it is a file, and waits for nobody without end."""

    def parse_request(self) -> None:
        with self.server.patience.within(REQUEST_LIMIT_S, self.conn.socket):
            super().parse_request()

    def send_headers(self) -> None:
        with self.server.patience.within(REQUEST_LIMIT_S, self.conn.socket):  # reads what is left of the body
            super().send_headers()

    def read_request_headers(self) -> bool:
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if int(self.inheaders.get(b"Content-Length", 0)) <= LARGEST_BODY_BYTES:
            return True
        if (self.method, self.path) not in _FILE_ROUTES:
            self.simple_response("413 Request Entity Too Large", "The body is too large.")
            return False
        self.close_connection = True  # or cheroot would read into memory what a refused upload has left
        return True


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request
    given_away = False

    def _close_kernel_socket(self) -> None:
        if not self.given_away:
            super()._close_kernel_socket()  # type: ignore[misc]


_FILE_ROUTES = {(one.method.encode(), (PREFIX + one.path).encode()) for one in ROUTES if one.file_bytes}


class _Gateway(Gateway_10):
    """Lets handlers see the socket: WSGI itself cannot tell that a client has gone, nor give a connection away."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        if self.req.chunked_read:  # nobody reads such a body: what is left of it must not pass for a request
            self.req.close_connection = True
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        link = self.req.conn.socket
        body = PatientInput(environ["wsgi.input"], self.req.server.patience, link)
        return {**environ, SOCKET_KEY: link, TAKE_OVER_KEY: self._give_away, "wsgi.input": body}

    def _give_away(self) -> tuple[socket.socket, bool]:
        """The connection is somebody else's from now on; cheroot lets go of it as if its answer had ended."""
        chunked = bool(self.req.chunked_write)
        link: socket.socket = self.req.conn.socket.dup()
        self.req.conn.given_away = self.req.close_connection = True
        self.req.chunked_write = False
        return link, chunked


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
        streams_of_an_operator: int = STREAMS_OF_AN_OPERATOR,
        queue_events: int = QUEUE_EVENTS,
        number_patience_s: float = PATIENCE_S,
        send_timeout_s: int = SEND_TIMEOUT_S,
    ) -> None:
        self.pool = StorePool(home)
        self.hub = Hub(self.pool, max_streams, queue_events, streams_of_an_operator, number_patience_s, send_timeout_s)
        self.copies = EncodedCopies(home)
        self._listeners = Listeners(self.pool, MAX_LISTENERS)
        self.figures = Figures(home)
        self._bind = bind
        self._server = PatientServer(
            (bind, port),
            make_app(Api(home, self.pool, self.hub, self.copies, self._listeners, web_root, self.figures)),
            # Streams hold none: these are so many that a crowd of slow requests leaves some for the others.
            numthreads=max_streams + MAX_LISTENERS + REQUEST_THREADS,
            server_name="tapdeck",
            timeout=send_timeout_s,
            shutdown_timeout=_STOP_TIMEOUT_S,
            request_queue_size=max_streams + REQUEST_THREADS,  # all come back at once when the API was restarted
        )
        self._server.expiration_interval = _LOOP_PERIOD_S
        self._server.gateway = _Gateway
        self._server.ConnectionClass = _Connection
        self._server.max_request_body_size = max(one.file_bytes for one in ROUTES)
        self._server.max_request_header_size = _LARGEST_HEADER_BYTES
        self._server.error_log = _log_server_error  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)

    def start(self) -> None:
        """Listen and serve in the background. Raises ConfigError when the address cannot be had, StoreError."""
        try:
            self._server.prepare()
        except OSError as error:
            self.hub.stop()
            raise ConfigError(f"cannot listen on {self._bind}: {error}") from error
        self.pool.open_ahead(STORES_AHEAD)
        self._server.patience.start()
        self.hub.start()
        self.figures.start()
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
        self._server.patience.stop()
        self.figures.stop()
        self.pool.close()


def _log_server_error(msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    # Broken connections are a client's affair; only what the server says of itself is worth a line.
    _log.log(level if level >= logging.ERROR else logging.DEBUG, "%s", msg, exc_info=traceback)
