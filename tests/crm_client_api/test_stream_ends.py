"""Open streams end at once when those who read them may no more be there."""

from __future__ import annotations

import pytest
from crm_office import PASSWORD, Browser, Listener, hire

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from crm_client_api.push import delivery
from firmware.parameters import set_value
from firmware.store.connection import write

FAR, OFFICE, LAN = "203.0.113.9", "192.168.1.20", "192.168.1.0/24"


def at(server, staff_no: str, address: str) -> Browser:
    """A browser behind the proxy on the box, at that address."""
    browser = Browser(server.port, headers={"X-Real-IP": address})
    assert browser.log_in(staff_no, PASSWORD).status == 200
    return browser


def goes_on(listener: Listener, browser: Browser) -> bool:
    """Whether something that is told now still comes."""
    browser.ask("POST", "/tasks", {"subject": "回电"})
    while (event := listener.next("office")) is not None:
        if event.data["kind"] == "task_changed":
            return True
    return False


@pytest.mark.parametrize("how", ["page", "console"])
def test_a_new_list_of_addresses_ends_the_streams_from_elsewhere(crm, server, how):
    hire(crm, "1", "super")
    far, here, own = at(server, "1", FAR), at(server, "1", OFFICE), at(server, "1", "127.0.0.1")
    made = own.ask("POST", "/tokens", {"name": "桌面", "permissions": ["net_popup"]}).json
    token = Browser(server.port, headers={"X-Real-IP": FAR, "Authorization": f"Bearer {made['secret']}"})
    listeners = {name: Listener(one) for name, one in (("far", far), ("here", here), ("own", own), ("token", token))}
    assert {listener.status for listener in listeners.values()} == {200}
    if how == "page":
        assert here.ask("PATCH", "/system-parameters", {"values": {"allowed_addresses": LAN}}).status == 200
    else:
        set_value(crm, "system", "allowed_addresses", LAN)
    for name in ("far", "token"):
        while listeners[name].next() is not None:
            pass
    assert goes_on(listeners["here"], here)
    assert goes_on(listeners["own"], own)
    for listener in listeners.values():
        listener.close()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("PATCH /operators/21", {"active": False}),
        ("DELETE /operators/21", None),
        ("POST /operators/21/leaving", {"to": ["22"]}),
        ("POST /operators/21/password-reset", None),
        (
            "POST /operators/21/replacement",
            {"name": "王芳", "level": "ordinary", "group": None, "channels": [2], "permissions": []},
        ),
    ],
)
def test_who_may_not_go_on_hears_nothing_more(crm, server, browse, path, body):
    hire(crm, "1", "super")
    hire(crm, "22")
    hire(crm, "21")
    listener = Listener(browse("21"))
    method, _, path = path.partition(" ")
    assert browse("1").ask(method, path, body).status < 300
    while (event := listener.next()) is not None:
        assert event.event == "board" or event.data["kind"] == "agent_state"
    listener.close()


@pytest.mark.parametrize("by", ["page", "token"])
def test_who_is_granted_more_comes_back_and_gets_it(crm, exchange, server, browse, by):
    hire(crm, "1", "super")
    hire(crm, "21", "ordinary", None, (1,), ALL_PERMISSIONS - {Permission.NET_POPUP})
    with write(crm) as connection:  # as if an update had just brought it
        connection.execute("DELETE FROM known_permissions WHERE permission = 'net_popup'")
    exchange.wire(1)
    browser, boss = browse("21"), browse("1")
    if by == "token":
        wanted = {"name": "桌面", "permissions": ["customer_manage", "communication_manage"]}
        secret = browser.ask("POST", "/tokens", wanted).json["secret"]
        browser = Browser(server.port, headers={"Authorization": f"Bearer {secret}"})
    listener, other = Listener(browser), Listener(boss)
    missed = exchange.call(1, "13800000001")
    assert listener.next("call", "popup").event == "call"
    granted = boss.ask("POST", "/operators/21/new-permissions", {"permissions": ["net_popup"]})
    assert granted.status == 200, granted.body
    exchange.call(1, "13800000002")
    if by == "page":
        while (event := listener.next()) is not None:
            assert event.event != "popup"
            assert event.event != "call" or event.data["id"] == missed["id"], "nothing more by the rights of before"
        again = Listener(browser, last_id=listener.last_id)
        # The call before may come again, if the stream ended before its end was told.
        while (popup := again.next("popup")).data["call"]["caller_number"] != "13800000002":
            assert popup.data["call"]["id"] == missed["id"]
        again.close()
    else:  # the token was not given it: nothing has changed for the program
        while (event := listener.next("call", "popup")).data["caller_number"] != "13800000002":
            assert event.event == "call"
    assert other.next("popup") is not None
    assert goes_on(other, boss), "nobody else is disturbed"
    for one in (listener, other):
        one.close()


def test_who_may_less_hears_nothing_more_of_it(crm, exchange, server, browse):
    hire(crm, "21", "ordinary", None, (1, 2))
    exchange.wire(1, 2)
    browser = browse("21")
    listener = Listener(browser)
    assert listener.next("board") is not None, "the stream has begun, and told its position"
    with write(crm) as connection:  # as nobody can by the API: what is set once
        connection.execute("DROP TRIGGER operators_set_once")
        connection.execute("UPDATE operators SET channels = '[2]', permissions = '[\"customer_manage\"]'")
    exchange.call(1, "13800000001")
    shown = exchange.call(2, "13800000002")
    while (event := listener.next()) is not None:
        assert event.event == "board"
    again = Listener(browser, last_id=listener.last_id)
    event = again.next("call", "popup")
    assert (event.event, event.data["id"]) == ("call", shown["id"])
    for one in (listener, again):
        one.close()


def test_a_call_is_told_by_the_rights_of_its_moment(crm, exchange, server, browse, monkeypatch) -> None:
    """Whatever is decided just before the events are read."""
    hire(crm, "21", "ordinary", None, (1,))
    exchange.wire(1)
    listener = Listener(browse("21"))
    decide = [True]
    read_after = delivery.read_after

    def read(*asked):
        if decide:
            decide.clear()
            with write(crm) as connection:
                connection.execute("DELETE FROM sessions")
            exchange.call(1, "13800000001")
        return read_after(*asked)

    monkeypatch.setattr(delivery, "_SESSIONS_PERIOD_S", 60.0)  # who polls the board must not notice first
    monkeypatch.setattr(delivery, "read_after", read)
    while (event := listener.next()) is not None:
        assert event.event == "board"
    assert not decide
    listener.close()
