"""Every numeric option of data sets, searches, figures and claims, at values that no one should give it.

Each is refused in one line, or it has one spelling and, of a data set that is drawn, finite examples. The
tables of the engine are tried in tests/mlp/test_ranges.py.
"""

import typing
from typing import Annotated

import numpy as np
import pytest
from hostile import is_refused

from experiments import datasets
from experiments.config.kinds import resolve, table
from experiments.datasets.generators import GENERATORS
from mlp.registry import fitted, in_words

KINDS = ("dataset", "search", "figure", "claim")
OPTIONS = [
    (kind, name, option) for kind in KINDS for name in table(kind) for option in table(kind).options(name)
]
NUMERIC = [
    (kind, name, option)
    for kind, name, option in OPTIONS
    if "number" in in_words(table(kind).options(name)[option].annotation)
]
ODD = ["-1", "0", "1e300", "9" * 39, "1e999", "nan", "inf", "-0.0", "1e-320", "words", "true", "[1]", "1e3"]
NEVER = {"1e300", "9" * 39, "1e999", "true", "[1]"}


@pytest.mark.parametrize(("kind", "name", "option"), NUMERIC, ids=lambda part: part)
def test_an_odd_number_is_refused_in_a_line_or_has_one_spelling(kind, name, option, monkeypatch):
    monkeypatch.setenv("VG_DATA", "/nowhere")  # a published set that is not there is refused, too
    texts = {value: f"{name}({option}={value})" for value in ODD}
    refused = {v for v, text in texts.items() if is_refused(lambda t=text: resolve(kind, t), ValueError)}
    assert refused >= NEVER
    for value in set(ODD) - refused:
        spelled = resolve(kind, texts[value])
        assert resolve(kind, spelled) == spelled
        if name in GENERATORS and table(kind).bind(texts[value]).keywords.get("n", 0) < 10_000:
            found = datasets.load(spelled)
            assert np.isfinite(found.x).all()
            assert found.x.size


def test_every_number_has_a_range_and_every_default_its_spelling():
    for kind, name, option in OPTIONS:
        parameter = table(kind).options(name)[option]
        parts = [parameter.annotation, *typing.get_args(parameter.annotation)]
        is_ranged = typing.get_origin(parameter.annotation) is Annotated
        is_number = {int, float} & {part for part in parts if isinstance(part, type)}
        assert is_ranged or not is_number, (kind, name, option)
        if parameter.default != "":
            assert fitted(parameter.default, parameter.annotation) == parameter.default, (kind, name, option)


@pytest.mark.parametrize(
    ("kind", "name", "option"),
    [
        each
        for each in OPTIONS
        if "the name of" in in_words(table(each[0]).options(each[1])[each[2]].annotation)
    ],
    ids=lambda part: part,
)
def test_a_name_that_another_table_lacks_is_refused_with_what_it_has(kind, name, option):
    for value in ("nonsense", "[nonsense]", "'relu('"):
        assert is_refused(lambda v=value: resolve(kind, f"{name}({option}={v})"), ValueError)
