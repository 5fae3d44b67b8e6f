"""System parameters of other programs: nonsense is refused when it is set, not when it is needed."""

from __future__ import annotations

import pytest

from firmware.errors import ConfigError
from firmware.parameters import find_parameter


@pytest.mark.parametrize(
    ("key", "good", "wrong"),
    [
        ("ncid_address", ["0.0.0.0", "::", "192.168.1.2"], ["", "here", "192.168.1", "1.2.3.4:5"]),
        ("ncid_desks", ["", "192.168.1.20=1001, 10.0.0.0/24=1000"], ["192.168.1.20", "x=1", "10.0.0.1=王"]),
        ("ncid_port", [3333], [0, 65536]),
        ("mqtt_host", ["broker.example", "::1", "10.0.0.1"], ["", "a b", "mqtt://x", "主机"]),
        ("mqtt_topic", ["tapdeck", "office/电话"], ["", "/", "a+b", "a/#", "a\nb"]),
        ("metrics_addresses", ["", "10.0.0.0/8, ::1"], ["everywhere"]),
        ("url_pop", ["", "https://crm.example/?tel={number}"], ["crm", "https://{number}/"]),
    ],
)
def test_what_is_taken(key, good, wrong):
    parameter = find_parameter("system", key)
    for value in good:
        assert parameter.check(value) == value
    for value in wrong:
        with pytest.raises(ConfigError, match=key):
            parameter.check(value)


def test_the_brokers_password_is_a_secret():
    assert find_parameter("system", "mqtt_password").secret
