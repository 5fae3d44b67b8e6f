"""One-time codes: the RFC's own examples, enrolment, log-in, recovery, and what happens when the telephone is lost."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from click.testing import CliRunner
from crm_office import PASSWORD, Browser, hire, stored_bytes
from hypothesis import given
from hypothesis import strategies as st

from crm_client_api.commands import operator_group
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.totp import code_of, matching_step, new_secret, otpauth_uri, step_at
from crm_client_api.http.routing import ROUTES
from firmware.clock import now_ms
from firmware.parameters import set_value

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_6238 = (
    (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
    (2000000000, "69279037"), (20000000000, "65353130"),
)  # fmt: skip
RFC_4226 = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_the_examples_of_rfc_6238(seconds, code):
    assert code_of(RFC_SECRET, step_at(seconds * 1000), digits=8) == code
    assert matching_step(RFC_SECRET, code[2:], seconds * 1000, 0) == seconds // 30


def test_the_examples_of_rfc_4226():
    assert [code_of(RFC_SECRET, count) for count in range(10)] == list(RFC_4226)


@given(st.integers(9, 10**6), st.integers(-3, 3))
def test_a_code_holds_one_step_before_and_after_and_once(step, away):
    code, at_ms = code_of(RFC_SECRET, step + away), step * 30_000
    found = matching_step(RFC_SECRET, code, at_ms, 0)
    near = {s for s in range(step - 1, step + 2) if s > 0 and code_of(RFC_SECRET, s) == code}
    assert (found in near) if near else found is None
    if found is not None:
        assert matching_step(RFC_SECRET, code, at_ms, max(near)) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "\ud800", "0" * 64, "-00001"])
def test_what_is_no_code_is_wrong(code):
    assert matching_step(new_secret(), code, now_ms(), 0) is None


def test_the_address_for_authenticators_carries_everything():
    uri = urlsplit(otpauth_uri(RFC_SECRET, "1000", "Tapdeck"))
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Tapdeck:1000")
    assert {key: value[0] for key, value in parse_qs(uri.query).items()} == {
        "secret": RFC_SECRET, "issuer": "Tapdeck", "algorithm": "SHA1", "digits": "6", "period": "30",
    }  # fmt: skip


def enrol(browser: Browser) -> tuple[str, list[str]]:
    """The secret and the recovery codes."""
    begun = browser.ask("POST", "/second-factor", {"password": PASSWORD})
    assert begun.status == 201, begun.body
    secret = begun.json["secret"]
    # The step before: the code of now is still good for the next log-in.
    confirmed = browser.ask("POST", "/second-factor/confirm", {"code": code_of(secret, step_at(now_ms()) - 1)})
    assert confirmed.status == 200, confirmed.body
    return secret, confirmed.json["codes"]


def log_in(server, code: str = "", staff_no: str = "1"):
    browser = Browser(server.port)
    answer = browser.ask("POST", "/session", {"staff_no": staff_no, "password": PASSWORD, "code": code})
    return answer


def test_from_the_first_code_on_a_log_in_needs_one(crm, server, browse):
    hire(crm, "1")
    browser, other = browse("1"), browse("1")
    assert browser.get("/second-factor")["enabled"] is False
    assert browser.ask("POST", "/second-factor", {"password": "wrong"}).code == "wrong_old_password"
    begun = browser.ask("POST", "/second-factor", {"password": PASSWORD}).json
    assert begun["secret"] in begun["uri"]
    assert log_in(server).status == 200, "not confirmed: it does not count yet"
    assert browser.ask("POST", "/second-factor/confirm", {"code": "000000"}).code == "wrong_code"
    cookie = browser.cookie
    secret, codes = enrol(browser)
    assert secret != begun["secret"]
    assert len(set(codes)) == 10
    assert browser.cookie != cookie, "the session has a new token"
    assert other.ask("GET", "/session").status == 401, "sessions without the second factor end"
    assert browser.get("/second-factor") | {"confirmed_at": None} == {
        "enabled": True, "required": False, "confirmed_at": None, "recovery_codes_left": 10,
    }  # fmt: skip
    assert log_in(server).code == "second_factor_required"
    assert log_in(server, "000000").code == "wrong_code"
    code = code_of(secret, step_at(now_ms()))
    assert log_in(server, code).status == 200
    assert log_in(server, code).code == "wrong_code", "a code is taken once"
    assert browser.ask("POST", "/second-factor", {"password": PASSWORD}).code == "refused"


def test_the_password_comes_first(crm, server, browse):
    """Whether there is a second factor is told to nobody who does not know the password."""
    hire(crm, "1")
    secret, _ = enrol(browse("1"))
    body = {"staff_no": "1", "password": "wrong", "code": code_of(secret, step_at(now_ms()))}
    assert Browser(server.port).ask("POST", "/session", body).code == "wrong_credentials"


def test_guessing_codes_is_slowed_down(crm, server, browse):
    hire(crm, "1")
    enrol(browse("1"))
    found = [log_in(server, f"{number:06d}") for number in range(7)]
    assert [one.status for one in found][:5] == [401] * 5
    assert found[-1].status == 429
    rows = crm.conn.execute("SELECT data FROM audit WHERE action = 'session.refused'").fetchall()
    assert {row[0] for row in rows} == {'{"wrong":"code"}'}


def test_a_recovery_code_works_once_however_it_is_typed(home, crm, server, browse):
    hire(crm, "1")
    browser = browse("1")
    _, codes = enrol(browser)
    assert log_in(server, codes[0].upper().replace("-", " ")).status == 200
    assert log_in(server, codes[0]).code == "wrong_code"
    assert browser.get("/second-factor")["recovery_codes_left"] == 9
    fresh = browser.ask("POST", "/second-factor/recovery-codes", {"password": PASSWORD}).json["codes"]
    assert log_in(server, codes[1]).code == "wrong_code", "new ones replace the old ones"
    assert log_in(server, fresh[0]).status == 200
    stored = stored_bytes(home)
    letters = [code.replace("-", "").encode() for code in (*codes, *fresh)]
    assert not [code for code in (*codes, *fresh) if code.encode() in stored]
    assert not [code for code in letters if code in stored]


def test_it_is_switched_off_with_the_password(crm, server, browse):
    hire(crm, "1")
    browser = browse("1")
    enrol(browser)
    assert browser.ask("POST", "/second-factor/disable", {"password": "wrong"}).code == "wrong_old_password"
    cookie = browser.cookie
    assert browser.ask("POST", "/second-factor/disable", {"password": PASSWORD}).status == 200
    assert browser.cookie != cookie
    assert browser.ask("POST", "/customers", {"name": "x"}).status == 201
    assert log_in(server).status == 200


def test_a_manager_in_reach_and_the_console_remove_that_of_a_lost_telephone(home, crm, server, browse):
    hire(crm, "boss", "super")
    hire(crm, "lead", "leader", 1)
    hire(crm, "1", permissions=frozenset({Permission.NET_POPUP}))
    boss, lead, one = browse("boss"), browse("lead"), browse("1")
    enrol(boss)
    enrol(one)
    assert lead.ask("DELETE", "/operators/boss/second-factor").code == "refused"
    assert one.ask("DELETE", "/operators/boss/second-factor").code == "permission_missing"
    assert boss.ask("DELETE", "/operators/boss/second-factor").code == "refused", "the own one needs the password"
    assert lead.ask("DELETE", "/operators/1/second-factor").status == 204
    assert one.ask("GET", "/session").status == 401
    assert log_in(server).status == 200
    run = CliRunner().invoke(operator_group, ["reset", "boss"], obj=home)
    assert run.exit_code == 0, run.output
    assert Browser(server.port).log_in("boss", run.output.strip()).status == 200
    rows = crm.conn.execute("SELECT actor, subject FROM audit WHERE action = 'second_factor.reset' ORDER BY id")
    assert [tuple(row) for row in rows] == [("lead", "1"), ("console", "boss")]


def test_where_it_is_a_duty_who_has_none_can_only_set_it_up(crm, server, browse):
    hire(crm, "1", "leader", 1)
    hire(crm, "2", "ordinary", 1)
    set_value(crm, "system", "second_factor_level", "leader")
    leader, ordinary = browse("1"), browse("2")
    assert ordinary.ask("GET", "/calls").status == 200
    assert ordinary.get("/session")["must_set_second_factor"] is False
    assert leader.get("/session")["must_set_second_factor"] is True
    for one in ROUTES:
        if one.access == "session":
            path = re.sub(r"{\w+}", "1", one.path)
            answer = leader.ask(one.method, path, {} if one.method in ("POST", "PATCH") else None)
            assert (answer.status, answer.code) == (403, "second_factor_setup_required"), one.path
    enrol(leader)
    assert leader.ask("GET", "/calls").status == 200
    assert leader.get("/session")["must_set_second_factor"] is False
