"""Doorbells between real sockets and processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from firmware.doorbell import Doorbell, ring


def test_a_ring_wakes_every_reader_once(tmp_path: Path) -> None:
    with Doorbell(tmp_path, "api") as one, Doorbell(tmp_path, "keeper") as two:
        ring(tmp_path)
        ring(tmp_path)
        assert one.wait(5)
        assert two.wait(5)
        assert not one.wait(0)
        assert not two.wait(0)


def test_a_ring_from_another_process_wakes_a_waiting_reader(tmp_path: Path) -> None:
    with Doorbell(tmp_path, "api") as bell:
        heard: list[bool] = []
        reader = threading.Thread(target=lambda: heard.append(bell.wait(30)))
        reader.start()
        program = "import sys, pathlib; from firmware.doorbell import ring; ring(pathlib.Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
        reader.join(30)
        assert heard == [True]


def test_the_socket_of_a_killed_reader_is_cleared_away(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time; from firmware.doorbell import Doorbell;"
        "bell = Doorbell(pathlib.Path(sys.argv[1]), 'api'); print('up', flush=True); time.sleep(60)"
    )
    reader = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"up\n"
    reader.send_signal(signal.SIGKILL)
    reader.wait()
    reader.stdout.close()
    assert len(list(tmp_path.iterdir())) == 1
    ring(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_closing_takes_the_socket_away_and_is_idempotent(tmp_path: Path) -> None:
    bell = Doorbell(tmp_path, "api")
    bell.close()
    bell.close()
    assert list(tmp_path.iterdir()) == []
    assert not bell.wait(0)


def test_folders_of_any_length_work(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    with Doorbell(deep, "api") as bell:
        ring(deep)
        assert bell.wait(5)


def test_a_reader_that_never_reads_blocks_nobody(tmp_path: Path) -> None:
    with Doorbell(tmp_path, "deaf") as deaf, Doorbell(tmp_path, "awake") as awake:
        for _ in range(1000):
            ring(tmp_path)
        assert awake.wait(5)
        assert deaf.wait(5)


def test_a_missing_folder_and_foreign_files_are_no_error(tmp_path: Path) -> None:
    ring(tmp_path / "absent")
    (tmp_path / "note.sock").write_text("not a socket")
    with Doorbell(tmp_path, "api") as bell:
        ring(tmp_path)
        assert bell.wait(5)


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    def open_descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = open_descriptors()
    for _ in range(50):
        with Doorbell(tmp_path, "api"):
            ring(tmp_path)
    assert open_descriptors() == before
