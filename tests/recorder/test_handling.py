"""Who handled a call: written by the keeper on the office's order, once, and told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from library_box import Box, never, open_box

from firmware.config import Home
from firmware.store.connection import open_store, write
from recorder.library.keeping.handling import handle_order
from recorder.library.storage.deletion_tasks import OrdersTask
from recorder.orders import Order, add_order


@pytest.fixture
def box(home: Home) -> Iterator[Box]:
    with open_box(home) as made:
        yield made


def order(box: Box, call_id: str | None, data: dict[str, Any]) -> None:
    crm = open_store(box.home.crm_db)
    with write(crm) as connection:
        add_order(connection, at_ms=1, asked_by="8001", verb="handle", call_id=call_id, data=data)
    crm.conn.close()


def carry_out(box: Box) -> list[tuple[int, str]]:
    OrdersTask().run(box.library, never)
    return [(row["ok"], row["message"]) for row in box.rows("SELECT * FROM order_results ORDER BY order_id")]


def handled(box: Box) -> list[str | None]:
    return [row["handled_by"] for row in box.rows("SELECT handled_by FROM calls ORDER BY id")]


def events(box: Box) -> list[tuple[str, int, str, dict[str, Any]]]:
    rows = box.rows("SELECT * FROM events ORDER BY id")
    return [(row["kind"], row["channel"], row["call_id"], msgspec.json.decode(row["data"])) for row in rows]


def test_a_call_is_handled_by_whom_the_office_says_and_it_is_told(box: Box) -> None:
    box.call("a", channel=3)
    box.call("b")
    order(box, "a", {"staff_no": "8001"})
    assert carry_out(box) == [(1, "8001")]
    assert handled(box) == ["8001", None]
    order(box, "a", {"staff_no": "8002"})
    order(box, "a", {"staff_no": None})
    assert carry_out(box) == [(1, "8001"), (1, "8002"), (1, "nobody")]
    assert handled(box) == [None, None]
    assert events(box) == [("call_handled", 3, "a", {"handled_by": who}) for who in ("8001", "8002", None)]


def test_an_order_that_a_crash_repeats_tells_nothing_twice(box: Box) -> None:
    box.call("a")
    again = Order(1, 1, "8001", "handle", None, "a", None, "", {"staff_no": "8001"})
    for _ in range(2):
        handle_order(box.library, again)
    assert (handled(box), len(events(box))) == (["8001"], 1)


@pytest.mark.parametrize("data", [{}, {"staff_no": 7}, {"staff_no": ""}, {"staff_no": "x" * 17}])
def test_an_order_that_makes_no_sense_is_refused_and_holds_up_no_other(box: Box, data: dict[str, Any]) -> None:
    box.call("a")
    order(box, "a", data)
    order(box, "gone", {"staff_no": "8001"})
    order(box, None, {"staff_no": "8001"})
    order(box, "a", {"staff_no": "8001"})
    results = carry_out(box)
    assert [ok for ok, _ in results] == [0, 0, 0, 1]
    assert results[1][1] == results[2][1] == "there is no such call"
    assert handled(box) == ["8001"]
