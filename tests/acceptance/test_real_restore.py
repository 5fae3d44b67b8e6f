"""A new box takes over from a backup on a stick, on a machine with a real systemd: its own units start it anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from backup_office import PASSPHRASE
from crm_office import PASSWORD
from stick_machine import StickMachine, System, build_project, run
from test_browser_restore import worked_with
from virtual_stick import Stick

from firmware.config import Home
from firmware.store.connection import open_store
from firmware.store.migrations import migrate

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(3600)]
UNITS = ("keeper", "api", "courier", "integrations", "backup", "exchange", "recorder@*")
_START = """set -e
systemctl start tapdeck.target
until [ "$(systemctl is-active {units} | grep -cx active)" -ge {count} ]; do sleep 1; done
"""
_FIRST = "/opt/tapdeck/bin/tapdeck --home /var/lib/tapdeck operator add 1000 管理员 --level super --permissions all"
_AS_API = "systemd-run --quiet --pipe --wait -p User=tapdeck-api -p Group=tapdeck -p UMask=0007"


@pytest.fixture(scope="module")
def machine(stick_root: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StickMachine]:
    folder = tmp_path_factory.mktemp("restore")
    root, kernel, initrd = stick_root
    opened = StickMachine(System(root, build_project(folder), kernel, initrd), folder / "machine")
    try:
        opened.set_up()
        yield opened
    finally:
        opened.close()


def former_box(folder: Path) -> tuple[Path, set[str]]:
    """The folder with its backup, and the numbers of its calls."""
    home = Home(folder / "former")
    home.create()
    migrate(home)
    backups = folder / "backups"
    backups.mkdir()
    worked_with(home, backups)
    with closing(open_store(home.calls_db, readonly=True).conn) as calls:
        return backups, {number or "" for (number,) in calls.execute("SELECT caller_number FROM calls")}


def test_systemd_starts_the_box_anew_and_the_backup_takes_over(machine: StickMachine, tmp_path: Path) -> None:
    units = " ".join(f"'tapdeck-{unit}.service'" for unit in UNITS)
    machine.run(_START.format(units=units, count=len(UNITS)), within_s=900)
    before = machine.run(f"systemctl show --value -p ExecMainStartTimestampMonotonic {units}")
    one_time = machine.run(f"{_AS_API} {_FIRST}").split()[-1]
    stick = Stick(machine, tmp_path, "ext4", parted=False)
    stick.pull(stick.mounted())
    backups, numbers = former_box(tmp_path)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", stick.name, "-d", str(backups), str(stick.image))
    stick.plug()
    medium = stick.mounted()

    asked = f"/opt/tapdeck/guest_restore.py {one_time} {medium.id} '{PASSPHRASE}' 1 '{PASSWORD}'"
    told = json.loads(machine.run(f"/opt/tapdeck/bin/python {asked}", within_s=1200).splitlines()[-1])
    assert told["customers"] == ["张三"]
    assert set(told["numbers"]) >= numbers  # and who called the new box meanwhile

    machine.run(_START.format(units=units, count=len(UNITS)), within_s=900)
    after = machine.run(f"systemctl show --value -p ExecMainStartTimestampMonotonic {units}")
    for unit, was, now in zip(UNITS, before.split(), after.split(), strict=True):
        assert int(now) > int(was), f"{unit} was not started anew"
    assert machine.run("ls /run/tapdeck/restart", check=False) == ""
    machine.run("/opt/tapdeck/bin/tapdeck --home /var/lib/tapdeck verify --all >&2", within_s=300)
    assert machine.run("journalctl --no-pager | grep -E 'status=31/SYS|SECCOMP auid'", check=False) == ""
    assert machine.run("systemctl list-units --plain --no-legend --failed", check=False) == ""
    stick.image.unlink()
