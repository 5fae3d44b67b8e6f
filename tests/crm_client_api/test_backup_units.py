"""What systemd does with the box after a restore."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

from crm_client_api.backup.stage import OWN_DISK
from firmware.config import Home
from firmware.supervise import want_restart

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


def test_nobody_sets_the_clock():
    """Who must ask how good it is cannot have ProtectClock=, which refuses to read it as well (systemd.exec(5))."""
    for one in SYSTEMD.glob("tapdeck-*.service"):
        service = unit(one.name)["Service"]
        if service.get("ProtectClock") == "yes" or service.get("User", "root") == "root":
            continue
        assert service["CapabilityBoundingSet"] == "", one.name
        closed = service.get("DevicePolicy") == "closed" or service.get("PrivateDevices") == "yes"
        assert closed, one.name
        assert "rtc" not in service.get("DeviceAllow", ""), one.name
        calls = set(service["SystemCallFilter"].split())
        assert calls <= {"@system-service", "adjtimex", "clock_adjtime"}, one.name


def test_the_box_starts_again_when_a_daemon_wants_it(tmp_path):
    """The file is gone before anything is stopped, else it would start again for ever; the daemon may make it."""
    home = Home(tmp_path)
    home.create()
    want_restart(home)
    (wanted,) = [one for one in home.run.iterdir() if one.is_file()]
    path, service = unit("tapdeck-restart.path"), (SYSTEMD / "tapdeck-restart.service").read_text().splitlines()
    assert path["Path"]["PathExists"] == f"/run/tapdeck/{wanted.name}"
    assert [line for line in service if line.startswith("ExecStart=")] == [
        f"ExecStart=/bin/rm -f /run/tapdeck/{wanted.name}",
        "ExecStart=/bin/systemctl restart --no-block tapdeck.target",
    ]
    assert "tapdeck-restart.path" in unit("tapdeck.target")["Unit"]["Wants"].split()
    assert "/run/tapdeck" in unit("tapdeck-backup.service")["Service"]["ReadWritePaths"].split()
    for name in ("tapdeck-restart.path", "tapdeck-migrate.service"):
        assert unit(name)["Unit"]["PartOf"] == "tapdeck.target"


def test_what_takes_over_at_the_start_may_change_what_the_daemon_of_backups_unpacked():
    """By the groups that both are in: the folders belong to these, and what is made in them inherits that."""
    groups = {}
    for line in (SYSTEMD / "sysusers.d/tapdeck.conf").read_text().splitlines():
        if line.startswith("m "):
            _, user, group = line.split()
            groups.setdefault(user, set()).add(group)
    migrating, unpacking = (unit(f"tapdeck-{name}.service")["Service"]["User"] for name in ("migrate", "backup"))
    for line in (SYSTEMD / "tmpfiles.d/tapdeck.conf").read_text().splitlines():
        kind, place, mode, _, group, *_ = line.split()
        if kind == "d" and place in {f"/var/lib/tapdeck{one}" for one in ("", *(f"/{name}" for name in OWN_DISK))}:
            assert mode == "2770", place
            assert group in groups[migrating] & groups[unpacking], place


def test_who_starts_what_the_keeper_wants_may_see_it():
    """Root without capabilities is one of the others there: no recorder would ever be started."""
    service = unit("tapdeck-wanted.service")["Service"]
    folder = service["ExecStart"].split()[-1]
    lines = (SYSTEMD / "tmpfiles.d/tapdeck.conf").read_text().splitlines()
    [(mode, owner, group)] = [line.split()[2:5] for line in lines if line.split()[1:2] == [folder]]
    assert (service["CapabilityBoundingSet"], owner == "root", mode[-1]) == ("", False, "0")
    assert group in service["SupplementaryGroups"].split()
