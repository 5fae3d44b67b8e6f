"""The daemon for other programs, as a real process: parameters switch its parts on and off while it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from crm_office import hire

from crm_client_api.integrations.announce import TYPES, Announcer, Place, api_port, find_place, own_addresses
from crm_client_api.integrations.status import read_status
from firmware.parameters import set_value


def wait_for(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.fixture
def daemon(home) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "firmware", "--home", str(home.root), "integrations"]
    process = subprocess.Popen(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
    yield process
    process.kill()
    process.wait(10)


def greeting(port: int) -> bytes:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        return client.recv(10)
    return b""


def test_parts_come_and_go_with_their_parameters(home, crm, daemon):
    hire(crm, "1", "super")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        set_value(crm, "system", "ncid_address", "127.0.0.1")
        set_value(crm, "system", "ncid_port", port)
        set_value(crm, "system", "mqtt_port", 1)  # nobody is there
        set_value(crm, "system", "mqtt_enabled", True)
        set_value(crm, "system", "ncid_enabled", True)  # its port is taken: the others go on
        wait_for(lambda: (status := read_status(home)) and status.mqtt_connected is False)
        assert read_status(home).ncid_clients is None
    wait_for(lambda: greeting(port).startswith(b"200 Server"))
    set_value(crm, "system", "mqtt_enabled", False)
    set_value(crm, "system", "ncid_enabled", False)
    wait_for(lambda: (status := read_status(home)) and (status.ncid_clients, status.mqtt_connected) == (None, None))
    assert greeting(port) == b""
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(10) == 0
    assert read_status(home) is None


def test_the_box_is_found_where_it_answers(home):
    assert api_port(home) is None
    (home.run / "api.json").write_text('{"port": 1, "url": "", "pid": 1}')
    assert api_port(home) == 1
    addresses = tuple(own_addresses())
    assert find_place(1, addresses) is None  # nothing answers there: nothing to announce
    if not addresses:
        pytest.skip("this machine is in no network")
    with socket.create_server(("0.0.0.0", 0)) as listening:
        place = find_place(listening.getsockname()[1], addresses)
    assert place is not None
    assert set(place.addresses) <= set(addresses)


def test_others_see_the_announcement():
    from zeroconf import IPVersion, Zeroconf

    announcer = Announcer(Place("tapdeck-test", ("127.0.0.1",), 4711), "1.2.3", ("127.0.0.1",))
    other = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    try:
        for kind in TYPES:
            info = other.get_service_info(kind, f"Tapdeck tapdeck-test.{kind}", timeout=10_000)
            assert info is not None
            assert (info.port, info.parsed_addresses()) == (4711, ["127.0.0.1"])
            assert info.decoded_properties["api"] == "/api/v1"
    finally:
        other.close()
        announcer.stop()
