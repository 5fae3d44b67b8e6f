"""The Python client hands over: at once, by a job, and back."""

from __future__ import annotations

import pytest
from crm_office import PASSWORD, hire
from excel_office import work
from office_belongings import owned
from office_records import add_customer_of

from crm_client_api.answers.jobs import JobInfo
from crm_client_api.answers.staff import HandedOver, HandOverInfo
from crm_client_api.client import Client
from crm_client_api.domain.handing_over import batches
from crm_client_api.http import later


@pytest.fixture
def box(crm, server) -> Client:
    hire(crm, "1", "super")
    hire(crm, "21")
    hire(crm, "22")
    for number in range(50):
        add_customer_of(crm, "21", f"客户{number}")
    client = Client(server.url)
    client.log_in("1", PASSWORD)
    return client


def test_at_once(crm, box, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_S", 15.0)
    done = box.hand_overs.begin("22", all_of="21", reason="换区")
    assert isinstance(done, HandedOver)
    assert done.hand_overs[0].counts == {"customer": 50}
    assert box.hand_overs.get(done.hand_overs[0].id) == next(box.hand_overs.find())
    back = box.hand_overs.undo(done.hand_overs[0].id)
    assert isinstance(back, HandOverInfo)
    assert back.undone_by == "1"


def test_by_a_job(home, crm, box, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_S", 0.0)
    monkeypatch.setattr(later, "PATIENCE_S", 0.0)
    job = box.hand_overs.begin("22", all_of="21")
    assert isinstance(job, JobInfo)
    assert box.jobs.wait(job.id, timeout_s=0).state == "waiting"
    work(home)
    assert box.jobs.wait(job.id).state == "done"
    assert [one.id for one in box.jobs.find()] == [job.id]
    back = box.hand_overs.undo(job.hand_overs[0])
    assert isinstance(back, JobInfo)
    work(home)
    assert box.jobs.get(back.id).state == "done"
    assert owned(crm, "21")["customers"] == 50


def test_given_up(home, crm, box, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_S", 0.0)
    monkeypatch.setattr(later, "PATIENCE_S", 0.0)
    job = box.hand_overs.begin("22", all_of="21")
    assert isinstance(job, JobInfo)
    box.jobs.cancel(job.id)
    work(home)
    assert box.jobs.get(job.id).state == "cancelled"
    assert owned(crm, "21")["customers"] == 50
