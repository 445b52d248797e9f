"""Networks that claims draw themselves: drawn as runs are, and passed both ways rightly."""

import numpy as np
import pytest
from made_up import row_of

from experiments.claims.ensembles import backward, forward, networks, tangent
from experiments.config import Run
from mlp.streams import stream


@pytest.mark.parametrize("act", ["tanh", "relu", "selu"])
def test_a_tangent_and_a_backward_pass_are_derivatives(act):
    """v·(J u) both ways, and J u by central differences, whose error at this step is under 1e-6."""
    net = networks(row_of(Run(activation=act, init="he_normal", bias="normal(std=0.1)")), (4, 7, 5, 2), 3)
    rng = stream(0, "test")
    x, u, v = rng.standard_normal((2, 4)), rng.standard_normal((2, 4)), rng.standard_normal((3, 2, 5))
    passed = list(forward(net, x))
    along = tangent(net, passed, u)
    *_, delta = backward(net, passed, v)
    back = delta @ net.layers[0].w.mT
    np.testing.assert_allclose((back * u).sum(axis=-1), (along * v).sum(axis=-1), rtol=1e-10)
    ends = [list(forward(net, x + h * u))[-1].a for h in (1e-5, -1e-5)]
    np.testing.assert_allclose(along, (ends[0] - ends[1]) / 2e-5, atol=1e-6)


def test_networks_of_a_seed_are_its_own_and_drawn_as_runs_are():
    first, again, other = (networks(row_of(Run(seed=s)), (3, 4, 2), 5).params for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.isin(other[:, :12], first[:, :12]).any()
    np.testing.assert_array_equal(networks(row_of(Run(seed=0)), (3, 4, 2), 1).params, _as_drawn(0))


def _as_drawn(seed):
    from mlp.network import create

    return create((3, 4, 2), "relu", seeds=[seed], init=["xavier_normal"]).params


def test_normalised_examples_have_no_mean_and_unit_variance():
    net = networks(row_of(Run(init="he_normal")), (6, 8, 8, 2), 2, norm="batch(eps=0)")
    for layer in forward(net, stream(0, "test").standard_normal((40, 6))):
        np.testing.assert_allclose(layer.z.mean(axis=1), 0, atol=1e-12)
        np.testing.assert_allclose(layer.z.var(axis=1), 1, rtol=1e-12)
