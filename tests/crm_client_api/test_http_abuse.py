"""Requests as attackers, proxies and other programs on the same host send them."""

from __future__ import annotations

import http.client
import socket

from crm_office import hire


def test_json_of_any_depth_is_a_wrong_input_and_no_failure(crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    deep = b"[" * 200_000 + b"]" * 200_000
    for method, path, body in (
        ("PATCH", "/operators/1", b'{"level":' + deep + b"}"),
        ("POST", "/customers", b'{"name":"x","phones":[{"number":"1","more":' + deep + b"}]}"),
        ("POST", "/customers", deep),
        ("POST", "/customers", b'{"name":"\\ud800"}'),
        ("POST", "/customers", b'{"name":"\xff"}'),
    ):
        answer = browser.ask(method, path, raw=body, Content_Type="application/json")
        assert (answer.status, answer.code) == (400, "bad_input"), (path, body[:40])


def test_a_number_is_no_time(crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for path in ("/customers/count?next_contact_from=", "/calls?from=", "/audit?to=", "/tasks?due_before="):
        for number in ("9", "9.5", "-9", "1e9"):
            answer = browser.ask("GET", path + number)
            assert (answer.status, answer.code) == (400, "bad_input"), (path, number)
        assert browser.ask("GET", f"{path}2026-11-22T09:05:00Z").status == 200, path


def test_an_origin_that_is_no_address_is_another_site(crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for origin in ("http://[", "null", "http://evil.example", ""):
        answer = browser.ask("POST", "/customers", {"name": "x"}, Origin=origin)
        assert (answer.status, answer.code) == (403, "cross_site"), origin


def test_cookies_of_other_programs_on_the_host_do_not_hide_the_session(crm, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for others in ('prefs={"a":1}', "a=b c", "=", "x", '"', "tapdeck_session_old=1"):
        for cookie in (f"{others}; {browser.cookie}", f"{browser.cookie}; {others}"):
            assert browser.ask("GET", "/session", Cookie=cookie).status == 200, cookie


def test_what_follows_a_chunked_body_is_no_request(crm, server):
    """A proxy reuses its connection for many people: bytes of one must never be read as a request of another."""
    hidden = b"DELETE /api/v1/session HTTP/1.1\r\nHost: x\r\n\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
    for path, status in ((b"POST /api/v1/session", 411), (b"POST /api/v1/customers", 401), (b"GET /", 200)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(
                path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n" + chunk
            )
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == status
            answer.read()
            assert connection.recv(1000) == b""


def test_a_refused_body_does_not_spoil_the_connection(crm, server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for _ in range(3):
        connection.request("POST", "/api/v1/customers", b"x" * 5000, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 401
        answer.read()
    connection.close()
