"""What can be asked of the box, by subject. Filters and fields are named as in docs/api.md.

A name that Python keeps for itself gets an underscore: ``from_="2026-11-01T00:00:00+08:00"``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from crm_client_api.answers.calls import CallInfo, CallPage
from crm_client_api.answers.communications import CommunicationInfo, CommunicationPage, TaskInfo, TaskPage
from crm_client_api.answers.customers import CustomerInfo, CustomerPage
from crm_client_api.answers.jobs import JobInfo, JobList
from crm_client_api.answers.keeping import OrderInfo, OrderPlaced
from crm_client_api.answers.lines import ChannelInfo, Channels
from crm_client_api.answers.push import PopupInfo, Popups, PopupTrace, TakingInfo
from crm_client_api.answers.recordings import RecordingInfo, RecordingPage
from crm_client_api.answers.staff import HandedOver, HandOverInfo, HandOverPage
from crm_client_api.answers.webhooks import (
    DeliveryInfo,
    DeliveryPage,
    DeliveryQueued,
    EventsQueued,
    WebhookInfo,
    Webhooks,
    WebhookSecret,
)
from crm_client_api.client.pages import pages
from crm_client_api.client.transport import Transport

_GOES_ON = ("waiting", "running")
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class CallResource:
    """Calls, their pop-ups, and orders about their recordings."""

    transport: Transport

    def find(self, **filters: object) -> Iterator[CallInfo]:
        """Calls in scope, newest first."""
        return pages(self.transport, "/calls", CallPage, lambda page: page.calls, "before", filters)

    def get(self, call_id: str) -> CallInfo:
        """One call."""
        return self.transport.ask("GET", f"/calls/{call_id}", CallInfo)

    def audio(self, call_id: str) -> bytes:
        """The call from its beginning up to now, as WAV."""
        return self.transport.raw("GET", f"/calls/{call_id}/audio")[0]

    def popups(self) -> Popups:
        """Pop-ups of running calls, and the position from which to open the stream."""
        return self.transport.ask("GET", "/popups", Popups)

    def popup(self, call_id: str) -> PopupInfo:
        """The card of a call that this operator was shown."""
        return self.transport.ask("GET", f"/calls/{call_id}/popup", PopupInfo)

    def popup_trace(self, call_id: str) -> PopupTrace:
        """Why it pops up, or does not, for every operator."""
        return self.transport.ask("GET", f"/calls/{call_id}/popup-trace", PopupTrace)

    def acknowledge(self, call_id: str) -> None:
        """The card was seen."""
        self.transport.tell("POST", f"/calls/{call_id}/popup/acknowledge")

    def take(self, call_id: str) -> TakingInfo:
        """“I take it.”"""
        return self.transport.ask("POST", f"/calls/{call_id}/take", TakingInfo)

    def order(self, call_id: str, verb: str, reason: str = "") -> int:
        """Ask for ``pause``, ``resume``, ``keep`` or ``discard``; the order's number."""
        return self.transport.ask("POST", f"/calls/{call_id}/{verb}", OrderPlaced, {"reason": reason}).order

    def order_state(self, order: int) -> OrderInfo:
        """What became of one's own order."""
        return self.transport.ask("GET", f"/orders/{order}", OrderInfo)


@dataclass(frozen=True, slots=True)
class ChannelResource:
    """Channels and their lines."""

    transport: Transport

    def all(self) -> list[ChannelInfo]:
        """The channels in scope, live."""
        return self.transport.ask("GET", "/channels", Channels).channels

    def change(self, number: int, **fields: object) -> ChannelInfo:
        """Change ``name``, ``group``, ``popup``."""
        return self.transport.ask("PATCH", f"/channels/{number}", ChannelInfo, fields)


@dataclass(frozen=True, slots=True)
class RecordingResource:
    """Recordings and their audio."""

    transport: Transport

    def find(self, **filters: object) -> Iterator[RecordingInfo]:
        """Recordings in scope, newest first."""
        return pages(self.transport, "/recordings", RecordingPage, lambda page: page.recordings, "before", filters)

    def audio(self, recording_id: str, form: str = "original") -> bytes:
        """The audio: ``original``, ``flac``, ``wav``, ``mp3`` or ``opus``."""
        return self.transport.raw("GET", f"/recordings/{recording_id}/audio", format=form)[0]


@dataclass(frozen=True, slots=True)
class CustomerResource:
    """Customers in scope."""

    transport: Transport

    def find(self, **filters: object) -> Iterator[CustomerInfo]:
        """Customers, newest first; ``q`` looks in names, companies and numbers."""
        return pages(self.transport, "/customers", CustomerPage, lambda page: page.customers, "after", filters)

    def get(self, customer_id: str) -> CustomerInfo:
        """One customer."""
        return self.transport.ask("GET", f"/customers/{customer_id}", CustomerInfo)

    def add(self, **fields: object) -> CustomerInfo:
        """Add one: ``name="王伟明", phones=[{"number": "13812345678"}]``."""
        return self.transport.ask("POST", "/customers", CustomerInfo, fields)

    def change(self, customer_id: str, **fields: object) -> CustomerInfo:
        """Change what is given; ``phones`` replaces all numbers."""
        return self.transport.ask("PATCH", f"/customers/{customer_id}", CustomerInfo, fields)

    def delete(self, customer_id: str) -> None:
        """Put one into the recycle bin."""
        self.transport.tell("DELETE", f"/customers/{customer_id}")


