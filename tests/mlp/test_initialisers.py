"""What is drawn: its moments, its pairing by seed, and that no activation's name ever matters."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from small import network

from mlp.activations import ACTIVATIONS, Activation, activation
from mlp.initialisers import (
    BIASES,
    INITIALISERS,
    Initialiser,
    bias_mean,
    bias_variance,
    weight_mean,
    weight_variance,
)
from mlp.network import create
from mlp.probes.jacobian import forward
from mlp.streams import stream
from mlp.tape import Tape

TEXTS = [
    *sorted(INITIALISERS), "normal(std=0.3)", "uniform(bound=0.5)", "scaled_normal(gain=1.7)",
    "scaled_normal(gain=auto_gradient)", "orthogonal(gain=0.9)", "orthogonal(gain=auto)",
]  # fmt: skip
BIAS_TEXTS = [*sorted(BIASES), "normal(std=0.2)"]
ACT = activation("tanh")


def draw(init, n_in, n_out, seed=0, act=ACT, table=INITIALISERS):
    return table.bind(init)().draw(stream(seed, "weights", 1), n_in, n_out, act)[:n_in]


# -- moments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(300, 200), (200, 300)], ids=str)
@pytest.mark.parametrize("init", TEXTS)
def test_weights_have_the_mean_and_variance_they_promise(init, shape):
    """60,000 draws: the mean is known to 0.41 % of a deviation, the variance by the fourth moment (of normal
    ones to 0.58 %, of those with a few large ones to 5 %); allowed are five times that."""
    w = draw(init, *shape)
    std = sqrt(weight_variance(init, *shape, ACT))
    away = w - weight_mean(init, *shape)
    if std == 0:
        assert not away.any()
        return
    assert abs(away.mean()) < 5 * std / sqrt(w.size)
    kurtosis = (away**4).mean() / std**4
    assert (away**2).mean() == pytest.approx(std**2, rel=5 * sqrt(max(kurtosis - 1, 0.5) / w.size))


@pytest.mark.parametrize("bias", BIAS_TEXTS)
def test_biases_have_the_variance_they_promise(bias):
    """20,000 draws: the variance is known to 1 %, allowed are five."""
    noise = BIASES.bind(bias)()
    b = noise.std(50, 20_000, ACT) * noise.noise(stream(0, "biases", 1), 1, 20_000)
    assert b.var() == pytest.approx(bias_variance(bias, 50, 20_000, ACT), rel=0.05, abs=0)


FORMULAS = [  # variance of a weight of a (6, 10) layer, by the paper's formula
    ("normal", 0.01**2),
    ("normal(std=0.3)", 0.09),
    ("uniform", 0.1**2 / 3),
    ("uniform(bound=0.5)", 0.25 / 3),
    ("lecun_normal", 1 / 6),
    ("lecun_uniform", 1 / 6),
    ("xavier_normal", 2 / 16),
    ("xavier_uniform", 2 / 16),
    ("he_normal", 2 / 6),
    ("he_uniform", 2 / 6),
    ("scaled_normal(gain=1.7)", 1.7**2 / 6),
    ("orthogonal", 1 / 10),
    ("orthogonal(gain=3)", 9 / 10),
    ("pytorch_default", 1 / 18),
    ("zeros", 0),
    ("mirrored(gain=3)", 9 / 5),  # Q has 3 × 5 entries
    ("constant(value=2)", 0),
    ("weight_standardised(gain=1.5)", 2.25 / 6),
    ("rai", (0.6007**2 + 0.5) / 7 - (2 / 21) ** 2),  # one entry of 7 is Beta(2, 1): mean 2/3, mean square ½
]


@pytest.mark.parametrize(("init", "variance"), FORMULAS, ids=[row[0] for row in FORMULAS])
def test_variances_are_the_papers(init, variance):
    assert weight_variance(init, 6, 10, ACT) == pytest.approx(variance, rel=1e-14)


@pytest.mark.parametrize(
    ("bias", "variance"),
    [
        ("zeros", 0),
        ("normal(std=0.2)", 0.04),
        ("pytorch_default", 1 / 18),
        ("dead(share=0.3)", 2.1e17),
    ],
)
def test_bias_variances(bias, variance):
    assert bias_variance(bias, 6, 10, ACT) == pytest.approx(variance, rel=1e-14)


@pytest.mark.parametrize(
    ("init", "bound"),
    [("uniform(bound=0.5)", 0.5), ("lecun_uniform", sqrt(3 / 6)), ("xavier_uniform", sqrt(6 / 1006)),
     ("he_uniform", 1.0), ("pytorch_default", sqrt(1 / 6))],
)  # fmt: skip
def test_uniform_draws_fill_their_interval_and_no_more(init, bound):
    w = draw(init, 6, 1000)  # of 6,000 draws the largest misses the bound by 2e-4 on average
    assert 0.99 * bound < abs(w).max() <= bound
    assert np.quantile(abs(w), 0.5) == pytest.approx(bound / 2, rel=0.1)


def test_normal_draws_are_normal():
    w = draw("normal(std=1.0)", 300, 200)
    assert (w**4).mean() == pytest.approx(3.0, abs=5 * sqrt(96 / w.size))  # Var Z⁴ = 105 − 9


@pytest.mark.parametrize("shape", [(7, 7), (9, 4), (4, 9), (1, 5), (5, 1)], ids=str)
def test_orthogonal_rows_or_columns_are_orthonormal(shape):
    w = draw("orthogonal(gain=1.5)", *shape) / 1.5
    gram = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_is_uniform_over_rotations():
    """Without the signs of R's diagonal, the first entry of a QR factor is never positive."""
    first = np.array([draw("orthogonal", 2, 2, seed)[0, 0] for seed in range(200)])
    assert 60 < (first > 0).sum() < 140  # 200 fair coins stay within 40 of 100 but once in 1e8


