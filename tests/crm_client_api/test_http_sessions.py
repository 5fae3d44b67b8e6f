"""Sessions: whose they are, that their tokens change, and how they end."""

from __future__ import annotations

import pytest
from crm_office import PASSWORD, ROOT, Browser, Listener, hire

from crm_client_api.domain.operators import delete_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value
from firmware.store.connection import write

NEW = "battery staple"


def test_own_sessions_are_listed_and_ended(crm, server, browse):
    hire(crm, "1")
    desk, laptop = browse("1"), Browser(server.port, headers={"User-Agent": "Laptop 笔记本".encode().decode("latin-1")})
    assert laptop.log_in("1").status == 200
    found = desk.get("/sessions")["sessions"]
    assert [one["own"] for one in found].count(True) == 1
    assert {one["address"] for one in found} == {"127.0.0.1"}
    other = next(one for one in found if not one["own"])
    assert other["agent"].startswith("Laptop")
    assert all(one["id"] not in (desk.cookie, laptop.cookie) for one in found)
    assert desk.ask("DELETE", f"/sessions/{other['id']}").status == 204
    assert laptop.ask("GET", "/session").status == 401
    assert desk.ask("DELETE", f"/sessions/{other['id']}").status == 404
    assert len(desk.get("/sessions")["sessions"]) == 1


def test_nothing_in_a_list_opens_a_session(crm, server, browse):
    hire(crm, "1")
    one = browse("1").get("/sessions")["sessions"][0]
    for value in one.values():
        thief = Browser(server.port, cookie=f"tapdeck_session={value}")
        assert thief.ask("GET", "/session").status == 401


def test_only_who_manages_operators_sees_and_ends_those_of_others(crm, server, browse):
    hire(crm, "boss", "super")
    hire(crm, "lead", "leader", 1)
    hire(crm, "2", permissions=frozenset({Permission.NET_POPUP}))
    hire(crm, "3", permissions=frozenset({Permission.NET_POPUP}))
    two, three, lead, boss = (browse(one) for one in ("2", "3", "lead", "boss"))
    session_id = two.get("/sessions")["sessions"][0]["id"]
    assert three.ask("GET", "/sessions?staff_no=2").code == "permission_missing"
    assert three.ask("DELETE", f"/sessions/{session_id}").code == "not_found"
    assert lead.get("/sessions?staff_no=2")["sessions"][0]["own"] is False
    boss_session = boss.get("/sessions")["sessions"][0]["id"]
    assert lead.ask("GET", "/sessions?staff_no=boss").code == "refused", "out of a leader's reach"
    assert lead.ask("DELETE", f"/sessions/{boss_session}").code == "refused"
    assert lead.ask("GET", "/sessions?staff_no=nobody").code == "not_found"
    assert lead.ask("DELETE", f"/sessions/{session_id}").status == 204
    assert two.ask("GET", "/session").status == 401
    row = crm.conn.execute("SELECT actor, subject FROM audit WHERE action = 'session.end'").fetchone()
    assert tuple(row) == ("lead", "2")


def test_log_in_always_makes_a_new_token(crm, server):
    """Session fixation: a token that somebody planted never becomes a session."""
    hire(crm, "1")
    planted = "tapdeck_session=" + "A" * 43
    victim = Browser(server.port, cookie=planted)
    answer = victim.ask("POST", "/session", {"staff_no": "1", "password": PASSWORD})
    assert answer.status == 200
    assert planted not in answer.headers["set-cookie"]
    assert Browser(server.port, cookie=planted).ask("GET", "/session").status == 401
    first = victim.cookie
    again = victim.ask("POST", "/session", {"staff_no": "1", "password": PASSWORD})
    assert again.headers["set-cookie"].split(";")[0] != first


def test_a_new_password_makes_a_new_token_and_ends_all_others(crm, server, browse):
    hire(crm, "1")
    browser, other = browse("1"), browse("1")
    old_cookie, old_csrf = browser.cookie, browser.csrf
    answer = browser.ask("POST", "/session/password", {"old_password": PASSWORD, "new_password": NEW})
    assert answer.status == 200
    assert browser.cookie != old_cookie
    assert answer.json["csrf"] == browser.csrf != old_csrf
    assert browser.ask("POST", "/customers", {"name": "x"}).status == 201
    assert Browser(server.port, cookie=old_cookie).ask("GET", "/session").status == 401
    assert other.ask("GET", "/session").status == 401
    assert len(browser.get("/sessions")["sessions"]) == 1


def test_a_new_password_ends_the_streams_that_the_old_token_opened(crm, server, browse):
    hire(crm, "1")
    browser = browse("1")
    stream = Listener(browser)
    browser.ask("POST", "/session/password", {"old_password": PASSWORD, "new_password": NEW})
    assert stream.next("never") is None
    stream.close()


@pytest.mark.parametrize("end", ["deactivate", "delete"])
def test_who_has_left_is_out_at_once(crm, server, browse, end):
    hire(crm, "boss", "super")
    hire(crm, "2")
    browser = browse("2")
    stream = Listener(browser)
    if end == "deactivate":
        set_active(crm, "2", False, ROOT, None)
    else:
        delete_operator(crm, "2", ROOT, None)
    assert browser.ask("GET", "/calls").status == 401
    assert stream.next("never") is None
    stream.close()
    assert Browser(server.port).log_in("2").code == "wrong_credentials"


def test_idle_sessions_end_and_are_not_listed(crm, server, browse):
    hire(crm, "1")
    idle, busy = browse("1"), browse("1")
    set_value(crm, "system", "idle_logout_min", 5)
    with write(crm) as connection:
        connection.execute(
            "UPDATE sessions SET last_used_ms = last_used_ms - 301000 WHERE rowid = (SELECT min(rowid) FROM sessions)"
        )
    assert idle.ask("GET", "/calls").status == 401
    assert len(busy.get("/sessions")["sessions"]) == 1


def test_the_password_policy_is_a_parameter(crm, server, browse):
    hire(crm, "1", permissions=ALL_PERMISSIONS)
    set_value(crm, "system", "password_min_characters", 10)
    set_value(crm, "system", "password_kinds", 3)
    browser = browse("1")
    for new, code in (("Abc 1234", "password_length"), ("abcdefghijk", "password_kinds"),
                      ("密码密码密码密码密码", "password_kinds")):  # fmt: skip
        answer = browser.ask("POST", "/session/password", {"old_password": PASSWORD, "new_password": new})
        assert (answer.status, answer.code) == (400, code)
    answer = browser.ask("POST", "/session/password", {"old_password": PASSWORD, "new_password": "密码Abcdef 1234"})
    assert answer.status == 200


def test_the_cookie_is_for_https_only_where_there_is_https(crm, server):
    hire(crm, "1")
    plain, secure = Browser(server.port), Browser(server.port, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" not in plain.log_in("1").headers["set-cookie"]
    assert "; Secure" in secure.log_in("1").headers["set-cookie"]
