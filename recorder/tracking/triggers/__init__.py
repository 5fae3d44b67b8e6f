"""What begins and ends a call: the hook switch, speech on the line, or the messages of a digital line.

A trigger knows what each line event and signal means; the life of the call it leads to is
``recorder.tracking.call_life``.
"""

from __future__ import annotations

from collections.abc import Mapping

from recorder.tracking.triggers.hook import HOOK
from recorder.tracking.triggers.line import Trigger
from recorder.tracking.triggers.signalling import SIGNALLING
from recorder.tracking.triggers.switched_off import SWITCHED_OFF
from recorder.tracking.triggers.voice import VOICE

__all__ = ["SWITCHED_OFF", "TRIGGERS"]

TRIGGERS: Mapping[str, Trigger] = {"hook": HOOK, "voice": VOICE, "signalling": SIGNALLING}
"""By channel parameter ``start_trigger``."""
