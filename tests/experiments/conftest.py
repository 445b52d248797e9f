"""No page is written in tests of other things: that takes a second each, more than most of them."""

import pytest


@pytest.fixture(autouse=True)
def _without_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process end without their report, unless the test asks for `report`."""
    if "report" not in request.fixturenames:
        monkeypatch.setattr("experiments.report.experiment_page.write_report", lambda *_, **__: ([], None))


@pytest.fixture
def report() -> None:
    """Asked for by tests of report.html and of the diagnosis in it."""
