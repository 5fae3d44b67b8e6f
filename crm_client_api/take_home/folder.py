"""What one take-home writes into its folder on the stick, in which order, and how far it is."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from crm_client_api.courier.context import Context, SetAside
from crm_client_api.domain.call_notes import notes_of
from crm_client_api.domain.calls import Call
from crm_client_api.domain.recordings import Recording, recordings_of
from crm_client_api.excel.exporting.calls import Beside, held_calls, noted_text, write_pages
from crm_client_api.take_home.case import case_files
from crm_client_api.take_home.choice import SPARE_BYTES, Case, Wanted, calls_again, is_too_large
from crm_client_api.take_home.companions import Papers, fixed_files, workbooks
from crm_client_api.take_home.forms import (
    ABSENCE_TEXTS,
    Absence,
    Unreadable,
    ending_of,
    is_as_stored,
    likely_bytes,
    pieces_of,
    read_ahead,
)
from crm_client_api.take_home.landing import Landed, Landing, Ledger, drop_parts, keep_others, make_folder, still_there
from crm_client_api.take_home.listing import (
    calls_piece,
    calls_script,
    head_script,
    row_of,
    wave_of,
    waves_piece,
    waves_script,
)
from crm_client_api.take_home.names import day_folder, recording_name, safe_name
from crm_client_api.take_home.sealed import HOW_TO_OPEN, HOW_TO_OPEN_TEXT, VOLUME, Sealed
from crm_client_api.views.calls import Desk
from firmware.errors import StoreError
from firmware.media.asking import Wanted as Stick
from firmware.media.medium import MediumRefused
from firmware.time_zone import zone_here
from recorder.library.storage.judge import Judge

HEAD = "data/head.js"
_LEDGER = "landed.jsonl"
_NAMED = "named.jsonl"
"""What was about to get its name: after a pull nobody knows whether it did."""
_PAPERS_BYTES = 48 << 10
_READ_AHEAD = 8
_CALLS_NAME = {"zh": "通话记录.xlsx", "en": "calls.xlsx"}


class Plan(msgspec.Struct, frozen=True):
    """Which calls are taken, page by page; see ``choice.left_out``; when that was settled (Unix ms UTC)."""

    pages: Sequence[Sequence[str]]
    left_out: tuple[str, ...]
    made_ms: int

    @property
    def calls(self) -> int:
        """How many."""
        return sum(len(page) for page in self.pages)


class Folder:
    """One take-home on its stick. Thread: the courier's; what has landed is told by the landing's."""

    def __init__(
        self, context: Context, desk: Desk, wanted: Wanted, plan: Plan, stick: Stick, passphrase: str | None = None
    ) -> None:
        self._passphrase = passphrase
        self._sealed: Sealed | None = None
        self._places: dict[str, str] = {}
        self._absent: dict[str, Absence] = {}
        self._context, self._desk, self._wanted, self._plan, self._stick = context, desk, wanted, plan, stick
        self._made_at = at = datetime.fromtimestamp(plan.made_ms / 1000, zone_here())
        self.name = safe_name(f"{'tapdeck' if wanted.case is None else 'case'}-{at:%Y%m%d-%H%M%S}-{context.job.id}")
        self._root = stick.path / self.name
        self._ledger = Ledger(context.folder / _LEDGER)
        self._named = Ledger(context.folder / _NAMED)
        self._there: dict[str, Landed] = {}
        self._put = self._landed = 0
        self._bytes = self.written_bytes = 0
        self._all_files = self._all_bytes = 0
        self._recordings = 0
        self._begun_s = time.monotonic()
        self._judge = Judge(desk.stores.calls, context.crm)
        self._names = {row[0]: row[1] for row in context.crm.conn.execute("SELECT staff_no, name FROM staff")}

    def figures(self) -> dict[str, Any]:
        """How far it is, for people."""
        rate = self.written_bytes / max(0.001, time.monotonic() - self._begun_s)
        left = max(0, self._all_bytes - self._bytes)
        return {
            "folder": self.name,
            "calls": self._plan.calls,
            "recordings": self._recordings,
            "lost": self._absent_for("unreadable"),
            "too_large": self._absent_for("too_large"),
            "files": len(self._there),
            "bytes": self._bytes,
            "all_bytes": max(self._all_bytes, self._bytes),
            "seconds_left": round(left / rate) if rate and self.written_bytes > SPARE_BYTES else None,
        }

    def write(self) -> None:
        """Everything that is not there yet; all has landed when it returns. Raises BoxError."""
        self._look_what_is_there()
        self._weigh()
        ours = [one.place for ledger in (self._ledger, self._named) for one in ledger.read()]
        with Landing(self._stick, self.name, self._note, self._named.note, ours) as open_landing:
            landing = self._target(open_landing)
            for place, pieces in fixed_files(self._wanted.language, self._wanted.evidence):
                self._add(landing, f"fixed:{place}", place, pieces)
            if "head:" not in self._there and self._sealed is None:
                self._write_head(landing, 0, complete=False)
            self._write_pages(landing)
            if self._wanted.case is not None:
                self._write_case(landing, self._wanted.case)
            for place, file in workbooks(self._context, self._desk, self._wanted, self._write_calls):
                self._drop(f"book:{place}")
                self._add(landing, f"book:{place}", place, _pieces_of(file))
            landing.barrier()
            self._write_head(landing, len(self._plan.pages), complete=True)
            landing.settle()

    def _target(self, landing: Landing) -> Landing | Sealed:
        """Where files go: onto the stick as they are, or into encrypted volumes."""
        if self._passphrase is None:
            return landing
        if f"fixed:{HOW_TO_OPEN}" not in self._there:
            landing.put(HOW_TO_OPEN, [HOW_TO_OPEN_TEXT.encode()], f"fixed:{HOW_TO_OPEN}")
        numbers = [int(one.key.removeprefix(VOLUME)) for one in self._ledger.read() if one.key.startswith(VOLUME)]
        self._sealed = Sealed(landing, self._passphrase, self._context.folder, max(numbers, default=0) + 1)
        return self._sealed

    def _look_what_is_there(self) -> None:
        """What an earlier try wrote, each file read anew from the stick."""
        noted = {one.key: one for one in self._ledger.read()}
        try:
            if self._root.is_symlink() or not self._root.exists():
                return
            make_folder(self._root)
            drop_parts(self._root)
            alone = [one for one in noted.values() if not one.inside]
            good: set[str] = set()
            for number, one in enumerate(still_there(self._root, alone)):
                self._stick.check()
                self._count(one)
                good.add(one.place)
                self._context.step("checking", number, len(alone))
            for one in noted.values():
                if one.inside in good:
                    self._count(one)
            written = [one for ledger in (self._ledger, self._named) for one in ledger.read() if not one.inside]
            keep_others(self._root, (one for one in written if one.place not in good))
        except OSError as error:
            raise self._stick.explain(error) from error

    def _weigh(self) -> None:
        """Which files are more than the file system takes. Raises SetAside: there is no room for the rest."""
        rest, papers = 0, _PAPERS_BYTES if self._wanted.evidence else 0
        try:
            room = os.statvfs(self._stick.path)
        except OSError as error:
            raise self._stick.explain(error) from error
        for ids in self._plan.pages:
            for found in recordings_of(self._desk.stores.calls, ids).values():
                for one in found:
                    if one.readable:
                        size = likely_bytes(one, self._wanted.form)
                        if is_too_large(size, self._stick.medium.file_system, encrypted=self._wanted.encrypted):
                            self._absent[one.id] = "too_large"
                            continue
                        self._all_bytes += size
                        self._all_files += 1
                        if one.id not in self._there:
                            rest += -(-size // room.f_frsize) * room.f_frsize + papers
        free = room.f_bavail * room.f_frsize
        if rest + SPARE_BYTES > free:
            raise SetAside("full", f"{(rest + SPARE_BYTES) >> 20} MiB are needed and {free >> 20} MiB are free")

    def _note(self, landed: Sequence[Landed]) -> None:
        sealed = [] if self._sealed is None else [self._sealed.contents.pop(one.place, []) for one in landed]
        landed = [*landed, *(one for inside in sealed for one in inside)]
        self._ledger.note(landed)
        for one in landed:
            self._count(one)
            self.written_bytes += 0 if one.inside else one.bytes
        self._landed += sum(bool(one.inside) == (self._sealed is not None) for one in landed)

    def _count(self, one: Landed) -> None:
        self._recordings += _is_audio(one.key) and one.key not in self._there
        self._there[one.key] = one
        self._bytes += 0 if one.inside else one.bytes

    def _add(self, landing: Landing | Sealed, key: str, place: str, pieces: Any) -> str:
        """Put a file unless it is there; where it is."""
        there = self._there.get(key)
        if there is not None:
            return there.place
        landing.put(place, pieces, key)
        self._put += 1
        return place

    def _drop(self, key: str) -> None:
        """Let a file be written anew."""
        self._there.pop(key, None)

    def _write_head(self, landing: Landing | Sealed, pieces: int, *, complete: bool) -> None:
        self._drop("head:")
        about = {
            "made_at": f"{self._made_at:%Y-%m-%d %H:%M}",
            "by": self._desk.operator.name,
            "calls": self._plan.calls,
            "pieces": pieces,
            "complete": complete,
            "language": self._wanted.language,
            "workbook": _CALLS_NAME[self._wanted.language] if complete else None,
            "evidence": self._wanted.evidence,
            "left_out": len(self._absent),
        }
        self._add(landing, "head:", HEAD, [head_script(about)])

    def _write_pages(self, landing: Landing | Sealed) -> None:
        """Recordings first; the piece of the list that names them once they are there; then the head that names it."""
        waiting: deque[tuple[int, int, bytes, bytes, bool]] = deque()
        marks: deque[tuple[int, int]] = deque()
        head_mark = self._put
        papers = Papers(self._context.home, self._wanted.evidence)
        for number, ids in enumerate(self._plan.pages, 1):
            rows, waves, fresh = self._write_page(landing, ids, papers)
            if f"calls:{number}" in self._there and not fresh:
                continue
            for key in (f"calls:{number}", f"waves:{number}"):
                self._drop(key)
            waiting.append((self._put, number, calls_script(number, rows), waves_script(number, waves), fresh))
            while waiting and waiting[0][0] <= self._landed:
                _, piece, listed, drawn, _ = waiting.popleft()
                self._write_piece(landing, piece, listed, drawn)
                marks.append((self._put, piece))
            if self._sealed is None and marks and marks[0][0] <= self._landed and head_mark <= self._landed:
                while marks and marks[0][0] <= self._landed:
                    done = marks.popleft()[1]
                self._write_head(landing, done, complete=False)
                head_mark = self._put
        landing.barrier()
        for _, piece, listed, drawn, _ in waiting:
            self._write_piece(landing, piece, listed, drawn)

    def _write_piece(self, landing: Landing | Sealed, number: int, listed: bytes, drawn: bytes) -> None:
        self._add(landing, f"waves:{number}", waves_piece(number), [drawn])
        self._add(landing, f"calls:{number}", calls_piece(number), [listed])

    def _write_page(
        self, landing: Landing | Sealed, ids: Sequence[str], papers: Papers
    ) -> tuple[list[list[Any]], dict[str, list[str]], bool]:
        """The recordings of a page; its rows and waveforms, and whether any of it was not there before."""
        desk, fresh = self._desk, False
        calls = calls_again(desk, ids)
        infos = desk.call_infos(calls)
        found = recordings_of(desk.stores.calls, ids)
        notes = notes_of(self._context.crm, ids, desk.channels)
        held = held_calls(desk, self._judge, calls)
        rows, waves = [], dict[str, list[str]]()
        places: dict[str, str] = {}
        coming = deque(one for call in calls for one in found.get(call.id, ()) if self._is_to_come(one))
        for _ in range(_READ_AHEAD):
            self._read_ahead(coming)
        for call, info in zip(calls, infos, strict=True):
            customer = next((one.name or one.company for one in info.customers), "")
            for one in found.get(call.id, ()):
                if not one.readable:
                    continue
                if self._is_to_come(one):
                    fresh = True
                    self._read_ahead(coming)
                place = self._write_recording(landing, call, one, customer, papers)
                if place is None:
                    continue
                places[one.id] = self._places[one.id] = place
                if (wave := wave_of(self._context.home, one)) is not None:
                    waves[one.id] = wave
                self._context.step("copying", self._recordings, self._all_files, result=self.figures())
            operator = self._names.get(info.handled_by or "", info.handled_by or "")
            noted = noted_text(notes.get(call.id, ()), self._wanted.language)
            kept = found.get(call.id, ())
            rows.append(row_of(call, info, operator, noted, call.id in held, kept, places.get, self._absent.get))
        return rows, waves, fresh

    def _is_to_come(self, one: Recording) -> bool:
        return one.readable and one.id not in self._there and one.id not in self._absent

    def _read_ahead(self, coming: deque[Recording]) -> None:
        """The next but a few: while one is written, the disk looks for those behind it."""
        if coming:
            read_ahead(self._context.home, coming.popleft())

    def _write_recording(
        self, landing: Landing | Sealed, call: Call, one: Recording, customer: str, papers: Papers
    ) -> str | None:
        """The recording with its papers; where it is, None: it is left out, see ``Absence``."""
        if self._absent.get(one.id) == "too_large":
            return None
        form = self._wanted.form
        ending = ending_of(one, form)
        name = recording_name(call, one, customer, ending, self._wanted.language)
        place = f"recordings/{day_folder(one.started_ms)}/{name}"
        try:
            place = self._add(landing, one.id, place, pieces_of(self._context.home, one, call, form))
        except Unreadable:
            self._absent[one.id] = "unreadable"
            return None
        except MediumRefused as error:
            if error.code != "file_too_large":
                raise
            self._absent[one.id] = "too_large"  # coded anew it became larger than thought
            return None
        if is_as_stored(one, form):
            for key, paper_ending, content in papers.of(one):
                self._add(landing, f"{key}:{one.id}", place.removesuffix(ending) + paper_ending, [content])
        return place

    def _write_case(self, landing: Landing | Sealed, case: Case) -> None:
        calls = [call for ids in self._plan.pages for call in calls_again(self._desk, ids)]
        found = recordings_of(self._desk.stores.calls, [call.id for call in calls])
        together = [(call, found.get(call.id, [])) for call in calls]
        for place, content in case_files(
            self._desk, case, self._plan.made_ms, together, self._place_of, self._absent.get
        ):
            self._drop(f"case:{place}")
            self._add(landing, f"case:{place}", place, [content])

    def _write_calls(self, target: Path) -> tuple[str, int]:
        """The workbook of the calls; the name that it has on the stick, and how many calls are in it."""
        pages = (calls_again(self._desk, ids) for ids in self._plan.pages)
        beside = Beside(self._place_of, self._absence_text)
        rows = write_pages(self._context, target, pages, self._desk, self._wanted.language, beside)
        return _CALLS_NAME[self._wanted.language], rows

    def _place_of(self, recording_id: str) -> str | None:
        return self._places.get(recording_id)

    def _absence_text(self, recording_id: str) -> str | None:
        why = self._absent.get(recording_id)
        return None if why is None else ABSENCE_TEXTS[self._wanted.language][why]

    def _absent_for(self, why: Absence) -> int:
        return sum(one == why for one in self._absent.values())


def _is_audio(key: str) -> bool:
    """A recording's key is its id; those of other files have a colon."""
    return ":" not in key


def _pieces_of(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as source:
            while piece := source.read(1 << 20):
                yield piece
    except OSError as error:
        raise StoreError(f"{file.name}: {error.strerror}") from error
