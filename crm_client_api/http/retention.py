"""Retention rules: how long recordings of a channel, group, customer or operator are kept."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import msgspec

from crm_client_api.answers.keeping import RetentionRuleInfo, RetentionRules
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.retention_rules import RetentionRule, RuleKind, list_rules, remove_rule, set_rule
from crm_client_api.domain.scope import known_customers
from crm_client_api.domain.subject_scope import SubjectScope
from crm_client_api.http.routing import Request, route
from firmware.clock import iso_utc
from firmware.errors import NotFound


class Days(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """0: kept for ever."""

    days: Annotated[int, msgspec.Meta(ge=0, le=36_500)]


@route(
    "GET", "/retention-rules", "Every retention rule", answer=RetentionRules, permissions=(Permission.SYSTEM_SETUP,)
)  # fmt: skip
def get_rules(request: Request) -> RetentionRules:
    """List the rules; the system's default is the parameter ``retention_days``."""
    return RetentionRules([_info(rule) for rule in list_rules(request.stores.crm, subject_scope(request))])


@route(
    "PUT", "/retention-rules/{kind}/{subject}", "Set how long recordings of one subject are kept",
    answer=RetentionRuleInfo, permissions=(Permission.SYSTEM_SETUP,),
)  # fmt: skip
def put_rule(request: Request, kind: str, subject: str, body: Days) -> RetentionRuleInfo:
    """Make or replace a rule."""
    stores = request.stores
    return _info(
        set_rule(stores.calls, stores.crm, _kind(kind), subject, body.days, request.actor, subject_scope(request))
    )


@route(
    "DELETE", "/retention-rules/{kind}/{subject}", "Remove a retention rule",
    status=204, permissions=(Permission.SYSTEM_SETUP,),
)  # fmt: skip
def delete_rule(request: Request, kind: str, subject: str) -> None:
    """The next general rule holds again."""
    remove_rule(request.stores.crm, _kind(kind), subject, request.actor, subject_scope(request))


def subject_scope(request: Request) -> SubjectScope:
    """The customers and channels that rules and holds of the one who asks may be about."""
    return SubjectScope(known_customers(request.operator.viewer), request.desk.channels)


def _kind(text: str) -> RuleKind:
    if text not in get_args(RuleKind):
        raise NotFound("there are rules for channel, group, customer and operator")
    return cast(RuleKind, text)


def _info(rule: RetentionRule) -> RetentionRuleInfo:
    return RetentionRuleInfo(rule.kind, rule.subject, rule.days, rule.set_by, iso_utc(rule.set_ms))
