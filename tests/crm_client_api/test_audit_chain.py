"""The audit log is chained: what was changed, taken out or cut off is named, and what was erased by law is not."""

from __future__ import annotations

import json
import threading
from contextlib import suppress

import pytest
from click.testing import CliRunner
from crm_office import ROOT, hire

from crm_client_api.commands_audit import audit_group
from crm_client_api.domain import audit
from crm_client_api.domain.audit import Actor, chained_hash, commitment_to
from crm_client_api.domain.audit_chain import Head, head_of, verify_chain
from firmware.store.connection import open_store, write


def fill(crm, entries: int = 6) -> None:
    with write(crm) as connection:
        for number in range(entries):
            audit.append(
                connection, Actor("1", "10.0.0.7"), "customer.change", str(number), {"after": {"name": "王芳"}}
            )


def tamper(crm, statement: str, *values: object) -> None:
    """What somebody with the file in hand can do: the triggers go first."""
    for name in ("audit_no_update", "audit_no_delete"):
        crm.conn.execute(f"DROP TRIGGER IF EXISTS {name}")
    crm.conn.execute(statement, values)
    crm.conn.commit()


def test_a_log_that_nobody_touched_is_whole(crm):
    assert verify_chain(crm).head is None
    fill(crm)
    verdict = verify_chain(crm)
    assert (verdict.entries, verdict.unchained, verdict.erased, verdict.broken_id) == (6, 0, 0, None)
    assert verdict.head == head_of(crm)
    assert verdict.head is not None
    assert verdict.head.id == 6


@pytest.mark.parametrize("column", ["at_ms", "actor", "action", "subject", "address", "data", "salt", "hash"])
def test_any_field_that_was_changed_is_found(crm, column):
    fill(crm)
    tamper(crm, f"UPDATE audit SET {column} = {'7' if column == 'at_ms' else repr('7')} WHERE id = 3")
    assert verify_chain(crm).broken_id == 3


def test_an_entry_that_was_taken_out_is_named(crm):
    fill(crm)
    tamper(crm, "DELETE FROM audit WHERE id = 4")
    assert verify_chain(crm).broken_id == 4


def test_entries_cut_off_at_the_end_are_missed_also_after_new_ones(crm):
    fill(crm)
    head = head_of(crm)
    tamper(crm, "DELETE FROM audit WHERE id > 4")
    assert verify_chain(crm).broken_id == 5
    fill(crm, 1)
    assert verify_chain(crm).broken_id == 5
    tamper(crm, "UPDATE sqlite_sequence SET seq = 4 WHERE name = 'audit'")
    tamper(crm, "DELETE FROM audit WHERE id > 4")
    assert verify_chain(crm).broken_id is None, "nothing in the store tells any more"
    assert verify_chain(crm, head).broken_id == 5, "but the head that was written down does"


def test_a_log_written_anew_does_not_fit_the_head_that_was_written_down(crm):
    fill(crm)
    head = head_of(crm)
    tamper(crm, "DELETE FROM audit")
    tamper(crm, "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'audit'")
    fill(crm)
    assert verify_chain(crm).broken_id is None
    assert head is not None
    assert verify_chain(crm, head).broken_id == head.id


def test_erased_data_leaves_the_chain_whole_and_is_counted(crm):
    fill(crm)
    salt, data = crm.conn.execute("SELECT salt, data FROM audit WHERE id = 2").fetchone()
    erased = json.dumps({"erased": commitment_to(salt, data)})
    tamper(crm, "UPDATE audit SET data = ?, salt = NULL WHERE id = 2", erased)
    verdict = verify_chain(crm)
    assert (verdict.broken_id, verdict.erased) == (None, 1)
    tamper(crm, "UPDATE audit SET data = ?, salt = NULL WHERE id = 5", json.dumps({"erased": "0" * 64}))
    assert verify_chain(crm).broken_id == 5, "erasing cannot put other data in its place"


def test_entries_older_than_the_chain_count_as_such(crm):
    crm.conn.execute("INSERT INTO audit (at_ms, actor, action, subject, address, data) VALUES (1,'1','a.b','','','{}')")
    crm.conn.commit()
    fill(crm, 2)
    verdict = verify_chain(crm)
    assert (verdict.entries, verdict.unchained, verdict.broken_id) == (3, 1, None)
    tamper(crm, "UPDATE audit SET hash = NULL, salt = NULL WHERE id = 3")
    assert verify_chain(crm).broken_id == 3, "no entry behind the first of the chain is without a hash"


def test_what_a_failed_change_noted_is_undone_with_it(crm):
    fill(crm, 2)
    with suppress(RuntimeError), write(crm) as connection:
        audit.append(connection, ROOT, "customer.add", "9")
        raise RuntimeError
    fill(crm, 2)
    verdict = verify_chain(crm)
    assert (verdict.entries, verdict.broken_id) == (4, None)


def test_texts_of_any_kind_are_chained(crm):
    with write(crm) as connection:
        for text in ("", "王 芳", "a\x00b", "\ud800", "'; DROP TABLE audit; --", "x" * 5000, '"\n'):
            audit.append(connection, Actor(text, text), f"customer.{text}", text, {"after": {"name": "é"}})
    assert (verify_chain(crm).entries, verify_chain(crm).broken_id) == (7, None)


def test_the_command_names_the_first_broken_entry(home, crm):
    hire(crm, "1", "super")
    fill(crm)
    run = CliRunner().invoke(audit_group, ["verify"], obj=home)
    assert run.exit_code == 0, run.output
    assert f"head      {head_of(crm)}" in run.output
    assert CliRunner().invoke(audit_group, ["verify", "--head", str(Head(4, "0" * 64))], obj=home).exit_code == 1
    assert CliRunner().invoke(audit_group, ["verify", "--head", "none"], obj=home).exit_code != 0
    tamper(crm, "UPDATE audit SET actor = '2' WHERE id = 3")
    run = CliRunner().invoke(audit_group, ["verify"], obj=home)
    assert run.exit_code == 1
    assert "BROKEN at entry 3" in run.output


def test_many_writers_at_once_make_one_chain(home, crm):
    def fill_from_elsewhere() -> None:
        other = open_store(home.crm_db)
        try:
            for _ in range(25):
                fill(other, 2)
        finally:
            other.conn.close()

    threads = [threading.Thread(target=fill_from_elsewhere) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = verify_chain(crm)
    assert (verdict.entries, verdict.broken_id) == (200, None)


def forge(crm, entry_id: int) -> None:
    """Rewrite an entry so that it is right in itself."""
    row = crm.conn.execute("SELECT * FROM audit WHERE id = ?", (entry_id,)).fetchone()
    previous = crm.conn.execute("SELECT hash FROM audit WHERE id = ?", (entry_id - 1,)).fetchone()[0]
    texts = ("9", row["action"], row["subject"], row["address"])
    forged = chained_hash(previous, entry_id, row["at_ms"], texts, commitment_to(row["salt"], row["data"]))
    tamper(crm, "UPDATE audit SET actor = '9', hash = ? WHERE id = ?", forged, entry_id)


def test_an_entry_forged_with_its_hash_breaks_the_next_one(crm):
    fill(crm)
    forge(crm, 3)
    assert verify_chain(crm).broken_id == 4


def test_the_last_entry_forged_shows_by_the_head(crm):
    fill(crm)
    head = head_of(crm)
    forge(crm, 6)
    assert verify_chain(crm).broken_id is None
    assert verify_chain(crm, head).broken_id == 6
