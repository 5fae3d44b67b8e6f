"""A supervisor with daemons of known behaviour, as real processes.

``supervised_box.py box HOME WATCHDOG_S NAME:BEHAVIOUR…`` supervises; ``supervised_box.py daemon …`` is a daemon.
Every daemon appends "start NAME PID" and "stop NAME PID" lines to HOME/story.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from firmware.child import die_with_parent
from firmware.config import Home
from firmware.notify import notify, watchdog_interval_s
from firmware.supervise import DaemonSpec
from firmware.supervisor import Supervisor, only_supervisor


def tell(story: Path, text: str) -> None:
    with story.open("a") as file:
        file.write(text + "\n")


def daemon(story: Path, name: str, behaviour: str) -> None:
    die_with_parent()
    stopped = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else stop)
    tell(story, f"start {name} {os.getpid()}")
    print(f"hello from {name} 你好")
    if behaviour == "dies":
        sys.exit(7)
    interval_s = watchdog_interval_s()
    assert interval_s is not None
    notify("READY=1")
    while not stopped:
        time.sleep(min(0.05, interval_s))
        if behaviour != "hangs":
            notify("WATCHDOG=1")
    time.sleep(0.1)
    tell(story, f"stop {name} {os.getpid()}")


def box(home: Home, watchdog_s: float, daemons: list[str]) -> None:
    specs = []
    for text in daemons:
        name, behaviour = text.split(":")
        specs.append(DaemonSpec(name, (str(home.root / "story"), name, behaviour), last=name == "source"))
    program = (sys.executable, __file__, "daemon")
    with only_supervisor(home):
        Supervisor(
            home,
            specs,
            program=program,
            watchdog_s=watchdog_s,
            on_ready=lambda name: print(f"ready {name}", flush=True),
            between=lambda: tell(home.root / "story", f"between box {os.getpid()}"),
        ).run()


if __name__ == "__main__":
    if sys.argv[1] == "daemon":
        daemon(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        box(Home(Path(sys.argv[2])), float(sys.argv[3]), sys.argv[4:])
