"""API tokens: no more rights than they were given, and no longer than they stand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from crm_office import PASSWORD, ROOT, Browser, Listener, hire, stored_bytes
from excel_office import cells, export

from crm_client_api.domain import tokens
from crm_client_api.domain.operators import delete_operator, reset_password, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.domain.tokens import find_token
from crm_client_api.http.routing import ROUTES
from firmware.clock import now_ms
from firmware.store.connection import write

ALL = sorted(ALL_PERMISSIONS)


def make(browser: Browser, **changes: object):
    answer = browser.ask("POST", "/tokens", {"name": "接口 CRM", "permissions": ALL} | changes)
    assert answer.status == 201, answer.body
    return answer.json


def program(server, secret: str) -> Browser:
    return Browser(server.port, headers={"Authorization": f"Bearer {secret}"})


def soon(hours: float = 1) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


@pytest.fixture
def boss(crm, server, browse):
    hire(crm, "1", "super")
    return browse("1")


def test_a_program_acts_for_the_operator_without_cookie_and_csrf(crm, server, boss):
    made = make(boss)
    assert made["secret"].startswith("tdk_")
    crm_program = program(server, made["secret"])
    added = crm_program.ask("POST", "/customers", {"name": "王芳"})
    assert added.status == 201
    assert added.json["owner"] == "1"
    who = crm_program.get("/session")
    assert (who["operator"]["staff_no"], who["csrf"]) == ("1", "")
    assert crm_program.get("/customers")["customers"][0]["name"] == "王芳"
    foreign = crm_program.ask("POST", "/customers", {"name": "x"}, Origin="https://crm.example", Sec_Fetch_Site="none")
    assert foreign.status == 201


def test_the_secret_is_told_once_and_never_stored(home, server, boss):
    made = make(boss)
    listed = boss.get("/tokens")["tokens"]
    assert [one["name"] for one in listed] == ["接口 CRM"]
    assert made["secret"] not in str(listed)
    assert made["secret"].removeprefix("tdk_").encode() not in stored_bytes(home)


def test_a_token_has_no_more_permissions_than_it_was_given(crm, server, boss):
    secret = make(boss, permissions=["customer_manage"])["secret"]
    reader = program(server, secret)
    assert reader.ask("GET", "/customers").status == 200
    assert reader.ask("GET", "/recordings").code == "permission_missing"
    assert reader.ask("GET", "/operators").code == "permission_missing"
    assert reader.get("/session")["operator"]["permissions"] == ["customer_manage"]


def test_scope_goes_by_the_permissions_of_the_token(crm, server, browse):
    """``customer_share`` widens what an ordinary operator sees: a token without it sees the own customers only."""
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary")
    browse("1").ask("POST", "/customers", {"name": "of the boss"})
    own = browse("2")
    own.ask("POST", "/customers", {"name": "own"})
    assert len(own.get("/customers")["customers"]) == 2
    narrow = program(server, make(own, permissions=["customer_manage"])["secret"])
    assert [one["name"] for one in narrow.get("/customers")["customers"]] == ["own"]
    wide = program(server, make(own, permissions=["customer_manage", "customer_share"])["secret"])
    assert len(wide.get("/customers")["customers"]) == 2


def test_a_job_that_a_token_asks_for_reaches_no_further_than_the_token(crm, server, browse, home):
    hire(crm, "1", "super")
    hire(crm, "2", "ordinary")
    browse("1").ask("POST", "/customers", {"name": "of the boss"})
    own = browse("2")
    own.ask("POST", "/customers", {"name": "own"})
    for permissions, names in (((), {"own"}), (("customer_share",), {"own", "of the boss"})):
        granted = ["customer_import_delete", "customer_manage", *permissions]
        narrow = program(server, make(own, permissions=granted)["secret"])
        (header, *rows) = next(iter(cells(export(home, narrow)).values()))
        assert {row[header.index("姓名")] for row in rows} == names


def test_nobody_gives_a_token_what_they_do_not_hold(crm, server, browse):
    hire(crm, "1", permissions=frozenset({Permission.NET_POPUP}))
    browser = browse("1")
    assert browser.ask("POST", "/tokens", {"name": "x", "permissions": ["customer_manage"]}).code == "refused"
    assert browser.ask("POST", "/tokens", {"name": "x", "permissions": ["everything"]}).code == "bad_input"
    for wrong, code in (({"name": "  "}, "token_name"), ({"name": ""}, "bad_input"), ({"name": "x" * 101}, "bad_input"),
                        ({"name": "x", "expires_at": soon(-1)}, "token_expiry"),
                        ({"name": "x", "expires_at": "tomorrow"}, "bad_input"),
                        ({"name": "x", "addresses": "10.0.0.0/99"}, "token_addresses")):  # fmt: skip
        answer = browser.ask("POST", "/tokens", wrong)
        assert (answer.status, answer.code) == (400, code), wrong
    assert browser.get("/tokens")["tokens"] == []


def test_a_read_only_token_changes_nothing(crm, server, boss):
    reader = program(server, make(boss, read_only=True)["secret"])
    assert reader.ask("GET", "/customers").status == 200
    for one in ROUTES:
        if one.method != "GET" and one.access != "open":
            answer = reader.ask(one.method, re.sub(r"{\w+}", "1", one.path), {})
            assert (answer.status, answer.code) in ((403, "token_read_only"), (403, "session_needed")), one.path
    assert reader.get("/customers")["customers"] == []


def test_tokens_cannot_make_tokens_or_take_over_the_account(crm, server, boss):
    one = program(server, make(boss)["secret"])
    closed = [route for route in ROUTES if route.persons_only]
    assert {"/tokens", "/session/password", "/sessions", "/second-factor"} <= {route.path for route in closed}
    for route in closed:
        answer = one.ask(route.method, re.sub(r"{\w+}", "1", route.path), {} if route.body else None)
        assert (answer.status, answer.code) == (403, "session_needed"), route.path


def test_a_revoked_or_expired_token_is_worth_nothing(crm, server, boss):
    made, brief = make(boss), make(boss, expires_at=soon())
    one, other = program(server, made["secret"]), program(server, brief["secret"])
    assert one.ask("GET", "/calls").status == other.ask("GET", "/calls").status == 200
    assert boss.ask("DELETE", f"/tokens/{made['token']['id']}").status == 204
    with write(crm) as connection:
        connection.execute("UPDATE api_tokens SET expires_ms = ? WHERE id = ?", (now_ms() - 1, brief["token"]["id"]))
    for program_ in (one, other):
        answer = program_.ask("GET", "/calls")
        assert (answer.status, answer.code) == (401, "token_wrong")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert [entry["stands"] for entry in boss.get("/tokens")["tokens"]] == [False, False]
    assert boss.ask("DELETE", f"/tokens/{made['token']['id']}").status == 204, "once more changes nothing"
    rows = crm.conn.execute("SELECT action FROM audit WHERE thing = 'token' ORDER BY id")
    assert [row[0] for row in rows] == ["token.create", "token.create", "token.revoke"]


@pytest.mark.parametrize("end", ["revoke", "expire", "deactivate", "delete", "reset"])
def test_the_stream_ends_with_the_token(crm, server, boss, browse, end):
    hire(crm, "2")
    made = make(browse("2"), expires_at=soon())
    one = program(server, made["secret"])
    stream = Listener(one)
    assert stream.status == 200
    token_id = made["token"]["id"]
    if end == "revoke":
        assert boss.ask("DELETE", f"/tokens/{token_id}").status == 204
    elif end == "expire":
        with write(crm) as connection:
            connection.execute("UPDATE api_tokens SET expires_ms = ? WHERE id = ?", (now_ms(), token_id))
    elif end == "deactivate":
        set_active(crm, "2", False, ROOT, None)
    elif end == "delete":
        delete_operator(crm, "2", ROOT, None)
    else:
        reset_password(crm, "2", ROOT, None)
    assert stream.next("never") is None
    assert one.ask("GET", "/session").code == "token_wrong"
    stream.close()


def test_deactivation_is_for_ever_but_a_reset_only_rests_the_token(crm, server, boss, browse):
    hire(crm, "2")
    two = browse("2")
    one = program(server, make(two)["secret"])
    password = reset_password(crm, "2", ROOT, None)
    assert one.ask("GET", "/calls").status == 401
    two = Browser(server.port)
    two.log_in("2", password)
    two.ask("POST", "/session/password", {"old_password": password, "new_password": PASSWORD})
    assert one.ask("GET", "/calls").status == 200
    set_active(crm, "2", False, ROOT, None)
    set_active(crm, "2", True, ROOT, None)
    assert one.ask("GET", "/calls").status == 401


def test_a_token_can_be_bound_to_addresses(crm, server, boss):
    secret = make(boss, addresses="192.168.7.0/24, 2001:db8::/32")["secret"]
    one = program(server, secret)
    for address, status in (("192.168.7.9", 200), ("2001:db8::1", 200), ("192.168.8.9", 401), ("10.0.0.1", 401)):
        assert one.ask("GET", "/calls", X_Real_IP=address).status == status, address
    entry = boss.get("/tokens")["tokens"][0]
    assert entry["last_address"] == "2001:db8::1"
    assert entry["last_used_at"]


def test_others_see_and_revoke_tokens_only_as_managers_in_reach(crm, server, boss, browse):
    hire(crm, "2", permissions=frozenset({Permission.NET_POPUP}))
    hire(crm, "3", permissions=frozenset({Permission.NET_POPUP}))
    two, three = browse("2"), browse("3")
    token_id = make(two, permissions=[])["token"]["id"]
    assert three.ask("GET", "/tokens?staff_no=2").code == "permission_missing"
    assert three.ask("DELETE", f"/tokens/{token_id}").code == "not_found"
    assert three.ask("DELETE", "/tokens/99999").code == "not_found"
    assert boss.get("/tokens?staff_no=2")["tokens"][0]["id"] == token_id
    assert boss.ask("DELETE", f"/tokens/{token_id}").status == 204
    assert two.get("/tokens")["tokens"][0]["stands"] is False


def test_made_up_tokens_open_nothing(crm, server, boss):
    made = make(boss)["secret"]
    for text in ("", "tdk_", made[:-1], made + "A", made.upper(), f" {made} x", "tdk_" + "A" * 43, "日" * 43, "Bearer"):
        answer = program(server, text.encode().decode("latin-1")).ask("GET", "/calls")
        assert (answer.status, answer.code) == (401, "token_wrong"), text
    basic = Browser(server.port, headers={"Authorization": "Basic MTox"}).ask("GET", "/calls")
    assert (basic.status, basic.code) == (401, "not_logged_in")
    assert find_token(crm, made, now_ms(), "") is not None


def test_an_operator_has_so_many_tokens_and_no_more(crm, server, boss, monkeypatch):
    monkeypatch.setattr(tokens, "MOST_OF_AN_OPERATOR", 2)
    first = make(boss)
    make(boss)
    assert boss.ask("POST", "/tokens", {"name": "x"}).code == "refused"
    boss.ask("DELETE", f"/tokens/{first['token']['id']}")
    make(boss)
