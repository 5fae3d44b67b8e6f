"""A courier without work leaves everybody alone."""

from __future__ import annotations

from crm_client_api.courier.daemon import Courier
from firmware.config import Home
from firmware.doorbell import Doorbell


def test_a_courier_without_a_job_rings_nobody(home: Home) -> None:
    courier = Courier(home)
    with Doorbell(home.doorbells, "listener") as bell:
        bell.wait(0)
        assert not courier.turn()
        assert not bell.wait(0.3)
