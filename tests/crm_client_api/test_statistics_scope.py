"""No figure changes when calls, records or people out of scope are added, whoever asks."""

from __future__ import annotations

import pytest
from crm_office import hire
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_calls import Made, put_calls

from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.parameters import set_value
from firmware.store.connection import open_store, write

START_MS = 1_790_000_000_000
SPAN = "from=2026-09-01&to=2026-10-15"
PATHS = (
    *(f"/statistics/calls?{SPAN}&by=hour&split={split}" for split in ("channel", "operator", "group", "result")),
    f"/statistics/calls?{SPAN}&by=month&operator=8",
    f"/statistics/calls?{SPAN}&by=month&group=2",
    f"/statistics/calls?{SPAN}&by=month&channel=3",
    f"/statistics/heatmap?{SPAN}&measure=talk_ms",
    f"/statistics/call-backs?{SPAN}&by=day&split=channel",
    f"/statistics/lines?{SPAN}",
    "/statistics/monthly?month=2026-09",
)
_UNSHARED = ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE, Permission.COMMUNICATION_SHARE}

some_calls = st.lists(
    st.builds(
        Made,
        st.integers(START_MS, START_MS + 20 * 3_600_000),
        st.integers(1, 2),
        st.sampled_from(["incoming", "outgoing"]),
        st.sampled_from(["answered", "missed"]),
        st.sampled_from(["13812345678", "02161234567"]),
        st.integers(0, 60_000),
        st.integers(0, 7_200_000),
        st.sampled_from([None, "3", "4", "8"]),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def office(crm, exchange):
    """Channels 1, 2 of group 1 and 3, 4 of group 2; 3 sits at channel 1, 8 and 9 are of group 2."""
    hire(crm, "2", "leader", 1, (), _UNSHARED)
    hire(crm, "3", "ordinary", 1, (1, 2), _UNSHARED)
    hire(crm, "4", "ordinary", 1, (2,), _UNSHARED)
    hire(crm, "8", "ordinary", 2, (3,), _UNSHARED)
    hire(crm, "5", "leader", None, (), _UNSHARED)
    exchange.wire(1, 2, 3, 4)
    for channel in ("3", "4"):
        set_value(crm, "channel", "group", 2, subject=channel)


@settings(max_examples=6, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(some_calls, some_calls, st.integers(1, 4))
def test_figures_know_nothing_of_what_is_out_of_scope(home, office, browse, mine, foreign, records):
    calls, crm = open_store(home.calls_db), open_store(home.crm_db)
    browsers = {who: browse(who) for who in ("2", "3", "5")}
    put_calls(calls, mine)

    def everything(who: str) -> dict[str, object]:
        return {path: browsers[who].get(path) for path in PATHS}

    before = {who: everything(who) for who in browsers}
    put_calls(calls, [Made(**{**_fields(one), "channel": one.channel + 2}) for one in foreign])
    with write(crm) as connection:
        connection.execute(
            "INSERT INTO customers (name, company, title, category, level, note, author, owner, created_ms, changed_ms)"
            " VALUES ('x', '', '', '', '', '', '8', '8', 0, 0)"
        )
        customer = connection.execute("SELECT max(id) FROM customers").fetchone()[0]
        connection.executemany(
            "INSERT INTO communications (customer_id, at_ms, author, owner, created_ms, changed_ms)"
            " VALUES (?,?,?,?,?,0)",
            # Written by others; and by 3 and 4, whose records somebody of another group owns now.
            [(customer, START_MS, author, "8", START_MS) for author in ("8", "3", "4") for _ in range(records)],
        )
        connection.execute(
            "INSERT INTO agent_state_log VALUES ('8', 'away', '', ?, ?)", (START_MS, START_MS + 60_000 * records)
        )
    for who in browsers:
        assert everything(who) == before[who]
    assert before["5"][PATHS[0]]["total"]["calls"] == 0
    for db in (calls, crm):
        db.conn.close()


def _fields(one: Made) -> dict[str, object]:
    return {name: getattr(one, name) for name in Made.__dataclass_fields__}


def test_the_open_ones_see_it_all(home, office, crm, exchange, browse):
    hire(crm, "1", "super")
    put_calls(exchange.db, [Made(START_MS, 1), Made(START_MS, 3, handled_by="8")])
    found = browse("1").get(f"/statistics/calls?{SPAN}&by=month&split=operator")
    assert {row["key"]: row["figures"]["calls"] for row in found["rows"]} == {"8": 1, None: 1}
    leader = browse("2").get(f"/statistics/calls?{SPAN}&by=month&split=operator")
    assert {row["key"]: row["figures"]["calls"] for row in leader["rows"]} == {None: 1}
