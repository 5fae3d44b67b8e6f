"""How far live listening is behind the line: a whole box, and clients that note when each block arrives.

``python tests/acceptance/live_latency.py [SECONDS [CLIENTS]]``. Ages are taken from the tape's wall-clock anchor of a
block's first sample, so the 100 ms that a block lasts are in them; the newest sample is that much younger.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

from office import Box, Person
from scripted import wait_until

from crm_client_api.http.live import FRAME, MAGIC
from firmware.config import Home
from firmware.store.migrations import migrate

BLOCK_MS = 100


def listen(person: Person, url: str, channels: list[int], seconds: float, ages_ms: list[float]) -> None:
    """Note the age of each block's first sample at its arrival."""
    at = urlsplit(url)
    link = http.client.HTTPConnection(at.hostname or "", at.port, timeout=20)
    numbers = ",".join(map(str, channels))
    link.request("GET", f"/api/v1/live?channels={numbers}", headers=person._headers())
    answer = link.getresponse()
    assert answer.read(len(MAGIC)) == MAGIC
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _, _, _, _, wall_ms, size = FRAME.unpack(answer.read(FRAME.size))
        answer.read(size)
        ages_ms.append(time.time() * 1000 - wall_ms)
    answer.close()
    link.close()


def main(seconds: float, clients: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.create()
        migrate(home)
        with Box(home) as box:
            person = Person(box.url, *box.one_time_password())
            channels = wait_until(lambda: person.call("GET", "/channels")["channels"], 60, "channels")
            numbers = [one["number"] for one in channels][:8]
            time.sleep(5)
            ages_ms: list[list[float]] = [[] for _ in range(clients)]
            ears = [threading.Thread(target=listen, args=(person, box.url, numbers, seconds, ages)) for ages in ages_ms]
            for ear in ears:
                ear.start()
            for ear in ears:
                ear.join()
            measured = sorted(age for ages in ages_ms for age in ages)
            api = box.daemon("api")
            print(f"{clients} clients, {len(numbers)} channels each, {len(measured)} blocks")
            for name, share in (("median", 0.5), ("95 %", 0.95), ("99 %", 0.99), ("worst", 1.0)):
                age = measured[min(len(measured) - 1, int(share * len(measured)))]
                print(f"{name}: first sample {age:.0f} ms, last sample {age - BLOCK_MS:.0f} ms old on arrival")
            print(f"API: {api.memory_info().rss >> 20} MB, {api.cpu_times().user:.1f} s user CPU in all")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 15, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
