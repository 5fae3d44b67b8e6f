"""The brake on guessing: it holds guessers up and nobody else, least of all for good."""

from __future__ import annotations

import pytest
from crm_office import PASSWORD, ROOT, Browser, hire

from crm_client_api.domain.operators import reset_password
from crm_client_api.domain.sessions import WrongCredentials, log_in
from crm_client_api.domain.throttle import (
    FREE_FAILURES,
    FREE_FAILURES_OF_AN_ADDRESS,
    TooManyFailures,
    count_try,
    wait_after,
)
from firmware.parameters import set_value

DAY_MS = 86_400_000
HERE, ELSEWHERE, THIRD = "192.168.1.20", "192.168.1.66", "192.168.1.67"


def guess(crm, staff_no: str, address: str, at_ms: int, times: int = FREE_FAILURES) -> None:
    for _ in range(times):
        count_try(crm, staff_no, at_ms, address)


def must_wait(crm, staff_no: str, address: str, at_ms: int) -> bool:
    try:
        count_try(crm, staff_no, at_ms, address)
    except TooManyFailures:
        return True
    return False


def test_guessing_from_elsewhere_does_not_lock_out_who_sits_at_the_usual_desk(crm):
    hire(crm, "1")
    log_in(crm, "1", PASSWORD, HERE, 1000)
    guess(crm, "1", ELSEWHERE, 2000)
    assert must_wait(crm, "1", ELSEWHERE, 2001)
    assert must_wait(crm, "1", THIRD, 2001), "another place where this person never was waits too"
    log_in(crm, "1", PASSWORD, HERE, 2001)


def test_guessing_at_the_desk_waits_too(crm):
    hire(crm, "1")
    log_in(crm, "1", PASSWORD, HERE, 1000)
    guess(crm, "1", HERE, 2000)
    with pytest.raises(TooManyFailures):
        log_in(crm, "1", PASSWORD, HERE, 2001)
    assert log_in(crm, "1", PASSWORD, HERE, 2000 + wait_after(FREE_FAILURES))


def test_a_desk_is_forgotten_after_a_month(crm):
    hire(crm, "1")
    log_in(crm, "1", PASSWORD, HERE, 0)
    at_ms = 31 * DAY_MS
    guess(crm, "1", ELSEWHERE, at_ms)
    assert must_wait(crm, "1", HERE, at_ms + 1)


def test_an_address_waits_whoever_is_guessed_and_only_that_one(crm):
    for number in range(FREE_FAILURES_OF_AN_ADDRESS):
        count_try(crm, f"nobody{number}", 1000, ELSEWHERE)
    assert must_wait(crm, "someone", ELSEWHERE, 1001)
    assert not must_wait(crm, "someone", HERE, 1001)


def test_an_ipv6_network_and_an_ipv4_address_in_ipv6_count_as_one_machine(crm):
    for number in range(FREE_FAILURES_OF_AN_ADDRESS):
        count_try(crm, f"nobody{number}", 1000, f"2001:db8::{number:x}")
        count_try(crm, f"other{number}", 1000, "::ffff:192.168.1.66" if number % 2 else "192.168.1.66")
    assert must_wait(crm, "someone", "2001:db8::ffff", 1001)
    assert must_wait(crm, "someone", "192.168.1.66", 1001)
    assert not must_wait(crm, "someone", "2001:db8:0:1::1", 1001)


def test_the_box_itself_is_never_locked_out_from_the_network(crm):
    hire(crm, "1", "super")
    at_ms = 1000
    for number in range(200):  # somebody on the network never stops
        at_ms += 100
        must_wait(crm, "1", ELSEWHERE, at_ms)
        must_wait(crm, f"x{number}", "127.0.0.1", at_ms)
    assert must_wait(crm, "1", ELSEWHERE, at_ms)
    for own in ("127.0.0.1", "::1", "127.8.8.8"):
        log_in(crm, "1", PASSWORD, own, at_ms)


