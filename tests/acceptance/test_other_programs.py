"""A call on the line reaches other programs through the whole box: an NCID client, a webhook and a Python program."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ncid_client import NcidClient, field_of
from office import office
from scripted import wait_until

from crm_client_api.answers.staff import SettingsInfo
from crm_client_api.client import Client
from crm_client_api.integrations.webhooks.signing import is_genuine
from drivers.exchange.calls import IncomingCall
from drivers.exchange.script import Script
from firmware.config import Home

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]
NUMBERS = ["13812345678", "13987654321"]
EVERY_S = 12


class _Receiver(BaseHTTPRequestHandler):
    got: list[tuple[str, bytes]] = []  # noqa: RUF012 - one receiver in this test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers["Tapdeck-Signature"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_given: object) -> None:
        pass


def test_a_call_reaches_them_all(home: Home, tmp_path: Path) -> None:
    calls = tuple(
        IncomingCall(0, 10.0 + EVERY_S * index, NUMBERS[index % 2], rings=2) for index in range(8)
    )  # from early to late: the first ones ring while the box still starts
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with office(home, tmp_path, Script(1, calls)) as (box, _), Client(box.url) as client:
        staff_no, password = box.one_time_password()
        client.log_in(staff_no, password)
        client.change_password(password, "ein-neues-Passwort-2026")
        customer = client.customers.add(name="王伟明", phones=[{"number": NUMBERS[0]}])
        values = {
            "ncid_enabled": True,
            "ncid_address": "127.0.0.1",
            "ncid_port": port,
            "ncid_desks": f"127.0.0.1={staff_no}",
            "webhooks_to_own_network": True,
            "url_pop": "https://crm.example/?id={customer_id}",
        }
        client.ask("PATCH", "/system-parameters", SettingsInfo, {"values": values})
        url = f"http://127.0.0.1:{receiver.server_port}/"
        secret = client.webhooks.add(url, ["caller_id", "call_ended"]).secret
        ncid = wait_until(lambda: _connected(port), 30, "the NCID server answers")
        ncid.started()
        with client.events(client.calls.popups().position) as stream:
            popup = next(event.data for event in stream if event.kind == "popup" and event.data.customers)
        assert popup.call.caller_number == NUMBERS[0]
        assert popup.url == f"https://crm.example/?id={customer.id}"
        while field_of(line := ncid.until("CID:")[-1], "NMBR") != NUMBERS[0]:
            pass
        assert field_of(line, "NAME") == "王伟明"
        told = ncid.until("END:")
        assert [field_of(one, "RING") for one in told if one.startswith("CIDINFO")] == ["1", "2", "-1"]
        assert told[-1].startswith("END: *HTYPE*CANCEL*")
        wait_until(
            lambda: popup.call.id in [json.loads(body)["data"]["id"] for _, body in _Receiver.got], 30, "webhook"
        )
        signature, body = _Receiver.got[-1]
        assert is_genuine(secret, signature, body, int(time.time()))
        ncid.close()
    receiver.shutdown()
    receiver.server_close()


def _connected(port: int) -> NcidClient | None:
    try:
        return NcidClient(port)
    except OSError:
        return None
