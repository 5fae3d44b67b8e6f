"""Logging in, one-time passwords, throttling, CSRF, idle log-out."""

from __future__ import annotations

import re

import pytest
from crm_office import PASSWORD, ROOT, Browser, hire

from crm_client_api.domain import operators, sessions
from crm_client_api.domain.operators import WrongOldPassword, change_password, reset_password, set_active
from crm_client_api.domain.passwords import verify_password
from crm_client_api.domain.sessions import WrongCredentials, find_session, log_in
from crm_client_api.domain.throttle import FREE_FAILURES, TooManyFailures, wait_after
from crm_client_api.http.routing import ROUTES
from firmware.store.connection import write

MINUTE_MS = 60_000


def audited(crm) -> list[str]:
    return [row[0] for row in crm.conn.execute("SELECT action FROM audit ORDER BY id")]


def test_log_in_show_and_log_out(crm, server, browse):
    hire(crm, "1", "leader", 1, (2, 3))
    browser = browse("1")
    session = browser.get("/session")
    assert session["operator"]["staff_no"] == "1"
    assert session["operator"]["level"] == "leader"
    assert session["operator"]["channels"] == [2, 3]
    assert "net_popup" in session["operator"]["permissions"]
    assert session["csrf"] == browser.csrf
    assert browser.ask("DELETE", "/session").status == 204
    assert browser.ask("GET", "/session").status == 401
    assert audited(crm)[-2:] == ["session.log_in", "session.log_out"]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(crm, server):
    hire(crm, "1")
    cookie = Browser(server.port).log_in("1").headers["set-cookie"]
    assert cookie.startswith("tapdeck_session=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


def test_wrong_password_unknown_person_and_inactive_look_the_same(crm, server):
    hire(crm, "1")
    hire(crm, "boss", "super")
    set_active(crm, "1", False, ROOT, None)
    answers = [Browser(server.port).log_in(who, word) for who, word in
               (("1", PASSWORD), ("nobody", PASSWORD), ("boss", "wrong"))]  # fmt: skip
    assert {(one.status, one.body) for one in answers} == {(401, answers[0].body)}
    assert answers[0].code == "wrong_credentials"
    assert audited(crm).count("session.refused") == 3


def test_nothing_is_open_by_accident(crm, server):
    hire(crm, "1", "super", fresh=True)
    stranger, fresh = Browser(server.port), Browser(server.port)
    assert fresh.log_in("1").json["must_change_password"] is True
    closed = [one for one in ROUTES if one.access == "session"]
    assert len(closed) > 15
    for one in closed:
        path = re.sub(r"{\w+}", "1", one.path)
        body = {} if one.method in ("POST", "PATCH") else None
        assert stranger.ask(one.method, path, body).status == 401, path
        answer = fresh.ask(one.method, path, body)
        assert (answer.status, answer.code) == (403, "password_change_required"), path
    assert {one.path for one in ROUTES if one.access != "session"} == {
        "/session", "/session/password", "/second-factor", "/second-factor/confirm", "/health", "/openapi.json",
    }  # fmt: skip


def test_a_one_time_password_is_changed_first(crm, server):
    hire(crm, "1", "super", fresh=True)
    browser, other = Browser(server.port), Browser(server.port)
    browser.log_in("1")
    other.log_in("1")
    change = {"old_password": PASSWORD, "new_password": PASSWORD}
    assert browser.ask("POST", "/session/password", change).status == 400
    change["new_password"] = "short"
    assert browser.ask("POST", "/session/password", change).status == 400
    change |= {"new_password": "battery staple", "old_password": "wrong wrong"}
    assert browser.ask("POST", "/session/password", change).status == 409
    change["old_password"] = PASSWORD
    assert browser.ask("POST", "/session/password", change).status == 200
    assert browser.get("/session")["must_change_password"] is False
    assert browser.get("/calls")["calls"] == []
    assert other.ask("GET", "/session").status == 401, "the other session ends"
    assert Browser(server.port).log_in("1").status == 401
    assert Browser(server.port).log_in("1", "battery staple").status == 200


def test_guessing_is_slowed_down(crm, server):
    hire(crm, "1")
    browser = Browser(server.port)
    assert [browser.log_in("1", "guess").status for _ in range(6)] == [401] * 5 + [429]
    throttled = browser.log_in("1", PASSWORD)
    assert (throttled.status, throttled.code) == (429, "too_many_failures")
    assert int(throttled.headers["retry-after"]) >= 1


def test_guessing_the_old_password_is_slowed_down_too(crm, server, browse):
    hire(crm, "1")
    browser = browse("1")
    change = {"old_password": "a guess", "new_password": "battery staple"}
    assert [browser.ask("POST", "/session/password", change).status for _ in range(6)] == [409] * 5 + [429]


def test_waits_double_and_end(crm):
    hire(crm, "1")
    assert [wait_after(n) for n in (0, 4, 5, 6, 7, 14, 1000)] == [0, 0, 1000, 2000, 4000, 300_000, 300_000]
    for _ in range(5):
        with pytest.raises(WrongCredentials):
            log_in(crm, "1", "guess", "", 1_000_000)
    with pytest.raises(TooManyFailures) as caught:
        log_in(crm, "1", PASSWORD, "", 1_000_999)
    assert caught.value.wait_ms == 1
    log_in(crm, "1", PASSWORD, "", 1_001_000)
    with pytest.raises(WrongCredentials):  # counted anew
        log_in(crm, "1", "guess", "", 1_001_001)


def test_a_session_ends_when_idle_reset_or_switched_off(crm):
    hire(crm, "1")
    hire(crm, "2", "super")
    token, _ = log_in(crm, "1", PASSWORD, "", 0)
    assert find_session(crm, token, 15 * MINUTE_MS, 15 * MINUTE_MS) is not None
    assert find_session(crm, token, 15 * MINUTE_MS + 1, 15 * MINUTE_MS) is None
    set_active(crm, "1", False, ROOT, None)
    set_active(crm, "1", True, ROOT, None)
    assert find_session(crm, token, 0, 15 * MINUTE_MS) is None
    token, _ = log_in(crm, "1", PASSWORD, "", 0)
    reset_password(crm, "1", ROOT, None)
    assert find_session(crm, token, 0, 15 * MINUTE_MS) is None
    assert find_session(crm, "made up", 0, 15 * MINUTE_MS) is None


def test_requests_keep_a_session_alive_but_streams_do_not(crm, server, browse):
    hire(crm, "1")
    browser = browse("1")
    with write(crm) as connection:
        connection.execute("UPDATE sessions SET last_used_ms = last_used_ms - ?", (10 * MINUTE_MS,))
    old = crm.conn.execute("SELECT last_used_ms FROM sessions").fetchone()[0]
    browser.get("/calls")
    assert crm.conn.execute("SELECT last_used_ms FROM sessions").fetchone()[0] >= old + 10 * MINUTE_MS
    with write(crm) as connection:
        connection.execute("UPDATE sessions SET last_used_ms = last_used_ms - ?", (16 * MINUTE_MS,))
    assert browser.ask("GET", "/calls").status == 401


def test_changes_need_the_csrf_value_of_this_session(crm, server, browse):
    hire(crm, "1", "super")
    hire(crm, "2", "super")
    browser, other = browse("1"), browse("2")
    assert browser.ask("POST", "/customers", {"name": "a"}).status == 201
    for csrf in ("", "x" * 64, other.csrf, "日"):
        answer = browser.ask("POST", "/customers", {"name": "a"}, X_Tapdeck_CSRF=csrf.encode().decode("latin-1"))
        assert (answer.status, answer.code) == (403, "csrf")


FOREIGN = (
    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "https://evil.example"},
    {"Origin": "null"},
)  # fmt: skip


