"""Where our definitions differ from PyTorch's (results/DEFINITIONS.md), each beside PyTorch itself.

What a test here shows is said on the page in a sentence that ends in the test's name.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from small import data, network, shaken, watch
from torch_twin import ACTS, Case, check, nn, one_hot, optim, torch

from experiments.config import Run
from mlp import losses, update
from mlp.activations import activation
from mlp.losses import LOSSES
from mlp.schedules import SCHEDULES
from mlp.train import batches

PAGE = Path(__file__).resolve().parents[2] / "results" / "DEFINITIONS.md"


# -- where our definitions differ --------------------------------------------------------------------------


def test_clip_has_no_summand_in_its_divisor():
    """PyTorch's clip_grad_norm_ divides by norm + 1e-6."""
    case = Case(clip=0.01)
    check(case)
    with pytest.raises(AssertionError):
        check(case, clip=nn.utils.clip_grad_norm_)
    g = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    g.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    nn.utils.clip_grad_norm_([g], 1.0)
    assert g.grad.norm().item() == pytest.approx(5 / (5 + 1e-6), rel=1e-12)


def test_the_rest_of_an_epoch_is_dropped():
    """As by a DataLoader with drop_last; by default PyTorch has a last, smaller batch."""
    stream = batches(20, 8, [0])
    sizes = [next(stream).shape[1] for _ in range(4)]
    drop, keep = (torch.utils.data.DataLoader(range(20), 8, drop_last=d) for d in (True, False))
    assert sizes == [len(b) for b in drop] * 2 == [8] * 4
    assert [len(b) for b in keep] == [8, 8, 4]


KINKS = {"relu": 0.0, "leaky_relu": 0.0, "elu(alpha=2.0)": 0.0, "hard_tanh": -1.0, "hard_sigmoid": -3.0}
UPPER = {"hard_tanh": (1.0, 1.0), "hard_sigmoid": (3.0, 1 / 6)}  # the kink, our slope there


def slopes(act, z):
    at = torch.tensor([z], dtype=torch.float64, requires_grad=True)
    module = nn.Hardsigmoid if act == "hard_sigmoid" else ACTS[act]
    module()(at).sum().backward()
    x = np.array([z])
    return activation(act).df(x, activation(act).f(x))[0], at.grad.item()


@pytest.mark.parametrize(("act", "z"), KINKS.items())
def test_on_a_kink_the_slope_is_that_from_the_left(act, z):
    mine, theirs = slopes(act, z)
    assert mine == theirs == slopes(act, np.nextafter(z, -9))[0]


@pytest.mark.parametrize(("act", "upper"), UPPER.items())
def test_on_an_upper_kink_pytorch_has_0(act, upper):
    mine, theirs = slopes(act, upper[0])
    assert mine == upper[1]
    assert theirs == 0


def test_sigmoid_cross_entropy_is_summed_over_classes():
    z, y = np.random.default_rng(0).normal(size=(1, 5, 3)), np.array([[0, 1, 2, 0, 1]])
    value = LOSSES["sigmoid_cross_entropy"](z, y)[0][0]
    of_torch = nn.BCEWithLogitsLoss()(
        torch.from_numpy(z[0]), one_hot(torch.from_numpy(z[0]), torch.from_numpy(y[0]))
    )
    assert value == pytest.approx(3 * of_torch.item(), rel=1e-14)


def test_weight_decay_spares_biases_and_gains():
    """PyTorch's optimisers decay all that they are given."""
    net = shaken(network("tanh", 2, seeds=[0], norm="layer"), np.random.default_rng(0))
    rule = update.UpdateRule(net, "sgd", clip=None, weight_decay=0.1)
    step = rule.step(np.zeros_like(net.params), np.ones((1, 1)), np.empty_like(net.params))
    for p, s in zip(net.layers, net.views(step), strict=True):
        np.testing.assert_allclose(s.w, -0.1 * p.w, rtol=1e-14)
        assert not s.b.any()
        assert s.gain is None or not (s.gain.any() or s.shift.any())
    w = nn.Parameter(torch.ones(2, dtype=torch.float64))
    w.grad = torch.zeros_like(w)
    optim.SGD([w], 1.0, weight_decay=0.1).step()
    assert w.tolist() == [0.9, 0.9]


