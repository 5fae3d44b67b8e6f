"""The keeper's thread for USB sticks: which there are, who may write to them, and when they may be pulled out.

One thread decides, by what it is told: what is plugged in, who asks, what a hand has done. Whatever touches a stick
runs on threads of its own, for a dying stick answers after minutes or never.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import get_args

from firmware.clock import now_ms
from firmware.config import Home
from firmware.errors import BoxError
from firmware.media.asking import Answer, Question
from firmware.media.found import Found
from firmware.media.hands import FolderHand, HandTrouble, Mounted, MounterHand, clear_mounts
from firmware.media.links import Links
from firmware.media.medium import WriteRefusal
from firmware.media.policy import Policy
from firmware.media.stick import Link, Stick
from firmware.media.telling import Teller
from firmware.media.watching import StickWatch

_log = logging.getLogger("media")

MOST_MEDIA = 16
STOP_TIMEOUT_S = 1.0
_LOOK_EVERY_S = 1.0
_RETRY_S = 5.0
_NEWS_WITHIN_S = 5.0
_Work = Callable[[], Mounted | None]
_Then = Callable[[Mounted | None, HandTrouble | None], None]


class MediaThread:
    """Looks after sticks until it is stopped; what fails as a whole begins anew after some seconds."""

    def __init__(self, home: Home, simulated: Path | None) -> None:
        """``simulated``: a folder in which folders stand for sticks; None on the box."""
        self._home, self._simulated = home, simulated
        self._stopping = threading.Event()
        self._keeping: _Keeping | None = None
        self._thread = threading.Thread(target=self._work, name="media", daemon=True)

    def start(self) -> None:
        """Everything is opened on the thread, so this never fails."""
        self._thread.start()

    def stop(self) -> None:
        """End; who writes is hung up on."""
        self._stopping.set()
        keeping = self._keeping
        if keeping is not None:
            keeping.post(lambda: None)
        self._thread.join(STOP_TIMEOUT_S)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                with ExitStack() as held:
                    self._keeping = _Keeping(self._home, held)
                    watch = StickWatch(self._keeping.found, self._simulated)
                    held.callback(watch.close)
                    self._keeping.run(self._stopping)
            except (BoxError, OSError, sqlite3.Error) as error:
                _log.error("sticks are not looked after: %s", error)
            except Exception:
                _log.exception("looking after sticks begins anew")
            if not self._stopping.is_set():
                self._stopping.wait(_RETRY_S)


class _Keeping:
    """The decisions. Thread: ``run`` in one; ``post`` and ``found`` from any."""

    def __init__(self, home: Home, held: ExitStack) -> None:
        self._teller = Teller(home)
        held.callback(self._teller.close)
        self._messages: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._sticks: dict[str, Stick] = {}
        self._leaving: dict[str, int] = {}
        self._answers: deque[tuple[Link, Answer]] = deque()
        self._policy: Policy | None = None
        self._ready = self._looked = False
        self._links = Links(home, self._answer, self._ended)
        held.callback(self._links.close)

    def post(self, message: Callable[[], None]) -> None:
        """Have it done on the thread."""
        self._messages.put(message)
        self._links.wake()

    def found(self, found: list[Found]) -> None:
        """This is plugged in now."""
        self.post(partial(self._take, found))

    def run(self, stopping: threading.Event) -> None:
        """Look after sticks."""
        threading.Thread(target=self._clear, name="media-clear", daemon=True).start()
        while not stopping.is_set():
            self._look_at_policy()
            self._tell()
            self._links.wait(_LOOK_EVERY_S)
            self._tell()
            while not self._messages.empty():
                self._messages.get()()
                self._tell()

    def _clear(self) -> None:
        try:
            clear_mounts()
        except HandTrouble as trouble:
            _log.warning("what was mounted before stays: %s", trouble)
        self.post(self._begin)

    def _begin(self) -> None:
        self._ready = True
        self._settle_all()

    def _look_at_policy(self) -> None:
        policy = self._teller.policy()
        if policy is not None and policy != self._policy:
            self._policy = policy
            self._settle_all()

    def _tell(self) -> None:
        if self._looked:
            self._teller.tell([stick.tell_of(self._names) for stick in self._sticks.values()])
        while self._answers:
            link, answer = self._answers.popleft()
            link.tell(answer)

    def _say(self, link: Link, answer: Answer) -> None:
        """Answer once everybody can see what has become of the stick."""
        self._answers.append((link, answer))

    def _take(self, found: list[Found]) -> None:
        first, self._looked = not self._looked, True
        here = {one.id: one for one in found}
        for stick in list(self._sticks.values()):
            now = here.get(stick.found.id)
            same = now is not None and (now.place, now.file_system, now.reason) == (
                stick.found.place, stick.found.file_system, stick.found.reason
            )  # fmt: skip
            if now is not None and same:
                stick.found = now
            else:
                self._pulled(stick)
        for one in found:
            if one.id not in self._sticks:
                hand = FolderHand() if one.simulated else MounterHand()
                since_ms = self._teller.seen_since(one.id) if first else None
                self._sticks[one.id] = Stick(one, hand, since_ms or now_ms())
        self._settle_all()

    def _pulled(self, stick: Stick) -> None:
        stick.gone = True
        del self._sticks[stick.found.id]
        self._links.hang_up_on(stick)
        self._leave(stick)
        for other in self._sticks.values():
            if other.reason == "too_many":
                other.state, other.reason = "seen", ""

    def _leave(self, stick: Stick) -> None:
        """Let go of what is still mounted of a stick that was pulled out; until then its id is not mounted again."""
        name = stick.found.id
        self._leaving[name] = self._leaving.get(name, 0) + 1

        def work() -> None:
            with suppress(HandTrouble):
                stick.hand.unmount(stick.found, pulled=True)
            self.post(left)

        def left() -> None:
            self._leaving[name] -= 1
            if not self._leaving[name]:
                del self._leaving[name]
            self._settle_all()

        threading.Thread(target=work, name="media-leave", daemon=True).start()

    def _settle_all(self) -> None:
        for stick in list(self._sticks.values()):
            self._settle(stick)

    def _settle(self, stick: Stick) -> None:
        """Begin what the policy and the state of an idle stick ask for."""
        if stick.busy or stick.gone or not self._ready or self._policy is None or stick.found.id in self._leaving:
            return
        forbidden = self._policy.forbids(stick.found.id)
        if forbidden:
            if stick.state in ("seen", "refused", "forbidden"):
                stick.state, stick.reason = "forbidden", forbidden
            elif not stick.is_out_of_use:
                if stick.writer is not None:
                    self._links.hang_up(stick.writer)  # what was written until now is flushed first
                if not stick.busy:
                    self._work(stick, partial(_unmount, stick), partial(self._unmounted, stick))
            return
        if stick.state == "forbidden":
            stick.state, stick.reason = "seen", ""
        if stick.state != "seen":
            return
        if stick.found.reason:
            stick.state, stick.reason = "refused", stick.found.reason
        elif list(self._sticks.values()).index(stick) >= MOST_MEDIA:
            stick.state, stick.reason = "refused", "too_many"
        else:
            self._work(stick, partial(_mount, stick, write=False), partial(self._readable, stick))

    def _work(self, stick: Stick, work: _Work, then: _Then) -> None:
        """Let a hand do something that may take long, and go on with ``then``."""
        stick.busy = True

        def at_work() -> None:
            mounted, trouble = None, None
            try:
                mounted = work()
            except HandTrouble as error:
                trouble = error
                if error.code in ("io_errors", "gone"):
                    _await_news(stick)
            except Exception as error:
                _log.exception("the hand failed")
                trouble = HandTrouble("not_mountable", str(error))
            self.post(partial(done, mounted, trouble))

        def done(mounted: Mounted | None, trouble: HandTrouble | None) -> None:
            stick.busy = False
            if trouble is not None:
                _log.warning("stick %s: %s: %s", stick.found.id, trouble.code, trouble)
            if stick.gone:
                self._leave(stick)
                return
            then(mounted, trouble)
            self._settle(stick)

        threading.Thread(target=at_work, name="media-hand", daemon=True).start()

    def _readable(self, stick: Stick, mounted: Mounted | None, trouble: HandTrouble | None) -> None:
        if trouble is not None:
            stick.fail(trouble)
        else:
            stick.mounted, stick.state, stick.reason = mounted, "mounted", ""

    def _unmounted(self, stick: Stick, _: Mounted | None, trouble: HandTrouble | None) -> None:
        """``_settle`` forbids it, or tries again what files in use have prevented."""
        if trouble is None or trouble.code != "busy":
            stick.mounted, stick.state = None, "seen"

    def _ask_to_write(self, link: Link, stick: Stick) -> None:
        refusal = stick.refusal()
        if refusal is not None:
            self._say(link, Answer(*refusal))
            return
        stick.writer, link.stick = link, stick
        stick.state = "checking"
        self._work(stick, partial(_mount, stick, write=True), partial(self._writable, stick))

    def _writable(self, stick: Stick, mounted: Mounted | None, trouble: HandTrouble | None) -> None:
        if trouble is None:
            stick.mounted, stick.state = mounted, "writing"
            if stick.writer is None:  # who asked is gone
                self._flush(stick)
            else:
                self._say(stick.writer, Answer(medium=stick.tell_of(self._names)))
            return
        if stick.writer is not None:
            self._say(stick.writer, Answer(_write_refusal(trouble), str(trouble)))
            stick.writer.stick = None
        stick.writer, stick.state = None, "seen"

    def _flush(self, stick: Stick) -> None:
        stick.state = "flushing"
        self._work(stick, partial(_mount, stick, write=False), partial(self._flushed, stick))

    def _flushed(self, stick: Stick, mounted: Mounted | None, trouble: HandTrouble | None) -> None:
        if trouble is not None and trouble.code == "busy":  # somebody still has files open: it is not stored yet
            self._flush(stick)
            return
        self._readable(stick, mounted, trouble)
        link, stick.writer = stick.writer, None
        if link is not None:
            link.stick = None
            done = Answer(medium=stick.tell_of(self._names))
            self._say(link, done if trouble is None else Answer(_write_refusal(trouble), str(trouble)))

    def _eject(self, link: Link, stick: Stick) -> None:
        if stick.is_out_of_use and not stick.busy:
            stick.state, stick.reason = "safe_to_remove", ""
            self._say(link, Answer(medium=stick.tell_of(self._names)))
        elif stick.state == "mounted" and not stick.busy:
            link.stick = stick
            self._work(stick, partial(_unmount, stick), partial(self._ejected, link, stick))
        else:
            self._say(link, Answer("busy", "the stick is in use: wait, or cancel the job"))

    def _ejected(self, link: Link, stick: Stick, _: Mounted | None, trouble: HandTrouble | None) -> None:
        link.stick = None
        if trouble is None or trouble.code != "busy":
            stick.mounted, stick.state, stick.reason = None, "safe_to_remove", ""
            self._say(link, Answer(medium=stick.tell_of(self._names)))
        else:
            self._say(link, Answer(trouble.code, str(trouble)))

    @property
    def _names(self) -> dict[str, str]:
        return dict(self._policy.names) if self._policy is not None else {}

    def _answer(self, link: Link, question: Question) -> None:
        if question.ask == "done":
            if link.stick is not None and link.stick.state == "writing":
                self._flush(link.stick)
            else:
                self._say(link, Answer("gone", "nothing is being written"))
            return
        stick = self._sticks.get(question.medium)
        if stick is None:
            self._say(link, Answer("gone", "this stick is not plugged in"))
        elif question.ask == "eject":
            self._eject(link, stick)
        elif question.ask == "write" and link.stick is None:
            link.who = question.who
            self._ask_to_write(link, stick)

    def _ended(self, link: Link) -> None:
        """Nobody writes for this connection any more."""
        stick, link.stick = link.stick, None
        if stick is not None and stick.writer is link:
            stick.writer = None
            if stick.state == "writing" and not stick.gone and not stick.busy:
                self._flush(stick)


def _mount(stick: Stick, *, write: bool) -> Mounted:
    return stick.hand.mount(stick.found, write=write)


def _unmount(stick: Stick) -> None:
    stick.hand.unmount(stick.found, pulled=False)


def _await_news(stick: Stick) -> None:
    """Errors come before the news that it was pulled out."""
    end_s = time.monotonic() + _NEWS_WITHIN_S
    while not stick.gone and time.monotonic() < end_s:
        time.sleep(0.05)


def _write_refusal(trouble: HandTrouble) -> str:
    return trouble.code if trouble.code in get_args(WriteRefusal) else "not_mountable"
