"""Forward and backward passes: gradients by three independent ways, exponents, Euler's identity."""

from functools import cache
from math import log10, sqrt
from zlib import crc32

import naive
import numpy as np
import pytest
from small import NORMS as KNOWN_NORMS
from small import data, gradients, network, off_kinks, shaken, watch

from experiments.verification import forward as autodiff
from mlp import backward_exponents
from mlp.activations import ACTIVATIONS, activation
from mlp.initialisers import INITIALISERS
from mlp.losses import LOSSES
from mlp.network import Network
from mlp.norms import NORMS
from mlp.quadrature import gaussian_mean
from mlp.tape import Tape

ACTS = [*sorted(ACTIVATIONS), "leaky_relu(slope=0.3)", "elu(alpha=2.0)", "silu(beta=3.0)"]
INITS = ("xavier_normal", "he_uniform", "orthogonal(gain=auto)")  # three runs of one stack
TWO = INITS[:2]
DTYPES = ["float32", "float64"]


def build(act, norm, residual, seed=0, inits=INITS, **options) -> Network:
    """Three layers of five units; normal biases, so that no z lies on a kink by construction."""
    seeds = range(1000 * seed, 1000 * seed + len(inits))
    net = network(act, depth=3, seeds=list(seeds), init=inits, norm=norm, residual=residual, **options)
    return shaken(net, np.random.default_rng(seed))


@cache
def drawn(act, norm, residual, inits):
    """A network and six examples off its kinks: drawn once, for all losses and all ways to check it."""
    sample = data(np.random.default_rng(crc32(f"{act} {norm} {residual}".encode())), n=6)
    return off_kinks(lambda seed: build(act, norm, residual, seed, inits), sample.x), sample


def case(act, norm, residual, inits=INITS):
    """(network, x, y), of which a test may change the parameters."""
    net, sample = drawn(act, norm, residual, inits)
    return net.with_params(net.params.copy()), sample.x, sample.y


def cases(act, norm, inits=INITS):
    """Of each strength of the residual connection a case, and the strength."""
    return [(*case(act, norm, residual, inits), residual) for residual in (0.0, 0.7)]


def by_layer(net, flat, r):
    """A run's row of a flat block as a list of {w, b, gain, shift, learnt}, those that a layer has."""
    found = []
    for p in net.views(flat):
        parts = {"w": p.w[r], "b": p.b[r, 0]}
        rows = {"gain": p.gain, "shift": p.shift, "learnt": p.learnt}
        found.append(parts | {name: row[r, 0] for name, row in rows.items() if row is not None})
    return found


# -- against differences of the loss --------------------------------------------------------------------


