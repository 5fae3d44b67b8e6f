"""The text by which a customer is found, and the pieces of it that stand in the index.

The index (SQLite FTS5 without positions) knows which customers have a piece: every one to three letters or digits in a
row, every one or two Chinese characters. A search asks it for the pieces of what was typed, and looks into the
words of the few customers that have them all. Facets – owner, category, tags – stand beside the pieces, so that scope
and filters are answered by the index itself. Pure functions.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import add

from crm_client_api.domain.customers.record import CustomValue
from crm_client_api.domain.pinyin import spelled
from recorder.numbers import Site, match_key

VERSION = 2
"""Of words and facets as they are made here; others are made anew by the upkeep."""
_TEXTS = ("name", "company", "wechat", "email", "note")
_RUN = re.compile(r"[0-9a-z]+|[^\W0-9a-z_]+")
_LIKE_A_NUMBER = re.compile(r"[\d\s+\-().]+")
_LONGEST_QUERY_TERMS = 8
_SORT_CHARACTERS = 40


def fold(text: str) -> str:
    """As it is compared: one width, small letters, single spaces."""
    same = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(same.split())


@lru_cache(maxsize=4096)
def facet(kind: str, value: str) -> str:
    """The piece that says that a customer has this value: longer than any piece of text."""
    return f"{kind}{hashlib.blake2b(value.encode(), digest_size=6).hexdigest()}"


def words_of(
    fields: Mapping[str, str],
    numbers: Iterable[tuple[str, str]],
    tags: Iterable[str],
    custom: Mapping[int, CustomValue],
) -> str:
    """All by which a customer is found, a line each; ``numbers`` are numbers as typed with their keys."""
    lines = [fold(fields.get(name, "")) for name in _TEXTS]
    lines += [fold(tag) for tag in tags]
    lines += [fold(value) for value in custom.values() if isinstance(value, str)]
    lines += spelled(fields.get("name", ""))
    for number, key in numbers:
        plain = number.isascii() and number.isdigit()
        digits = number if plain else "".join([character for character in fold(number) if character.isalnum()])
        key = key.removeprefix("+")
        lines += [digits] if digits == key else [key] if digits in key else [digits, key]
    return "\n".join(dict.fromkeys(line for line in lines if line))


def facets_of(fields: Mapping[str, str], owner: str, tags: Iterable[str]) -> str:
    """The facets of a customer, separated by spaces."""
    found = [facet("owner", owner)]
    found += [facet(kind, fields[kind]) for kind in ("category", "level", "status", "source") if fields.get(kind)]
    return " ".join([*found, *(facet("tag", tag) for tag in tags)])


def sort_name(fields: Mapping[str, str]) -> str:
    """By which customers are sorted: the name as it is spoken (Pinyin), else the company."""
    name = fields.get("name", "").strip() or fields.get("company", "").strip()
    return (spelled(name, every=False) or [fold(name)])[0][:_SORT_CHARACTERS]


def pieces(words: str) -> set[str]:
    """The pieces of a text that stand in the index."""
    found: set[str] = set()
    for run in _RUN.findall(words):
        if run.isascii():
            twos = list(map(add, run, run[1:]))
            found.update(run, twos, map(add, twos, run[2:]))
        else:
            found.update(run, map(add, run, run[1:]))
    return found


def _cover(term: str) -> list[str]:
    """The longest pieces that a text with this term in it must have."""
    found = []
    for run in _RUN.findall(term):
        length = min(len(run), 3 if run.isascii() else 2)
        starts = [*range(0, len(run) - length + 1, length), len(run) - length]
        found += [run[at : at + length] for at in starts]
    return list(dict.fromkeys(found))


class Wanted:
    """What was typed into a search: every term has to be in the words, or else the whole of it as a number."""

    def __init__(self, text: str, site: Site) -> None:
        terms = fold(text).split()[:_LONGEST_QUERY_TERMS]
        ways = [terms]
        folded = fold(text)
        if _LIKE_A_NUMBER.fullmatch(folded):
            digits = "".join(character for character in folded if character.isdigit())
            ways += [[one] for one in (digits, match_key(folded, site).removeprefix("+")) if one]
        self.ways = sorted({tuple(way) for way in ways if any(_RUN.search(term) for term in way)})
        """Lists of terms; none: nothing can be found."""

    @property
    def expression(self) -> str:
        """For FTS5; "" when it could not leave anything out."""
        parts = [_and(piece for term in way for piece in _cover(term)) for way in self.ways]
        return " OR ".join(f"({part})" for part in parts) if all(parts) else ""

    def sql(self, column: str) -> tuple[str, list[str]]:
        """The look into the words, as a condition."""
        condition = " OR ".join("(" + " AND ".join(f"instr({column}, ?)" for _ in way) + ")" for way in self.ways)
        return f"({condition})", [term for way in self.ways for term in way]


def _and(found: Iterable[str]) -> str:
    return " AND ".join(f'"{piece}"' for piece in dict.fromkeys(found))


def any_facet(kind: str, values: Iterable[str]) -> str:
    """For FTS5: one of the values."""
    return "(" + " OR ".join(f'"{facet(kind, value)}"' for value in values) + ")"
