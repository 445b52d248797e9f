"""Plain random networks in a few lines of NumPy, independent of mlp's engine: what theory is checked on."""

import numpy as np


def weights(rng, nets, n_in, n_out, variance):
    """(nets, n_in, n_out) Gaussian, variance/n_in each."""
    return rng.standard_normal((nets, n_in, n_out)) * np.sqrt(variance / n_in)


def orthogonal(rng, n):
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def one_input(act, depth, width, variance, rng, nets, mean_square=1.0):
    """(nets, depth) mean z² and ‖delta‖ of every hidden layer, for one input and a random gradient on top."""
    x = rng.standard_normal((nets, 1, width))
    x *= np.sqrt(mean_square / np.square(x).mean(axis=-1, keepdims=True))
    kept = []
    for _ in range(depth):
        w = weights(rng, nets, width, width, variance)
        z = x @ w
        x = act.f(z)
        kept.append((w, z, act.df(z, x)))
    delta = rng.standard_normal(x.shape) * kept[-1][2]
    norms = [np.linalg.norm(delta, axis=(1, 2))]
    for (w, _, _), (_, _, slope) in zip(kept[:0:-1], kept[-2::-1], strict=True):
        delta = (delta @ w.mT) * slope
        norms.append(np.linalg.norm(delta, axis=(1, 2)))
    squares = np.array([np.square(z).mean(axis=(1, 2)) for _, z, _ in kept])
    return squares.T, np.array(norms[::-1]).T


def two_inputs(act, depth, width, variance, bias, q, c, rng):
    """(depth + 1,) correlation of z of two inputs that start in layer 1 with mean square q, correlation c."""
    z = np.sqrt(q) * rng.standard_normal((2, width))
    z[1] = c * z[0] + np.sqrt(1 - c * c) * z[1]
    found = [z]
    for _ in range(depth):
        w = rng.standard_normal((width, width)) * np.sqrt(variance / width)
        found.append(act.f(found[-1]) @ w + np.sqrt(bias) * rng.standard_normal(width))
    return np.array([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in found])


def batch_norm_growth(act, width, batch, depth, rng):
    """Geometric mean growth of ‖delta‖² per layer downwards; batch normalisation before f, white input."""
    x, kept = rng.standard_normal((batch, width)), []
    for _ in range(depth):
        w = rng.standard_normal((width, width)) / np.sqrt(width)
        u = x @ w
        u -= u.mean(axis=0)
        sd = np.sqrt(np.square(u).mean(axis=0))
        z = u / sd
        x = act.f(z)
        kept.append((w, z, sd, act.df(z, x)))
    delta = rng.standard_normal(x.shape) * kept[-1][3]
    norms = [np.square(delta).sum()]
    for (w, z, sd, _), (_, _, _, slope) in zip(kept[:0:-1], kept[-2::-1], strict=True):
        du = (delta - delta.mean(axis=0) - z * (delta * z).mean(axis=0)) / sd
        delta = (du @ w.T) * slope
        norms.append(np.square(delta).sum())
    # the layer above the lowest is left out: its inputs were no activations
    return (norms[-1] / norms[0]) ** (1 / (depth - 1))


def _of_mean_square(x, mean_square):
    return x * np.sqrt(mean_square / np.square(x).mean())


def jacobian_singular_values(act, depth, width, variance, q, rng, *, orthogonal_weights):
    """Squared singular values of the product of `depth` layers D·W, z starting at mean square q."""
    product = np.eye(width)
    x = None
    for _ in range(depth):
        w = orthogonal(rng, width) if orthogonal_weights else rng.standard_normal((width, width)) / width**0.5
        w *= np.sqrt(variance)
        z = _of_mean_square(rng.standard_normal(width), q) if x is None else x @ w
        x = act.f(z)
        product = (product @ w) * act.df(z, x)
    return np.linalg.svd(product, compute_uv=False) ** 2


def born_dead(width, depth, nets, rng, leak=0.0):
    """Share of zero-bias nets of one input whose output is constant on both rays of it."""
    x = np.broadcast_to(np.array([1.0, -1.0])[:, None], (nets, 2, 1))
    for _ in range(depth):
        z = x @ rng.standard_normal((nets, x.shape[-1], width))
        x = np.maximum(z, leak * z)
    return float((x == 0).all(axis=(1, 2)).mean())
