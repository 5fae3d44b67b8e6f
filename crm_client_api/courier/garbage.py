"""Long loops over rows make next to no cycles: looking for them all the time costs a sixth of an import or export."""

from __future__ import annotations

import gc

_EVERY_OBJECTS = 50_000
"""So many more objects than before are there until the collector looks again (CPython: 700); some megabytes."""
_OLDER_EVERY = 50


def collect_rarely() -> None:
    """For a process of long jobs, after its imports: leave alone what is there, and look rarely at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_EVERY_OBJECTS, _OLDER_EVERY, _OLDER_EVERY)
