"""How a Chinese name is spoken, in Latin letters without tones: every reading, and the initials.

Only the table of single characters out of the package ``pypinyin`` is read (8 MB), when the first name is written:
surnames are often read otherwise than its phrases say (曾 is Zeng, 单 is Shan), so every reading counts.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice, product
from pathlib import Path

import msgspec

from firmware.errors import ConfigError

_LONGEST_NAME_CHARACTERS = 10
_MOST_READINGS = 4
_MOST_WAYS = 16


@lru_cache(maxsize=1)
def _table() -> dict[str, str]:
    """Readings with tones by code point in decimal: {"26366": "zēng,céng"}."""
    spec = find_spec("pypinyin")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("the package pypinyin is not there")
    file = Path(spec.submodule_search_locations[0]) / "pinyin_dict.json"
    return msgspec.json.decode(file.read_bytes(), type=dict[str, str])


@lru_cache(maxsize=8192)
def readings(character: str) -> tuple[str, ...]:
    """The readings of one character, the usual one first; () for what is no Chinese character."""
    if ord(character) < 0x3007:
        return ()
    found: dict[str, None] = {}
    for reading in _table().get(str(ord(character)), "").split(","):
        marked = unicodedata.normalize("NFD", reading)
        letters = marked.replace("u\u0308", "v")
        plain = "".join(letter for letter in letters if letter.isascii() and letter.isalpha())
        if plain:
            found[plain] = None
            if "v" in plain:
                found[plain.replace("v", "u")] = None
    return tuple(found)


@lru_cache(maxsize=8192)
def _syllables(name: str) -> tuple[tuple[str, ...], ...]:
    """The readings of each character of a name, () for a name without Chinese characters."""
    text = [character for character in unicodedata.normalize("NFKC", name).casefold() if character.isalnum()]
    text = text[:_LONGEST_NAME_CHARACTERS]
    known = [readings(character) for character in text]
    if not any(known):
        return ()
    return tuple(found or (character,) for character, found in zip(text, known, strict=True))


def spelled(name: str, *, every: bool = True) -> list[str]:
    """A name in Pinyin (``wangxiaoming``), with initials (``wxm``) and with the surname whole (``wangxm``).

    Empty for a name without Chinese characters. Not ``every``: only the usual reading, whole.
    """
    syllables = _syllables(name)
    if not syllables:
        return []
    if not every:
        return ["".join([one[0] for one in syllables])]
    ways: dict[str, None] = {}
    first, *others = [one[:_MOST_READINGS] for one in syllables]
    # The surname goes through all its readings first.
    for turned in islice(product(*(one[:2] for one in reversed(others)), first), _MOST_WAYS):
        way = (turned[-1], *reversed(turned[:-1]))
        initials = "".join([one[0] for one in way])
        ways |= dict.fromkeys(("".join(way), initials, way[0] + initials[1:]))
    return list(ways)
