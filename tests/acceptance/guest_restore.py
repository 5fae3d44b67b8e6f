"""Inside the virtual machine: somebody lets a new box take over from the backup that lies on a stick.

``guest_restore.py ONE_TIME_PASSWORD MEDIUM PASSPHRASE STAFF_NO PASSWORD``: the last two as the former box knew them. A
line of JSON comes out at the end.
"""

from __future__ import annotations

import json
import sys
import time

from crm_client_api.answers.restore import RestoreFound, RestoreInfo
from crm_client_api.client import Client, NotLoggedIn, Refusal, Unreachable

URL = "http://127.0.0.1:8080"
FIRST = "1000"
NEW_PASSWORD = "a password of this box alone"
PATIENCE_S = 900


def restore(one_time_password: str, medium: str, passphrase: str) -> None:
    """From the first log-in until the box has started again."""
    with Client(URL) as box:
        box.log_in(FIRST, one_time_password)
        box.change_password(one_time_password, NEW_PASSWORD)
        place = {"medium": medium}
        [backup] = box.ask("POST", "/restore/look", RestoreFound, place).backups
        wanted = place | {"name": backup.name, "passphrase": passphrase}
        told = box.ask("POST", "/restore", RestoreInfo, wanted)
        deadline_s = time.monotonic() + PATIENCE_S
        while told.progress is None or told.progress.state != "failed":
            if time.monotonic() > deadline_s:
                break
            time.sleep(0.5)
            try:
                told = box.ask("GET", "/restore", RestoreInfo)
            except NotLoggedIn:  # this session was the new box's
                return
            except (Refusal, Unreachable):
                continue
        raise SystemExit(f"not restored: {told}")


def log_in(box: Client, staff_no: str, password: str) -> None:
    """As soon as the box is there; an emulated one may be so slow that systemd starts a daemon twice."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            box.log_in(staff_no, password)
            return
        except Unreachable:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(1)


def main(one_time_password: str, medium: str, passphrase: str, staff_no: str, password: str) -> None:
    """Restore, and look around as somebody from the former box."""
    restore(one_time_password, medium, passphrase)
    with Client(URL) as box:
        log_in(box, staff_no, password)
        customers = [customer.name for customer in box.customers.find()]
        numbers = sorted(call.caller_number or "" for call in box.calls.find())
    sys.stdout.write(json.dumps({"customers": customers, "numbers": numbers}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
