"""Operators as those who manage them see them."""

from __future__ import annotations

from dataclasses import dataclass

from crm_client_api.answers.staff import StaffMember
from crm_client_api.domain.calls import list_channels
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.settings import Settings
from crm_client_api.domain.staff.new_permissions import grantable
from crm_client_api.domain.staff.warnings import warnings_of
from crm_client_api.stores import Stores
from crm_client_api.views.calls import operator_info


@dataclass(frozen=True, slots=True)
class StaffView:
    """What warnings and offers depend on, read once."""

    channels: frozenset[int]
    shared_by_all: bool
    new_permissions: dict[str, frozenset[Permission]]

    def warnings(self, operator: Operator) -> list[str]:
        """Codes of settings that cannot work."""
        return warnings_of(operator, shared_by_all=self.shared_by_all, box_channels=self.channels)

    def member(self, operator: Operator) -> StaffMember:
        """An operator as operator management shows one."""
        info = operator_info(operator)
        return StaffMember(
            info.staff_no,
            info.name,
            info.level,
            info.group,
            info.channels,
            info.permissions,
            operator.active,
            self.warnings(operator),
            sorted(one.value for one in self.new_permissions.get(operator.staff_no, ())),
        )


def open_staff_view(stores: Stores, settings: Settings) -> StaffView:
    """The view as the office is now."""
    channels = frozenset(row.number for row in list_channels(stores.calls))
    return StaffView(channels, settings.rules.customers_shared_by_all, grantable(stores.crm))
