"""What systemd does with the box after a restore."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

SYSTEMD = Path(__file__).parents[2] / "systemd"


def unit(name):
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(SYSTEMD / name)
    return parser


def test_what_stays_active_after_it_ended_is_run_once_more_with_the_box():
    """Else a store of an older schema, or half a restore, is found by the daemons and by nobody who mends it."""
    staying = [
        one.name for one in SYSTEMD.glob("*.service") if unit(one.name)["Service"].get("RemainAfterExit") == "yes"
    ]
    assert "tapdeck-migrate.service" in staying
    assert [name for name in staying if unit(name)["Unit"].get("PartOf") != "tapdeck.target"] == []


def test_no_daemon_begins_before_the_stores_are_ready():
    for one in SYSTEMD.glob("tapdeck-*.service"):
        if "TimeoutStopSec" in unit(one.name)["Service"]:
            said = unit(one.name)["Unit"]
            assert "tapdeck-migrate.service" in said["Requires"].split(), one.name
            assert "tapdeck-migrate.service" in said["After"].split(), one.name
