"""What the recorder's floor keeps about a number: calls, their events, recordings with manifests, copies elsewhere."""

from __future__ import annotations

import glob
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec
import sqlite_utils

from firmware.clock import iso_utc, now_ms
from firmware.durable import sync_folder, write_whole
from firmware.errors import BoxError
from firmware.store.connection import write
from recorder.cutting.manifest import recording_name
from recorder.library.archive import copies
from recorder.library.archive.owed import Owed, owe, withdraw
from recorder.library.archive.places import read_places
from recorder.library.archive.removing import expect_removal, remove_copies, to_remove
from recorder.library.audio import names
from recorder.library.audio.stored import open_audio
from recorder.library.audio.vault import ENDING
from recorder.library.erasure.call_waiting import FIELD, erase_waiting, find_waiting
from recorder.library.erasure.erase import Found, Subject
from recorder.library.evidence.log import canonical
from recorder.library.keeping.task import Library, Stores
from recorder.library.storage.deletion import delete_recordings, manifest_at
from recorder.library.storage.judge import Judge
from recorder.library.storage.removal import finish_removals, make_tombstone
from recorder.library.storage.stock import StoredRecording

_AT_ONCE = 200
_TELLING = frozenset(
    {
        "caller_number", "caller_name", "caller_id", "dialled_number", "caller_key", "dialled_key", "path", "manifest",
        FIELD,
    }
)  # fmt: skip
"""Fields of events that tell the number, in the names of files too."""


@dataclass(slots=True)
class _Call:
    """A call with the number, its recordings, and why it must stay (None: it may go)."""

    row: dict[str, Any]
    recordings: list[dict[str, Any]] = field(default_factory=list)
    kept: str | None = None


class RecorderEraser:
    """See ``Eraser``. A call and its recordings go together or stay together."""

    def find(self, stores: Stores, subject: Subject) -> list[Found]:
        """Calls, recordings and their copies; long recordings in which such a call can be heard among others."""
        found = []
        for call in _calls(stores, subject):
            events = stores.calls.conn.execute("SELECT count(*) FROM events WHERE call_id = ?", (call.row["id"],))
            found.append(Found("call", call.row["id"], call.row | {"events": events.fetchone()[0]}, call.kept))
            for row in call.recordings:
                found.append(Found("recording", row["id"], row, call.kept))
                found += [
                    Found("archive copy", f"{row['id']}@{copy['target']}", dict(copy), call.kept)
                    for copy in _copies(stores.calls, row["id"])
                ]
            found += _heard_among_others(stores.calls, call.row)
        found += find_waiting(stores, subject, _keeper(stores, subject))
        return list({(one.kind, one.id): one for one in found}.values())

    def export(self, stores: Stores, found: Sequence[Found], folder: Path) -> None:
        """Audio as it was before encryption, and manifests."""
        for one in found:
            if one.kind == "call" and one.about["manifest"]:
                _copy(stores.home.recordings / one.about["manifest"], folder)
            if one.kind == "recording" and one.about["path"]:
                _export_recording(stores, one.about["path"], folder)

    def erase(self, library: Library, subject: Subject, by: str) -> list[Found]:
        """Recordings first and the numbers of the calls last: until then, the calls are found again after a crash."""
        finish_removals(library)  # what a crash left undone names files, and so the number
        going = [call for call in _calls(library, subject) if call.kept is None]
        targets = [place.name for place in read_places(library.crm)]
        for call in going:
            _erase_call(library, call, targets, by)
        erase_waiting(library, subject, _keeper(library, subject))
        left = self.find(library, subject)
        reasons = remove_copies(library.home, library.calls, library.crm)
        own = {row["id"] for call in going for row in call.recordings}
        return left + [
            Found(
                "archive copy" if one.recording_id in own else "archive copy of an earlier erasure",
                f"{one.recording_id}@{one.target}",
                {},
                reasons.get(one.target, "not removed yet"),
            )
            for one in to_remove(library.home, library.calls, None)
        ]


def _calls(stores: Stores, subject: Subject) -> list[_Call]:
    """The calls with the number, oldest first, judged by the holds of this moment."""
    rows = stores.calls.conn.execute(
        "SELECT * FROM calls WHERE id IN (SELECT id FROM calls WHERE caller_key = ?1"
        " UNION SELECT id FROM calls WHERE dialled_key = ?1) ORDER BY started_ms, id",
        (subject.key,),
    )
    calls = [_Call(dict(row)) for row in rows]
    judge = Judge(stores.calls, stores.crm)
    for first in range(0, len(calls), _AT_ONCE):
        some = {call.row["id"]: call for call in calls[first : first + _AT_ONCE]}
        for row in stores.calls.conn.execute(
            f"SELECT * FROM recordings WHERE call_id IN ({','.join('?' * len(some))}) ORDER BY segment", list(some)
        ):
            some[row["call_id"]].recordings.append(dict(row))
        for call in some.values():
            call.kept = _kept(judge, call)
    return calls


