"""What logs and manifests say, side by side in a temporary SQLite file: a million of each cost no memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

_TABLES = """
CREATE TABLE entries (log TEXT, number INTEGER, manifest_id TEXT, commitment BLOB, kind TEXT, at_ms INTEGER,
  is_new INTEGER);
CREATE TABLE manifests (id TEXT, commitment BLOB, kind TEXT, file TEXT, ended_ms INTEGER, call_id TEXT,
  call_state TEXT);
CREATE TABLE tapes (card TEXT, epoch TEXT, from_sample INTEGER, started_ms INTEGER, rate INTEGER, file TEXT);
CREATE TABLE stones (of_id TEXT, of_commitment BLOB, what TEXT, tombstone BLOB);
CREATE TABLE lost_audio (id TEXT, file TEXT);
"""
_INDEXES = """
CREATE INDEX entries_by_commitment ON entries (commitment);
CREATE INDEX entries_by_id ON entries (manifest_id);
CREATE INDEX manifests_by_commitment ON manifests (commitment);
CREATE INDEX manifests_by_id ON manifests (id);
CREATE INDEX manifests_by_call ON manifests (call_id);
CREATE INDEX manifests_by_file ON manifests (file);
CREATE INDEX stones_by_commitment ON stones (of_commitment);
CREATE INDEX stones_by_id ON stones (of_id);
CREATE VIEW graves AS SELECT * FROM stones WHERE tombstone IN (SELECT commitment FROM entries);
"""


class EvidenceIndex:
    """Filled first, asked afterwards. Thread: one. Close it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a file of its own, gone when closed
        self._db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA cache_size=-8192; BEGIN; {_TABLES}")

    def close(self) -> None:
        """Call once."""
        self._db.close()

    def add(self, table: str, *values: Any) -> None:
        """Add a row."""
        self._db.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(values))})", values)

    def ready(self) -> None:
        """Everything is in. A tombstone that no log names counts for nothing."""
        self._db.executescript(_INDEXES)

    def ask(self, question: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Rows that answer a SELECT."""
        rows: Iterable[tuple[Any, ...]] = self._db.execute(question, values)
        return iter(rows)

    def has(self, question: str, *values: Any) -> bool:
        """Whether a SELECT has an answer."""
        return next(self.ask(f"{question} LIMIT 1", *values), None) is not None


MANIFESTS_NOT_IN_LOG = """
SELECT file, id, kind FROM manifests WHERE commitment NOT IN (SELECT commitment FROM entries) ORDER BY file
"""
ENTRIES_WITHOUT_MANIFEST = """
SELECT log, number, manifest_id, kind, at_ms FROM entries WHERE is_new = 0
AND commitment NOT IN (SELECT commitment FROM manifests)
AND NOT EXISTS (SELECT 1 FROM graves WHERE of_commitment = entries.commitment
                AND (what <> 'audio' OR entries.kind = 'tombstone'))
ORDER BY log, number
"""
"""Where only the audio was deleted the manifest stays; but one tombstone may take the place of another."""
ENTERED_TWICE = """
SELECT manifest_id, min(log) FROM entries GROUP BY manifest_id HAVING count(DISTINCT commitment) > 1
"""
LOST_AUDIO = """
SELECT DISTINCT file, id FROM lost_audio
WHERE id NOT IN (SELECT of_id FROM graves WHERE what LIKE 'audio%') ORDER BY file
"""
ENTERED_LATE = """
SELECT m.file, m.ended_ms, e.at_ms FROM manifests m JOIN entries e ON e.commitment = m.commitment
WHERE m.ended_ms IS NOT NULL AND m.kind IN ('recording', 'call') AND e.at_ms - m.ended_ms > ? ORDER BY e.at_ms
"""
TAPES = "SELECT card, epoch, from_sample, started_ms, rate, file FROM tapes ORDER BY card, epoch, from_sample"
