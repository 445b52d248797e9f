"""What tests of other things do without: a page, which takes a second, and waiting for the disk."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _without_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process end without their report, unless the test asks for `report`."""
    if "report" not in request.fixturenames:
        monkeypatch.setattr("experiments.report.experiment_page.write_report", lambda *_, **__: ([], None))


@pytest.fixture
def report() -> None:
    """Asked for by tests of report.html and of the diagnosis in it."""


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_the_disk() -> Iterator[None]:
    """No test loses power; those that watch what is asked of the disk set their own `fsync`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield
