"""Every numeric option of every table of the engine, at values that no one should give it.

Each is refused in one line before anything is computed, or a tiny network trains with it without a warning.
"""

import typing
from typing import Annotated

import numpy as np
import pytest
from hostile import is_refused
from small import data, network

from mlp.activations import ACTIVATIONS
from mlp.initialisers import BIASES, INITIALISERS
from mlp.norms import NORMS
from mlp.optimisers import OPTIMISERS
from mlp.probes import PROBES, UNIT_PROBES
from mlp.registry import RegistryError
from mlp.schedules import SCHEDULES
from mlp.train import train

TABLES = {
    "act": ACTIVATIONS,
    "init": INITIALISERS,
    "bias": BIASES,
    "norm": NORMS,
    "optimiser": OPTIMISERS,
    "schedule": SCHEDULES,
    "probe": PROBES,
    "unit_probe": UNIT_PROBES,
}
NUMERIC = [
    (kind, name, option)
    for kind, table in TABLES.items()
    for name in table
    for option, parameter in table.options(name).items()
    if parameter.annotation is not bool
]
ODD = ["-1", "0", "1e300", "9" * 39, "1e999", "nan", "inf", "-0.0", "1e-320", "words", "null", "true", "[1]"]
ODD += ["0.5", "1", "2", "1e6"]  # inside the range of some, so that the ends are run, too


@pytest.mark.parametrize(("kind", "name", "option"), NUMERIC, ids=lambda part: part)
def test_an_odd_value_is_refused_in_a_line_or_a_tiny_network_trains_with_it(kind, name, option, rng):
    texts = {value: f"{name}({option}={value})" for value in ODD}
    refused = {
        v for v, text in texts.items() if is_refused(lambda t=text: TABLES[kind].bind(t), RegistryError)
    }
    assert refused >= {"words", "nan", "inf", "1e999", "true", "[1]", "1e300"}
    assert len(refused) < len(ODD), "no value at all is taken"
    for value in set(ODD) - refused:
        assert _trains(kind, texts[value], rng), texts[value]


def _trains(kind, text, rng, steps=2):
    """Whether training two tiny networks with this part ends with a snapshot of finite numbers or NaN."""
    of_network = {"norm": text} if kind == "norm" else {}
    if kind in ("act", "init", "bias"):
        of_network[kind] = text
    of_training = {kind: text} if kind in ("optimiser", "schedule") else {}
    sample = data(rng, n=8, n_in=3, classes=2, n_test=2)
    net = network(**{"depth": 2, "width": 3, "n_in": 3, "classes": 2, "seeds": (0, 1)} | of_network)
    ends = 0
    for snap in train(
        net, sample, seeds=[0, 1], lr=[0.1, 0.1], steps=steps, batch=4, watch=[0, steps], **of_training
    ):
        for trace in snap.layers:
            measured = TABLES[kind].bind(text)(trace) if "probe" in kind else PROBES["delta_norm"](trace)
            assert measured.shape[0] == 2
            assert measured.dtype == np.float64
        assert snap.loss.shape == (2,)
        ends += 1
    return ends == 2


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("act", "leaky_relu(slope=0)", "slope is 0, which is not a number above 0 and up to 1"),
        ("act", "leaky_relu(slope=1.5)",
         "slope is 1.5, which is not a number above 0 and up to 1. Did you mean 0.015?"),
        ("act", "elu(alpha=-1)", "alpha is -1, which is not a number above 0 and up to 1000000"),
        ("act", "silu(beta=0)", "beta is 0, which is not a number from 0.001 to 1000"),
        ("act", "sigmoid(shift=1e4)", "shift is 10000.0, which is not a number from -1000 to 1000"),
        ("init", "normal(std=-1)", "std is -1, which is not a number from 0 to 1000000"),
        ("init", "uniform(bound=1e7)", "bound is 10000000.0, which is not a number from 0 to 1000000"),
        ("init", "orthogonal(gain=-1)",
         "gain is -1, which is not a number from 0 to 1000000 or one of auto, auto_gradient"),
        ("init", "scaled_normal(gain=atuo)",
         "gain is 'atuo', which is not a number from 0 to 1000000 or one of auto, auto_gradient. "
         "Did you mean 'auto'?"),
        ("bias", "normal(std=-1)", "std is -1, which is not a number from 0 to 1000000"),
        ("norm", "batch(eps=-1)", "eps is -1, which is not a number from 0 to below 1"),
        ("norm", "layer(eps=1)", "eps is 1, which is not a number from 0 to below 1"),
        ("optimiser", "momentum(beta=1)", "beta is 1, which is not a number from 0 to below 1"),
        ("optimiser", "nesterov(beta=-0.1)", "beta is -0.1, which is not a number from 0 to below 1"),
        ("optimiser", "rmsprop(rho=150)", "rho is 150, which is not a number from 0 to below 1"),
        ("optimiser", "rmsprop(eps=0)", "eps is 0, which is not a number above 0 and below 1"),
        ("optimiser", "adam(beta1=1)", "beta1 is 1, which is not a number from 0 to below 1"),
        ("optimiser", "adamw(beta2=99)",
         "beta2 is 99, which is not a number from 0 to below 1. Did you mean 0.99?"),
        ("schedule", "step(every=0)", "every is 0, which is not a whole number from 1 to 1000000000"),
        ("schedule", "step(factor=0)", "factor is 0, which is not a number above 0 and up to 1"),
        ("schedule", "cosine(warmup=-1)", "warmup is -1, which is not a whole number from 0 to 1000000000"),
        ("schedule", "cosine(floor=-1)", "floor is -1, which is not a number from 0 to 1"),
        ("schedule", "shock(at=-1)", "at is -1, which is not a whole number from 0 to 1000000000"),
        ("schedule", "shock(length=0)", "length is 0, which is not a whole number from 1 to 1000000000"),
        ("schedule", "shock(factor=1e13)",
         "factor is 10000000000000.0, which is not a number from 0 to 1e+12"),
        ("probe", "saturated_fraction(below=-5)", "below is -5, which is not a number above 0 and up to 1"),
        ("probe", "jacobian_mean(examples=-3)",
         "examples is -3, which is not a whole number from 1 to 1000000000"),
        ("probe", "gradient_snr(batch=0)", "batch is 0, which is not a whole number from 1 to 1000000000"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_told_what_is_allowed(table, text, message):
    with pytest.raises(RegistryError) as error:
        TABLES[table].bind(text)
    assert str(error.value) == f"{TABLES[table].kind} {text.split('(')[0]!r}: option {message}"


@pytest.mark.parametrize("kind", TABLES)
def test_every_number_has_a_range(kind):
    """An option may have none only if any number is sound there; then it is named here."""
    for name in TABLES[kind]:
        for option, parameter in TABLES[kind].options(name).items():
            parts = [parameter.annotation, *typing.get_args(parameter.annotation)]
            bare = [part for part in parts if part in (int, float)]
            is_ranged = typing.get_origin(parameter.annotation) is Annotated
            assert is_ranged or not bare, f"{kind} {name}: {option} has no range"
