"""The keeper's decisions as a pure function, and the keeper as a real process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.discovery import FoundCard
from firmware.config import Home
from firmware.errors import ConfigError
from firmware.supervise import DaemonSpec, read_wanted, remove_wanted, wanted_names, write_wanted
from recorder.keeper import (
    CardPlace,
    Keeper,
    Simulation,
    decide,
    place_found,
    read_configured,
    reconcile,
    remember,
    without_rivals,
)

PATIENCE_S = 30.0
SIMULATION = Simulation(Path("/run/x/exchange.tty"), 8)
REAL = CardPlace("T1", "serial_card", "/dev/ttyACM0")
OTHER = CardPlace("T2", "serial_card", "/dev/ttyACM1")


def names(specs: tuple[DaemonSpec, ...]) -> list[str]:
    return [spec.name for spec in specs]


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("simulation", [None, SIMULATION])
@pytest.mark.parametrize("cards", [(), (REAL,), (REAL, OTHER)])
def test_the_exchange_runs_only_on_a_box_that_never_held_a_card(
    cards: tuple[CardPlace, ...], simulation: Simulation | None, held: bool
) -> None:
    specs = decide(cards, held_real_card=held, simulation=simulation)
    simulated = not cards and not held and simulation is not None
    assert ("exchange" in names(specs)) is simulated
    assert ("recorder@sim" in names(specs)) is simulated
    assert [name for name in names(specs) if name.startswith("recorder@T")] == [
        f"recorder@{card.name}" for card in cards
    ]


def test_the_arguments_of_the_processes() -> None:
    exchange, recorder = decide((), held_real_card=False, simulation=SIMULATION)
    link = "/run/x/exchange.tty"
    assert exchange == DaemonSpec("exchange", ("exchange", "--link", link, "--lines", "8", "--office-day"), last=True)
    assert recorder == DaemonSpec(
        "recorder@sim", ("recorder", "--name", "sim", "--driver", "serial_card", "--address", link, "--simulated")
    )
    (real,) = decide((REAL,), held_real_card=True, simulation=SIMULATION)
    assert real == DaemonSpec(
        "recorder@T1", ("recorder", "--name", "T1", "--driver", "serial_card", "--address", "/dev/ttyACM0")
    )


def test_names_of_found_cards() -> None:
    found = [
        FoundCard("serial_card", "/dev/ttyACM0", "TD01"),
        FoundCard("serial_card", "/dev/ttyACM1", ""),
        FoundCard("serial_card", "/dev/ttyACM2", "TD01"),
        FoundCard("serial_card", "/dev/ttyACM3", "../etc"),
        FoundCard("serial_card", "/dev/ttyACM4", "sim"),
    ]
    places = place_found(found)
    assert [place.name for place in places] == ["TD01", "ttyACM1", "TD01-ttyACM2", "ttyACM3", "sim-ttyACM4"]
    assert [place.address for place in places] == [card.address for card in found]


def test_a_vanished_card_stays_wanted_until_another_takes_its_place() -> None:
    assert remember((REAL,), ()) == (REAL,)
    moved = CardPlace("T1", "serial_card", "/dev/ttyACM5")
    assert remember((REAL,), (moved,)) == (moved,)
    assert remember((REAL,), (CardPlace("T9", "serial_card", "/dev/ttyACM0"),))[0].name == "T9"
    assert remember((REAL,), (OTHER,)) == (OTHER, REAL)


def test_a_configured_card_wins_over_the_same_one_found(tmp_path: Path) -> None:
    tty = tmp_path / "tty"
    tty.touch()
    (tmp_path / "by-name").symlink_to(tty)
    configured = CardPlace("desk", "serial_card", str(tmp_path / "by-name"))
    found = CardPlace("TD01", "serial_card", str(tty))
    assert without_rivals((configured, found)) == (configured,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '[{"name": "a"}]',
        '[{"name": "a", "driver": "serial_card", "address": 3}]',
        '[{"name": "a", "driver": "serial_card", "address": "/dev/x", "speed": 1}]',
        '[{"name": "a/b", "driver": "serial_card", "address": "/dev/x"}]',
        '[{"name": "sim", "driver": "serial_card", "address": "/dev/x"}]',
        '[{"name": "a", "driver": "d", "address": "/x"}, {"name": "a", "driver": "d", "address": "/y"}]',
        '[{"name": "a", "driver": "d", "address": "/x", "tape_hours": 2, "tape_gib": 2}]',
        '[{"name": "a", "driver": "d", "address": "/x", "tape_hours": 0}]',
        '[{"name": "a", "driver": "d", "address": "/x", "tape_gib": "2"}]',
    ],
)
def test_bad_card_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cards.json"
    assert read_configured(file) == ()
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"cards\.json"):
        read_configured(file)


def test_reconcile_leaves_what_belongs_to_others(home: Home) -> None:
    write_wanted(home, DaemonSpec("courier", ("courier",)))
    write_wanted(home, DaemonSpec("recorder@old", ("recorder",)))
    specs = decide((), held_real_card=False, simulation=SIMULATION)
    reconcile(home, specs)
    assert wanted_names(home) == ["courier", "exchange", "recorder@sim"]
    assert [read_wanted(home, spec.name) for spec in specs] == list(specs)
    before = {file: file.stat().st_ino for file in home.wanted.iterdir()}
    reconcile(home, specs)
    assert {file: file.stat().st_ino for file in home.wanted.iterdir()} == before
    (home.wanted / "exchange.json").write_text("torn")
    reconcile(home, decide((REAL,), held_real_card=True, simulation=None))
    assert wanted_names(home) == ["courier", "recorder@T1"]


class KeeperProcess:
    """A real keeper, and the service manager's side of its notify socket."""

    def __init__(self, home: Home, *options: str) -> None:
        self.home = home
        address = f"tapdeck-test-keeper-{os.getpid()}-{id(self)}"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind("\0" + address)
        self.manager.settimeout(PATIENCE_S)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("TAPDECK_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "firmware", "--home", str(home.root), "keeper", *options],
            env=clean | {"NOTIFY_SOCKET": "@" + address},
            stderr=subprocess.PIPE,
        )

    def wait_for(self, state: str) -> None:
        while state not in self.manager.recv(200).decode().split("\n"):
            pass

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors.decode()


