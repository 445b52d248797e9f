"""Every activation against its derivative, the textbook, and its own promises."""

from math import erfc, exp, inf, pi, sqrt

import naive
import numpy as np
import pytest
from autograd import elementwise_grad
from curves import DTYPES, TEXTS, everywhere, grid

from experiments.verification import forward as autodiff
from mlp.activations import ACTIVATIONS, Activation, activation

OPTIONS = [(name, option) for name in sorted(ACTIVATIONS) for option in ACTIVATIONS.options(name)]


# -- the slope is the derivative of f -------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_slope_is_the_central_difference(text):
    act, h = activation(text), 1e-3
    z = grid(act)
    z = z[abs(z) > 5e-3]  # at 0 the curvature of a softsign jumps, too
    near, far = act.f(z + h) - act.f(z - h), act.f(z + 2 * h) - act.f(z - 2 * h)
    difference = (8 * near - far) / (12 * h)
    # the error is h⁴f⁽⁵⁾/30, under 1e-9 for a curve whose fifth derivative is under 3e4, and rounding, 1e-12
    np.testing.assert_allclose(act.df(z, act.f(z)), difference, rtol=0, atol=1e-9 * act.max_slope)


@pytest.mark.parametrize(
    "text", ["identity", "tanh", "lecun_tanh", "arctan", "relu", "leaky_relu", "hard_tanh"]
)
def test_slope_is_the_complex_step(text):
    """Im f(z + ih)/h has no cancellation; f must be made of what NumPy continues into the complex plane."""
    act = activation(text)
    z = grid(act)
    step = act.f(z + 1e-30j).imag / 1e-30
    np.testing.assert_allclose(act.df(z, act.f(z)), step, rtol=1e-13, atol=1e-15)  # a few roundings


WITH_OPTIONS = ["leaky_relu(slope=0.3)", "elu(alpha=2.0)", "silu(beta=3.0)", "sigmoid(shift=-0.5)"]


@pytest.mark.parametrize("text", [*sorted(autodiff.FORMULAS), *WITH_OPTIONS])
def test_f_and_slope_are_autograds(text):
    act, z = activation(text), grid(activation(text), reach=30.0)
    formula = autodiff.formula(text)
    np.testing.assert_allclose(act.f(z), formula(z), rtol=1e-12, atol=1e-14)
    slope = elementwise_grad(formula)(z)
    np.testing.assert_allclose(act.df(z, act.f(z)), slope, rtol=0, atol=1e-13 * act.max_slope)


