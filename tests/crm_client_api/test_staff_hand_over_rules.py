"""Who may hand over whose customer to whom: every combination, against the rule written down again."""

from __future__ import annotations

from itertools import product

from crm_office import ROOT, hire
from office_belongings import hand_over, owner_of
from office_records import add_customer_of

from crm_client_api.domain.handing_over.reach import LevelMissing
from crm_client_api.domain.handing_over.wanted import Wanted
from crm_client_api.domain.operators import delete_operator, set_active
from crm_client_api.domain.permissions import ALL_PERMISSIONS, Permission
from firmware.errors import BoxError, NotFound, Refused

GROUPS = {"here": 1, "gone": 1, "idle": 1, "there": 2, "alone": None, "boss": None}
ACTORS = {
    "boss": ("super", None, False),
    "lead": ("leader", 1, False),
    "leadshare": ("leader", 1, True),
    "leadnone": ("leader", None, True),
    "here": ("ordinary", 1, True),
}


def expected(actor: str, owner: str, receiver: str) -> type[BoxError] | None:
    """The rule: None is done."""
    level, group, shares = ACTORS[actor]
    if level == "ordinary":
        return LevelMissing
    if level == "super":
        return NotFound if receiver == "gone" else Refused if receiver == "idle" else None
    within = {name for name, of in GROUPS.items() if group is not None and of == group}
    if receiver not in within - {"gone"}:
        return NotFound
    if receiver == "idle":
        return Refused
    if owner in within:
        return None
    return Refused if shares else NotFound


def test_every_combination(crm):
    for name, group in GROUPS.items():
        if name not in ACTORS:
            hire(crm, name, "ordinary", group)
    actors = {}
    for name, (level, group, shares) in ACTORS.items():
        held = ALL_PERMISSIONS if shares else ALL_PERMISSIONS - {Permission.CUSTOMER_SHARE}
        actors[name] = hire(crm, name, level, group, (), held).viewer
    set_active(crm, "idle", False, ROOT, None)
    delete_operator(crm, "gone", ROOT, None)
    wrong = []
    for actor, owner, receiver in product(ACTORS, GROUPS, GROUPS):
        customer = add_customer_of(crm, owner, f"{owner} 的客户")
        refused = None
        try:
            hand_over(crm, Wanted((receiver,), (int(customer),)), ROOT, actors[actor])
        except BoxError as error:
            refused = type(error)
        now = owner_of(crm, "customers", customer)
        if refused is not expected(actor, owner, receiver) or now != (owner if refused else receiver):
            wrong.append((actor, owner, receiver, refused, now))
    assert wrong == []
