from __future__ import annotations

import queue

from drivers.discovery import SERIAL_DRIVER, FoundCard, find_cards, watch


def test_configured_cards_are_found_once_and_in_order() -> None:
    plugged = find_cards()
    second, first = FoundCard(SERIAL_DRIVER, "/zz/second"), FoundCard(SERIAL_DRIVER, "/aa/first", "S-1")
    found = find_cards([second, first, second])
    assert found == [first, *plugged, second]
    assert len({card.address for card in found}) == len(found)


def test_watching_tells_the_cards_at_the_start_and_ends() -> None:
    told: queue.Queue[list[FoundCard]] = queue.Queue()
    configured = [FoundCard(SERIAL_DRIVER, "/dev/card")]
    watching = watch(told.put, configured)
    assert told.get(timeout=30) == find_cards(configured)
    watching.close()
    watching.close()
    assert told.empty()
