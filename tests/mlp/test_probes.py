"""Every probe, also one that is new: its numbers are a run's own, in any order and in any trouble."""

from itertools import product

import numpy as np
import pytest
from hostile import is_refused
from small import ALL_PROBES, DTYPES, data, network, watch

from mlp.probes import PROBES
from mlp.registry import RegistryError, fitted


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(PROBES))
def test_a_probe_gives_one_number_a_run_and_the_same_alone(name, dtype, rng):
    sample = data(rng)

    def measured(seeds):
        net = network("relu", depth=2, seeds=seeds, dtype=dtype, norm="batch")
        return watch(net, sample, seeds=seeds, watch=[1, 2], probes=[name], arrays=())

    for together, alone in zip(measured([0, 1, 2]), measured([1]), strict=True):
        for layer in (1, 2, 3):
            values = together.layers[layer][name]
            assert values.shape == (3,)
            assert values.dtype == np.float64
            assert np.array_equal(values[1:2], alone.layers[layer][name], equal_nan=True)


def test_the_order_of_probes_changes_nothing(rng):
    """They share what they measure; who asks first must not matter: each alone, and all in either order."""
    sample, names = data(rng), sorted(PROBES)

    def measured(probes):
        net = network("relu", seeds=[0])
        return watch(net, sample, seeds=[0], steps=1, probes=probes, arrays=())[1].layers

    orders = measured(names), measured(names[::-1])
    for name in names:
        alone = measured([name])
        for found, layer in product(orders, (1, 2, 3)):
            assert np.array_equal(found[layer][name], alone[layer][name], equal_nan=True), name


@pytest.mark.parametrize(
    ("trouble", "depth", "dtype"),
    [
        *((trouble, 2, "float64") for trouble in ("huge", "infinite", "dead", "no weights", "no input")),
        ("far below", 30, "float32"),
        pytest.param("far below", 210, "float64", marks=pytest.mark.slow),  # as far below this format
    ],
)
def test_no_probe_complains_or_disturbs_a_neighbour(trouble, depth, dtype, rng):
    """pytest turns a warning into an error; run 1 is in trouble, run 0 is not."""
    sample = data(rng)
    act = "sigmoid" if trouble == "far below" else "relu"
    options = {"depth": depth, "dtype": dtype, "width": 3, "init": "pytorch_default", "bias": "zeros"}
    if trouble == "far below":
        options["init"] = "normal(std=0.05)"  # 46 decades in 28 layers

    def measured(seeds):
        net = network(act, seeds=seeds, **options)
        if len(seeds) > 1:
            worry(net, trouble)
        return watch(net, sample, seeds=seeds, steps=1, probes=ALL_PROBES, arrays=())

    for alone, together in zip(measured([0]), measured([0, 1]), strict=True):
        for layer, arrays in alone.layers.items():
            for name in ALL_PROBES:
                pair = arrays[name][0], together.layers[layer][name][0]
                assert np.array_equal(*pair, equal_nan=True), name


def worry(net, trouble):
    """Put run 1 into trouble."""
    if trouble == "huge":
        net.params[1] = 1e200
    if trouble == "infinite":
        net.layers[0].b[1, 0, :2] = np.inf, -np.inf
    if trouble == "dead":
        net.layers[0].b[1] = -1e3
    if trouble == "no weights":
        net.params[1] = 0
    if trouble == "no input":
        net.layers[0].w[1] = 0


def is_allowed(value, annotation) -> bool:
    """Whether an option of this type may have this value."""
    return not is_refused(lambda: fitted(value, annotation), RegistryError)


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in sorted(PROBES) for option in PROBES.options(name)]
)
def test_every_option_changes_the_number(name, option, rng):
    default = PROBES.options(name)[option].default
    others = [not default] if isinstance(default, bool) else [default * 5, default / 5, default / 50]
    others += [0.95] if 0 < default < 0.04 else []  # a share, which five units may not reach otherwise
    allowed = [other for other in others if is_allowed(other, PROBES.options(name)[option].annotation)]
    changed = [f"{name}({option}={str(other).lower()})" for other in allowed]
    sample = data(rng, n=400)  # several mini-batches of any size that is asked for
    seen = watch(network("tanh", seeds=[0]), sample, seeds=[0], probes=[name, *changed])[0]
    assert any(seen.layers[layer][name] != seen.layers[layer][text] for layer in (1, 2) for text in changed)
