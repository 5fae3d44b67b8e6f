"""Virtual USB sticks in a machine with a real kernel, udev, systemd and the box's own units and sandboxes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from stick_job import NAME
from stick_machine import StickMachine, System, build_project, run
from virtual_stick import CHECK, Stick

pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def machine(stick_root: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StickMachine]:
    folder = tmp_path_factory.mktemp("sticks")
    root, kernel, initrd = stick_root
    opened = StickMachine(System(root, build_project(folder), kernel, initrd), folder / "machine")
    try:
        opened.set_up()
        yield opened
    finally:
        opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for image in tmp_path.glob("*.img"):
        image.unlink()


@pytest.mark.parametrize("parted", [True, False], ids=["partition", "whole"])
@pytest.mark.parametrize("file_system", ["vfat", "exfat", "ntfs", "ext4"])
def test_a_stick_is_read_written_and_pulled_out(
    machine: StickMachine, folder: Path, file_system: str, parted: bool
) -> None:
    stick = Stick(machine, folder, file_system, parted=parted)
    medium = stick.mounted()
    assert (medium.file_system, medium.partition, medium.unclean) == (file_system, 1 if parted else None, False)
    assert machine.options(medium.id) >= {"ro", "nosuid", "nodev", "noexec"}
    stick.pull(medium)

    before = stick.digest()
    stick.plug()
    assert stick.mounted().id == medium.id
    stick.pull(medium)
    assert stick.digest() == before, "plugging in has written to the stick"

    stick.plug()
    stick.mounted()
    done = machine.job(medium.id, "once")
    assert (done["state"], done["back"]) == ("mounted", True), done
    assert "ro" in machine.options(medium.id)
    assert NAME in machine.run(f"ls /run/tapdeck-media/{medium.id}/recordings")
    machine.run(
        "/opt/tapdeck/bin/python -c 'import sys; from pathlib import Path; from firmware.config import Home;"
        f' from firmware.media.asking import eject; eject(Home(Path("/var/lib/tapdeck")), "{medium.id}")\''
    )
    assert machine.wait_for("safe_to_remove", label=stick.name).path is None
    assert machine.options(medium.id) == set()
    machine.run(f"{CHECK[file_system]} $(readlink -f /dev/disk/by-label/{stick.name}) >&2")
    stick.pull(medium)


@pytest.mark.parametrize("file_system", ["vfat", "exfat", "ntfs", "ext4"])
def test_pulled_out_while_a_job_writes(machine: StickMachine, folder: Path, file_system: str) -> None:
    stick = Stick(machine, folder, file_system)
    medium = stick.mounted()
    machine.begin_job(medium.id)
    stick.pull(medium)
    assert "gone" in machine.end_of_job(medium.id)

    before = stick.digest()
    stick.plug()
    again = stick.mounted()
    assert again.id == medium.id
    assert again.unclean is (file_system != "ntfs")
    stick.pull(again)
    assert stick.digest() == before, "an unclean stick was written to before anybody asked"

    stick.plug()
    stick.mounted()
    done = machine.job(medium.id, "once")
    assert done.get("back"), done
    assert not stick.mounted().unclean
    machine.run(f"{CHECK[file_system]} $(readlink -f /dev/disk/by-label/{stick.name}) >&2", check=False)
    stick.pull(medium)


def test_several_at_once(machine: StickMachine, folder: Path) -> None:
    sticks = [Stick(machine, folder, kind) for kind in ("vfat", "ext4", "exfat")]
    media = [stick.mounted() for stick in sticks]
    assert len({one.id for one in media}) == 3
    for stick, medium in zip(sticks, media, strict=True):
        stick.pull(medium)


def test_write_protected(machine: StickMachine, folder: Path) -> None:
    stick = Stick(machine, folder)
    stick.pull(stick.mounted())
    stick.plug(readonly=True)
    medium = stick.mounted()
    assert medium.write_protected
    assert machine.job(medium.id, "once")["refused"] == "write_protected"
    stick.pull(medium)


def test_dying_while_a_job_writes(machine: StickMachine, folder: Path) -> None:
    stick = Stick(machine, folder, "ext4")
    stick.pull(stick.mounted())
    stick.plug(dying=True)
    medium = stick.mounted()
    told = machine.job(medium.id, "once")
    assert told.get("refused") == "io_errors", told
    stick.pull(medium)


def test_larger_than_the_stick_is(machine: StickMachine, folder: Path) -> None:
    stick = Stick(machine, folder, "ext4", parted=False)
    stick.pull(stick.mounted())
    os.truncate(stick.image, 16 << 20)
    stick.plug()
    medium = machine.wait_for("refused", label=stick.name)
    assert medium.reason == "damaged"
    stick.pull(medium)


def test_more_files_than_anybody_can_want(machine: StickMachine, folder: Path) -> None:
    """And links in circles: the box looks at the first names only."""
    full = folder / "full"
    for number in range(100):
        (full / f"{number}").mkdir(parents=True)
        (full / f"{number}" / "0").touch()
        for other in range(1, 1000):
            (full / f"{number}" / f"{other}").hardlink_to(full / f"{number}" / "0")
    (full / "circle").symlink_to(".")
    stick = Stick(machine, folder, "ext4", parted=False)
    stick.pull(stick.mounted())
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", stick.name, "-d", str(full), str(stick.image))
    stick.plug()
    medium = stick.mounted()
    assert machine.job(medium.id, "once").get("back")
    stick.pull(medium)


def test_a_file_system_that_is_not_used(machine: StickMachine, folder: Path) -> None:
    stick = Stick(machine, folder, "btrfs")
    medium = machine.wait_for("refused", label=stick.name)
    assert medium.reason == "unsupported"
    stick.pull(medium)


def test_the_keeper_dies_while_a_job_writes(machine: StickMachine, folder: Path) -> None:
    stick = Stick(machine, folder)
    medium = stick.mounted()
    machine.begin_job(medium.id)
    machine.run("systemctl kill -s KILL tapdeck-keeper.service")
    assert "gone" in machine.end_of_job(medium.id)
    machine.run(f"until grep -q '/run/tapdeck-media/{medium.id} .* ro,' /proc/mounts; do sleep 0.5; done")
    machine.wait_for("mounted", label=stick.name)
    assert machine.job(medium.id, "once").get("back")
    stick.pull(medium)


def test_nobody_was_killed_by_the_sandbox(machine: StickMachine) -> None:
    assert machine.run("journalctl --no-pager | grep -E 'status=31/SYS|SECCOMP auid'", check=False) == ""
