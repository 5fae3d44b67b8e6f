"""Lists that come in pages, as iterators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from crm_client_api.client.transport import Transport

_Item = TypeVar("_Item")
PAGE = 200


def pages(
    transport: Transport, path: str, page: Any, items: Callable[[Any], list[_Item]], step: str, query: dict[str, object]
) -> Iterator[_Item]:
    """Every item of a list; the next page is asked for when the one before is used up.

    ``page``: the struct of an answer, with ``next``; ``step``: the query's name for it (``before``, ``after``).
    """
    wanted: dict[str, object] = {"limit": PAGE} | query
    while True:
        answer = transport.ask("GET", path, page, **wanted)
        yield from items(answer)
        if answer.next is None:
            return
        wanted[step] = answer.next
