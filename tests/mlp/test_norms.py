"""Normalisations: the moments they leave, their gradient by the whole Jacobian, unseen examples."""

import naive
import numpy as np
import pytest

from mlp.norms import NORMS, Norm

TEXTS = ["batch", "layer", "batch(eps=0.1)", "layer(eps=0.1)"]
NEW = [name for name in sorted(NORMS) if NORMS[name]() is not None]


def groups(u, norm):
    """The rows of numbers of one run that are normalised together."""
    return u.T if norm.axis == -2 else u


def test_none_is_none():
    assert NORMS.bind("none")() is None


@pytest.mark.parametrize("text", TEXTS)
def test_forward_is_the_textbooks(text, rng):
    norm, u = NORMS.bind(text)(), rng.normal(2, 3, (2, 6, 4))
    u_hat = u.copy()
    mean, scale = norm.forward(u_hat)
    for r in range(2):
        expected = [naive.standardise(list(row), norm.eps) for row in groups(u[r], norm)]
        np.testing.assert_allclose(
            groups(u_hat[r], norm), [row for row, _ in expected], rtol=1e-12, atol=1e-14
        )
        np.testing.assert_allclose(scale[r].ravel(), [s for _, s in expected], rtol=1e-13)
        np.testing.assert_allclose(mean[r].ravel(), groups(u[r], norm).mean(axis=1), rtol=1e-13)


@pytest.mark.parametrize("text", ["batch(eps=0.0)", "layer(eps=0.0)"])
def test_mean_is_zero_and_variance_one(text, rng):
    norm, u = NORMS.bind(text)(), rng.normal(2, 3, (2, 6, 4))
    norm.forward(u)
    np.testing.assert_allclose(u.mean(axis=norm.axis), 0, atol=1e-15 * 6)
    np.testing.assert_allclose(u.var(axis=norm.axis), 1, rtol=1e-14)


@pytest.mark.parametrize("text", TEXTS)
def test_backward_is_the_whole_jacobian(text, rng):
    norm, u, g = NORMS.bind(text)(), rng.normal(2, 3, (2, 6, 4)), rng.normal(size=(2, 6, 4))
    u_hat = u.copy()
    _, scale = norm.forward(u_hat)
    du = norm.backward(g.copy(), u_hat, scale)
    for r in range(2):
        rows = zip(groups(g[r], norm), groups(u_hat[r], norm), scale[r].ravel(), strict=True)
        expected = [naive.through_standardise(list(row), list(hat), s) for row, hat, s in rows]
        np.testing.assert_allclose(groups(du[r], norm), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("text", sorted({*TEXTS, *NEW}))
def test_backward_is_the_central_difference(text, rng):
    norm, u, g, h = NORMS.bind(text)(), rng.normal(2, 3, (2, 6, 4)), rng.normal(size=(2, 6, 4)), 1e-5
    direction = rng.normal(size=u.shape)

    def along(distance):
        u_hat = u + distance * direction
        norm.forward(u_hat)
        return (u_hat * g).sum(axis=(1, 2))

    u_hat = u.copy()
    _, scale = norm.forward(u_hat)
    exact = (norm.backward(g.copy(), u_hat, scale) * direction).sum(axis=(1, 2))
    np.testing.assert_allclose((along(h) - along(-h)) / (2 * h), exact, rtol=1e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_the_normalised_set_is_what_its_moments_make_of_it(text, rng):
    norm, u = NORMS.bind(text)(), rng.normal(2, 3, (2, 6, 4))
    u_hat = u.copy()
    moments = norm.forward(u_hat)
    assert np.array_equal(norm.apply(u.copy(), *moments), u_hat)


def test_over_the_batch_an_unseen_example_is_moved_by_the_seen_ones(rng):
    norm, u, unseen = NORMS.bind("batch(eps=0.0)")(), rng.normal(2, 3, (1, 50, 4)), rng.normal(size=(1, 1, 4))
    moments = norm.forward(u.copy())
    expected = (unseen - u.mean(axis=1, keepdims=True)) / u.std(axis=1, keepdims=True)
    np.testing.assert_allclose(norm.apply(unseen.copy(), *moments), expected, rtol=1e-13)


def test_over_the_layer_an_unseen_example_needs_no_other(rng):
    norm, u, unseen = NORMS.bind("layer(eps=0.0)")(), rng.normal(2, 3, (1, 50, 4)), rng.normal(size=(1, 1, 4))
    moments = norm.forward(u.copy())
    expected = (unseen - unseen.mean()) / unseen.std()
    np.testing.assert_allclose(norm.apply(unseen.copy(), *moments), expected, rtol=1e-13)


def test_a_unit_that_never_varies_is_zero_and_no_error():
    u = np.full((1, 6, 4), 3.0)
    _, scale = NORMS.bind("batch")().forward(u)
    assert (u == 0).all()
    assert scale == pytest.approx(1e-5**-0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NEW)
def test_the_number_format_is_kept(name, dtype, rng):
    norm, u = NORMS[name](), rng.normal(size=(2, 6, 4)).astype(dtype)
    mean, scale = norm.forward(u)
    assert {mean.dtype, scale.dtype, norm.backward(u.copy(), u, scale).dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", NEW)
def test_every_option_changes_the_output(name, rng):
    u = rng.normal(size=(1, 6, 4))
    for option in NORMS.options(name):
        default, changed = u.copy(), u.copy()
        NORMS[name]().forward(default)
        NORMS[name](**{option: 0.3}).forward(changed)
        assert not np.allclose(default, changed)


@pytest.mark.parametrize("axis", [-1, -2])
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e30), (np.float64, 1e200), (np.float32, 1e-25)])
def test_a_size_whose_square_is_no_number_is_normalised_all_the_same(dtype, size, axis, rng):
    """Beside an ordinary run; eps = 0, without which the small one would be 0 to every digit."""
    plain = rng.normal(size=(2, 8, 6))
    u = plain.astype(dtype)
    u[1] *= dtype(size)
    with np.errstate(all="ignore"):
        Norm(axis, 0.0).forward(u)
    centred = plain - plain.mean(axis=axis, keepdims=True)
    expected = centred / np.sqrt(np.square(centred).mean(axis=axis, keepdims=True))
    np.testing.assert_allclose(u, expected, rtol=1e-4, atol=1e-5)


def test_nothing_but_zeros_stays_so():
    u = np.zeros((1, 4, 3))
    Norm(-1, 1e-5).forward(u)
    assert not u.any()
