"""Lists of telephone numbers in parameters: is a number on the list, however it is spelled?

Numbers are separated by commas, semicolons, line ends or spaces; words that only together are a whole number are one
(``138 1234 5678``). A number is on the list if one of its keys is the same (``recorder.numbers``). ``*`` stands for any
digits: such an entry is compared with the usual spellings of a number, one that begins with ``+`` with the number as
E.164.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from firmware.errors import ConfigError

if TYPE_CHECKING:  # parameters are declared in every daemon, and few of them need telephone numbers
    from recorder.numbers import Site

_SEPARATORS = re.compile(r"[,;\n\uff0c\uff1b\u3001]+")
_WORD = re.compile(r"\+?\**[0-9][0-9*]*")
_MOST_STARS = 2
_MOST_DIGITS = 24
"""Of one number: 15 (ITU-T E.164 clause 6.2.1), and what is dialled before it."""
"""More would make a search slow."""
_WHOLE_DIGITS = 7
"""A word of fewer digits may be a part of a number."""
_LOCAL = re.compile(r"[2-9]\d{6,7}")
"""Short words that are together like this may be a local number."""


@dataclass(frozen=True, slots=True)
class _List:
    """``patterns``: of entries with stars, over spellings."""

    keys: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]


def check_numbers(text: str) -> None:
    """Raises ConfigError naming the entry that is no number, or may be one or two."""
    for words in _pieces(text):
        for short, run in groupby(words, lambda word: len(word) < _WHOLE_DIGITS):
            parts = [*run]
            if short and len(parts) > 1 and _LOCAL.fullmatch("".join(parts)):
                told = f"{''.join(parts)} or {','.join(parts)}"
                raise ConfigError(f"{' '.join(parts)!r} is one number or several: write {told}")


def numbers_on(text: str, site: Site) -> list[str]:
    """The entries. Raises ConfigError naming one that is no number."""
    return [entry for words in _pieces(text) for entry in _joined(words, site)]


def on_list(number: str | None, numbers: str, site: Site) -> bool:
    """Whether a number is on a list. Raises ConfigError for a list that is none."""
    if not number or not numbers:
        return False
    from recorder.numbers import match_key, spellings

    listed = _parsed(numbers, site)
    if match_key(number, site) in listed.keys:
        return True
    if not listed.patterns:
        return False
    spelled = {re.sub(r"[^0-9+]", "", one) for one in spellings(number, site)}
    return any(pattern.fullmatch(one) for pattern in listed.patterns for one in spelled)


def _pieces(text: str) -> Iterator[list[str]]:
    for piece in _SEPARATORS.split(text):
        words = piece.split()
        for word in words:
            if not _WORD.fullmatch(word) or word.count("*") > _MOST_STARS:
                raise ConfigError(f"{word!r} is no number: digits, a leading +, and up to {_MOST_STARS} * for digits")
        if words:
            yield words


def _joined(words: Sequence[str], site: Site) -> Iterator[str]:
    """Words between two separators; those that are one number are one entry."""
    at = 0
    while at < len(words):
        lengths = accumulate(map(len, words[at : at + _MOST_DIGITS]))
        most = at + sum(length <= _MOST_DIGITS for length in lengths)
        end = next((end for end in range(most, at + 1, -1) if _is_one(words[at:end], site)), at + 1)
        yield "".join(words[at:end])
        at = end


def _is_one(words: Sequence[str], site: Site) -> bool:
    """Whether words are the parts of one number: whole with its area code, which none of them is by itself."""
    from recorder.numbers import Site, e164

    nowhere = Site(site.country, "", site.outside_prefix)
    return (
        not any("*" in word for word in words)
        and not any(word.startswith("+") for word in words[1:])
        and e164("".join(words), nowhere) is not None
        and all(e164(word, nowhere) is None for word in words)
    )


@lru_cache(maxsize=64)
def _parsed(text: str, site: Site) -> _List:
    from recorder.numbers import match_key

    entries = numbers_on(text, site)
    return _List(
        frozenset(match_key(entry, site) for entry in entries if "*" not in entry) - {""},
        tuple(re.compile(re.escape(entry).replace(r"\*", r"\d*")) for entry in entries if "*" in entry),
    )
