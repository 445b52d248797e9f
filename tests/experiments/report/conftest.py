"""A window of a real browser, opened once for all tests that look at a page in it."""

import pytest
from browser import MISSING, browser


@pytest.fixture(scope="session")
def window():
    """Without a network, unless a test asks for one."""
    with browser() as found:
        if found is None:
            pytest.skip(MISSING)
        yield found
