"""Turns what the stores hold into what one operator may see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from crm_client_api.answers import (
    CallInfo,
    CustomerInfo,
    CustomerName,
    OperatorInfo,
    PauseInfo,
    PhoneInfo,
    PopupInfo,
    RecordingInfo,
    StaffMember,
)
from crm_client_api.domain import popup
from crm_client_api.domain.calls import Call, history
from crm_client_api.domain.customers import Customer, Match, match_number
from crm_client_api.domain.numbers import e164
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import Recording, recordings_of, silent_ranges
from crm_client_api.domain.scope import ChannelScope, RecordScope, customer_scope
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.places import place_of
from crm_client_api.stores import Stores
from firmware.clock import iso_utc

HISTORY_CALLS = 5


def operator_info(operator: Operator) -> OperatorInfo:
    """An operator as the session shows one."""
    return OperatorInfo(
        operator.staff_no,
        operator.name,
        operator.level.value,
        operator.group,
        sorted(operator.channels),
        sorted(permission.value for permission in operator.permissions),
    )


def staff_member(operator: Operator) -> StaffMember:
    """An operator as operator management shows one."""
    info = operator_info(operator)
    return StaffMember(
        info.staff_no, info.name, info.level, info.group, info.channels, info.permissions, operator.active
    )


def customer_info(customer: Customer) -> CustomerInfo:
    """A customer as the API shows one."""
    return CustomerInfo(
        id=customer.id,
        **customer.fields,
        phones=[PhoneInfo(phone.label, phone.number, phone.e164) for phone in customer.phones],
        author=customer.author,
        owner=customer.owner,
        created_at=iso_utc(customer.created_ms),
        changed_at=iso_utc(customer.changed_ms),
    )


def recording_info(recording: Recording) -> RecordingInfo:
    """A recording as the API shows one."""

    def ms(sample: int) -> int:
        return (sample - recording.from_sample) * 1000 // recording.sample_rate_hz

    ranges = silent_ranges(recording.pauses, recording.to_sample)
    return RecordingInfo(
        id=recording.id,
        kind=recording.kind,
        call_id=recording.call_id,
        channel=recording.channel,
        segment=recording.segment,
        state=recording.state,
        started_at=iso_utc(recording.started_ms),
        duration_ms=recording.duration_ms,
        tracks=recording.tracks,
        missing_ms=recording.missing_ms,
        pauses=[
            PauseInfo(ms(start), ms(end), pause.by, pause.reason)
            for (start, end), pause in zip(ranges, recording.pauses, strict=True)
        ],
        format=recording.format,
        bytes=recording.bytes,
        sha256=recording.sha256,
        encrypted=recording.encrypted,
        simulated=recording.simulated,
        deleted_at=_iso_or_none(recording.deleted_ms),
        deleted_rule=recording.deleted_rule,
        deleted_by=recording.deleted_by,
    )


def _iso_or_none(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)


@dataclass(frozen=True, slots=True)
class Desk:
    """One operator's view of the box at one moment. Thread: as its stores, one at a time."""

    stores: Stores
    operator: Operator
    settings: Settings
    channels: ChannelScope
    customers: RecordScope

    def call_infos(self, calls: Sequence[Call]) -> list[CallInfo]:
        """Calls with their recordings and the customers in scope."""
        recordings = recordings_of(self.stores.calls, [call.id for call in calls])
        matches = _memo(lambda number: match_number(self.stores.crm, number, self.settings.site))
        return [self._call_info(call, recordings.get(call.id, []), matches) for call in calls]

    def _call_info(
        self, call: Call, recordings: Iterable[Recording], matches: Callable[[str], list[Match]]
    ) -> CallInfo:
        known: list[Match] = []
        if call.number and Permission.CUSTOMER_MANAGE in self.operator.permissions:
            known = [m for m in matches(call.number) if self.customers.allows(m.customer.owner, m.owner_group)]
        number = e164(call.number, self.settings.site) if call.number else None
        return CallInfo(
            id=call.id,
            channel=call.channel,
            channel_name=self.settings.channel(call.channel).name,
            direction=call.direction,
            state=call.state,
            result=call.result,
            caller_number=call.caller_number,
            caller_name=call.caller_name,
            absence=call.absence,
            dialled_number=call.dialled_number,
            number_place=place_of(self.stores.home, number) if number else None,
            started_at=iso_utc(call.started_ms),
            answered_at=_iso_or_none(call.answered_ms),
            ended_at=_iso_or_none(call.ended_ms),
            ring_ms=call.ring_ms,
            talk_ms=call.talk_ms,
            simulated=call.simulated,
            handled_by=call.handled_by,
            kept=call.kept,
            kept_reason=call.kept_reason,
            paused=call.paused,
            machine=call.machine,
            customers=[
                CustomerName(m.customer.id, m.customer.fields["name"], m.customer.fields["company"]) for m in known
            ],
            recordings=[recording_info(recording) for recording in recordings],
        )

    def popup_for(self, call: Call) -> PopupInfo | None:
        """The pop-up of this call for this operator, None when the rules say no."""
        decision, matches = decide_for(self.stores, self.settings, self.operator, call)
        if not decision.shows:
            return None
        shown = {match.customer.id: match.customer for match in matches}
        may_add = Permission.CUSTOMER_MANAGE in self.operator.permissions
        earlier: list[Call] = []
        if call.number:
            earlier = history(
                self.stores.calls, call.number, self.channels, self.settings.site, HISTORY_CALLS, without=call.id
            )
        return PopupInfo(
            call=self.call_infos([call])[0],
            customers=[customer_info(shown[customer_id]) for customer_id in decision.customers],
            rows=list(decision.rows),
            offers_new_customer=may_add and bool(call.number) and not decision.customer_known,
            history=self.call_infos(earlier),
        )


def open_desk(stores: Stores, operator: Operator, settings: Settings | None = None) -> Desk:
    """The view of one operator, with the parameters as they are now."""
    current = settings or read_settings(stores.crm)
    viewer = operator.viewer
    return Desk(stores, operator, current, current.channel_scope(viewer), customer_scope(viewer))


def decide_for(
    stores: Stores, settings: Settings, operator: Operator, call: Call
) -> tuple[popup.Decision, list[Match]]:
    """Apply the pop-up rules to a call for an operator; also everybody who has the number."""
    matches = match_number(stores.crm, call.number, settings.site) if call.number else []
    channel = settings.channel(call.channel)
    decision = popup.decide(
        popup.PopupCall(call.channel, channel.group, channel.popup, call.direction == "incoming", bool(call.number)),
        popup.PopupOperator(
            staff_no=operator.staff_no,
            level=operator.level.value,
            group=operator.group,
            channels=operator.channels,
            net_popup=Permission.NET_POPUP in operator.permissions,
            customer_share=Permission.CUSTOMER_SHARE in operator.permissions,
        ),
        [popup.PopupCustomer(m.customer.id, m.customer.owner, m.owner_group) for m in matches],
        settings.rules,
    )
    return decision, matches


def _memo(look_up: Callable[[str], list[Match]]) -> Callable[[str], list[Match]]:
    """Looks each number up once for one page of calls."""
    found: dict[str, list[Match]] = {}

    def get(number: str) -> list[Match]:
        if number not in found:
            found[number] = look_up(number)
        return found[number]

    return get
