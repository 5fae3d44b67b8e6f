"""Telephone numbers of people who do not exist, as exchanges write them. The same index gives the same number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indexes = npt.NDArray[np.int64]

_MOBILE = np.array(
    [130, 131, 132, 133, 135, 136, 137, 138, 139, 150, 151, 152, 155, 158, 159, 177, 180, 182, 186, 188, 189, 199]
)
_LANDLINE = np.array([21, 22, 23, 24, 25, 27, 28, 29, 311, 371, 431, 451, 512, 531, 571, 591, 731, 755, 757, 871])
_LANDLINE_SHARE = 5
"""Every fifth number is a landline, a third of those in the site's own area."""


def numbers(indexes: Indexes) -> list[str]:
    """National numbers with the trunk zero where it belongs: ``13812345678``, ``02161234567``, ``61234567``."""
    mixed = (indexes * 2_654_435_761 + 104_729) % 4_294_967_296
    low = (mixed * 40_503 + indexes) % 100_000_000
    mobile = _MOBILE[mixed % len(_MOBILE)] * 100_000_000 + low
    area = _LANDLINE[mixed % len(_LANDLINE)]
    subscriber = 20_000_000 + low % 60_000_000
    found = [str(one) for one in mobile]
    for place in np.flatnonzero(indexes % _LANDLINE_SHARE == 0):
        local = str(subscriber[place])
        long_area = area[place] >= 100
        if indexes[place] % 3 == 0:
            found[place] = local
        else:
            found[place] = f"0{area[place]}{local[1:] if long_area and area[place] not in (755, 757, 571) else local}"
    return found


def as_received(found: list[str], with_zero: npt.NDArray[np.bool_]) -> list[str]:
    """Some exchanges put a zero before mobile numbers from elsewhere."""
    return [f"0{one}" if zero and one[0] == "1" else one for one, zero in zip(found, with_zero, strict=True)]
