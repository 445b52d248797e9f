"""Functions given as parts=[…]: into the table that they belong to, or one clear line."""

import numpy as np
import pytest

import experiments
from experiments.config import ConfigError
from experiments.config.part_files import load_parts
from mlp.activations import ACTIVATIONS, Activation
from mlp.initialisers import INITIALISERS, Initialiser
from mlp.optimisers import OPTIMISERS, Optimiser
from mlp.probes import PROBES
from mlp.trace import LayerTrace


def ramp(top: float = 2.0) -> Activation:
    """z, up to `top`."""
    return Activation(
        f=lambda z: np.minimum(z, top), df=lambda z, a: (z < top).astype(z.dtype), max_slope=1.0, kinks=(top,)
    )


def small() -> Initialiser:
    """A tenth of unit variance over the fan-in."""
    return INITIALISERS["xavier_normal"]()


def slow() -> Optimiser:
    """A tenth of SGD."""
    return Optimiser(lambda like: lambda g, lr, out: np.multiply(g, -lr / 10, out=out), forgets=True)


def largest_output(t: LayerTrace):
    """Largest |a| of the layer."""
    return np.abs(t.a).max(axis=(-2, -1)).astype(float)


def half(step, steps):
    return 0.5


def broken():
    raise KeyError("nothing here")


OWN = {ramp: ACTIVATIONS, small: INITIALISERS, slow: OPTIMISERS, largest_output: PROBES}


@pytest.fixture(autouse=True)
def taken_out():
    yield
    for part, table in OWN.items():
        table.pop(part.__name__, None)


@pytest.mark.parametrize("part", OWN, ids=lambda part: part.__name__)
def test_a_function_is_registered_by_what_it_returns_or_takes(part):
    load_parts([part])
    assert OWN[part][part.__name__] is part
    load_parts([part])  # a cell that is run again


def test_a_function_of_no_known_table_is_refused_in_one_line():
    with pytest.raises(ConfigError, match=r"^parts: half returns neither .* put its table's decorator above"):
        load_parts([half])
    with pytest.raises(ConfigError, match=r"^parts: broken\(\) fails: KeyError: 'nothing here'$"):
        load_parts([broken])


def test_a_run_with_own_functions_and_nothing_registered(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    asked = {
        "question": "?", "name": "own", "figures": [], "probes": ["largest_output"], "watch": 2,
        "base": {"dataset": "moons(n=60)", "width": 4, "batch": 20, "steps": 2, "activation": "ramp(top=0.5)",
                 "optimiser": "slow"},
    }  # fmt: skip
    records = experiments.run(asked, parts=[ramp, slow, largest_output])
    hidden = records.layers[records.layers["layer"] <= 2]
    assert hidden["largest_output"].max() > 0.4
    assert records.runs["status"].tolist() == ["ok"]