def test_rai_puts_one_positive_number_into_each_unit():
    """Wide enough, the Beta(2, 1) entry is told from the normal ones, which stay under 0.03 (five sds)."""
    large = INITIALISERS["rai"]().draw(stream(0, "weights", 1), 10_000, 300, ACT)
    assert large.shape == (10_001, 300)
    count = (large > 0.03).sum(axis=0)
    assert (count == 1).mean() > 0.98  # a Beta(2, 1) is below 0.03 in 1 case of 1,000
    assert large.max(axis=0).mean() == pytest.approx(2 / 3, abs=5 * sqrt(1 / 18 / 300))


def test_rai_chooses_the_bias_as_often_as_any_weight():
    means = INITIALISERS["rai"]().draw(stream(0, "weights", 1), 3, 20_000, ACT).mean(axis=1)
    np.testing.assert_allclose(means, 2 / 3 / 4, atol=5 * 0.45 / sqrt(20_000))


def test_rai_draws_the_bias_and_a_bias_of_its_own_is_added():
    net = network(seeds=[3], init="rai", bias="zeros", n_in=6)
    first = INITIALISERS["rai"]().draw(stream(3, "weights", 1), 6, 5, ACT)
    assert np.array_equal(net.layers[0].w[0], first[:6])
    assert np.array_equal(net.layers[0].b[0, 0], first[6])
    with_bias = network(seeds=[3], init="rai", bias="normal(std=0.2)", n_in=6).layers[0].b
    alone = network(seeds=[3], bias="normal(std=0.2)", n_in=6).layers[0].b
    assert np.array_equal(with_bias[0], alone[0] + first[6])


