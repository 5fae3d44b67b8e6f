"""The process of this room that always runs; the recorders themselves come and go with their cards."""

from __future__ import annotations

from firmware.supervise import DaemonSpec

DAEMONS = [DaemonSpec("keeper", ("keeper",))]
