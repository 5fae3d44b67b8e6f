"""What the box starts of this room, and what it says before."""

from __future__ import annotations

from crm_client_api.domain.audit import CONSOLE, Actor
from crm_client_api.domain.operators import Operator, add_operator
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Level
from firmware.config import Home
from firmware.store.connection import open_store
from firmware.supervise import DaemonSpec

DAEMONS = [
    DaemonSpec(name="api", argv=("api",)),
    DaemonSpec(name="courier", argv=("courier",)),
    DaemonSpec(name="integrations", argv=("integrations",)),
    DaemonSpec(name="backup", argv=("backup", "serve")),
]
FIRST_STAFF_NO = "1000"


def greet(home: Home) -> list[str]:
    """Make the first super operator of a fresh box; the lines to print. Raises StoreError."""
    crm = open_store(home.crm_db)
    try:
        if crm.conn.execute("SELECT 1 FROM operators").fetchone():
            return [f"Password forgotten  忘记密码:  ./tapdeck operator reset {FIRST_STAFF_NO}"]
        first = Operator(FIRST_STAFF_NO, "管理员", Level.SUPER, None, frozenset(), ALL_PERMISSIONS)
        password = add_operator(crm, first, Actor(CONSOLE), grantor=None)
    finally:
        crm.conn.close()
    return [f"Log in with  登录:  staff number 工号 {FIRST_STAFF_NO}, one-time password 一次性密码 {password}"]