@pytest.fixture
def start_keeper(home: Home) -> Iterator[Callable[..., KeeperProcess]]:
    started: list[KeeperProcess] = []

    def start(*options: str) -> KeeperProcess:
        started.append(KeeperProcess(home, *options))
        return started[-1]

    yield start
    for keeper in started:
        keeper.process.kill()
        keeper.process.communicate()
        keeper.manager.close()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def configure(home: Home, *cards: dict[str, str]) -> None:
    draft = home.root / "cards.draft"
    draft.write_text(json.dumps(cards))
    draft.replace(home.root / "cards.json")


def test_a_card_that_appears_replaces_the_exchange_for_good(
    home: Home, start_keeper: Callable[..., KeeperProcess]
) -> None:
    keeper = start_keeper("--lines", "3")
    keeper.wait_for("READY=1")
    assert wanted_names(home) == ["exchange", "recorder@sim"]
    assert "3" in read_wanted(home, "exchange").argv
    assert not home.real_card_mark.exists()
    configure(home, {"name": "desk", "driver": "serial_card", "address": "/dev/ttyS7"})
    wait_until(lambda: wanted_names(home) == ["recorder@desk"])
    assert home.real_card_mark.exists()
    configure(home)
    wait_until(lambda: wanted_names(home) == [])
    assert keeper.stop()[0] == 0


