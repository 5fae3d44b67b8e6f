"""Structs may be decoded by several threads at once."""

from __future__ import annotations

import subprocess
import sys

RACE = """
import sys, threading
import msgspec
from firmware.structs import make_structs_ready

sys.setswitchinterval(1e-6)
kinds = []
for index in range(400):
    inner = msgspec.defstruct(f"Inner{index}", [("a", str), ("b", int), ("c", list[str])])
    kinds.append(msgspec.defstruct(f"Outer{index}", [("x", inner), ("y", str), ("z", dict[str, int])]))
if sys.argv[1] == "ready":
    make_structs_ready()
said = b'{"x": {"a": "a", "b": 1, "c": ["c"]}, "y": "y", "z": {"z": 1}}'
for kind in kinds:
    first = threading.Barrier(4)

    def decode(kind=kind, first=first):
        first.wait()
        assert msgspec.json.decode(said, type=kind).x.c == ["c"]

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
"""


def test_threads_may_be_the_first_to_decode_a_struct_together() -> None:
    raced = subprocess.run([sys.executable, "-c", RACE, "ready"], capture_output=True, text=True, check=False)
    assert (raced.returncode, raced.stderr) == (0, "")