# -- gains ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "gain"),
    [("relu", sqrt(2)), ("identity", 1.0), ("selu", 1.0), ("leaky_relu(slope=0.5)", sqrt(1.6))],
)
@pytest.mark.parametrize("init", ["scaled_normal(gain=auto)", "orthogonal(gain=auto)"])
def test_an_automatic_gain_is_the_activations(init, act, gain):
    assert weight_variance(init, 8, 8, activation(act)) == pytest.approx(gain**2 / 8, rel=1e-9)


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_an_automatic_gain_keeps_the_signal(act):
    """A wide layer of N(0, 1) pre-activations hands on mean square 1: the gain's definition, by sampling."""
    z = np.random.default_rng(0).standard_normal((400, 1000))
    a = activation(act).f(z)
    z_next = a @ draw("scaled_normal(gain=auto)", 1000, 500, act=activation(act))
    # 200,000 z, of which those of one row or one column depend on each other: 2.5 % at the worst
    assert (z_next**2).mean() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_an_automatic_gradient_gain_keeps_the_gradient(act):
    rng, f = np.random.default_rng(0), activation(act)
    w = draw("scaled_normal(gain=auto_gradient)", 1000, 1000, act=f)
    z, delta = rng.standard_normal((100, 1000)), rng.standard_normal((100, 1000))
    below = (delta @ w.T) * f.df(z, f.f(z))
    assert (below**2).mean() == pytest.approx(1, rel=0.05)


# -- laws -----------------------------------------------------------------------------------------------


def down_and_up(init, act, width, depth, nets):
    """ln ‖delta₁‖/‖delta_L‖ and var(z_L)/var(z₁) over units of plain nets on one input: (nets,) each."""
    curve, rng = activation(act), np.random.default_rng(5)
    initialiser = INITIALISERS.bind(init)()
    falls, grows = [], []
    for _ in range(nets):
        h, slopes, weights, sizes = rng.standard_normal(width), [], [], []
        for _ in range(depth):
            weights.append(initialiser.draw(rng, width, width, curve))
            z = h @ weights[-1]
            h = curve.f(z)
            slopes.append(curve.df(z, h))
            sizes.append(z.var())
        delta = top = rng.standard_normal(width) * slopes[-1]
        for w, slope in zip(weights[:0:-1], slopes[-2::-1], strict=True):
            delta = (w @ delta) * slope
        falls.append(np.log(np.linalg.norm(delta) / np.linalg.norm(top)))
        grows.append(np.log(sizes[-1] / sizes[0]))
    return np.array(falls), np.array(grows)


@pytest.mark.parametrize(
    ("act", "init", "drift"),
    [("relu", "random_walk", 0.0), ("identity", "random_walk", 0.0), ("relu", "he_normal", -1.25)],
)
def test_a_random_walk_of_the_log_of_the_gradient_has_no_drift(act, init, drift):
    """Width and depth 50: He's size falls by depth · 5/(4 width). Within three standard errors, and the
    slope that starts the walk, whose mean is not the others', is worth 0.06."""
    falls, _ = down_and_up(init, act, 50, 51, 60)
    assert abs(falls.mean() - drift) < 3 * falls.std() / sqrt(60) + 0.06


def test_random_walk_sizes_are_those_of_the_derivation():
    for act, gain in (("relu", sqrt(2) * np.exp(5 / 400)), ("identity", np.exp(1 / 200))):
        found = weight_variance("random_walk", 100, 100, activation(act))
        assert sqrt(found * 100) == pytest.approx(gain, rel=1e-9)


