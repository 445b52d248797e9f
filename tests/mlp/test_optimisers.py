"""Optimisers against the textbook's loops, one parameter at a time; clipping and weight decay."""

from math import inf, sqrt

import numpy as np
import pytest
from small import data, network, watch

from mlp.optimisers import OPTIMISERS, Optimiser

STEPS = 7
TEXTS = [
    *sorted(OPTIMISERS), "momentum(beta=0.5)", "nesterov(beta=0.0)", "rmsprop(rho=0.5, eps=0.01)",
    "adam(beta1=0.5, beta2=0.9, eps=0.01)", "adam(beta1=0.0, beta2=0.0)",
]  # fmt: skip


# -- the textbook: (gradients, rates, options) of one parameter -> the steps to add ----------------------


def sgd(gs, lrs):
    return [-lr * g for g, lr in zip(gs, lrs, strict=True)]


def momentum(gs, lrs, beta=0.9):
    v, steps = 0.0, []
    for g, lr in zip(gs, lrs, strict=True):
        v = beta * v + g
        steps.append(-lr * v)
    return steps


def nesterov(gs, lrs, beta=0.9):
    v, steps = 0.0, []
    for g, lr in zip(gs, lrs, strict=True):
        v = beta * v + g
        steps.append(-lr * (g + beta * v))
    return steps


def rmsprop(gs, lrs, rho=0.99, eps=1e-8):
    s, steps = 0.0, []
    for g, lr in zip(gs, lrs, strict=True):
        s = rho * s + (1 - rho) * g * g
        steps.append(-lr * g / (sqrt(s) + eps))
    return steps


def adam(gs, lrs, beta1=0.9, beta2=0.999, eps=1e-8):
    m = v = 0.0
    steps = []
    for t, (g, lr) in enumerate(zip(gs, lrs, strict=True), start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        steps.append(-lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps))
    return steps


TEXTBOOK = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adam,
}


def taken(text, gs, lrs):
    """(STEPS, R, P) steps of the optimiser for gradients of that shape and (STEPS, R, 1) rates."""
    step = OPTIMISERS.bind(text)().start(gs[0].copy())
    return np.array([step(g, lr, np.empty_like(g)) for g, lr in zip(gs, lrs, strict=True)])


def problem(rng, runs=2, parameters=3):
    return rng.normal(size=(STEPS, runs, parameters)), rng.uniform(0.01, 1, size=(STEPS, runs, 1))


@pytest.mark.parametrize("text", [text for text in TEXTS if text.split("(")[0] in TEXTBOOK])
def test_steps_are_the_textbooks(text, rng):
    gs, lrs = problem(rng)
    steps = taken(text, gs, lrs)
    rule, options = TEXTBOOK[text.split("(")[0]], OPTIMISERS.bind(text).keywords
    for r, p in np.ndindex(gs.shape[1:]):
        expected = rule(gs[:, r, p].tolist(), lrs[:, r, 0].tolist(), **options)
        np.testing.assert_allclose(steps[:, r, p], expected, rtol=1e-12)


# -- what holds for every optimiser, also one that is new -------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_a_run_is_the_same_alone(text, rng):
    gs, lrs = problem(rng, runs=3)
    together = taken(text, gs, lrs)
    for r in range(3):
        assert np.array_equal(taken(text, gs[:, r : r + 1], lrs[:, r : r + 1]), together[:, r : r + 1])


@pytest.mark.parametrize("text", TEXTS)
def test_the_gradients_stay_where_steps_are_written_elsewhere(text, rng):
    gs, lrs = problem(rng)
    step, over = OPTIMISERS.bind(text)().start(gs[0]), OPTIMISERS.bind(text)().start(gs[0])
    for g, lr in zip(gs, lrs, strict=True):
        before, out = g.copy(), np.empty_like(g)
        assert step(g, lr, out) is out
        np.testing.assert_array_equal(g, before)
        np.testing.assert_array_equal(over(before, lr, before), out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", TEXTS)
def test_steps_are_written_over_the_gradients_in_their_format(text, dtype, rng):
    gs, lrs = (part.astype(dtype) for part in problem(rng))
    step = OPTIMISERS.bind(text)().start(gs[0])
    for g, lr in zip(gs.copy(), lrs, strict=True):
        assert step(g, lr, g) is g
        assert g.dtype == dtype
    wide = taken(text, gs.astype(np.float64), lrs.astype(np.float64))
    np.testing.assert_allclose(
        taken(text, gs, lrs), wide, rtol=0, atol=1e3 * np.finfo(dtype).eps * abs(wide).max()
    )


@pytest.mark.parametrize("text", TEXTS)
def test_the_first_step_is_downhill_and_as_long_as_the_rate_says(text, rng):
    gs, lrs = problem(rng)
    assert (taken(text, gs[:1], lrs[:1]) * gs[:1] < 0).all()
    np.testing.assert_allclose(taken(text, gs, 2 * lrs), 2 * taken(text, gs, lrs), rtol=1e-12)
    assert (taken(text, gs, 0 * lrs) == 0).all()


@pytest.mark.parametrize("text", TEXTS)
def test_a_gradient_of_zero_is_no_step(text, rng):
    _, lrs = problem(rng)
    assert (taken(text, np.zeros((STEPS, 2, 3)), lrs) == 0).all()


@pytest.mark.parametrize("text", TEXTS)
def test_every_start_is_a_state_of_its_own(text, rng):
    gs, lrs = problem(rng)
    optimiser = OPTIMISERS.bind(text)()
    starts = optimiser.start(gs[0]), optimiser.start(gs[0])
    each = [[step(g, lr, np.empty_like(g)) for g, lr in zip(gs, lrs, strict=True)] for step in starts]
    assert np.array_equal(*each)


@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name in sorted(OPTIMISERS) for option in OPTIMISERS.options(name)]
)
def test_every_option_changes_the_steps(name, option, rng):
    gs, lrs = problem(rng)
    assert not np.allclose(taken(name, gs, lrs), taken(f"{name}({option}=0.3)", gs, lrs))


