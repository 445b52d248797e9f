"""Overrides of a config on the command line."""

from dataclasses import replace

import pytest
from written import DIGITS_TO_TRAIN_ON, HOUSE, messages, written

from experiments.config import Run, load


@pytest.mark.parametrize(
    ("override", "change"),
    [
        ("lr=0.5", {"base": Run(dataset="digits", width=32, lr=0.5)}),
        ("lr=1e-3", {"base": Run(dataset="digits", width=32, lr=0.001)}),
        ("base.lr=1", {"base": Run(dataset="digits", width=32, lr=1.0)}),
        ("steps=7", {"base": Run(dataset="digits", width=32, lr=0.01, steps=7)}),
        ("watch=[0,5]", {"watch": (0, 5)}),
        ("probes=[w_norm]", {"probes": ("w_norm",), "figures": ("learning_curves",)}),
        ("question='Or: not?'", {"question": "Or: not?"}),
        ("claims=[]", {"claims": ()}),
    ],
)
def test_an_override_replaces_a_value(tmp_path, override, change):
    path = written(tmp_path, HOUSE.replace("gradient_by_layer", "learning_curves"))
    before = load(path)
    assert load(path, [override]) == replace(before, **change)


def test_a_list_replaces_the_list_and_keeps_its_place_in_the_order(tmp_path):
    sweep = load(written(tmp_path, HOUSE), ["depth=[7]", "activation=[relu, silu(beta=2)]"]).sweep
    assert list(sweep) == ["activation", "depth", "seed"]
    assert list(sweep.values()) == [("relu", "silu(beta=2)"), (7,), (0, 1, 2)]


def test_a_single_value_ends_a_sweep_and_a_list_begins_one(tmp_path):
    found = load(written(tmp_path, HOUSE), ["seed=5", "width=[8, 16]"])
    assert found.base == Run(dataset="digits", lr=0.01, seed=5)
    assert list(found.sweep) == ["activation", "depth", "width"]


def test_a_list_under_zip_is_replaced_there_unless_the_section_is_named(tmp_path):
    path = written(tmp_path, "question: q\nzip: {depth: [1, 2], lr: [0.1, 0.2]}")
    assert load(path, ["lr=[0.3, 0.4]"]).zip["lr"] == (0.3, 0.4)
    found = load(path, ["sweep.lr=[0.3, 0.4, 0.5]"])
    assert (list(found.zip), found.sweep) == (["depth"], {"lr": (0.3, 0.4, 0.5)})
    assert messages(path, ["lr=[1,2,3]"]) == [
        "override lr=[1,2,3]: zip.lr: 3 values where depth has 2; lists under zip go together"
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("depth", "override depth: not of the form key=value"),
        ("deth=3", "override deth=3: unknown key 'deth'. Did you mean 'depth'?"),
        ("swep.depth=[3]", "override swep.depth=[3]: unknown key 'swep.depth'. Did you mean 'sweep.depth'?"),
        ("base.watch=3", "override base.watch=3: unknown key 'base.watch'. watch stands at the top level."),
        ("lr=", "override lr=: base.lr: null is not a number from 0 to 1e+12"),
        ("lr=fast", "override lr=fast: base.lr: 'fast' is not a number from 0 to 1e+12"),
        ("depth=[2,x]", "override depth=[2,x]: sweep.depth[1]: 'x' is not a whole number from 0 to 10000"),
        ("sweep.depth=3",
         "override sweep.depth=3: sweep.depth: 3, not a list; a single value stands under base"),
        ("batch=5000", f"override batch=5000: base.batch: 5000 examples a batch, but digits has "
                       f"{DIGITS_TO_TRAIN_ON} to train on"),
        ("lr=\x1b[2J", "override 'lr=\\x1b[2J': the character '\\x1b' cannot be part of a value"),
        ("lr=\udcff", "override 'lr=\\udcff': the character '\\udcff' cannot be part of a value"),
    ],
)  # fmt: skip
def test_a_fault_of_an_override_names_the_override(tmp_path, override, message):
    (found,) = messages(written(tmp_path, HOUSE), [override])
    assert found == message


def test_an_override_of_a_broken_section_leaves_the_fault_where_it_is(tmp_path):
    assert messages(written(tmp_path, "question: q\nsweep: 3"), ["depth=[1]"]) == [
        "x.yaml:2:8: sweep: 3, not lines of key: value"
    ]


def test_an_override_mends_what_it_replaces(tmp_path):
    assert load(written(tmp_path, "question: q\nbase: {depth: -1}"), ["depth=1"]).base.depth == 1