def test_log_ins_of_many_people_behind_one_address_are_no_guesses(crm):
    hire(crm, "1")
    for number in range(FREE_FAILURES_OF_AN_ADDRESS * 2):
        log_in(crm, "1", PASSWORD, HERE, 1000 + number)


def test_a_reset_at_the_console_ends_the_waiting(crm):
    hire(crm, "1")
    log_in(crm, "1", PASSWORD, HERE, 1000)
    guess(crm, "1", ELSEWHERE, 2000)
    guess(crm, "1", HERE, 2000)
    password = reset_password(crm, "1", ROOT, None)
    log_in(crm, "1", password, THIRD, 2001)
    log_in(crm, "1", password, HERE, 2001)


def test_failures_of_one_staff_number_are_not_those_of_another_that_looks_like_it(crm):
    guess(crm, "1*", "127.0.0.1", 1000)
    guess(crm, "1", "127.0.0.1", 1000)
    hire(crm, "12")
    hire(crm, "1")
    reset_password(crm, "12", ROOT, None)
    assert must_wait(crm, "1", "127.0.0.1", 1001)
    reset_password(crm, "1", ROOT, None)
    assert not must_wait(crm, "1", "127.0.0.1", 1001)
    assert must_wait(crm, "1*", "127.0.0.1", 1001)


def test_the_limits_are_parameters(crm):
    for key, value in (("login_free_failures", 3), ("login_longest_wait_s", 2), ("login_address_free_failures", 10)):
        set_value(crm, "system", key, value)
    guess(crm, "1", HERE, 1000, 3)
    with pytest.raises(TooManyFailures) as waiting:
        count_try(crm, "1", 1000, HERE)
    assert waiting.value.wait_ms == 1000
    for turn in range(10):
        count_try(crm, "1", 3000 + 2000 * turn, HERE)
    assert must_wait(crm, "2", HERE, 21_001)


def test_brute_force_over_http_finds_nothing_and_stops_nobody_else(crm, server):
    hire(crm, "1")
    hire(crm, "2")
    guesser = Browser(server.port)
    answers = [guesser.ask("POST", "/session", {"staff_no": "1", "password": f"guess {n}"}, X_Real_IP=ELSEWHERE)
               for n in range(40)]  # fmt: skip
    assert {one.status for one in answers} == {401, 429}
    assert [one.status for one in answers].count(401) <= FREE_FAILURES + 2
    assert all(int(one.headers["retry-after"]) >= 1 for one in answers if one.status == 429)
    right = guesser.ask("POST", "/session", {"staff_no": "1", "password": PASSWORD}, X_Real_IP=ELSEWHERE)
    assert right.status == 429, "who waits learns nothing from the right password either"
    rows = crm.conn.execute("SELECT address, data FROM audit WHERE action = 'request.refused'").fetchall()
    assert [tuple(row) for row in rows] == [(ELSEWHERE, '{"reason":"too_many_failures"}')], "once a minute"
    assert Browser(server.port).log_in("2").status == 200
    assert Browser(server.port).log_in("1").status == 200, "the box's own screen"


def test_a_failure_counts_for_the_person_and_for_the_address(crm):
    hire(crm, "1")
    for _ in range(FREE_FAILURES):
        with pytest.raises(WrongCredentials):
            log_in(crm, "1", "guess", HERE, 1000)
    rows = crm.conn.execute("SELECT kind, failures FROM login_failures ORDER BY kind").fetchall()
    assert [tuple(row) for row in rows] == [("address", FREE_FAILURES), ("staff_no", FREE_FAILURES)]


def test_guessing_inside_a_session_waits_and_keeps_nobody_from_logging_in(crm, server, browse):
    hire(crm, "1")
    thief = browse("1")
    guesses = [thief.ask("POST", "/second-factor", {"password": f"guess {n}"}) for n in range(FREE_FAILURES + 2)]
    assert [one.status for one in guesses] == [409] * FREE_FAILURES + [429] * 2
    change = {"old_password": PASSWORD, "new_password": "battery staple"}
    assert thief.ask("POST", "/session/password", change).status == 429
    assert Browser(server.port).log_in("1").status == 200
