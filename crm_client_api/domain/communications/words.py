"""Texts as words for the full-text index: Chinese in overlapping pairs of characters, all else in words.

So any two or more Chinese characters are found (by one list of rows, not by those of every single character), one
alone by the pairs that it begins, and words of other scripts by their beginning. Of a number, overlapping threes of
digits are words: any three digits in a row are found. Who a record is of, its method and its customer are words as well
(marks), so that scope and filters are part of the question. Digits and marks begin with characters that nobody types.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from recorder.numbers import Site, e164, match_key

# Ideographs with their extensions, kana, bopomofo and Hangul: written without spaces, or searched by syllables.
_UNSPACED = (
    r"\u2e80-\u2fdf\u3005\u3007\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003fffd"
)
_RUN = re.compile(rf"([{_UNSPACED}]+)|([^\W_{_UNSPACED}]+)")
_SHORTEST_BEGINNING = 2  # of a word: fewer characters begin too many words
_SHORTEST_NUMBER = 3
_MOST_TERMS = 20
MARK, _DIGITS = "\ue000", "\ue001"  # for private use: letters to the index, to nobody else


def words(text: str) -> str:
    """What the index holds of a text: words with spaces between."""
    found: list[str] = []
    for unspaced, word in _RUN.findall(text):
        if word:
            found.append(word)
        else:
            found += [unspaced[i : i + 2] for i in range(len(unspaced))]
    return " ".join(found)


def number_words(number: str, site: Site) -> str:
    """What the index holds of a telephone number."""
    digits = "".join(c for c in match_key(number, site) if c.isascii() and c.isdigit())
    return " ".join(_threes(digits))


def _threes(digits: str) -> list[str]:
    return [_DIGITS + digits[i : i + _SHORTEST_NUMBER] for i in range(len(digits) - _SHORTEST_NUMBER + 1)]


def marks(owner: str, author: str, customer: int, method: str) -> str:
    """What the index holds of a record beside its texts. The schema's triggers know owner and customer by it."""
    return " ".join((owner_mark(owner), customer_mark(customer), author_mark(author), method_mark(method)))


def owner_mark(staff_no: str) -> str:
    """The word that says whose record it is."""
    return f"{MARK}o{staff_no}"


def author_mark(staff_no: str) -> str:
    """The word that says who wrote it."""
    return f"{MARK}a{staff_no}"


def customer_mark(customer: int) -> str:
    """The word that says whom it is about."""
    return f"{MARK}k{customer}"


@lru_cache(maxsize=1024)
def method_mark(method: str) -> str:
    """The word for a method, which may be any text."""
    return f"{MARK}m{hashlib.blake2b(method.encode(), digest_size=6).hexdigest()}"


def text_query(text: str, column: str | None = None) -> str | None:
    """The full-text query for what somebody typed: all of its parts, each anywhere in the record or in one column.

    None: there is no word in it.
    """
    phrases = [phrase for part in text.split()[:_MOST_TERMS] if (phrase := _phrase(part))]
    if not phrases:
        return None
    return f"{'' if column is None else f'{column} : '}({' AND '.join(phrases)})"


def number_query(number: str, site: Site) -> str | None:
    """The full-text query for some digits of a number; None for a whole number, and for too few digits: those are
    found by their key.
    """
    threes = _threes("".join(c for c in number if c.isascii() and c.isdigit()))
    if not threes or e164(number, site) is not None:
        return None
    return f'"{" ".join(threes)}"'


def whole_number_query(number: str, site: Site) -> str | None:
    """What the index can say about a whole number; None: nothing, it is too short."""
    threes = number_words(number, site)
    return f'"{threes}"' if threes else None


def _phrase(part: str) -> str:
    """Words that follow each other; the last one may go on."""
    found: list[str] = []
    runs = _RUN.findall(part)
    goes_on = False
    for number, (unspaced, word) in enumerate(runs):
        last = number == len(runs) - 1
        if word:
            found.append(word)
            goes_on = last and len(word) >= _SHORTEST_BEGINNING
        elif len(unspaced) == 1:
            found.append(unspaced)
            goes_on = last
        else:
            found += [unspaced[i : i + 2] for i in range(len(unspaced) - (1 if last else 0))]
            goes_on = False
    # The expressions consist of letters and digits alone: nothing in them has a meaning for the index.
    return f'"{" ".join(found)}"{" *" if goes_on else ""}' if found else ""