# -- clipping and decay, seen from outside: what one update does to the parameters ------------------------


def moved(rng_seed, *, lr=0.1, scale=1.0, **options):
    """The network before one update of two runs, and what the update added to their parameters."""
    net = network(depth=2, seeds=[0, 1], norm="layer", dtype=options.pop("dtype", "float64"))
    net.layers[-1].w[:] *= scale
    before = net.params.copy()
    watch(net, data(np.random.default_rng(rng_seed)), seeds=[0, 1], steps=1, lr=lr, watch=[], **options)
    return net, before, net.params - before


def lengths(steps):
    return np.sqrt((steps.astype(np.float64) ** 2).sum(axis=1))


def test_clipping_shortens_the_whole_gradient_and_keeps_its_direction():
    _, _, free = moved(1, lr=1.0)
    clip = lengths(free).mean()  # between the two runs' norms: one is clipped, the other is not
    _, _, clipped = moved(1, lr=1.0, clip=float(clip))
    long = lengths(free).argmax()
    assert lengths(clipped)[long] == pytest.approx(clip, rel=1e-12)
    np.testing.assert_allclose(clipped[long] / clip, free[long] / lengths(free)[long], rtol=1e-9, atol=1e-12)
    assert np.array_equal(clipped[1 - long], free[1 - long])


def test_clipping_without_a_gradient_is_no_step():
    net = network("relu", seeds=[0], bias="zeros")
    net.layers[0].w[:], net.layers[-1].w[:] = 0, 0
    net.layers[-1].b[:] = [50, -50, -50]  # every example is of class 0, and surely
    sample = data(np.random.default_rng(0), classes=1)
    before = net.params.copy()
    watch(net, sample, seeds=[0], steps=1, clip=1.0, weight_decay=0.0)
    np.testing.assert_allclose(net.params, before, atol=1e-40)  # e⁻¹⁰⁰ and no NaN of 0/0


@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e25), ("float64", 1e200)])
def test_clipping_a_gradient_whose_square_overflows(dtype, scale):
    """It is as long as it is allowed to be, and not zero."""
    _, _, clipped = moved(1, lr=1.0, clip=0.5, dtype=dtype, scale=scale, loss="sigmoid_cross_entropy")
    hidden = clipped[:, :-18]  # the output layer's weights are too large for a step to show in them
    assert np.isfinite(clipped).all()
    assert (lengths(hidden) > 0).all()
    assert (lengths(clipped) <= 0.5 * (1 + 1e-5)).all()


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adam"])
def test_coupled_decay_is_an_addition_to_the_gradient_of_weights_alone(optimiser):
    net, before, free = moved(2)
    _, _, decayed = moved(2, optimiser=optimiser, weight_decay=0.5)
    gradient = -free / 0.1
    for layer, start in zip(net.views(gradient), net.views(before), strict=True):
        layer.w[:] += 0.5 * start.w
    rule = TEXTBOOK[optimiser]
    expected = [rule([g], [0.1])[0] for g in gradient.ravel().tolist()]
    np.testing.assert_allclose(decayed.ravel(), expected, rtol=1e-6, atol=1e-10)  # p + step − p: 1e-16/1e-2


def test_decoupled_decay_is_a_step_of_its_own_on_weights_alone():
    net, before, free = moved(3, optimiser="adamw")
    _, _, adam_step = moved(3, optimiser="adam")
    assert np.array_equal(free, adam_step)  # without decay the two are one
    _, _, decayed = moved(3, optimiser="adamw", weight_decay=0.5)
    expected = free.copy()
    for layer, start in zip(net.views(expected), net.views(before), strict=True):
        layer.w[:] -= 0.1 * 0.5 * start.w
    np.testing.assert_allclose(decayed, expected, rtol=0, atol=1e-15)


def test_clipping_comes_before_decay():
    net, before, clipped = moved(4, lr=1.0, clip=1e-3)
    _, _, both = moved(4, lr=1.0, clip=1e-3, weight_decay=0.5)
    expected = clipped.copy()
    for layer, start in zip(net.views(expected), net.views(before), strict=True):
        layer.w[:] -= 0.5 * start.w
    np.testing.assert_allclose(both, expected, rtol=0, atol=1e-15)


def test_a_run_without_numbers_does_not_clip_the_others(rng):
    sample = data(rng)
    alone = network(seeds=[0])
    together = network(seeds=[0, 1])
    together.params[1] = inf
    for net, seeds in ((alone, [0]), (together, [0, 1])):
        watch(net, sample, seeds=seeds, steps=3, clip=0.1, weight_decay=0.1, watch=[])
    assert np.array_equal(alone.params[0], together.params[0])


@pytest.mark.parametrize("step", [lambda g, lr, out: None, lambda g, lr, out: g[:1], lambda g, lr, out: 0.1])
def test_a_rule_that_returns_no_step_for_each_parameter_is_refused(step, rng, monkeypatch):
    monkeypatch.setitem(OPTIMISERS, "forgetful", lambda: Optimiser(lambda like: step))
    with pytest.raises(
        ValueError, match=r"^optimiser forgetful returns \w+ of shape \(.*\), not \(2, \d+\)$"
    ):
        watch(network(seeds=[0, 1]), data(rng), seeds=[0, 1], optimiser="forgetful", steps=1)
