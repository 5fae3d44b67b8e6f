"""Open streams end at once when those who read them may no more be there."""

from __future__ import annotations

import pytest
from crm_office import PASSWORD, Browser, Listener, hire

from firmware.parameters import set_value

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
