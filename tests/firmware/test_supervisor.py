"""The supervisor with real child processes: restart, watchdog, wanted files, orderly stop, no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware.config import Home
from firmware.supervise import DaemonSpec, remove_wanted, take_restart, want_restart, write_wanted

PATIENCE_S = 30.0


class Box:
    """A running supervisor and what its daemons told."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.story_file = home.root / "story"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *daemons: str, watchdog_s: float = 10.0) -> None:
        script = Path(__file__).with_name("supervised_box.py")
        command = [sys.executable, str(script), "box", str(self.home.root), str(watchdog_s), *daemons]
        with (self.home.root / "box.out").open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def output(self) -> str:
        return (self.home.root / "box.out").read_text()

    def story(self) -> list[list[str]]:
        return [line.split() for line in self.story_file.read_text().splitlines()] if self.story_file.exists() else []

    def starts(self, name: str) -> list[int]:
        return [int(pid) for what, who, pid in self.story() if (what, who) == ("start", name)]

    def stops(self) -> list[str]:
        return [who for what, who, _ in self.story() if what == "stop"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def wait_ready(self, name: str) -> None:
        """Ready means that its SIGTERM handler is set up too."""
        wait_until(lambda: f"ready {name}\n" in self.output())


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    home = Home(tmp_path / "home")
    home.create()
    made = Box(home)
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_a_killed_daemon_is_started_again(box: Box) -> None:
    box.start("one:good")
    box.wait_ready("one")
    first = box.starts("one")[0]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(box.starts("one")) == 2)
    assert not is_alive(first)
    assert box.stop() == 0
    assert "signal SIGKILL" in box.output()


def test_a_daemon_that_always_dies_is_started_with_growing_delay(box: Box) -> None:
    box.start("one:dies")
    wait_until(lambda: "starts again in 0.8 s" in box.output())
    assert box.stop() == 0
    said = [line for line in box.output().splitlines() if "starts again" in line]
    assert [line.split()[-2] for line in said[:4]] == ["0.1", "0.2", "0.4", "0.8"]
    assert all("exit code 7" in line for line in said)


def test_a_hung_daemon_is_killed_and_started_again(box: Box) -> None:
    box.start("one:hangs", "two:good", watchdog_s=1.0)
    wait_until(lambda: len(box.starts("one")) == 2)
    assert "one | watchdog" in box.output()
    assert len(box.starts("two")) == 1
    assert box.stop() == 0


def test_everything_stops_cleanly_and_the_source_last(box: Box) -> None:
    box.start("source:good", "one:good", "two:good")
    for name in ("source", "one", "two"):
        box.wait_ready(name)
    assert box.stop(signal.SIGINT) == 0
    assert sorted(box.stops()[:2]) == ["one", "two"]
    assert box.stops()[2:] == ["source"]
    assert "tapdeck | stopped" in box.output()


def test_wanted_to_start_again_it_stops_all_is_made_ready_and_starts_all(box: Box) -> None:
    box.start("one:good", "two:good")
    for name in ("one", "two"):
        box.wait_ready(name)
    want_restart(box.home)
    wait_until(lambda: len(box.starts("one")) == len(box.starts("two")) == 2)
    story = [what for what, _, _ in box.story()]
    assert story == ["start", "start", "stop", "stop", "between", "start", "start"]
    assert not take_restart(box.home)
    assert box.stop() == 0


def test_a_stubborn_daemon_does_not_hold_up_the_stop(box: Box) -> None:
    box.start("one:stubborn")
    box.wait_ready("one")
    assert box.stop() == 0
    assert "does not stop within 5 s: killed" in box.output()
    assert not is_alive(box.starts("one")[0])


def test_daemons_die_with_a_killed_supervisor(box: Box) -> None:
    box.start("one:stubborn", "two:good")
    box.wait_ready("one")
    box.wait_ready("two")
    box.stop(signal.SIGKILL)
    pids = box.starts("one") + box.starts("two")
    wait_until(lambda: not any(is_alive(pid) for pid in pids))
    assert box.stops() == []


def test_wanted_processes_come_and_go_with_their_files(box: Box) -> None:
    box.start("one:good")
    box.wait_ready("one")
    write_wanted(box.home, DaemonSpec("card@a", (str(box.story_file), "a", "good")))
    box.wait_ready("card@a")
    first = box.starts("a")[0]
    write_wanted(box.home, DaemonSpec("card@a", (str(box.story_file), "b", "good")))
    wait_until(lambda: len(box.starts("b")) == 1)
    assert not is_alive(first)
    remove_wanted(box.home, "card@a")
    wait_until(lambda: box.stops() == ["a", "b"])
    assert box.stop() == 0
    assert box.starts("one")
    assert box.stops()[-1] == "one"


def test_a_malformed_wanted_file_disturbs_nobody(box: Box) -> None:
    (box.home.wanted / "bad.json").write_text('{"argv": 3}')
    box.start("one:good")
    box.wait_ready("one")
    wait_until(lambda: "bad.json" in box.output())
    assert box.stop() == 0


def test_two_supervisors_cannot_share_a_home(box: Box) -> None:
    box.start("one:good")
    box.wait_ready("one")
    assert box.process is not None
    script = Path(__file__).with_name("supervised_box.py")
    second = subprocess.run(
        [sys.executable, str(script), "box", str(box.home.root), "10", "one:good"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert second.returncode != 0
    assert f"process {box.process.pid}" in second.stderr
    assert len(box.starts("one")) == 1
    assert box.stop() == 0


def test_output_is_kept_with_the_daemons_name(box: Box) -> None:
    box.start("one:good")
    box.wait_ready("one")
    assert box.stop() == 0
    assert "one | hello from one 你好" in box.output()
    assert "hello from one 你好" in (box.home.run / "logs" / "one.log").read_text()