@dataclass(frozen=True, slots=True)
class CommunicationResource:
    """Communication records in scope."""

    transport: Transport

    def find(self, **filters: object) -> Iterator[CommunicationInfo]:
        """Records, newest first."""
        return pages(
            self.transport, "/communications", CommunicationPage, lambda page: page.communications, "before", filters
        )

    def add(self, customer_id: str, **fields: object) -> CommunicationInfo:
        """Add one; with ``call_id`` it carries the call whose pop-up this operator received."""
        return self.transport.ask("POST", "/communications", CommunicationInfo, {"customer_id": customer_id} | fields)


@dataclass(frozen=True, slots=True)
class TaskResource:
    """Tasks and reminders."""

    transport: Transport

    def find(self, **filters: object) -> Iterator[TaskInfo]:
        """Tasks by due time."""
        return pages(self.transport, "/tasks", TaskPage, lambda page: page.tasks, "after", filters)

    def add(self, subject: str, **fields: object) -> TaskInfo:
        """Add one."""
        return self.transport.ask("POST", "/tasks", TaskInfo, {"subject": subject} | fields)

    def change(self, task_id: int, **fields: object) -> TaskInfo:
        """Change what is given."""
        return self.transport.ask("PATCH", f"/tasks/{task_id}", TaskInfo, fields)


@dataclass(frozen=True, slots=True)
class HandOverResource:
    """Records that go from one operator to another."""

    transport: Transport

    def find(self, **filters: object) -> Iterator[HandOverInfo]:
        """Hand-overs within reach, newest first."""
        return pages(self.transport, "/hand-overs", HandOverPage, lambda page: page.hand_overs, "before", filters)

    def get(self, hand_over_id: int) -> HandOverInfo:
        """One of them."""
        return self.transport.ask("GET", f"/hand-overs/{hand_over_id}", HandOverInfo)

    def begin(self, to: str, **what: object) -> HandedOver | JobInfo:
        """Hand over ``customers``, ``communications``, those of a ``filter`` or ``all_of`` an operator.

        What takes longer than a second is a job that goes on with it: see ``jobs.wait``.
        """
        return self.transport.ask_later("POST", "/hand-overs", HandedOver, {"to": to} | what)

    def undo(self, hand_over_id: int) -> HandOverInfo | JobInfo:
        """Take one back within 30 days; a job, when it takes longer than a second."""
        return self.transport.ask_later("POST", f"/hand-overs/{hand_over_id}/undo", HandOverInfo)


@dataclass(frozen=True, slots=True)
class JobResource:
    """Long work that the box does for this operator."""

    transport: Transport

    def find(self, **filters: object) -> Iterator[JobInfo]:
        """The own jobs, newest first."""
        return pages(self.transport, "/jobs", JobList, lambda page: page.jobs, "before", filters)

    def get(self, job_id: int) -> JobInfo:
        """How far one is."""
        return self.transport.ask("GET", f"/jobs/{job_id}", JobInfo)

    def wait(self, job_id: int, timeout_s: float = 3600.0) -> JobInfo:
        """Look once a second until it has ended or asks something, or the time is up; how it stands then."""
        until_s = time.monotonic() + timeout_s
        while (job := self.get(job_id)).state in _GOES_ON and time.monotonic() < until_s:
            time.sleep(_LOOK_EVERY_S)
        return job

    def cancel(self, job_id: int) -> JobInfo:
        """Give one up."""
        return self.transport.ask("POST", f"/jobs/{job_id}/cancel", JobInfo)


@dataclass(frozen=True, slots=True)
class WebhookResource:
    """Receivers of events."""

    transport: Transport

    def all(self) -> list[WebhookInfo]:
        """Those that this operator may see."""
        return self.transport.ask("GET", "/webhooks", Webhooks).webhooks

    def add(self, url: str, events: list[str]) -> WebhookSecret:
        """Register one; the secret is told here and nowhere again."""
        return self.transport.ask("POST", "/webhooks", WebhookSecret, {"url": url, "events": events})

    def test(self, webhook_id: int) -> int:
        """Send something that tells nothing; the delivery's number."""
        return self.transport.ask("POST", f"/webhooks/{webhook_id}/test", DeliveryQueued).delivery

    def replay(self, webhook_id: int, from_: str, to: str) -> int:
        """Send the events of a span again; how many."""
        span = {"from": from_, "to": to}
        return self.transport.ask("POST", f"/webhooks/{webhook_id}/replay", EventsQueued, span).events

    def deliveries(self, webhook_id: int, **filters: object) -> Iterator[DeliveryInfo]:
        """What became of its deliveries, newest first."""
        path = f"/webhooks/{webhook_id}/deliveries"
        return pages(self.transport, path, DeliveryPage, lambda page: page.deliveries, "before", filters)

    def delete(self, webhook_id: int) -> None:
        """Delete one."""
        self.transport.tell("DELETE", f"/webhooks/{webhook_id}")