def check_by_differences(net, x, y, loss, rng, h=1e-4):
    """⟨gradient, direction⟩ of every run against a fourth-order difference along one random direction.

    Its error is rounding, 1e-16/h, and h⁴ times a fifth derivative: together under 1e-11 of a loss near 1.
    """
    direction = rng.normal(size=net.params.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    start, tape = net.params.copy(), Tape(net, len(x), exact=True)

    def along(distance):
        net.params[:] = start + distance * direction
        return LOSSES[loss](tape.forward(x[None]), y[None])[0]

    near, far = along(h) - along(-h), along(2 * h) - along(-2 * h)
    net.params[:] = start
    exact = gradients(net, x, y, loss)
    size = np.linalg.norm(exact, axis=1) / sqrt(exact.shape[1])  # of a projection on a random direction
    error = abs((exact * direction).sum(axis=1) - (8 * near - far) / (12 * h))
    assert (error <= 1e-6 * size).all(), f"off by {error / size} of the gradient's typical projection"


@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("act", ACTS)
def test_gradients_are_the_differences_of_the_loss(act, loss, norm, rng):
    for net, x, y, _ in cases(act, norm):
        check_by_differences(net, x, y, loss, rng)


@pytest.mark.parametrize("init", sorted(INITIALISERS))
@pytest.mark.parametrize("norm", sorted(NORMS))
def test_gradients_are_the_differences_of_the_loss_from_every_start(init, norm, rng):
    net, x, y = case("tanh", norm, 0.7, (init, init))
    check_by_differences(net, x, y, "softmax_cross_entropy", rng)


# The loss enters the backward pass as a gradient of the logits alone, and the differences above check it with
# every activation: the slower ways take every activation with one loss, and every loss with one activation.


def pairs(known):
    """(activation, loss): every one of both."""
    return [*((act, "softmax_cross_entropy") for act in ACTS), *(("tanh", loss) for loss in sorted(known))]


def slower(residual):
    """The run that the slower ways take: one without the skip, the other with it."""
    return int(residual > 0)


# -- against autograd -----------------------------------------------------------------------------------


def assert_near(actual, expected, rtol, noise=0.0):
    """To `rtol` of the largest entry of each array: a small entry is a difference of large ones."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * abs(expected).max() + noise)


@pytest.mark.parametrize("norm", sorted({"none", *autodiff.NORM_AXES}))
@pytest.mark.parametrize(("act", "loss"), pairs(set(autodiff.LOSSES) - {"softmax_cross_entropy"}))
def test_gradients_are_autograds(act, loss, norm):
    for net, x, y, residual in cases(act, norm, TWO):
        ours, f, one_hot = gradients(net, x, y, loss), autodiff.traced(act, net.act), np.eye(3)[y]
        r = slower(residual)
        theirs = autodiff.gradients(by_layer(net, net.params, r), x, one_hot, f, loss, norm, residual)
        noise = 1e-13 * abs(ours[r]).max()  # of what is truly 0, as a bias under a norm over the batch
        for layer, expected in zip(by_layer(net, ours, r), theirs, strict=True):
            for name, value in layer.items():
                assert_near(value, expected[name], 1e-10, noise)


# -- against plain loops --------------------------------------------------------------------------------


def plain(net, act, r, norm, residual) -> naive.Net:
    scalar = naive.ACTIVATIONS.get(act) or (
        lambda z: float(net.act.f(np.array([z]))[0]),
        lambda z: float(net.act.df(np.array([z]), net.act.f(np.array([z])))[0]),
    )
    none = np.empty(0)
    layers = [
        naive.Layer(*(part.get(name, none).tolist() for name in ("w", "b", "gain", "shift")))
        for part in by_layer(net, net.params, r)
    ]
    return naive.Net(layers, *scalar, norm=norm, residual=residual)


@pytest.mark.parametrize("norm", KNOWN_NORMS)
@pytest.mark.parametrize(("act", "loss"), pairs(set(naive.LOSSES) - {"softmax_cross_entropy"}))
def test_both_passes_are_the_plain_loops(act, loss, norm):
    for each in cases(act, norm, TWO):
        check_by_plain_loops(*each, act, loss, norm)


def check_by_plain_loops(net, x, y, residual, act, loss, norm):
    """Every z, a and delta of every layer, every gradient; 1e-12 is a few hundred roundings."""
    for layer in net.layers:
        if layer.learnt is not None:  # the loops know one slope for all layers
            layer.learnt[:] = net.act.learnt.start
    taped = Tape(net, len(x), exact=True, keep=True)
    value, d_logits = LOSSES[loss](taped.forward(x[None]), y[None])
    views = net.views(np.zeros_like(net.params))
    taped.gradients(d_logits, views)
    r = slower(residual)
    slow = plain(net, act, r, norm, residual)
    passes = naive.forward(slow, x.tolist())
    slow_value, slow_d = naive.LOSSES[loss](passes[-1].z, y.tolist())
    deltas, grads = naive.backward(slow, passes, slow_d)
    assert value[r] == pytest.approx(slow_value, rel=1e-12)
    for index, (seen, delta, grad) in enumerate(zip(passes, deltas, grads, strict=True)):
        if index < net.depth:
            assert_near(taped.saved[index].z[r], np.array(seen.z), 1e-12)
            assert_near(taped.saved[index].a[r], np.array(seen.a), 1e-12)
        assert_near(taped.delta[index][r], np.array(delta), 1e-12)
        assert_near(views[index].w[r], np.array(grad.w), 1e-12)


@pytest.mark.parametrize("norm", KNOWN_NORMS)
def test_three_updates_are_the_plain_loops(norm, rng):
    sample = data(rng, n=6)
    net = build("tanh", norm, 0.7, inits=["xavier_normal"])
    slow = plain(net, "tanh", 0, norm, 0.7)
    watch(net, sample, seeds=[0], steps=3, batch=6, lr=0.3, watch=[])
    for _ in range(3):  # the batch is the whole set, in another order
        passes = naive.forward(slow, sample.x.tolist())
        _, d_logits = naive.softmax_cross_entropy(passes[-1].z, sample.y.tolist())
        naive.sgd(slow, naive.backward(slow, passes, d_logits)[1], 0.3)
    for part, layer in zip(by_layer(net, net.params, 0), slow.layers, strict=True):
        for name, value in part.items():
            np.testing.assert_allclose(value, getattr(layer, name), rtol=1e-11, atol=1e-13)


# -- the training loop's own form -----------------------------------------------------------------------


@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("act", ACTS)
def test_the_lean_form_gives_the_same_gradients(act, norm):
    for net, x, y, _ in cases(act, norm):
        full, lean = gradients(net, x, y), gradients(net, x, y, lean=True)
        np.testing.assert_allclose(lean, full, rtol=0, atol=1e-13 * abs(full).max())  # a slope from a alone


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lean", [True, False])
def test_a_tape_is_used_again_and_gives_what_a_new_one_gives(lean, dtype, rng):
    """Nothing is left over from the pass before, not even from one that went wrong."""
    x = rng.normal(size=(2, 6, 4)).astype(dtype)
    net = build("sigmoid", "batch", 0.7, dtype=dtype)

    def passed(taped, sample):
        flat = np.zeros_like(net.params)
        with np.errstate(all="ignore"):
            _, d_logits = LOSSES["softmax_cross_entropy"](taped.forward(sample), np.arange(6)[None] % 3)
        taped.gradients(d_logits, net.views(flat))
        return flat

    used = Tape(net, 6, exact=not lean)
    for sample in (x[:1], np.full_like(x[1:], np.inf), x[1:], x[:1]):
        again, new = passed(used, sample), passed(Tape(net, 6, exact=not lean), sample)
        assert np.array_equal(again, new, equal_nan=True)
        assert np.isnan(again).any() == (not np.isfinite(sample).all())


def test_every_run_may_have_examples_of_its_own(rng):
    x, y = rng.normal(size=(3, 6, 4)), rng.integers(0, 3, size=(3, 6))
    net = build("tanh", "none", 0.0)
    flat, tape_ = np.zeros_like(net.params), Tape(net, 6, exact=True)
    _, d_logits = LOSSES["softmax_cross_entropy"](tape_.forward(x), y)
    tape_.gradients(d_logits, net.views(flat))
    for r in range(3):
        alone = net.part(slice(r, r + 1))
        assert np.array_equal(gradients(alone, x[r], y[r]), flat[r : r + 1])


@pytest.mark.parametrize("depth", [0, 1])
def test_shallow_networks(depth, rng):
    """Depth 0 is a linear classifier: its gradient is xᵀ(p − t)."""
    sample = data(rng)
    net = network("tanh", depth=depth, seeds=[0, 1])
    check_by_differences(net, sample.x, sample.y, "softmax_cross_entropy", rng)
    if depth == 0:
        logits = sample.x @ net.layers[0].w + net.layers[0].b
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        expected = sample.x.T @ (p - np.eye(3)[sample.y]) / len(sample.x)
        dw = net.views(gradients(net, sample.x, sample.y))[0].w
        np.testing.assert_allclose(dw, expected, rtol=1e-12)


# -- Euler's identity -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("act", ["identity", "relu", "leaky_relu", "leaky_relu(slope=0.3)"])
def test_eulers_identity(act, loss, rng):
    """Of a network that is homogeneous in every layer's weights, ⟨w, dw⟩ is one number in all layers."""
    sample = data(rng, n=20)
    net = network(act, depth=7, width=9, seeds=[0, 1, 2], init="he_normal", bias="zeros")
    grads = net.views(gradients(net, sample.x, sample.y, loss))
    products = np.array([(p.w * g.w).sum(axis=(1, 2)) for p, g in zip(net.layers, grads, strict=True)])
    assert (abs(products[0]) > 1e-4).all()
    np.testing.assert_allclose(products, products[:1].repeat(8, axis=0), rtol=1e-11)


# -- exponents: nothing underflows, and nothing else changes ----------------------------------------------


def unchanged(net):
    return net


def gradient_norms(dtype, depth, act="sigmoid", width=64, init="pytorch_default", prepare=unchanged):
    """{probe: (depth + 1,) of one run} at the start, layers in order."""
    rng = np.random.default_rng(0)
    net = network(act, depth, width, n_in=width, seeds=[0], init=init, bias="zeros", dtype=dtype)
    probes = ["delta_norm", "dw_norm", "db_norm", "delta_log10", "dw_log10"]
    sample = data(rng, n=8, n_in=width)
    start = watch(prepare(net), sample, seeds=[0], steps=0, probes=probes, arrays=(), batch=4)[0]
    return {probe: np.array([start.layers[i + 1][probe][0] for i in range(depth + 1)]) for probe in probes}


def test_float32_norms_are_float64s_where_plain_float32_has_only_zeros():
    narrow, wide = (gradient_norms(dtype, depth=50) for dtype in DTYPES)
    assert wide["delta_norm"][0] < 1e-40  # beyond float32, whose squares end at 1e-22
    for probe in ("delta_norm", "dw_norm", "db_norm"):
        assert (narrow[probe] > 0).all()
        np.testing.assert_allclose(narrow[probe], wide[probe], rtol=1e-4)


def test_the_gradient_of_a_thousand_layers_falls_along_a_straight_line():
    """Far below the smallest number, at the rate that mean-field theory says: √(⅓ E σ'²), about 0.1415.

    One network of width 64: a layer's factor scatters by 1/8 about it, a thousand layers' mean by 0.4 %, and
    the logarithm of so narrow a layer's factor lies 1/128 lower than that of its mean.
    """
    log_norm = gradient_norms("float32", depth=1000)["delta_log10"][:-1]
    assert log_norm[0] < -800
    layers = np.arange(1000)
    slope, offset = np.polyfit(layers[50:950], log_norm[50:950], 1)
    assert slope == pytest.approx(-log10(sigmoid_factor()), rel=0.02)
    assert abs(log_norm - (slope * layers + offset))[20:980].max() < 3  # of 800 decades, a random walk


def sigmoid_factor():
    """‖delta‖ a layer towards the input for weights of variance 1/(3 n), where the signal has settled."""
    act, variance = activation("sigmoid"), 0.1
    for _ in range(100):
        variance = gaussian_mean(lambda z: act.f(z) ** 2, variance) / 3
    factor = sqrt(gaussian_mean(lambda z: act.df(z, act.f(z)) ** 2, variance) / 3)
    assert factor == pytest.approx(0.1415, abs=1e-4)
    return factor


def test_a_gradient_that_grows_beyond_the_format_is_followed_too():
    """Orthogonal layers shrink the signal to 1e-36 and let it grow back to 1e10: halfway delta is 1e46."""

    def hourglass(net):
        for index, layer in enumerate(net.layers):
            layer.w[:] *= 0.1 if index < 36 else 20
        return net

    narrow, wide = (
        gradient_norms(dtype, 71, act="identity", init="orthogonal", prepare=hourglass) for dtype in DTYPES
    )
    assert wide["delta_norm"].max() > 1e42
    np.testing.assert_allclose(narrow["delta_norm"], wide["delta_norm"], rtol=1e-4)


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("act", ["sigmoid", "relu", "tanh"])
@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("residual", [0.0, 0.7])
def test_rescaling_changes_not_one_bit(act, norm, residual, dtype, lean, monkeypatch, rng):
    sample = data(rng, n=16).astype(dtype)
    net = build(act, norm, residual, dtype=dtype)
    results, exponents = [], []
    for reach in (120 if dtype == "float32" else 1000, 1):
        monkeypatch.setattr(backward_exponents, "REACH", dict.fromkeys(DTYPES, reach))
        taped = Tape(net, 16, exact=not lean)
        _, d_logits = LOSSES["softmax_cross_entropy"](taped.forward(sample.x[None]), sample.y[None])
        flat = np.zeros_like(net.params)
        taped.gradients(d_logits, net.views(flat))
        taped.backwards.unscale(flat)
        results.append(flat)
        exponents.append(taped.exponent.copy())
    assert not exponents[0].any()
    assert exponents[1].any(axis=1).sum() >= (1 if lean else 3)
    assert np.array_equal(*results)


def test_a_neighbour_never_causes_a_rescaling(monkeypatch, rng):
    """Whether a run is rescaled follows from its own gradient, also where only a sample is looked at."""
    monkeypatch.setattr(backward_exponents, "REACH", {"float64": 8})
    net = network("identity", depth=1, seeds=[0, 1], n_in=4)
    x = rng.normal(size=(2, 64, 4))
    d_logits = rng.normal(size=(2, 64, 3))
    d_logits[0, 1] = 1e4  # beyond reach, but not among the examples that a check in training looks at
    d_logits[1] *= 1e-6  # the neighbour is rescaled

    def exponents(runs):
        part = net.part(runs)
        taped = Tape(part, 64, exact=False)
        taped.forward(x[runs])
        taped.gradients(d_logits[runs].copy(), part.views(np.zeros_like(part.params)))
        return taped.exponent

    together = exponents(slice(0, 2))
    assert together[:, 1].any()
    assert np.array_equal(together[:, :1], exponents(slice(0, 1)))


@pytest.mark.parametrize(
    ("dtype", "power"), [("float32", -145), ("float32", 120), ("float64", -1060), ("float64", 1000)]
)
def test_a_gradient_at_the_very_end_of_its_format_is_brought_back(dtype, power):
    """By a power of two that is itself no number of the format: 2^145 is no float32."""
    net = network(depth=0, seeds=[0], n_in=1, dtype=dtype)
    taped, views = Tape(net, 2, exact=True), net.views(np.zeros_like(net.params))
    taped.forward(np.ones((1, 2, 1), dtype))
    d_logits = np.ldexp(np.array([[[4, -2, 1], [0, 1, 0]]], dtype), power)
    taped.gradients(d_logits.copy(), views)
    assert 0.25 <= abs(taped.delta[0]).max() <= 1
    back = np.ldexp(taped.delta[0].astype(np.float64), -taped.exponent[0].astype(np.int32))
    assert np.array_equal(back, d_logits)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_too_small_to_move_a_weight_moves_none(dtype):
    net = network("sigmoid", depth=400, width=8, seeds=[0], init="pytorch_default", bias="zeros", dtype=dtype)
    sample = data(np.random.default_rng(0)).astype(dtype)
    grads = net.views(gradients(net, sample.x, sample.y, lean=True))
    assert all(np.isfinite(g.w).all() for g in grads)
    sizes = np.array([abs(g.w).max() for g in grads])
    assert sizes[-1] > 0.01
    assert sizes[0] == 0
    small = sizes[(sizes > 0) & (sizes < 2.0 ** -backward_exponents.FLOOR[dtype])]
    assert (small > np.finfo(dtype).tiny).all(), "a subnormal number slows the update"
