"""The forms of an activation that work in place, its gains, and the quadrature behind them."""

from math import erfc, exp, pi, sqrt

import numpy as np
import pytest
from curves import DTYPES, TEXTS, everywhere

from mlp.activations import activation
from mlp.quadrature import gaussian_mean

# -- the forms that work in place -----------------------------------------------------------------------

IN_PLACE = [text for text in TEXTS if activation(text).in_place is not None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", IN_PLACE)
def test_in_place_f_is_f(text, dtype):
    act = activation(text)
    z = everywhere(act, dtype)
    a = z.copy()
    with np.errstate(all="ignore"):  # the training loop hears nothing of an overflow on the way to an exact 0
        act.in_place.f(z, a)
    info = np.finfo(dtype)
    # one is taken from tanh, so it is right to the last place of 1 and not of itself
    by_tanh = text.startswith("sigmoid") and dtype == np.float32
    atol = info.eps if by_tanh else 4 * info.tiny  # below, digits run out
    np.testing.assert_allclose(a, act.f(z), rtol=8 * info.eps, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", IN_PLACE)
def test_in_place_slope_is_the_slope(text, dtype, rng):
    act = activation(text)
    z = everywhere(act, dtype)
    z = z[~np.isin(z, np.array(act.kinks, dtype))]  # the output alone does not tell on which side z lies
    delta, a = rng.normal(size=z.shape).astype(dtype), z.copy()
    expected = delta * act.df(z, act.f(z))
    few = 8 * np.finfo(dtype).eps
    largest = act.max_slope * abs(delta).max()
    slope = np.empty_like(z)
    with np.errstate(all="ignore"):
        act.in_place.f(z, a)
        act.in_place.slope(a, slope)
    delta *= slope
    # of a slope from a alone the tail is lost: right to a few roundings of the largest, not of itself
    np.testing.assert_allclose(delta, expected, rtol=few, atol=few * largest)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_shifted_sigmoid_is_the_sigmoid_moved(dtype, rng):
    plain, centred = activation("sigmoid"), activation("sigmoid(shift=-0.5)")
    z = everywhere(plain, dtype)
    delta, a = np.ones_like(z), z.copy()
    few = 4 * np.finfo(dtype).eps  # roundings of numbers up to 1
    with np.errstate(all="ignore"):
        centred.in_place.f(z, a)
        np.testing.assert_allclose(a, plain.f(z) - dtype(0.5), rtol=0, atol=few)
        assert a.dtype == centred.f(z).dtype == dtype
        centred.in_place.slope(a, delta)
    np.testing.assert_allclose(delta, plain.df(z, plain.f(z)), rtol=0, atol=few)
    assert (centred.low, centred.high) == (-0.5, 0.5)


# -- gains and the quadrature behind them ---------------------------------------------------------------


def _reference(act, square):
    """E square(Z) by adaptive quadrature, another rule than the one under test."""
    from scipy.integrate import quad

    edges = sorted({-12.0, 0.0, 12.0, *act.kinks})
    density = lambda z: float(square(np.array([z]))[0]) * exp(-z * z / 2) / sqrt(2 * pi)  # noqa: E731
    return sum(quad(density, low, high, epsabs=1e-13, limit=400)[0]
               for low, high in zip(edges[:-1], edges[1:], strict=True))  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_gains_are_the_integrals_they_say(text):
    act = activation(text)
    assert act.gain == pytest.approx(_reference(act, lambda z: act.f(z) ** 2) ** -0.5, rel=1e-9)
    slopes = _reference(act, lambda z: act.df(z, act.f(z)) ** 2)
    assert act.gradient_gain == pytest.approx(slopes**-0.5, rel=1e-9)


KNOWN = [  # gain, gradient gain; those in closed form to every digit, the others from tables to theirs
    ("identity", 1.0, 1.0, 1e-12),
    ("relu", sqrt(2), sqrt(2), 1e-12),
    ("leaky_relu(slope=0.3)", sqrt(2 / 1.09), sqrt(2 / 1.09), 1e-12),
    ("tanh", 1.5925374, 1.4674, 2e-5),
    ("selu", 1.0, None, 1e-12),  # its two constants are chosen for this
    ("gelu", 1.5335, 1.4812, 1e-4),
]


@pytest.mark.parametrize(("text", "gain", "gradient_gain", "digits"), KNOWN, ids=[row[0] for row in KNOWN])
def test_gains_known_from_the_literature(text, gain, gradient_gain, digits):
    assert activation(text).gain == pytest.approx(gain, rel=digits)
    if gradient_gain is not None:
        assert activation(text).gradient_gain == pytest.approx(gradient_gain, rel=digits)


@pytest.mark.parametrize("variance", [1e-4, 0.3, 1.0, 7.0, 1e4])
def test_gaussian_moments(variance):
    for power, moment in ((0, 1.0), (1, 0.0), (2, 1.0), (4, 3.0), (6, 15.0)):
        mean = gaussian_mean(lambda z, power=power: z**power, variance)
        assert mean == pytest.approx(moment * variance ** (power / 2), rel=1e-12, abs=1e-13)


def test_a_gaussian_without_variance_is_a_point():
    assert gaussian_mean(lambda z: np.cos(z) + 1, variance=0) == 2


@pytest.mark.parametrize("kink", [0.0, 0.3, -1.71])
def test_the_quadrature_is_split_at_kinks(kink):
    step = lambda z: (z > kink).astype(float)  # noqa: E731
    exact = erfc(kink / sqrt(2)) / 2
    assert gaussian_mean(step, kinks=[kink]) == pytest.approx(exact, rel=1e-12)
    assert gaussian_mean(step, variance=4.0, kinks=[kink]) == pytest.approx(
        erfc(kink / sqrt(8)) / 2, rel=1e-12
    )


def test_unsplit_the_quadrature_is_wrong():
    """Why activations declare their kinks."""
    unsplit = gaussian_mean(lambda z: (z > 0.3).astype(float))
    assert abs(unsplit - erfc(0.3 / sqrt(2)) / 2) > 1e-4


def test_one_object_a_text():
    assert activation("leaky_relu(slope=0.3)") is activation("leaky_relu(slope=0.3)")