@pytest.mark.parametrize("text", sorted(naive.ACTIVATIONS))
def test_f_and_slope_are_the_textbooks_also_on_the_kinks(text):
    act = activation(text)
    f, df = naive.ACTIVATIONS[text]
    z = np.concatenate([grid(act)[::7], np.array(act.kinks)])
    np.testing.assert_allclose(act.f(z), [f(each) for each in z], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(act.df(z, act.f(z)), [df(each) for each in z], rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", TEXTS)
def test_on_a_kink_the_slope_is_the_one_from_the_left(text, dtype):
    act = activation(text)
    kinks = np.array(act.kinks, dtype)
    left, right = np.nextafter(kinks, dtype(-inf)), np.nextafter(kinks, dtype(inf))
    assert np.array_equal(act.df(kinks, act.f(kinks)), act.df(left, act.f(left)))
    jumps = abs(act.df(right, act.f(right)) - act.df(left, act.f(left))) > 1e-3
    # elu(alpha=1) is the one curve with a kink only in its slope; a quadrature is split there all the same
    assert jumps.all() or text == "elu"


@pytest.mark.parametrize("text", TEXTS)
def test_every_jump_of_the_slope_is_among_the_kinks(text):
    act = activation(text)
    z = np.linspace(-8, 8, 160_001)
    jumps = abs(np.diff(act.df(z, act.f(z)))) > 0.02 * act.max_slope  # a smooth slope moves by under 1e-3
    for place in z[:-1][jumps]:
        assert min(abs(place - kink) for kink in act.kinks) < 2e-4, f"{text} jumps near {place}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", TEXTS)
def test_float32_is_float64_rounded(text, dtype):
    act = activation(text)
    z = grid(act, dtype)
    a, slope = act.f(z), act.df(z, act.f(z))
    assert a.dtype == dtype
    assert slope.dtype == dtype
    wide = z.astype(np.float64)
    few = 16 * np.finfo(dtype).eps  # roundings of an exponential of |z| ≤ 12
    np.testing.assert_allclose(a, act.f(wide), rtol=few, atol=few)
    np.testing.assert_allclose(slope, act.df(wide, act.f(wide)), rtol=0, atol=few * act.max_slope)


# -- the tails ------------------------------------------------------------------------------------------


def _bell(z):
    """σ'(z) with every digit, far out too."""
    return exp(-abs(z)) / (1 + exp(-abs(z))) ** 2


def _left_tail(z):
    """Φ(z) + z φ(z)."""
    return erfc(-z / sqrt(2)) / 2 + z * exp(-z * z / 2) / sqrt(2 * pi)


TAILS = [  # activation, slope with every digit, how far out it is looked at
    ("sigmoid", _bell, (-80.0, 80.0)),
    ("tanh", lambda z: 4 * _bell(2 * z), (-40.0, 40.0)),
    ("lecun_tanh", lambda z: 1.7159 * 8 / 3 * _bell(4 * z / 3), (-60.0, 60.0)),
    ("softplus", lambda z: exp(z) / (1 + exp(z)), (-80.0, 0.0)),
    ("elu", exp, (-80.0, 0.0)),
    ("selu", lambda z: 1.0507009873554805 * 1.6732632423543772 * exp(z), (-80.0, -1.0)),
    ("softsign", lambda z: (1 + abs(z)) ** -2, (-1e9, 1e9)),
    ("arctan", lambda z: 1 / (1 + z * z), (-1e9, 1e9)),
    ("silu", lambda z: exp(z) * (1 + exp(z) + z) / (1 + exp(z)) ** 2, (-80.0, -5.0)),
    ("gelu", _left_tail, (-12.0, -3.0)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("text", "truth", "reach"), TAILS, ids=[row[0] for row in TAILS])
def test_the_slope_keeps_its_digits_in_both_tails(text, truth, reach, dtype):
    act = activation(text)
    z = np.linspace(*reach, 257, dtype=dtype)
    slope = act.df(z, act.f(z))
    assert (slope != 0).all(), "a merely saturated unit would be counted dead"
    # an exponential of z is uncertain by |z| roundings of its exponent, gelu's of z²
    few = 400 * np.finfo(dtype).eps
    np.testing.assert_allclose(slope, [truth(float(each)) for each in z], rtol=few)


@pytest.mark.parametrize(("dtype", "place"), [(np.float64, 700.0), (np.float32, 87.0)])
def test_a_saturated_sigmoid_is_not_dead_to_the_end_of_the_format(dtype, place):
    act = activation("sigmoid")
    z = np.array([-place, place], dtype)
    np.testing.assert_allclose(act.df(z, act.f(z)), exp(-place), rtol=place * np.finfo(dtype).eps)


# -- every value ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", TEXTS)
def test_stable_for_every_value_without_a_warning(text, dtype):
    """pytest turns a warning into an error; ±inf included."""
    act, z = activation(text), everywhere(activation(text), dtype)
    before = z.copy()
    a, slope = act.f(z), act.df(z, act.f(z))
    assert np.array_equal(z, before)
    assert not np.isnan(a).any()
    assert np.isfinite(slope).all()
    few = 4 * np.finfo(dtype).eps
    assert (a >= act.low - few * abs(act.low)).all() if act.low > -inf else True
    assert (a <= act.high + few * abs(act.high)).all() if act.high < inf else True
    assert (abs(slope) <= act.max_slope * (1 + few)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", TEXTS)
def test_bounds_and_max_slope_are_reached(text, dtype):
    """So that they are the range and the largest slope, and not merely beyond them."""
    act, z = activation(text), everywhere(activation(text), dtype)
    a = act.f(z)
    for bound, reached in ((act.low, a.min()), (act.high, a.max())):
        if np.isfinite(bound):
            assert reached == pytest.approx(bound, rel=1e-5, abs=1e-30)  # the grid is 5e-3 wide
        else:
            assert abs(reached) > 1e30  # 0.01 of float32's largest is 3e36
    assert abs(act.df(z, a)).max() == pytest.approx(act.max_slope, rel=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", TEXTS)
def test_infinity_is_the_limit(text, dtype):
    act = activation(text)
    far = np.array([-np.finfo(dtype).max, np.finfo(dtype).max], dtype)
    ends = np.array([-inf, inf], dtype)
    limit, end = act.f(far), act.f(ends)
    assert np.array_equal(end, np.where(abs(limit) > 1e30, np.copysign(inf, limit), limit))


@pytest.mark.parametrize("text", TEXTS)
def test_nan_stays_nan(text):
    """A run that diverged must not come back to life."""
    assert np.isnan(activation(text).f(np.array([np.nan]))).all()


CARELESS = [  # each overflows on its way, at the ends or well before them; and its true value at z = ±far
    (lambda z: z * np.exp(z) / (np.exp(z) + 1), lambda z: max(z, 0)),
    (lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)), lambda z: np.sign(z)),
    (lambda z: z + (np.sqrt(z * z + 1) - 1) / 2, lambda z: z + abs(z) / 2),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("f", "limit"), CARELESS)
def test_a_formula_need_not_care_for_overflow(f, limit, dtype):
    act = Activation(f=f, df=lambda z, a: np.exp(z) / np.exp(z))
    far = np.array([[-1e38, 1e38], [-1e4, 1e4], [1, 2]], dtype)
    with np.errstate(all="raise"):  # the caller's settings do not reach in
        a, slope = act.f(far), act.df(far, act.f(far))
    assert a.dtype == slope.dtype == dtype
    np.testing.assert_allclose(a[:2], [[limit(float(z)) for z in row] for row in far[:2]], rtol=1e-3)
    assert np.array_equal(slope, np.ones_like(far))
    with np.errstate(all="ignore"):
        assert np.array_equal(a[2], f(far[2]))
    assert np.isnan(act.f(np.array([np.nan, 1e300]))).tolist() == [True, False]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (lambda z: z * z, lambda z, a: 2 * z),
        (np.exp, lambda z, a: a),
        (np.sinh, lambda z, a: np.cosh(z)),
        (lambda z: z * np.log(1 + np.abs(z)), lambda z, a: np.log(1 + np.abs(z)) + z / (1 + np.abs(z))),
    ],
)
def test_what_grows_faster_than_any_number_stays_finite_and_silent(f, slope, dtype):
    most = np.finfo(dtype).max
    z = np.array([-most, -most / 2, -1e30, -1e3, 0, 1e3, 1e30, most / 2, most], dtype)
    act = Activation(f=f, df=slope)
    with np.errstate(all="raise"):
        a = act.f(z)
        found = act.df(z, a)
    assert np.isfinite(a).all()
    assert np.isfinite(found).all()
    assert a[-1] == most
    assert act.f(np.array([np.inf], dtype)) == np.inf


