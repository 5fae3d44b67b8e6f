"""Whatever managers do, in whatever order: somebody stays in charge, and nobody gets more than was given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import sqlite_utils
from argon2 import PasswordHasher
from crm_office import ROOT
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from office_belongings import leave_by, replace_by

from crm_client_api.domain import operators as domain
from crm_client_api.domain import passwords
from crm_client_api.domain.audit import Actor
from crm_client_api.domain.operators import Operator, list_operators
from crm_client_api.domain.permissions import LEVEL_ORDER, Level, Permission
from crm_client_api.domain.staff.new_permissions import grant_new_permissions
from crm_client_api.domain.staff.replacing import Records
from firmware.config import Home
from firmware.errors import BadInput, NotFound, Refused
from firmware.store.connection import open_store, write
from firmware.store.migrations import migrate

FEW = (Permission.OPERATOR_MANAGE, Permission.NET_POPUP, Permission.CUSTOMER_MANAGE)
STAFF = ("1", "2", "3", "4")
who = st.integers(0, len(STAFF) - 1)
held = st.frozensets(st.sampled_from(FEW)) | st.just(frozenset(FEW))
levels = st.sampled_from(list(Level))
groups = st.sampled_from([None, 1, 2])


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch):
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@cache
def _fresh_store() -> Path:
    home = Home(Path(tempfile.mkdtemp()))
    home.create()
    migrate(home)
    crm = open_store(home.crm_db)
    with write(crm) as connection:
        connection.execute("INSERT INTO groups (number, name, created_ms) VALUES (2, '', 0)")
    crm.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    crm.conn.close()
    return home.crm_db


class Office(RuleBasedStateMachine):
    """Random managers act on random people, as requests do; a refused action changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        shutil.copy(_fresh_store(), f"{self.folder.name}/crm.db")
        self.crm: sqlite_utils.Database = open_store(Path(self.folder.name) / "crm.db")

    def teardown(self) -> None:
        self.crm.conn.close()
        self.folder.cleanup()

    @initialize(held_first=st.sampled_from([frozenset(FEW), frozenset(FEW[:2])]))
    def fresh_box(self, held_first: frozenset[Permission]) -> None:
        domain.add_operator(
            self.crm, Operator("1", "管理员", Level.SUPER, None, frozenset(), held_first), ROOT, None, "a password"
        )

    @property
    def staff(self) -> dict[str, Operator]:
        return {one.staff_no: one for one in list_operators(self.crm)}

    def _act(self, manager: int, act: Callable[[Operator], object]) -> None:
        before = self.staff
        managers = [one for one in before.values() if Permission.OPERATOR_MANAGE in one.permissions and one.active]
        grantor = managers[manager % len(managers)]
        try:
            act(grantor)
        except (Refused, NotFound, BadInput):
            assert self.staff == before
            return
        for number, one in self.staff.items():
            old = before.get(number)
            gained = one.permissions - (old.permissions if old else frozenset())
            assert gained <= grantor.permissions, f"{number} gained {sorted(gained)} from {grantor.staff_no}"
            rank, most = LEVEL_ORDER.index(one.level), LEVEL_ORDER.index(grantor.level)
            assert rank <= most or (old is not None and rank <= LEVEL_ORDER.index(old.level))
        for number, one in before.items():
            if self.staff.get(number) != one and number != grantor.staff_no:
                assert one.permissions <= grantor.permissions, f"{number} held more than {grantor.staff_no}"

    @rule(manager=who, number=who, level=levels, group=groups, permissions=held, returning=st.booleans())
    def add(
        self,
        manager: int,
        number: int,
        level: Level,
        group: int | None,
        permissions: frozenset[Permission],
        returning: bool,
    ) -> None:
        wanted = Operator(STAFF[number], "李", level, group, frozenset({1}), permissions)
        self._act(
            manager,
            lambda grantor: domain.add_operator(
                self.crm, wanted, Actor("x"), grantor, "a password", returning=returning
            ),
        )

    @rule(manager=who, number=who, level=levels, group=groups, permissions=held)
    def replace(
        self, manager: int, number: int, level: Level, group: int | None, permissions: frozenset[Permission]
    ) -> None:
        wanted = Operator(STAFF[number], "王", level, group, frozenset({2}), permissions)
        old = self.staff.get(wanted.staff_no)
        records = Records(True) if old is not None and old.group != group else None
        self._act(manager, lambda grantor: replace_by(self.crm, wanted, grantor, records))

    @rule(manager=who, number=who, active=st.booleans())
    def set_active(self, manager: int, number: int, active: bool) -> None:
        self._act(manager, lambda grantor: domain.set_active(self.crm, STAFF[number], active, Actor("x"), grantor))

    @rule(manager=who, number=who)
    def delete(self, manager: int, number: int) -> None:
        self._act(manager, lambda grantor: domain.delete_operator(self.crm, STAFF[number], Actor("x"), grantor))

    @rule(manager=who, number=who, to=who)
    def leave(self, manager: int, number: int, to: int) -> None:
        self._act(manager, lambda grantor: leave_by(self.crm, STAFF[number], STAFF[to], grantor))

    @rule(manager=who, number=who, permissions=st.frozensets(st.sampled_from(FEW), min_size=1))
    def grant_what_is_new(self, manager: int, number: int, permissions: frozenset[Permission]) -> None:
        with write(self.crm) as connection:  # an update brings them
            connection.execute("DELETE FROM known_permissions")
        self._act(
            manager,
            lambda grantor: grant_new_permissions(self.crm, STAFF[number], permissions, Actor("x"), grantor),
        )

    @invariant()
    def somebody_is_in_charge(self) -> None:
        assert not self.staff or any(
            one.active and one.level is Level.SUPER and Permission.OPERATOR_MANAGE in one.permissions
            for one in self.staff.values()
        )


TestOffice = Office.TestCase
TestOffice.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
