"""In the virtual machine: a real NFS or SMB server is an office's archive, and that falls silent while copies are made.

Kernel command line: ``tapdeck.phase=archive`` and ``tapdeck.share=nfs|smb``. The server is the same machine's, reached
over its network; cut off means that no packet reaches it any more and nobody is told.
"""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from guest_init import DATA, HOME, TAPDECK, run, say

from firmware.clock import now_ms
from firmware.parameters import set_value
from firmware.store.connection import open_store

SERVED, SECOND, MOUNTED = DATA / "served", DATA / "second", Path("/mnt/share")
SLOWED = "tc qdisc add dev lo root tbf rate 500kbit burst 128kb latency 1s"
"""So that a copy takes seconds, and the cut falls into one."""
PORTS = {"nfs": 2049, "smb": 445}
LAG_H = 1
SMB_CONF = f"""[global]
server role = standalone
disable netbios = yes
smb ports = 445
log level = 0
[box]
path = {SERVED}
read only = no
"""


def serve_nfs() -> None:
    """NFS version 4 of this machine's kernel, mounted as the documents advise."""
    run("modprobe", "nfsd")
    run("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
    run("exportfs", "-i", "-o", "rw,no_root_squash,no_subtree_check,fsid=0,insecure", f"127.0.0.1:{SERVED}")
    subprocess.Popen(["rpc.mountd", "-F", "-N", "3"])
    run("rpc.nfsd", "-N", "3", "-G", "10", "-L", "10", "2")
    run("modprobe", "nfsv4")
    run("mount", "-t", "nfs4", "-o", "soft,timeo=50,retrans=2", "127.0.0.1:/", str(MOUNTED))


def serve_smb() -> None:
    """SMB 3.1.1 of Samba."""
    conf = Path("/run/smb.conf")
    conf.write_text(SMB_CONF)
    subprocess.run(["smbpasswd", "-c", str(conf), "-a", "-s", "root"], input=b"pass\npass\n", check=True)
    run("smbd", "-D", "-s", str(conf))
    run("modprobe", "cifs")
    options = "username=root,password=pass,vers=3.1.1,soft,echo_interval=5"
    until(lambda: subprocess.run(["mount", "-t", "cifs", "-o", options, "//127.0.0.1/box", str(MOUNTED)]).returncode
          == 0, 60, "the share is mounted")  # fmt: skip


def cut_off(share: str) -> None:
    """Nothing reaches the server any more, and nobody is told."""
    run("nft", "add table inet cut")
    run("nft", "add chain inet cut input { type filter hook input priority 0 ; }")
    run("nft", f"add rule inet cut input tcp dport {PORTS[share]} drop")


def until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait; fails when it takes too long."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}; {copies()}, {alarms()}")
        time.sleep(0.2)


def rows(query: str) -> list[tuple[object, ...]]:
    """Of ``calls.db``, as it is now."""
    link = sqlite3.connect(f"file:{HOME}/calls.db?mode=ro", uri=True, timeout=5)
    found = link.execute(query).fetchall()
    link.close()
    return found


def copies() -> dict[str, int]:
    """How many are verified at each target."""
    return dict(rows("SELECT target, count(*) FROM archive_copies WHERE state = 'verified' GROUP BY target"))  # type: ignore[arg-type]


def alarms() -> list[tuple[object, ...]]:
    """Those that stand."""
    return rows("SELECT code, subject, data FROM alarms WHERE cleared_ms IS NULL")


def lag() -> list[tuple[object, ...]]:
    """What the alarm says, while it stands."""
    return [one for one in alarms() if one[:2] == ("archive_lag", "share")]


def archive(share: str) -> None:
    """Archive, fall silent in the middle of it, come back; then tell what the server holds."""
    for folder in (SERVED, SECOND, MOUNTED):
        folder.mkdir(parents=True)
    run("ip", "link", "set", "lo", "up")
    {"nfs": serve_nfs, "smb": serve_smb}[share]()
    recordings = len(rows("SELECT 1 FROM recordings WHERE state = 'ready'"))
    run(*TAPDECK, "archive", "add", "share", f"file://{MOUNTED}?mount=1")
    run(*TAPDECK, "archive", "add", "second", f"file://{SECOND}")
    crm = open_store(HOME / "crm.db")
    set_value(crm, "system", "archive_lag_alarm_h", LAG_H)
    crm.conn.close()
    run(*SLOWED.split())
    keeper = subprocess.Popen([*TAPDECK, "keeper", "--no-exchange"])
    until(lambda: copies().get("share") and any(SERVED.rglob("*.part")), 240, "a copy is being made")
    cut_off(share)
    before = copies()["share"]
    time.clock_settime(time.CLOCK_REALTIME, now_ms() / 1000 + (LAG_H + 1) * 3600)
    until(lag, 400, "the alarm")
    until(lambda: copies().get("second") == recordings, 240, "the other archive has all")
    say("cut", recordings=recordings, before=before, now=copies()["share"], alarm=lag())
    run("nft", "flush", "ruleset")
    until(lambda: copies().get("share") == recordings and not lag(), 900, "the archive has caught up")
    keeper.terminate()
    keeper.wait(30)
    run("umount", str(MOUNTED))
    verdict = run(*TAPDECK, "verify", "--all", "--json")
    say("archived", here=files(HOME / "recordings"), there=files(SERVED), verdict=verdict)


def files(folder: Path) -> dict[str, str]:
    """Hashes of what is there, by name."""
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in found}
