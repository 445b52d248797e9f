"""A store, and one with a whole sweep in it."""

import shutil

import pytest
from sweeps_in_small import sweep

from experiments.storage.store import Store


@pytest.fixture
def results(tmp_path):
    return Store("x", tmp_path)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    made = Store("x", tmp_path_factory.mktemp("swept"))
    assert sweep(made) == []
    return made.folder


@pytest.fixture
def full(results, swept):
    """A copy of a whole sweep."""
    shutil.copytree(swept, results.folder)
    return results
