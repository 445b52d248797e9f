"""The digits and what theory reads of them, for every test of the room."""

import pytest

from experiments import datasets
from experiments.theory import Inputs


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def inputs(digits):
    return Inputs.measured(digits.x, digits.y, digits.classes)
