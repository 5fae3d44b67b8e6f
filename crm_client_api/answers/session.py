"""What the API says of who is logged in: the structs of these answers."""

from __future__ import annotations

import msgspec


class OperatorInfo(msgspec.Struct, frozen=True):
    """The operator who is logged in."""

    staff_no: str
    name: str
    level: str
    group: int | None
    channels: list[int]
    permissions: list[str]


class SessionInfo(msgspec.Struct, frozen=True):
    """A session. ``csrf`` goes into the header X-Tapdeck-CSRF of every request that changes something; ``time_zone``:
    the office's, by whose clock days and hours are meant."""

    operator: OperatorInfo
    must_change_password: bool
    csrf: str
    time_zone: str
    must_set_second_factor: bool = False
