"""The fuzzer's targets, without the fuzzer: its valid files are read, damaged ones read or refused."""

import fuzz
import pytest
from hostile import FUZZ, damaged
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_what_the_fuzzer_starts_from_is_read(name):
    for seed in fuzz.seeds(name):
        fuzz.TARGETS[name](seed)


@pytest.mark.parametrize("name", fuzz.TARGETS)
@settings(FUZZ, max_examples=20)
@given(data=st.data())
def test_what_is_damaged_is_read_or_refused(name, data):
    fuzz.judged(fuzz.TARGETS[name], data.draw(damaged(*fuzz.seeds(name))))