def _keeper(stores: Stores, subject: Subject) -> Callable[[str], str | None]:
    """Why events in which the number was shown during another call must stay."""
    judge = Judge(stores.calls, stores.crm)
    own = next((hold for hold in judge.holds if subject.key in hold.numbers), None)

    def kept(call_id: str) -> str | None:
        row = stores.calls.conn.execute("SELECT * FROM calls WHERE id = ?", (call_id,)).fetchone()
        if own is not None or row is None:
            return None if own is None else f"hold {own.id}"
        recordings = stores.calls.conn.execute("SELECT * FROM recordings WHERE call_id = ?", (call_id,))
        return _kept(judge, _Call(dict(row), [dict(one) for one in recordings]))

    return kept


def _kept(judge: Judge, call: _Call) -> str | None:
    if call.row["state"] != "ended":
        return "the call is not over"
    if any(row["state"] == "pending" for row in call.recordings) or call.row["manifest"] is None:
        return "the recorder has not finished it"
    heard = [_as_stored(call.row, call.row["id"]), *(_as_stored(row, row["call_id"]) for row in call.recordings)]
    judged = judge.judge(heard)
    hold = next((one.hold for one in judged if one.hold is not None), None)
    if hold is not None:
        return f"hold {hold.id}"
    return "a folder of that time cannot be read" if any(one.unread for one in judged) else None


def _as_stored(row: dict[str, Any], call_id: str) -> StoredRecording:
    """A call or a recording as holds look at it."""
    return StoredRecording(
        row["id"], "call", call_id, row["channel"], row["started_ms"], row["ended_ms"] or row["started_ms"], 0, "", "",
        encrypted=False, simulated=bool(row["simulated"]),
    )  # fmt: skip


def _copies(calls: sqlite_utils.Database, recording_id: str) -> list[sqlite3.Row]:
    return calls.conn.execute(
        "SELECT target, state, path, verified_ms FROM archive_copies WHERE recording_id = ? AND path IS NOT NULL"
        " AND state <> 'removed' ORDER BY target",
        (recording_id,),
    ).fetchall()


def _heard_among_others(calls: sqlite_utils.Database, call: dict[str, Any]) -> Iterator[Found]:
    """Recordings of the whole line that ran during the call: other people's calls are in them, too."""
    of_the_line = "SELECT * FROM recordings WHERE call_id IS NULL AND state = 'ready' AND channel = ?"
    for row in calls.conn.execute(
        f"{of_the_line} AND started_ms <= ? AND ended_ms >= ?"
        f" UNION {of_the_line} AND tape_epoch = ? AND from_sample < ? AND to_sample > ?",  # a clock may have been set
        (
            call["channel"],
            call["ended_ms"] or now_ms(),
            call["started_ms"],
            call["channel"],
            call["tape_epoch"],
            call["to_sample"],
            call["from_sample"],
        ),
    ):
        yield Found(f"{row['kind']} recording", row["id"], dict(row), "other calls are in it: delete it as a whole")


def _erase_call(library: Library, call: _Call, targets: list[str], by: str) -> None:
    stored = [row for row in call.recordings if row["path"] is not None]
    notes = [Owed(row["id"], row["path"], targets) for row in stored]
    for note in notes:
        owe(library.home, note)
    with write(library.calls) as connection:
        for row in stored:
            expect_removal(connection, targets, row["id"], row["path"])
    done = delete_recordings(library, [row["id"] for row in stored], copies.ERASURE, by, "", remove_manifest=True)
    lost = {row["id"] for row in stored if row["state"] == "lost"}
    if done.refused.keys() - lost:  # held since we looked, or an older removal names its files and is not finished
        for recording_id in done.refused:
            withdraw(library.home, recording_id)
        return
    for row in stored:
        if row["id"] in lost:
            papers = names.papers(row["path"])
            _bury(library, row, papers, _stone_file(row["path"], row["id"]), "audio and manifest", by)
        _remove_files(library.home.recordings / row["path"])
    for note in notes:
        owe(library.home, msgspec.structs.replace(note, erased=True))
    stone = _bury_call(library, call, by)
    with write(library.calls) as connection:
        _forget_events(connection, call.row["id"])
        _forget_names(connection, call)
        connection.execute(
            "UPDATE recordings SET path = NULL, deleted_rule = ? WHERE call_id = ?", (copies.ERASURE, call.row["id"])
        )
        connection.execute(
            "UPDATE calls SET caller_number = NULL, caller_name = NULL, caller_id = NULL, dialled_number = NULL,"
            " caller_key = NULL, dialled_key = NULL, manifest = ? WHERE id = ?",
            (stone, call.row["id"]),
        )


