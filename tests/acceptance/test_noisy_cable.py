"""A cable that adds garbage and flips bits: the calls and every sample come through, the errors are counted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scripted import assert_day_is_exact, mixed_day, record_script

from firmware.config import Home
from firmware.live_file import read_live

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]
GARBAGE_BYTES = 1_000_000


class NoisyCable:
    """Forwards bytes between two ptys. Towards the box it flips bits and throws in garbage, from a seed."""

    def __init__(self, card: Path, box: Path, seed: int) -> None:
        self._card = os.open(card, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._card)
        self._box, self._far = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self._box, False)
        box.symlink_to(os.ttyname(self._far))
        self._dice = random.Random(seed)
        self.garbage = self.flipped = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for fd in (self._card, self._box, self._far):
            os.close(fd)

    def _forward(self) -> None:
        with contextlib.suppress(OSError):  # the card is gone, and with it the day
            self._forward_all()

    def _forward_all(self) -> None:
        to_box = bytearray()
        while not self._stop.is_set():
            readable, writable, _ = select.select([self._card, self._box], [self._box] if to_box else [], [], 0.05)
            if self._card in readable and len(to_box) < 65_536:
                to_box += self._spoil(os.read(self._card, 4096))
            if self._box in readable:
                os.write(self._card, os.read(self._box, 4096))
            if self._box in writable:
                del to_box[: os.write(self._box, to_box[:4096])]

    def _spoil(self, data: bytes) -> bytes:
        out = bytearray(data)
        if not out:  # the card is gone
            return b""
        if self._dice.random() < 0.01:
            self.flipped += 1
            out[self._dice.randrange(len(out))] ^= 1 << self._dice.randrange(8)
        if self.garbage < GARBAGE_BYTES and self._dice.random() < 0.04:
            noise = self._dice.randbytes(self._dice.randrange(1, 12_000))
            self.garbage += len(noise)
            at = self._dice.randrange(len(out))
            out[at:at] = noise
        return bytes(out)


def test_noise_on_the_cable_costs_nothing_and_is_counted(home: Home, tmp_path: Path) -> None:
    cables: list[NoisyCable] = []

    @contextmanager
    def noisy(card: Path) -> Iterator[Path]:
        cables.append(NoisyCable(card, tmp_path / "cable", seed=4))
        try:
            yield tmp_path / "cable"
        finally:
            cables[0].stop()

    script = mixed_day(64, seed=7)
    record_script(home, script, tmp_path, noisy)
    assert cables[0].garbage >= GARBAGE_BYTES
    assert cables[0].flipped > 20
    assert_day_is_exact(home, script)
    link = json.loads(read_live(home.status / "desk.live") or b"")["link"]
    assert link["bad_frames"] > 20
    assert link["garbage_bytes"] > GARBAGE_BYTES // 2
    assert link["resend_requests"] > 20
    assert link["lost_samples"] == 0