def test_adamw_decays_by_the_rate_times_the_weight():
    """−lr·decay·w, as PyTorch's; the paper's algorithm 2 has the schedule's factor alone in place of lr."""
    net = network("tanh", 1, seeds=[0], bias="zeros")
    rule = update.UpdateRule(net, "adamw", clip=None, weight_decay=0.1)
    step = rule.step(np.zeros_like(net.params), np.full((1, 1), 0.5), np.empty_like(net.params))
    np.testing.assert_allclose(net.views(step)[0].w, -0.05 * net.layers[0].w, rtol=1e-14)
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    w.grad = torch.zeros_like(w)
    optim.AdamW([w], 0.5, weight_decay=0.1).step()
    assert w.item() == pytest.approx(0.95, rel=1e-14)


def test_decay_comes_after_clipping():
    """The summand decay·w of the gradient is not clipped, as in PyTorch, where it is the optimiser's."""
    net = network("tanh", 1, seeds=[0], bias="zeros")
    rule = update.UpdateRule(net, "sgd", clip=1e-3, weight_decay=1.0)
    grads = np.ones_like(net.params)
    step = rule.step(grads.copy(), np.ones((1, 1)), np.empty_like(grads))
    small = 1e-3 / np.sqrt(grads.size)
    np.testing.assert_allclose(net.views(step)[0].w, -net.layers[0].w - small, rtol=1e-12)


