"""Hashing passwords leaves no memory behind in every thread of the server."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from crm_client_api.domain.passwords import hash_password, verify_password

THREADS = 12
MOST_KIB = 60 * 1024
"""One hash takes 19 MiB; two threads hash."""


def memory_kib() -> int:
    found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def test_log_ins_on_many_threads_take_the_memory_of_two() -> None:
    hashed = hash_password("right")
    before_kib = memory_kib()
    all_done, answers = threading.Barrier(THREADS + 1), list[bool]()

    def log_in() -> None:
        answers.append(verify_password(hashed, "right"))
        all_done.wait(60)
        all_done.wait(60)  # the threads of a server stay

    threads = [threading.Thread(target=log_in) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    all_done.wait(60)
    taken_kib = memory_kib() - before_kib
    all_done.wait(60)
    for thread in threads:
        thread.join()
    assert answers == [True] * THREADS
    assert taken_kib < MOST_KIB
