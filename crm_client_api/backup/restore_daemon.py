"""Restores by the web page, at work in the daemon of backups: everything is unpacked and proved while the box records;
then the box is started again, and its start lets the backup take over.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, cast

import msgspec

from crm_client_api.backup.new_box import is_new
from crm_client_api.backup.restore_asking import (
    SOCKET,
    Answer,
    Question,
    RestoreRefused,
    Shown,
    answer_line,
    read_line,
)
from crm_client_api.backup.restore_state import Phase, RestoreState, end_state, read_state, write_state
from crm_client_api.backup.stage import READY, clear_stages
from firmware.config import Home
from firmware.doorbell import ShortPath
from firmware.store.connection import open_store
from firmware.supervise import want_restart

if TYPE_CHECKING:  # loaded with the first restore, not before
    from crm_client_api.backup.sealing import Unlocker

_WAIT_S = 1.0
_LINE_WITHIN_S = 5.0
_TELL_EVERY_S = 0.3
_NEWS_WITHIN_S = 3.0
_SEEN_WITHIN_S = 2.5
"""A page that asks every second knows then why the box goes away."""
_MOST_AT_ONCE = 4
_log = logging.getLogger(__name__)


class _Left(Exception):
    """Somebody wants it no more, or the daemon ends."""


class RestoreKeeper:
    """See ``courier.life.Worker``. Thread: ``run`` in one; who asks, and the restore, have threads of their own."""

    lane = "restores"

    def __init__(self, home: Home) -> None:
        self._home = home
        self.stop = threading.Event()
        self._cancel = threading.Event()
        self._hands = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._beginning = threading.Lock()
        self._at_work: threading.Thread | None = None
        self._private = ""

    def run(self) -> None:
        """Answer until ``stop``."""
        self._go_on()
        with closing(_listen(self._home)) as listening:
            while not self.stop.is_set():
                if not select.select([listening], [], [], _WAIT_S)[0]:
                    continue
                link, _ = listening.accept()
                if self._hands.acquire(blocking=False):
                    threading.Thread(target=self._serve, args=(link,), name="restore-asked", daemon=True).start()
                else:
                    link.close()
        (self._home.run / SOCKET).unlink(missing_ok=True)
        if self._at_work is not None:
            self._at_work.join()

    def _go_on(self) -> None:
        """After a daemon that was killed: what is ready takes over, anything less is begun anew by who wants it."""
        state = read_state(self._home)
        if (self._home.root / READY).exists():
            want_restart(self._home)
        elif state is not None and state.state == "preparing":
            clear_stages(self._home)
            end_state(self._home, "restore_cut_off")

    def _serve(self, link: socket.socket) -> None:
        try:
            with closing(link):
                link.settimeout(_LINE_WITHIN_S)
                try:
                    question = msgspec.json.decode(read_line(link), type=Question)
                    answer_line(link, self._do(question))
                except RestoreRefused as refused:
                    answer_line(link, Answer(refused.code, str(refused)))
                except (OSError, msgspec.DecodeError) as error:
                    _log.warning("somebody asked nothing that can be answered: %s", error)
        finally:
            self._hands.release()

    def _do(self, question: Question) -> Answer:
        if question.ask == "cancel":
            self._cancel.set()
            state = read_state(self._home)
            if state is not None and state.state == "failed":
                write_state(self._home, None)
            return Answer()
        from crm_client_api.backup.restore_source import Unconfirmed, folder_at, prove, shown_in

        try:
            with folder_at(self._home, question.source, self._own_key()) as folder:
                if question.ask == "look":
                    return Answer(backups=shown_in(folder))
                _, unlocker, shown = prove(folder, question.name, question.passphrase)
        except Unconfirmed as unconfirmed:
            return Answer(server=unconfirmed.server)
        if question.ask == "begin":
            self._begin(question, unlocker, shown)
        return Answer(backups=[shown])

    def _own_key(self) -> str:
        """With which this box logs in to servers as long as it is new; in memory alone, another one at each start."""
        from recorder.library.archive.sftp import new_private_key

        with self._beginning:
            self._private = self._private or new_private_key()
            return self._private

    def _begin(self, question: Question, unlocker: Unlocker, shown: Shown) -> None:
        with self._beginning:
            at_work = self._at_work is not None and self._at_work.is_alive()
            if at_work or (self._home.root / READY).exists():
                raise RestoreRefused("restore_running", "a backup is being restored already")
            require_new(self._home)
            self._cancel.clear()
            state = RestoreState("preparing", shown.name, shown.made_ms, shown.device, all=shown.bytes)
            write_state(self._home, state)
            work = _Preparing(self._home, state, question, self._private, (self._cancel, self.stop))
            self._at_work = threading.Thread(target=work.run, args=(unlocker,), name="restoring", daemon=True)
            self._at_work.start()


def require_new(home: Home) -> None:
    """Raises RestoreRefused: the box is not new; StoreError."""
    crm = open_store(home.crm_db, readonly=True)
    with closing(crm.conn):
        if not is_new(crm):
            raise RestoreRefused("box_not_new", "people work with this box already: use 'tapdeck restore'")


class _Preparing:
    """One restore on its way to the box's next start. Thread: one."""

    def __init__(
        self,
        home: Home,
        state: RestoreState,
        question: Question,
        private: str,
        ends: tuple[threading.Event, threading.Event],
    ) -> None:
        self._home, self._state, self._question, self._ends = home, state, question, ends
        self._private = private
        self._told_s = 0.0

    def run(self, unlocker: Unlocker) -> None:
        from crm_client_api.backup.restore_source import explained, folder_at
        from crm_client_api.backup.restoring import prepare
        from crm_client_api.domain.audit import BOX, Actor

        try:
            with explained(), folder_at(self._home, self._question.source, self._private) as folder:
                file = folder / self._question.name
                ready = prepare(self._home, file, unlocker, told=self._told, actor=Actor(BOX, self._question.at))
            self._tell(state="restarting", absent=len(ready.absent))
            self._ends[1].wait(_SEEN_WITHIN_S)
            want_restart(self._home)
        except _Left:
            write_state(self._home, None)
        except RestoreRefused as refused:
            _log.error("the restore failed: %s", refused)
            code = "restore_gone" if refused.code == "restore_failed" and self._is_gone() else refused.code
            self._tell(state="failed", error_code=code, error=str(refused))
        except Exception as error:  # nobody else would tell
            _log.exception("the restore failed")
            self._tell(state="failed", error_code="restore_failed", error=str(error))

    def _is_gone(self) -> bool:
        """Whether the backup went with its stick or share: errors come before the news that it was pulled out."""
        from crm_client_api.backup.restore_source import folder_of

        until_s = time.monotonic() + _NEWS_WITHIN_S
        while time.monotonic() < until_s:
            try:
                folder = folder_of(self._home, self._question.source)
            except RestoreRefused:
                return True
            if not (folder / self._question.name).is_file():
                return True
            time.sleep(_TELL_EVERY_S)
        return False

    def _told(self, phase: str, done: int, whole: int) -> None:
        if any(one.is_set() for one in self._ends):
            raise _Left("left")
        if phase == "settling":
            require_new(self._home)  # somebody may have begun to work with it
        now_s = time.monotonic()
        if phase != self._state.phase or now_s - self._told_s > _TELL_EVERY_S:
            self._told_s = now_s
            self._tell(phase=cast(Phase, phase), done=done, all=whole)

    def _tell(self, **changes: object) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)
        write_state(self._home, self._state)


def _listen(home: Home) -> socket.socket:
    """Raises OSError."""
    (home.run / SOCKET).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder = ShortPath(home.run)
        try:
            listening.bind(folder.path(SOCKET))
        finally:
            folder.close()
        listening.listen(_MOST_AT_ONCE)
    except BaseException:
        listening.close()
        raise
    return listening
