"""Turns what the stores hold into what one operator may see of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from crm_client_api.answers.calls import CallInfo
from crm_client_api.answers.customers import CustomerInfo, CustomerName, PhoneInfo
from crm_client_api.answers.recordings import PauseInfo, RecordingInfo
from crm_client_api.answers.session import OperatorInfo
from crm_client_api.domain.calls import Call
from crm_client_api.domain.customers import Customer, Match, match_number
from crm_client_api.domain.customers.read import names_by_key
from crm_client_api.domain.number_sites import all_renewed
from crm_client_api.domain.operators import Operator
from crm_client_api.domain.permissions import Permission
from crm_client_api.domain.recordings import Recording, recordings_of, silent_ranges
from crm_client_api.domain.scope import ChannelScope, RecordScope, customer_scope
from crm_client_api.domain.settings import Settings, read_settings
from crm_client_api.domain.takings import Taking, takings_of
from crm_client_api.numbers.places import Place, place_of_key
from crm_client_api.push.once import Once
from crm_client_api.stores import Stores
from firmware.clock import iso_utc
from recorder.numbers import Site, e164_of_key, match_key


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


def customer_info(customer: Customer) -> CustomerInfo:
    """A customer as the API shows one."""
    return CustomerInfo(
        id=customer.id,
        **customer.fields,
        next_contact_at=_iso_or_none(customer.next_contact_ms),
        phones=[PhoneInfo(phone.label, phone.number, phone.e164, phone.kind) for phone in customer.phones],
        tags=list(customer.tags),
        custom={str(key): value for key, value in customer.custom.items()},
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
    once: Once = field(default_factory=Once)

    def call_infos(self, calls: Sequence[Call]) -> list[CallInfo]:
        """Calls with their recordings and the customers in scope."""
        key = ("calls", *(call.id for call in calls))
        bare = self.once.get(key, lambda: bare_call_infos(self.stores, self.settings, calls))
        if Permission.CUSTOMER_MANAGE not in self.operator.permissions:
            return bare
        site, crm = self.settings.site, self.stores.crm.conn
        keys = [_key_of_today(call, site) for call in calls]
        if len(set(keys)) == 1 or not all_renewed(crm, site):  # what is found out about one number is shared
            return [self._named(info, call) for info, call in zip(bare, calls, strict=True)]
        found = names_by_key(crm, [*{*keys} - {""}], self.customers)
        names = ([CustomerName(*name) for name in found.get(one, ())] for one in keys)
        return [_with(info, some) for info, some in zip(bare, names, strict=True)]

    def matches(self, number: str | None) -> list[Match]:
        """Everybody who has a number, in scope or not."""
        if not number:
            return []
        return self.once.get(("number", number), lambda: match_number(self.stores.crm, number, self.settings.site))

    def _named(self, info: CallInfo, call: Call) -> CallInfo:
        if not call.number:
            return info
        return with_names(info, self.matches(call.key(self.settings.site)), self.customers)


def with_names(info: CallInfo, matches: Iterable[Match], scope: RecordScope) -> CallInfo:
    """The call with the customers in scope; for who may query customers."""
    known = [m.customer for m in matches if scope.allows(m.customer.owner, m.owner_group)]
    return _with(info, [CustomerName(one.id, one.fields["name"], one.fields["company"]) for one in known])


def _with(info: CallInfo, names: list[CustomerName]) -> CallInfo:
    return msgspec.structs.replace(info, customers=names) if names else info


def bare_call_infos(stores: Stores, settings: Settings, calls: Sequence[Call]) -> list[CallInfo]:
    """Calls as everybody sees them who sees them at all: without customers."""
    ids = [call.id for call in calls]
    recordings, takings = recordings_of(stores.calls, ids), takings_of(stores.crm, ids)
    return [_bare_info(stores, settings, call, recordings.get(call.id, []), takings.get(call.id)) for call in calls]


def _bare_info(
    stores: Stores, settings: Settings, call: Call, recordings: Iterable[Recording], taking: Taking | None
) -> CallInfo:
    site = settings.site
    place = place_of_key(stores.home, call.key(site), site) if call.number else Place()
    return CallInfo(
        id=call.id,
        channel=call.channel,
        channel_name=settings.channel(call.channel).name,
        direction=call.direction,
        state=call.state,
        result=call.result,
        caller_number=call.caller_number,
        caller_e164=_e164(call.caller_number, call.caller_key, site),
        caller_name=call.caller_name,
        absence=call.absence,
        dialled_number=call.dialled_number,
        dialled_e164=_e164(call.dialled_number, call.dialled_key, site),
        number_place=place.zh or None,
        number_place_en=place.en or None,
        started_at=iso_utc(call.started_ms),
        answered_at=_iso_or_none(call.answered_ms),
        ended_at=_iso_or_none(call.ended_ms),
        ring_ms=call.ring_ms,
        talk_ms=call.talk_ms,
        simulated=call.simulated,
        # The office's own word first: the keeper writes it into the call's row a moment later.
        handled_by=call.handled_by if taking is None else taking.staff_no,
        handled_how=None if taking is None else taking.how,
        kept=call.kept,
        kept_reason=call.kept_reason,
        paused=call.paused,
        machine=call.machine,
        customers=[],
        recordings=[recording_info(recording) for recording in recordings],
    )


def _key_of_today(call: Call, site: Site) -> str:
    """By what its customers are found, "" for nothing."""
    key = call.key(site) if call.number else ""
    return key if key.startswith("+") else match_key(key, site)


def _e164(number: str | None, key: str | None, site: Site) -> str | None:
    return e164_of_key(match_key(number, site) if key is None else key) if number else None


def open_desk(stores: Stores, operator: Operator, settings: Settings | None = None, once: Once | None = None) -> Desk:
    """The view of one operator, with the parameters as they are now.

    ``once``: shared with others who look at the same moment with the same parameters.
    """
    current = settings or read_settings(stores.crm)
    viewer = operator.viewer
    return Desk(stores, operator, current, current.channel_scope(viewer), customer_scope(viewer), once or Once())
