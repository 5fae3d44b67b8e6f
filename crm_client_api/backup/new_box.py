"""Whether a box is new, so that another one's backup may take its place by the web page."""

from __future__ import annotations

import sqlite_utils

from firmware.parameters import get_value


def is_new(crm: sqlite_utils.Database) -> bool:
    """The guided set-up was never finished, and nobody has entered a customer, not even one that is deleted by now.

    Calls that the box recorded already do not count: they are kept.
    """
    if get_value(crm, "system", "setup_done") is True:
        return False
    return crm.conn.execute("SELECT 1 FROM customers LIMIT 1").fetchone() is None