def test_standardised_weights_pass_no_mean_and_keep_the_variance():
    """Brock et al. 2021: gain √(2/(1 − 1/π)) = 1.712859 for ReLU; He's, 1.414, loses (1 − 1/π) per layer."""
    w = draw("weight_standardised", 40, 30, act=activation("relu"))
    np.testing.assert_allclose(w.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(w.std(axis=0) * sqrt(40), 1.712859, rtol=1e-6)
    _, grows = down_and_up("weight_standardised", "relu", 100, 15, 40)
    assert abs(grows.mean()) < 3 * grows.std() / sqrt(40) + 15 * 5 / (2 * 100)  # Var ln shrinks the mean
    _, lost = down_and_up(f"weight_standardised(gain={sqrt(2)})", "relu", 100, 15, 10)
    assert lost.mean() < 10 * np.log(1 - 1 / np.pi)


@pytest.mark.parametrize("depth", [0, 1, 20])
def test_a_mirrored_net_is_a_rotation_at_any_depth(depth, rng):
    """20 matrices, each right to a few units of the last place: 1e-12; of an odd width, too."""
    for width in (16, 17):
        net = network("relu", depth, width, n_in=8, classes=8, init="mirrored", bias="zeros")
        x = rng.normal(size=(5, 8))
        x = np.concatenate([x, x.sum(axis=0, keepdims=True), 2 * x])
        out = Tape(net, len(x), exact=True).forward(x[None])[0]
        np.testing.assert_allclose(np.linalg.norm(out, axis=1), np.linalg.norm(x, axis=1), rtol=1e-12)
        np.testing.assert_allclose(out[5], out[:5].sum(axis=0), atol=1e-12)
        np.testing.assert_allclose(out[6:], 2 * out[:5], atol=1e-12)


# -- pairing --------------------------------------------------------------------------------------------


def _unnamed(act: Activation) -> Activation:
    """The same curve, another object of another name."""
    return replace(act, f=lambda z: act.f(z), df=lambda z, a: act.df(z, a))


@pytest.mark.parametrize("init", TEXTS)
def test_what_is_drawn_depends_on_the_curve_and_never_on_a_name(init):
    for act in map(activation, ("relu", "sigmoid")):
        assert np.array_equal(draw(init, 6, 5, act=act), draw(init, 6, 5, act=_unnamed(act)))


NEEDS_THE_CURVE = (
    "random_walk",
    "weight_standardised",
    "scaled_normal",
    "scaled_normal(gain=auto_gradient)",
    "orthogonal(gain=auto)",
)


@pytest.mark.parametrize("init", [text for text in TEXTS if text not in NEEDS_THE_CURVE])
def test_equal_seeds_start_equal_whatever_the_activation(init):
    nets = [network(act, depth=3, init=init, seeds=[3]) for act in ("relu", "sigmoid", "mish")]
    assert all(np.array_equal(net.params, nets[0].params) for net in nets)


def test_equal_seeds_are_paired_across_initialisers():
    """The same noise, scaled: of two normal initialisers one is a multiple of the other."""
    he, lecun = (draw(init, 6, 5) for init in ("he_normal", "lecun_normal"))
    np.testing.assert_allclose(he, sqrt(2) * lecun, rtol=1e-15)
    he, lecun = (draw(init, 6, 5) for init in ("he_uniform", "pytorch_default"))
    np.testing.assert_allclose(he, sqrt(6) * lecun, rtol=1e-15)


def test_equal_seeds_are_paired_across_depths():
    shallow, deep = (network(depth=depth, seeds=[5]).layers for depth in (2, 6))
    for index in range(2):
        assert np.array_equal(shallow[index].w, deep[index].w)
        assert np.array_equal(shallow[index].b, deep[index].b)
    assert np.array_equal(shallow[-1].w, deep[-1].w)  # the output layer is the output layer
    assert np.array_equal(shallow[-1].b, deep[-1].b)


def test_equal_seeds_are_paired_across_widths_biases_norms_and_number_formats():
    weights = network(seeds=[5], init="normal(std=1.0)").layers
    for other in (
        network(seeds=[5], init="normal(std=1.0)", bias="zeros"),
        network(seeds=[5], init="normal(std=1.0)", norm="batch"),
        network(seeds=[5], init="normal(std=1.0)", residual=1.0),
    ):
        assert all(np.array_equal(a.w, b.w) for a, b in zip(weights, other.layers, strict=True))
    narrow = network(seeds=[5], dtype="float32").params
    assert np.array_equal(narrow, network(seeds=[5]).params.astype(np.float32))


def test_layers_runs_and_purposes_draw_different_noise():
    net = network(depth=4, width=4, classes=4, seeds=[0, 1], init="normal(std=1.0)", bias="normal(std=1.0)")
    matrices = [layer.w[r] for layer in net.layers for r in range(2)]
    rows = [layer.b[r, 0] for layer in net.layers for r in range(2)]
    firsts = [m[0] for m in matrices] + rows
    assert len({row.tobytes() for row in firsts}) == len(firsts)


def test_streams_are_keyed_by_what_they_are_for():
    first = stream(3, "weights", 1).random(4)
    assert np.array_equal(first, stream(3, "weights", 1).random(4))
    for other in (stream(4, "weights", 1), stream(3, "biases", 1), stream(3, "weights", 2)):
        assert not np.isin(other.random(4), first).any()


def test_one_initialiser_a_run():
    inits, biases = ["he_normal", "normal(std=0.5)"], ["zeros", "normal"]
    net = create((4, 5, 3), "tanh", seeds=[7, 7], init=inits, bias=biases)
    alone = [
        create((4, 5, 3), "tanh", seeds=[7], init=[i], bias=[b]) for i, b in zip(inits, biases, strict=True)
    ]
    assert np.array_equal(net.params, np.concatenate([each.params for each in alone]))
    assert (net.layers[0].b[0] == 0).all()
    assert (net.layers[0].b[1] != 0).all()


# -- options --------------------------------------------------------------------------------------------


OPTIONS = [
    (table, name, option)
    for table in (INITIALISERS, BIASES)
    for name in sorted(table)
    for option in table.options(name)
]


@pytest.mark.parametrize(
    ("table", "name", "option"),
    OPTIONS,
    ids=[f"{table.kind}-{name}-{option}" for table, name, option in OPTIONS],
)
def test_every_option_changes_what_is_drawn(table, name, option):
    default, changed = table[name](), table[name](**{option: 0.37})
    draws = [each.draw(stream(0, "weights", 1), 6, 9, ACT) for each in (default, changed)]
    assert not np.allclose(*draws)


@pytest.mark.parametrize(("share", "killed"), [(0, 0), (0.26, 3), (0.5, 5), (1, 9)])
def test_dead_biases_kill_so_many_units_of_each_hidden_layer_and_none_of_the_output(share, killed):
    net = create((4, 10, 10, 10), "relu", seeds=[0], init=["he_normal"], bias=[f"dead(share={share})"])
    for layer in net.layers[:2]:
        assert np.count_nonzero(layer.b) == killed
        assert np.allclose(layer.b[0, 0, :killed], -1e9)
    assert not net.layers[2].b.any()
    assert bias_mean(f"dead(share={share})", 10, 10) == pytest.approx(-1e8 * killed)
    z = forward(net, np.random.default_rng(0).normal(size=(50, 4))).saved[0].z
    assert (z[0, :, :killed] < 0).all()


@pytest.mark.parametrize("shape", [(7, 5), (1, 7), (7,), ()])
def test_what_is_drawn_in_another_shape_is_refused_and_not_repeated_over_the_layer(shape, monkeypatch):
    """5 inputs and 7 units: (1, 7), say, would give every input the same weights."""
    ones = Initialiser(lambda rng, n_in, n_out: np.ones(shape), lambda n_in, n_out, act: 1.0)
    for table, option in ((INITIALISERS, "init"), (BIASES, "bias")):
        monkeypatch.setitem(table, "ones", lambda: ones)
        if (table, shape) != (BIASES, (1, 7)):  # a row is what biases are
            with pytest.raises(ValueError, match=r"ones draws an array of shape \(.*, not \([15], 7\)$"):
                create((5, 7, 2), "relu", seeds=[0], **({"init": ["zeros"]} | {option: ["ones"]}))
