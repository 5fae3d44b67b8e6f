"""Practice calls in an office with real lines: which they are, and turning practice on and off.

An office must never take made-up calls for its own. Where a box ever held a real line card, the calls of simulated ones
are seen and heard like any other, marked, but they count nowhere: not in statistics or metrics, not among the missed
calls, not in exports of calls, and no other program is told of them. On a box that only ever had simulated lines, they
are all that there is, and count.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlite_utils

from crm_client_api.domain import audit, office_events
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.calls import CardRow, ChannelRow
from crm_client_api.domain.operators import list_operators
from firmware.clock import iso_utc
from firmware.config import Home
from firmware.practice import Practice, end_practice, read_practice, write_practice
from firmware.store.connection import write
from firmware.store.event_log import Event

EVENT = "practice_changed"
"""Practice was turned on or off, for everybody."""
_NONE: frozenset[int] = frozenset()


def held_real_card(home: Home) -> bool:
    """Whether this box ever held a real line card, so that simulated calls do not count on it."""
    return home.real_card_mark.exists()


def practice_channels(home: Home, calls: sqlite_utils.Database) -> frozenset[int]:
    """The channels whose calls do not count."""
    if not held_real_card(home):
        return _NONE
    return frozenset(row[0] for row in calls.conn.execute("SELECT number FROM channels WHERE simulated"))


def is_practice(home: Home, calls: sqlite_utils.Database, event: Event) -> bool:
    """Whether an event of the recorder's log concerns nobody outside: it is of a channel or card of practice."""
    if not held_real_card(home):
        return False
    if event.channel is not None:
        found = calls.conn.execute("SELECT 1 FROM channels WHERE number = ? AND simulated", (event.channel,))
    else:
        card_id = str(event.data.get("card_id", ""))
        found = calls.conn.execute("SELECT 1 FROM cards WHERE card_id = ? AND simulated", (card_id,))
    return found.fetchone() is not None


def without_lost_practice(home: Home) -> str:
    """A condition for alarms: nobody misses the card of practice that was turned off."""
    if not held_real_card(home):
        return "1"
    return "NOT (code = 'card_lost' AND subject IN (SELECT card_id FROM cards WHERE simulated))"


def running_practice(home: Home, at_ms: int) -> Practice | None:
    """Practice beside real lines that is on at this moment."""
    found = read_practice(home) if held_real_card(home) else None
    return found if found is not None and found.left_ms(at_ms) else None


def shown_channels(home: Home, rows: Iterable[ChannelRow], at_ms: int) -> list[ChannelRow]:
    """The channels that there are to work with: those of practice only while it is on, on as many lines as it has."""
    if not held_real_card(home):
        return list(rows)
    practice = running_practice(home, at_ms)
    lines = 0 if practice is None else practice.lines
    return [row for row in rows if not row.simulated or row.port < lines]


def shown_cards(home: Home, rows: Iterable[CardRow], at_ms: int) -> list[CardRow]:
    """The line cards that should be there: that of practice only while it is on."""
    on = not held_real_card(home) or running_practice(home, at_ms) is not None
    return [row for row in rows if on or not row.simulated]


def begin(home: Home, crm: sqlite_utils.Database, practice: Practice, actor: Actor) -> None:
    """Turn practice on, or change the one that is on. Raises StoreError."""
    before = running_practice(home, practice.since_ms)
    after = {"until": iso_utc(practice.until_ms), "lines": practice.lines}
    was = None if before is None else {"until": iso_utc(before.until_ms), "lines": before.lines}
    with write(crm) as connection:
        audit.append(connection, actor, "practice.begin", "", {"before": was, "after": after})
        office_events.tell(connection, EVENT, {}, to=_everybody(crm))
        write_practice(home, practice)


def end(home: Home, crm: sqlite_utils.Database, actor: Actor, at_ms: int) -> None:
    """Turn practice off; nothing happens where it is not on. Raises StoreError."""
    before = running_practice(home, at_ms)
    if before is None:
        return
    with write(crm) as connection:
        audit.append(connection, actor, "practice.end", "", {"until": iso_utc(before.until_ms)})
        office_events.tell(connection, EVENT, {}, to=_everybody(crm))
        end_practice(home)


def _everybody(crm: sqlite_utils.Database) -> list[str]:
    return [one.staff_no for one in list_operators(crm) if one.may_log_in]