def test_batch_norm_predicts_by_the_probe_sets_moments():
    """PyTorch keeps running means, and their variances are taken over B − 1."""
    rng = np.random.default_rng(0)
    sample = data(rng, n=20)
    net = network("tanh", 1, seeds=[0], norm="batch", bias="zeros")
    end = watch(net, sample, seeds=[0], steps=0, batch=8)[0]
    p, q = net.layers
    u, mean, var = sample.x @ p.w[0], (sample.x @ p.w[0]).mean(axis=0), (sample.x @ p.w[0]).var(axis=0)
    unseen = np.tanh((sample.x_test @ p.w[0] - mean) / np.sqrt(var + 1e-5)) @ q.w[0]
    value = LOSSES["softmax_cross_entropy"](unseen[None], sample.y_test[None])[0]
    np.testing.assert_allclose(end.columns["test_loss"], value, rtol=1e-12)
    theirs = nn.BatchNorm1d(5, dtype=torch.float64)
    theirs(torch.from_numpy(u))
    np.testing.assert_allclose(theirs.running_mean, 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(theirs.running_var, 0.9 + 0.1 * var * 20 / 19, rtol=1e-12)


def test_with_trace_batch_the_moments_are_the_batchs():
    net, sample = network("tanh", 1, seeds=[0], norm="batch"), data(np.random.default_rng(0), n=20)
    seen = watch(net, sample, seeds=[0], steps=1, batch=8, trace="batch", watch=[0])[0].layers[1]
    u = seen["x"][0] @ seen["w"][0] + seen["b"][0]
    np.testing.assert_allclose(seen["z"][0], (u - u.mean(axis=0)) / np.sqrt(u.var(axis=0) + 1e-5), rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bias_under_batch_norm_has_only_rounding_for_a_gradient(dtype):
    net, sample = (
        network("tanh", 2, seeds=[0], norm="batch", dtype=dtype),
        data(np.random.default_rng(0), n=20),
    )
    seen = watch(net, sample, seeds=[0], steps=0, probes=["db_norm", "dw_norm"])[0].layers
    for layer in (1, 2):
        assert seen[layer]["db_norm"] < 100 * np.finfo(dtype).eps * seen[layer]["dw_norm"]
    assert seen[3]["db_norm"] > 1e-3


def test_hard_sigmoids_slope_is_a_sixth():
    mine, theirs = slopes("hard_sigmoid", 0.5)
    assert mine == 1 / 6
    assert theirs == pytest.approx(1 / 6, rel=1e-7)  # of which PyTorch 2.13 has no more


def test_a_saturated_slope_is_not_lost():
    z = np.array([10.0], np.float32)
    mine, at = activation("tanh").df(z, np.tanh(z))[0], torch.tensor(z, requires_grad=True)
    torch.tanh(at).sum().backward()
    assert at.grad.item() == 0
    assert mine == pytest.approx(1 / np.cosh(10.0) ** 2, rel=1e-5)


@pytest.mark.parametrize(("dtype", "gap"), [(np.float32, 20.0), (np.float64, 40.0), (np.float64, 1000.0)])
def test_a_sure_predictions_gradient_is_not_lost(dtype, gap):
    z, y = np.array([[[gap, 0.0]]], dtype), np.array([[0]])
    at = torch.tensor(z[0], requires_grad=True)
    nn.CrossEntropyLoss()(at, torch.from_numpy(y[0])).backward()
    assert at.grad[0, 0].item() == 0
    _, delta, exponent = losses.evaluate(LOSSES.bind("softmax_cross_entropy"), z, y)
    assert np.log(-delta[0, 0, 0]) - exponent[0] * np.log(2) == pytest.approx(-gap, rel=1e-6)


def test_softplus_has_no_threshold():
    """PyTorch's is z itself from z = 20 on."""
    z = np.array([25.0])
    mine, theirs = activation("softplus").f(z)[0], nn.Softplus()(torch.from_numpy(z)).item()
    assert theirs == 25
    assert mine == 25 + np.log1p(np.exp(-25.0)) > 25


def test_biases_start_at_0():
    """PyTorch's Linear draws them from U(±1/√n_in), and so do `init` and `bias` of pytorch_default."""
    assert Run().bias == "zeros"
    net = network("tanh", 1, 400, n_in=100, seeds=[0], init="pytorch_default", bias="pytorch_default")
    torch.manual_seed(0)
    linear = nn.Linear(100, 400)
    for mine, theirs in ((net.layers[0].w, linear.weight), (net.layers[0].b, linear.bias)):
        assert 0.08 < abs(mine).max() <= 0.1
        assert 0.08 < theirs.abs().max().item() <= 0.1


def test_cosine_is_at_its_floor_after_the_last_update():
    """As CosineAnnealingLR with T_max = steps: update t is made at the rate of t, and none at the floor."""
    ours_, rule = SCHEDULES.bind("cosine")(), optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    theirs = optim.lr_scheduler.CosineAnnealingLR(rule, 10)
    for step in range(10):
        assert ours_(step, 10) == pytest.approx(rule.param_groups[0]["lr"], rel=1e-12)
        rule.step()
        theirs.step()
    assert ours_(9, 10) > 0
    assert ours_(10, 10) == 0


# -- the page ----------------------------------------------------------------------------------------------


def test_every_sentence_of_the_page_names_a_test_that_is_here():
    """Or of whole trainings, in the file beside this; and every test of a difference has its sentence."""
    named = set(re.findall(r"`(test_(?!keras_)\w+)`", PAGE.read_text(encoding="utf-8")))
    differences, _, page = Path(__file__).read_text(encoding="utf-8").partition("# -- the page")
    trainings = Path(__file__).with_name("test_parity_with_pytorch.py").read_text(encoding="utf-8")
    here = set(re.findall(r"^def (test_\w+)", differences + page + trainings, re.MULTILINE))
    assert named <= here, named - here
    assert set(re.findall(r"^def (test_\w+)", differences, re.MULTILINE)) <= named