def test_changes_from_other_sites_are_refused(crm, server, browse):
    hire(crm, "1", "super")
    browser = browse("1")
    for headers in FOREIGN:
        for path, body in (("/customers", {"name": "a"}), ("/session", {"staff_no": "1", "password": PASSWORD})):
            answer = browser.ask("POST", path, body, **headers)
            assert (answer.status, answer.code) == (403, "cross_site")
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Sec_Fetch_Site": "same-origin"}
    assert browser.ask("POST", "/customers", {"name": "a"}, **own).status == 201


def test_a_password_that_is_reset_while_it_is_checked_counts_no_more(crm, monkeypatch):
    """Checking takes some 50 ms; a reset in between must win, whoever knows the old password."""
    hire(crm, "1")

    def verify_and_reset(stored: str | None, password: str) -> bool:
        right = verify_password(stored, password)
        reset_password(crm, "1", ROOT, None)
        return right

    monkeypatch.setattr(sessions, "verify_password", verify_and_reset)
    with pytest.raises(WrongCredentials):
        log_in(crm, "1", PASSWORD, "", MINUTE_MS)
    assert crm.conn.execute("SELECT count(*) FROM sessions").fetchone()[0] == 0
    hire(crm, "2")

    def verify_and_reset_two(stored: str | None, password: str) -> bool:
        right = verify_password(stored, password)
        reset_password(crm, "2", ROOT, None)
        return right

    monkeypatch.setattr(operators, "verify_password", verify_and_reset_two)
    with pytest.raises(WrongOldPassword):
        change_password(crm, "2", PASSWORD, "a longer horse", ROOT)
    assert operators.get_operator(crm, "2").must_change_password


def test_every_reason_against_a_new_password_has_its_code(crm, server, browse):
    hire(crm, "boss1")
    browser = browse("boss1")
    for old, new, status, code in (
        (PASSWORD, "short", 400, "password_length"),
        (PASSWORD, "boss1boss1", 400, "password_is_staff_no"),
        (PASSWORD, PASSWORD, 400, "password_unchanged"),
        ("wrong", "a longer horse", 409, "wrong_old_password"),
    ):
        answer = browser.ask("POST", "/session/password", {"old_password": old, "new_password": new})
        assert (answer.status, answer.code) == (status, code)


def test_a_clock_set_back_locks_nobody_out(crm):
    hire(crm, "1")
    for _ in range(FREE_FAILURES):
        with pytest.raises(WrongCredentials):
            log_in(crm, "1", "wrong", "", 100 * MINUTE_MS)
    with pytest.raises(TooManyFailures) as waiting:
        log_in(crm, "1", PASSWORD, "", 10 * MINUTE_MS)
    assert waiting.value.wait_ms == wait_after(FREE_FAILURES)
