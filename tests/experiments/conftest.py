"""What tests of other things do without: a page, the speed of the machine, and waiting for the disk."""

import os
from collections.abc import Iterator
from functools import cache, wraps

import pytest

from experiments.sweeps.forecast import machine_speed


@pytest.fixture(scope="session", autouse=True)
def _without_report() -> Iterator[None]:
    """Runs in this process end without their report, unless the test asks for `report`."""
    from experiments.report import experiment_page

    @wraps(experiment_page.write_report)
    def write_none(*given, **options):
        return [], None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_page, "write_report", write_none)
        yield


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by tests of report.html and of the diagnosis in it."""
    from experiments.report import experiment_page

    monkeypatch.setattr(experiment_page, "write_report", experiment_page.write_report.__wrapped__)


@pytest.fixture(scope="session", autouse=True)
def _speed_of_this_machine() -> Iterator[None]:
    """It is measured once, and not anew for each plan, which takes 50 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.sweeps.plan.machine_speed", cache(machine_speed))
        yield


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_the_disk() -> Iterator[None]:
    """No test loses power; those that watch what is asked of the disk set their own `fsync`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield
