"""Where an emulated card gets its lines from: anything that renders them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from drivers.api import Pcm


class MeasuredLines(Protocol):
    """A stretch of all lines; ``drivers.exchange.lines.LineFrames`` is one.

    ``audio``: int16 (lines, n). ``loop_v``: float32 (lines, ms), signed DC loop voltage in V, one value a ms.
    ``ring_vrms``: float32 (lines, ms), ring voltage in Vrms.
    """

    @property
    def audio(self) -> Pcm:
        """Linear PCM."""

    @property
    def loop_v(self) -> npt.NDArray[np.float32]:
        """Loop voltage."""

    @property
    def ring_vrms(self) -> npt.NDArray[np.float32]:
        """Ring voltage."""


class LineSource(Protocol):
    """Renders lines; ``drivers.exchange.lines.Exchange`` is one."""

    def render(self, samples: int) -> MeasuredLines:
        """The next ``samples`` at 8 kHz of all lines; a multiple of 80."""