def test_what_is_mended_depends_on_no_neighbour(rng):
    """A run has the same numbers alone and beside one that diverges."""
    act = Activation(f=CARELESS[0][0], df=lambda z, a: 1 / (1 + np.exp(-z)))
    z = rng.standard_cauchy((40, 50)) * 100
    together = act.f(z)
    assert np.array_equal(together, np.stack([act.f(row) for row in z]))


def test_mending_a_formula_takes_few_trials():
    """Where a careless slope fades is found in 9,000 evaluations; z halved one by one takes 7 million."""
    asked = 0

    def f(z):
        nonlocal asked
        asked += 1
        return z * np.exp(z) / (1 + np.exp(z))

    def slope(z, a):
        return np.exp(z) / (1 + np.exp(z)) + z * np.exp(z) / (1 + np.exp(z)) ** 2

    assert Activation(f, slope, max_slope=1.1).fades[0]
    assert 0 < asked < 50_000


def test_a_formula_is_taken_as_far_out_as_it_gives_numbers():
    """sin(e^z) has numbers up to z = 709.8: for 1000 the one at 500 is taken, for 1420 that at 355."""
    act = Activation(lambda z: np.sin(np.exp(z)), lambda z, a: np.cos(np.exp(z)))
    far, taken = np.array([1000.0, 1400.0, 1420.0, 5000.0]), np.array([500.0, 700.0, 355.0, 625.0])
    np.testing.assert_array_equal(act.f(far), np.sin(np.exp(taken)))
    np.testing.assert_array_equal(act.df(far, act.f(far)), np.cos(np.exp(taken)))


def test_a_formula_without_a_value_anywhere_is_left_so():
    act = Activation(f=lambda z: z / 0, df=lambda z, a: z / 0)
    assert np.isinf(act.f(np.array([1.0, 1e300]))).all()


# -- options --------------------------------------------------------------------------------------------


def _changed(name, option):
    """The activation with one option at the first other value that it takes."""
    default = ACTIVATIONS.options(name)[option].default
    for value in (default * 1.5, default / 2, default + 1, not default):
        if value == default:
            continue
        try:
            return ACTIVATIONS[name](**{option: value})
        except ValueError:
            continue
    raise AssertionError(f"{name}: {option} takes no other value than {default}")


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_option_changes_the_output(name, option):
    default, changed = ACTIVATIONS[name](), _changed(name, option)
    z = np.linspace(-5, 5, 101)
    assert abs(default.f(z) - changed.f(z)).max() > 1e-3
    slopes = [act.df(z, act.f(z)) for act in (default, changed)]
    if option == "shift":  # of the output alone: that is what it is for
        assert np.array_equal(*slopes)
    else:
        assert abs(slopes[0] - slopes[1]).max() > 1e-3