def test_a_torn_card_file_disturbs_nothing(home: Home, start_keeper: Callable[..., KeeperProcess]) -> None:
    configure(home, {"name": "desk", "driver": "serial_card", "address": "/dev/ttyS7"})
    keeper = start_keeper()
    keeper.wait_for("READY=1")
    (home.root / "cards.json").write_text('[{"name": "de')
    keeper.wait_for("WATCHDOG=1")
    keeper.wait_for("WATCHDOG=1")
    keeper.wait_for("WATCHDOG=1")
    assert wanted_names(home) == ["recorder@desk"]
    code, errors = keeper.stop()
    assert code == 0
    assert "cards.json" in errors


def test_no_exchange_when_told_so(home: Home, start_keeper: Callable[..., KeeperProcess]) -> None:
    keeper = start_keeper("--no-exchange")
    keeper.wait_for("READY=1")
    assert wanted_names(home) == []
    keeper.wait_for("WATCHDOG=1")
    assert keeper.stop()[0] == 0


def test_a_bad_card_file_at_the_start_is_a_configuration_error(
    home: Home, start_keeper: Callable[..., KeeperProcess]
) -> None:
    (home.root / "cards.json").write_text("{}")
    keeper = start_keeper()
    _, errors = keeper.process.communicate(timeout=PATIENCE_S)
    assert keeper.process.returncode == 3
    assert b"cards.json" in errors


def test_the_size_of_a_tape_reaches_its_recorder(tmp_path: Path) -> None:
    file = tmp_path / "cards.json"
    file.write_text(
        '[{"name": "a", "driver": "d", "address": "/x", "tape_hours": 36},'
        ' {"name": "b", "driver": "d", "address": "/y", "tape_gib": 1.5},'
        ' {"name": "c", "driver": "d", "address": "/z"}]'
    )
    specs = decide(read_configured(file), held_real_card=True, simulation=None)
    assert [spec.argv[7:] for spec in specs] == [("--tape-hours", "36"), ("--tape-gib", "1.5"), ()]


def test_where_nothing_can_be_written_down_the_library_still_makes_room(
    home: Home, start_keeper: Callable[..., KeeperProcess]
) -> None:
    home.wanted.rmdir()
    home.wanted.write_text("in the way, as a full disk is")
    keeper = start_keeper("--lines", "3")
    keeper.wait_for("READY=1")
    wait_until((home.root / "aging.json").exists)
    home.wanted.unlink()
    home.wanted.mkdir()
    wait_until(lambda: wanted_names(home) == ["exchange", "recorder@sim"])
    code, errors = keeper.stop()
    assert code == 0
    assert errors.count("cannot be written down") == 1


def test_a_found_card_that_is_gone_after_a_restart_stays_wanted_while_its_tape_is_there(home: Home) -> None:
    before = Keeper(home, lines=0, exchange=False)
    before._plugged(
        [FoundCard("serial_card", "/dev/ttyACM0", "TD01"), FoundCard("serial_card", "/dev/ttyACM1", "TD02")]
    )
    before._look()
    (home.tapes / "TD01.tape").touch()
    remove_wanted(home, "recorder@TD01")
    Keeper(home, lines=0, exchange=False)._look()
    assert wanted_names(home) == ["recorder@TD01"]
    assert read_wanted(home, "recorder@TD01").argv[-1] == "/dev/ttyACM0"


def test_another_card_in_its_place_ends_that(home: Home) -> None:
    before = Keeper(home, lines=0, exchange=False)
    before._plugged([FoundCard("serial_card", "/dev/ttyACM0", "TD01")])
    before._look()
    (home.tapes / "TD01.tape").touch()
    after = Keeper(home, lines=0, exchange=False)
    after._plugged([FoundCard("serial_card", "/dev/ttyACM0", "TD02")])
    after._look()
    assert wanted_names(home) == ["recorder@TD02"]


def test_what_was_seen_before_may_be_damaged(home: Home) -> None:
    (home.root / "cards-seen.json").write_text('[{"name": "de')
    Keeper(home, lines=0, exchange=False)._look()
    assert wanted_names(home) == []
