"""A running API in a home of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlite_utils
from crm_office import PASSWORD, Browser, Exchange, hire

from crm_client_api.courier.daemon import Courier
from crm_client_api.http.server import ApiServer
from firmware import doorbell
from firmware.config import Home
from firmware.store.connection import open_store

if TYPE_CHECKING:
    from stick_office import StickBox, StickOffice


@pytest.fixture
def crm(home: Home) -> Iterator[sqlite_utils.Database]:
    db = open_store(home.crm_db)
    yield db
    db.conn.close()


@pytest.fixture
def exchange(home: Home) -> Iterator[Exchange]:
    one = Exchange(home)
    yield one
    one.close()


@pytest.fixture
def serve(home: Home) -> Iterator[Callable[..., ApiServer]]:
    """Starts servers with the wanted limits."""
    running: list[ApiServer] = []

    def start(**limits: float) -> ApiServer:
        (home.root / "web" / "assets").mkdir(parents=True, exist_ok=True)
        (home.root / "web" / "index.html").write_text("<title>Tapdeck</title>")
        (home.root / "web" / "assets" / "main-abc.js").write_text("1")
        server = ApiServer(home, "127.0.0.1", 0, web_root=home.root / "web", **({"max_streams": 8} | limits))
        server.start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def server(serve: Callable[..., ApiServer]) -> ApiServer:
    return serve()


@pytest.fixture
def courier(home: Home) -> Iterator[Courier]:
    """A courier at work beside the test."""
    one = Courier(home)
    thread = threading.Thread(target=one.run)
    thread.start()
    yield one
    one.stop.set()
    doorbell.ring(home.doorbells)
    thread.join()


@pytest.fixture
def browse(server: ApiServer) -> Callable[[str], Browser]:
    """A browser in which somebody is logged in."""

    def log_in(staff_no: str) -> Browser:
        browser = Browser(server.port)
        assert browser.log_in(staff_no, PASSWORD).status == 200
        return browser

    return log_in


@pytest.fixture
def office(home: Home, crm: sqlite_utils.Database, exchange: Exchange) -> Iterator[StickOffice]:
    """A super operator 1, two lines, and recordings with their evidence."""
    from stick_office import StickOffice

    hire(crm, "1", "super")
    exchange.wire(1, 2)
    one = StickOffice(home, exchange)
    yield one
    one.close()


@pytest.fixture
def sticks(home: Home) -> Iterator[StickBox]:
    """Sockets for sticks that a keeper's thread looks after."""
    from stick_office import stick_box

    with stick_box(home) as box:
        yield box


@pytest.fixture
def stick(sticks: StickBox) -> tuple[Path, str]:
    """One stick that is plugged in and ready: its folder, its id."""
    folder = sticks.plug("经理的U盘")
    return folder, sticks.wait_for("经理的U盘", "mounted").id