def _remove_files(audio: Path) -> None:
    """Everything that bears the recording's name: the name tells the number."""
    if audio.parent.is_dir():
        for file in audio.parent.glob(f"{glob.escape(PurePosixPath(names.stem_of(audio.name)).name)}.*"):
            file.unlink(missing_ok=True)
        sync_folder(audio.parent)


def _forget_events(connection: sqlite3.Connection, call_id: str) -> None:
    for event_id, text in connection.execute("SELECT id, data FROM events WHERE call_id = ?", (call_id,)).fetchall():
        data = msgspec.json.decode(text)
        kept = {key: None if key in _TELLING else value for key, value in data.items()}
        if kept != data:
            connection.execute(
                "UPDATE events SET data = ? WHERE id = ?", (msgspec.json.encode(kept).decode(), event_id)
            )


def _bury_call(library: Library, call: _Call, by: str) -> str:
    """What ``calls.manifest`` names from now on: a tombstone, for the call itself if it had a manifest of its own.

    It must name something: a call without a manifest gets one from the recorder. A call that was kept only after its
    end has a manifest of its own beside those of its recordings.
    """
    path, row = str(call.row["manifest"]), call.row
    papers = {paper for one in call.recordings if one["path"] for paper in names.papers(one["path"])}
    own = {f"{recording_name(row, row)}.json", path} - papers
    stone = _stone_file(path, row["id"])
    _bury(library, row, sorted(own - {stone}), stone, "call", by)
    if path not in papers:
        return stone
    last = max((one for one in call.recordings if one["path"]), key=lambda one: int(one["segment"]))
    return _stone_file(path, last["id"])


def _forget_names(connection: sqlite3.Connection, call: _Call) -> None:
    """Alarms and what the daily comparison found name files, and so the number."""
    paths = {one["id"]: one["path"] for one in call.recordings if one["path"]}
    paths |= {call.row["id"]: str(recording_name(call.row, call.row))}
    for identifier, path in paths.items():
        name = PurePosixPath(names.stem_of(path)).name
        for table, column in (("alarms", "data"), ("meta", "value")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?)",
                (name, identifier, name),
            )


def _stone_file(beside: str, identifier: str) -> str:
    """Of a tombstone whose name tells no number."""
    return PurePosixPath(beside).with_name(f"{identifier}.tombstone.json").as_posix()


def _bury(
    library: Library,
    row: dict[str, Any],
    files: Sequence[str],
    stone: str,
    what: Literal["call", "audio and manifest"],
    by: str,
) -> None:
    """A tombstone for those of the manifests that are there, damaged ones too, and their end."""
    there = [path for file in files if (path := library.home.recordings / file).is_file()]
    if not there:
        return
    log, at_ms = library.log(bool(row["simulated"])), now_ms()
    commitments = [manifest.commitment() for file in files if (manifest := manifest_at(library, file)) is not None]
    signed = make_tombstone(log, row["id"], commitments, what, copies.ERASURE, by, "", iso_utc(at_ms))
    write_whole(library.home.recordings / stone, canonical(signed) + b"\n")
    log.enter(signed.manifest["id"], "tombstone", at_ms, signed)
    for path in there:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in there}:
        sync_folder(folder)


def _export_recording(stores: Stores, path: str, folder: Path) -> None:
    """The audio as it was before encryption; what of it cannot be read is left out."""
    for paper in names.papers(path):
        _copy(stores.home.recordings / paper, folder)
    try:
        with (
            open_audio(stores.home, path) as audio,
            (folder / Path(path).name.removesuffix(ENDING)).open("wb") as plain,
        ):
            shutil.copyfileobj(audio, plain)
    except BoxError as error:
        (folder / f"{Path(path).name}.unreadable.txt").write_text(f"{error}\n")


def _copy(file: Path, folder: Path) -> None:
    if file.is_file():
        shutil.copyfile(file, folder / file.name)
