"""Every probe is its definition, written again for one run in plain loops."""

from math import log10, sqrt

import numpy as np
import pytest
from small import DTYPES, data, network, shaken, traces

from mlp.probes import DEFAULT_PROBES, PROBES, UNIT_PROBES
from mlp.trace import LayerTrace


def entries(table):
    return np.asarray(table, np.float64).ravel().tolist()


def norm(table):
    return sqrt(sum(each * each for each in entries(table)))


def rms(table):
    return norm(table) / sqrt(len(entries(table)))


def mean(table):
    return sum(entries(table)) / len(entries(table))


def variance(table):
    middle = mean(table)
    return mean([(each - middle) ** 2 for each in entries(table)])


def share(flags):
    flags = list(flags)
    return sum(map(bool, flags)) / len(flags)


def agreement(gradients):
    """|Σ sign|/(number that are not zero); None where there is none."""
    signs = [np.sign(each) for each in gradients if each != 0]
    return abs(sum(signs)) / len(signs) if signs else None


def pushes_by_example(t):
    """Of every example and unit the agreement of the gradients x_i·delta_j of the weights into it."""
    each = [agreement([x * d for x in xs]) for xs, ds in zip(t.x, t.delta, strict=True) for d in ds]
    return [a for a in each if a is not None]


def pushes_of_the_mean(t):
    return [a for a in (agreement(column) for column in t.dw.T) if a is not None]


def average(values):
    return sum(values) / len(values) if values else np.nan


PLAIN = {
    "delta_norm": lambda t: norm(t.delta),
    "dw_norm": lambda t: norm(t.dw),
    "db_norm": lambda t: norm(t.db),
    "w_norm": lambda t: norm(t.w),
    "delta_log10": lambda t: log10(norm(t.delta)),
    "dw_log10": lambda t: log10(norm(t.dw)),
    "delta_rms": lambda t: rms(t.delta),
    "dw_rms": lambda t: rms(t.dw),
    "db_rms": lambda t: rms(t.db),
    "z_mean": lambda t: mean(t.z),
    "z_var": lambda t: variance(t.z),
    "z_rms": lambda t: rms(t.z),
    "a_mean": lambda t: mean(t.a),
    "a_var": lambda t: variance(t.a),
    "a_rms": lambda t: rms(t.a),
    "dead_fraction": lambda t: share(all(s == 0 for s in column) for column in t.slope.T),
    "inactive_fraction": lambda t: share(all(z <= 0 for z in column) for column in t.z.T),
    "saturated_fraction": lambda t: share(abs(s) < 0.1 * t.max_slope for s in entries(t.slope)),
    "saturated_fraction(below=0.5)": lambda t: share(abs(s) < 0.5 * t.max_slope for s in entries(t.slope)),
    "slope_rms": lambda t: rms(t.slope),
    "update_ratio": lambda t: norm(t.step) / norm(t.w),
    "displacement": lambda t: norm(t.w - t.w0) / norm(t.w0),
    "sign_agreement": lambda t: average(pushes_by_example(t)),
    "sign_agreement_batch": lambda t: average(pushes_of_the_mean(t)),
    "one_sign_fraction": lambda t: average([a == 1 for a in pushes_by_example(t)]),
    "one_sign_fraction_batch": lambda t: average([a == 1 for a in pushes_of_the_mean(t)]),
    "zero_fraction": lambda t: share(each == 0 for each in entries(t.dw)),
    "subnormal_fraction": lambda t: share(0 < abs(each) < t.tiny for each in entries(t.dw)),
}


# The same of one unit: (a run's trace, its column) -> a number.
OF_A_UNIT = {
    "unit_dead": lambda t, j: all(s == 0 for s in t.slope[:, j]),
    "unit_inactive": lambda t, j: all(z <= 0 for z in t.z[:, j]),
    "unit_z_mean": lambda t, j: mean(t.z[:, j]),
    "unit_bias": lambda t, j: float(t.b[0, j]),
    "unit_w_norm": lambda t, j: norm(t.w[:, j]),
    "unit_step_norm": lambda t, j: norm(t.step[:, j]),
    "unit_gradient_norm": lambda t, j: norm([*t.dw[:, j], *t.db[:, j]]),
}


class OneRun:
    """A trace of run r alone, in float64."""

    def __init__(self, t: LayerTrace, r: int) -> None:
        for name in ("x", "z", "a", "slope", "delta", "dw", "db", "w", "b", "w0", "step"):
            setattr(self, name, getattr(t, name)[r].astype(np.float64))
        self.max_slope, self.tiny = t.act.max_slope, np.finfo(t.w.dtype).tiny


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["relu", "leaky_relu", "tanh"])
def test_every_unit_probe_is_its_definition(act, dtype, rng):
    """At the third step of a training, of every unit of every layer, some of them dead."""
    net = network(act, depth=3, seeds=[0, 1, 2], bias="normal(std=0.8)", dtype=dtype)
    dead = 0
    for t in traces(net, data(rng), step=2, steps=3, lr=0.5):
        runs = [OneRun(t, r) for r in range(3)]
        for text, plain in OF_A_UNIT.items():
            found = UNIT_PROBES.bind(text)(t)
            expected = [[plain(one, j) for j in range(t.z.shape[-1])] for one in runs]
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)  # as above
            assert found.dtype == np.float64
        dead += UNIT_PROBES.bind("unit_dead")(t).sum()
    assert set(OF_A_UNIT) <= set(UNIT_PROBES)
    assert (dead > 0) == (act == "relu")


def test_a_unit_s_gradient_is_neither_lost_nor_made(rng):
    """Exactly 0 for a unit that no gradient reaches, and for no other, however small it is."""
    net = network("relu", depth=70, width=3, seeds=[0, 1], init="normal(std=0.001)", n_in=3)
    first = [t for t in traces(net, data(rng, n_in=3), step=0, steps=0) if t.layer <= 2]
    for t in first:
        found = UNIT_PROBES.bind("unit_gradient_norm")(t)
        arrived = (t.scaled_delta != 0).any(axis=-2)
        assert ((found > 0) == arrived).all()


@pytest.mark.parametrize("trace", ["probe_set", "batch"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["relu", "sigmoid", "tanh", "leaky_relu", "hard_tanh", "selu"])
def test_every_probe_is_its_definition(act, dtype, trace, rng):
    """At the third step of a training, at every layer, of three runs."""
    net = shaken(
        network(act, depth=3, seeds=[0, 1, 2], bias="normal(std=0.8)", dtype=dtype, norm="layer"), rng
    )
    for t in traces(net, data(rng), step=2, steps=3, lr=0.5, trace=trace):
        runs = [OneRun(t, r) for r in range(3)]
        for text, plain in PLAIN.items():
            # float32's activations are exact here; what is computed from them is in float64
            expected = [plain(one) for one in runs]
            found = PROBES.bind(text)(t)
            # an error of a norm, as a share of it, is an absolute one of its logarithm
            atol = 4e-7 if text.endswith("log10") else 1e-12
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=atol, err_msg=text)


def test_every_probe_has_a_definition_here_or_is_new():
    assert {text.split("(")[0] for text in PLAIN} <= set(PROBES)
    assert set(DEFAULT_PROBES) <= set(PROBES)
