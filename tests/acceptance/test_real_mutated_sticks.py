"""Sticks that somebody tampered with are mounted by a real kernel: the box gets along, says why not, and records on.

``TAPDECK_MUTATED`` says how many of each kind.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from stick_machine import StickMachine, System, build_project
from test_real_yanks import furnish

from firmware.config import Home
from firmware.media.medium import Reason, WriteRefusal

sys.path.append(str(Path(__file__).parents[1] / "firmware"))

from mutated_sticks import KINDS, Mutations, missing_tools

MUTATED = int(os.environ.get("TAPDECK_MUTATED", "150"))
pytestmark = [pytest.mark.acceptance, pytest.mark.soak, pytest.mark.timeout(900 + 60 * MUTATED)]
LOOK_EVERY = 25
FINE = ("read", "written")
_CRASHES = "BUG: (unable|kernel)|Oops|general protection|Out of memory"
"""Of the kernel; stalls are what an emulated processor has that waits for its turn."""
_RECORD = """set -e
cd /var/lib/tapdeck
hand="systemd-run --quiet -p User=tapdeck-recorder -p Group=tapdeck -p UMask=0007"
tapdeck=/opt/tapdeck/bin/tapdeck
card=/run/tapdeck/card.sock
$hand --unit=generator $tapdeck bench generator $card 2 36000 1 /run/tapdeck/report.json
until [ -S $card ]; do sleep 0.5; done
$hand --unit=recorder $tapdeck --home /var/lib/tapdeck recorder --name bench --driver pcm_socket \
    --address $card --tape-minutes 1
until [ -e /var/lib/tapdeck/tapes/bench.tape ]; do sleep 0.5; done
sleep 10
"""


@pytest.fixture(scope="module")
def machine(stick_root: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StickMachine]:
    folder = tmp_path_factory.mktemp("mutated")
    home = Home(folder / "home")
    furnish(home, 1)
    root, kernel, initrd = stick_root
    opened = StickMachine(System(root, build_project(folder, home.root), kernel, initrd), folder / "machine")
    try:
        opened.set_up()
        opened.move_in()
        opened.run("systemctl stop tapdeck-keeper tapdeck-courier")  # the test is the keeper
        opened.run(_RECORD, within_s=1200)
        yield opened
    finally:
        opened.close()


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_sticks(machine: StickMachine, kind: str, tmp_path: Path) -> None:
    if missing := missing_tools(kind):
        pytest.skip(f"needs {', '.join(missing)}")
    mutations = Mutations(kind, tmp_path)
    machine.plug(kind, mutations.image)
    device = machine.disk_of(kind)
    known = {*get_args(Reason), *get_args(WriteRefusal)} - {""}
    told: Counter[str] = Counter()
    assert machine.ask_office("mount", device) == ["read", "written"]
    end = 0
    for seed in range(MUTATED):
        mutations.lay(seed, whole=True)
        said = machine.ask_office("mount", device)
        for one in said:
            code, _, message = one.partition(": ")
            assert message.isprintable()
            assert code.partition(",")[0] in {*known, *FINE}, (kind, seed, said)
            told[code] += 1
        if seed % LOOK_EVERY == LOOK_EVERY - 1:
            before, end = end, machine.ask_office("tape_end")
            assert end > before, f"nothing is recorded at seed {seed}"
    machine.pull(kind)
    print(kind, dict(told), flush=True)
    assert machine.run("systemctl is-active recorder generator").split() == ["active", "active"]
    assert machine.run(f"dmesg | grep -E '{_CRASHES}'", check=False) == ""
