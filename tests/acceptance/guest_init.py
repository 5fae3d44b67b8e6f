"""Process 1 of the virtual machine: mounts the data disk, does what it is told, and says so on the console.

Kernel command line: ``tapdeck.phase=record|look|archive`` and ``tapdeck.fs=ext4|xfs|btrfs|f2fs``. What it says are
lines of ``TAPDECK {json}``. Standard library only: the box's own code runs in processes beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

DATA, DISK = Path("/data"), "/dev/vdb"
HOME = DATA / "home"
CHANNELS, SECONDS = 4, 600
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "f2fs": ["mkfs.f2fs", "-q", "-f"],
}
SITE = "/opt/site"
TAPDECK = [sys.executable, "-m", "firmware", "--home", str(HOME)]


def say(what: str, **more: object) -> None:
    """One line to the host."""
    os.write(1, f"\nTAPDECK {json.dumps({'what': what, **more})}\n".encode())


def run(*argv: str) -> str:
    """Run to the end; its output. Says so when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        say("failed", argv=list(argv), code=done.returncode, error=done.stderr[-2000:])
    return done.stdout


def mount(kind: str, *, fresh: bool) -> None:
    """Bring the data disk up; ``fresh``: with a new file system."""
    run("modprobe", kind)
    if fresh:
        run(*MAKE[kind], DISK)
    DATA.mkdir(exist_ok=True)
    run("mount", "-t", kind, DISK, str(DATA))


def acknowledged() -> list[str]:
    """Recordings whose completion the event log told, as a reader of it sees them."""
    link = sqlite3.connect(f"file:{HOME}/calls.db?mode=ro", uri=True, timeout=5)
    rows = link.execute("SELECT json_extract(data, '$.id') FROM events WHERE kind = 'recording_ready'").fetchall()
    link.close()
    return [row[0] for row in rows]


def archive() -> None:
    """Archive to a share of the network."""
    import guest_shares

    guest_shares.archive(words()["tapdeck.share"])


def record() -> None:
    """Record the bench's lines until the power goes."""
    run(*TAPDECK, "migrate")
    address, report = "/run/card.sock", "/run/report.json"
    subprocess.Popen([*TAPDECK, "bench", "generator", address, str(CHANNELS), str(SECONDS), "1", report])
    while not Path(address).exists():
        time.sleep(0.2)
    options = ("--name", "bench", "--driver", "pcm_socket", "--address", address, "--tape-minutes", "3")
    recorder = subprocess.Popen([*TAPDECK, "recorder", *options])
    while recorder.poll() is None:
        time.sleep(0.25)
        status = HOME / "run" / "status" / "bench.live"
        if status.exists():
            say("recording", at=time.time(), end=tape_end(), ready=acknowledged())
    say("failed", error=f"the recorder ended with {recorder.returncode}")


def tape_end() -> int:
    """Samples that were handed to the kernel: what the reader of the tape sees at its end."""
    from recorder.tape.reader import TapeReader

    reader = TapeReader(HOME / "tapes" / "bench.tape")
    try:
        head = reader.last_head()
        return 0 if head is None else (head.number + 1) * reader.geometry.block_samples
    finally:
        reader.close()


def look() -> None:
    """What is left after the power cut."""
    run(*TAPDECK, "migrate")
    link = sqlite3.connect(f"file:{HOME}/calls.db?mode=ro", uri=True)
    intact = link.execute("PRAGMA integrity_check").fetchone()[0]
    rows = link.execute("SELECT id, state, path FROM recordings").fetchall()
    link.close()
    verdict = subprocess.run([*TAPDECK, "verify", "--all", "--json"], capture_output=True, text=True, check=False)
    say("left", end=tape_end(), store=intact, recordings=rows, verdict=verdict.stdout, errors=verdict.stderr[-2000:])


def words() -> dict[str, str]:
    """What the kernel's command line says."""
    return dict(word.split("=", 1) for word in Path("/proc/cmdline").read_text().split() if "=" in word)


def main() -> None:
    """Boot."""
    for kind, place in (
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ):
        subprocess.run(["mount", "-t", kind, kind, place], check=False)
    os.environ["PYTHONPATH"] = SITE
    sys.path.insert(0, SITE)
    phase = words()["tapdeck.phase"]
    try:
        mount(words()["tapdeck.fs"], fresh=phase == "record")
        {"record": record, "look": look, "archive": archive}[phase]()
    except Exception as error:
        say("failed", error=repr(error))
    subprocess.run(["umount", str(DATA)], check=False)
    Path("/proc/sysrq-trigger").write_text("o")
    time.sleep(60)


if __name__ == "__main__":
    main()
