"""``python -m firmware`` is the ``tapdeck`` command; a supervisor starts its daemons this way."""

from __future__ import annotations

from firmware.child import die_with_parent
from firmware.cli import main

die_with_parent()
main()
