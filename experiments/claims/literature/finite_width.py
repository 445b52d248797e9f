"""What finite width does to norms: how far they scatter from network to network, and which way they lean."""

from __future__ import annotations

from math import exp, lgamma, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.claims.comparison import Compared, by_seed, mean_near
from experiments.claims.declarations import CLAIMS, rule
from experiments.claims.ensembles import forward, networks, tangent
from experiments.claims.literature.relu import Nets
from experiments.claims.verdict import Undecided, Verdict, decide_parts, enough_seeds
from mlp.streams import stream

if TYPE_CHECKING:
    from experiments.storage.records import Records

AT_ONCE = 50  # networks that are held at a time
TANH = 2 / 3  # limit of Var K/(E K)² · n/ℓ for tanh under weights of variance 1/n_in
CLASS_OFF, DEEP_OFF, EXACT_OFF, LENGTH_OFF = 0.1, 0.05, 0.2, 0.03  # how far off may be, as a share
DEEP, WIDE = 40, 200  # layers and units at which tanh is within 5 % of its limit
KINDS = {"tanh": "lecun_normal", "identity": "lecun_normal", "relu": "he_normal"}


@CLAIMS
@rule(
    f"means over seeds: tanh's scatter within {100 * CLASS_OFF:g} % of 2/3, and of {DEEP} layers of {WIDE} "
    f"within {100 * DEEP_OFF:g} %, linear and ReLU nets' within {100 * EXACT_OFF:g} % of the exact product; "
    f"a length's mean within {100 * LENGTH_OFF:g} %"
)
def L16_finite_width(records: Records, *, nets: Nets = 500) -> Verdict:
    """Signals scatter from network to network with depth over width, by a factor that the activation's kind
    sets.

    Measured: For each setting of the config and each seed, over `nets` 500 networks and one input: the
    variance over networks of the outputs' mean square K in the last hidden layer, over its squared mean,
    times width over depth. The same of twice as many tanh networks of 40 layers of 200 units, whose layers
    are drawn without weights: for one input a layer's z are independent normal numbers of variance K. For
    ReLU also the mean of ‖Ju‖, the stretch of a short line, beside the exact product.

    Nuance: tanh's 2/3 is the limit of many layers in much wider networks: too few layers lower it, and a
    depth that is no small part of the width raises it (in trials to 0.73 at 40 layers of 64 units). Linear
    and ReLU networks have no such limit: they grow as (1 + 2/n)^ℓ and (1 + 5/n)^ℓ. He's weights keep ‖Ju‖² in
    the mean, so that ‖Ju‖ itself shrinks, by 5/(8n) per layer.

    Source: Roberts, Yaida & Hanin 2022, chapter 5, for the three kinds (2/3, 2 and 5 derived here); Hanin,
    Jeong & Rolnick 2022 for the length, which "shrinks slightly" (the number is derived here).
    """
    enough_seeds(records.runs)
    by = ["activation", "init", "width", "depth"]
    known = records.runs.assign(known=records.runs["activation"].map(KINDS) == records.runs["init"])
    if not known["known"].all() or set(records.runs["activation"]) != set(KINDS):
        raise Undecided(
            "tanh and linear networks of variance 1/n_in and He's ReLU are compared", "activation and init"
        )
    settings = list(by_seed(records, by, lambda run: _measured(run, nets)))
    many = len(settings) + 1 + sum(key[0] == "relu" for key, _ in settings)  # numbers that are compared
    evidence = [_scatter(key, [k for k, _ in found], many) for key, found in settings]
    seeds = sorted(records.runs["seed"].unique())
    deep = [_drawn_by_layer(WIDE, DEEP, 2 * nets, int(seed)) for seed in seeds]
    name = f"tanh, {DEEP} layers of {WIDE}, drawn layer by layer: Var K/(E K)² · n/ℓ"
    evidence.append(mean_near(name, deep, TANH, DEEP_OFF, "derived", relative=True, comparisons=many))
    lengths = [_length(key, [u for _, u in found], many) for key, found in settings if key[0] == "relu"]
    return decide_parts([*evidence, *lengths])


def _measured(run: Any, nets: int) -> tuple[float, float]:
    """Return Var K/(E K)² · n/ℓ over networks, and the mean of ‖Ju‖ for a unit vector u."""
    rng = stream(run.seed, "inputs")
    width, depth = int(run.width), int(run.depth)
    x, u = rng.standard_normal((2, 1, width))
    x, u = x * sqrt(width) / np.linalg.norm(x), u / np.linalg.norm(u)
    sizes, squares, lengths = (width, *[width] * depth, 2), [], []
    for first in range(0, nets, AT_ONCE):
        net = networks(run, sizes, min(AT_ONCE, nets - first), first=first)
        passed = list(forward(net, x))
        squares.append(np.square(passed[-1].a).mean(axis=(1, 2)))
        lengths.append(np.linalg.norm(tangent(net, passed, u)[:, 0], axis=-1))
    k = np.concatenate(squares)
    return float(k.var() / k.mean() ** 2 * width / depth), float(np.concatenate(lengths).mean())


def _drawn_by_layer(width: int, depth: int, nets: int, seed: int) -> float:
    """Return Var K/(E K)² · n/ℓ over tanh networks with weights of variance 1/n_in, for one input.

    Given the outputs of the layer below, Gaussian weights make the z of a layer independent and normal with
    their mean square K as variance, so that the weights need not be drawn.
    """
    rng, k = stream(seed, "layers"), np.ones(nets)
    for _ in range(depth):
        z = rng.standard_normal((nets, width)) * np.sqrt(k)[:, None]
        k = np.square(np.tanh(z)).mean(axis=1)
    return float(k.var() / k.mean() ** 2 * width / depth)


def _scatter(key: tuple[Any, ...], found: list[float], comparisons: int) -> Compared:
    text, _, width, depth = key
    name = f"{text}, {depth} layers of {width}: Var K/(E K)² · n/ℓ"
    if text == "tanh":
        return mean_near(name, found, TANH, CLASS_OFF, "derived", relative=True, comparisons=comparisons)
    factor = 1 + (2 if text == "identity" else 5) / width
    exact = (factor**depth - 1) * width / depth
    return mean_near(name, found, exact, EXACT_OFF, "derived", relative=True, comparisons=comparisons)


def _length(key: tuple[Any, ...], found: list[float], comparisons: int) -> Compared:
    _, _, width, depth = key
    name = f"relu, {depth} layers of {width}: mean ‖Ju‖"
    return mean_near(name, found, mean_length(width) ** depth, LENGTH_OFF, "derived", relative=True,
                     comparisons=comparisons)  # fmt: skip


def mean_length(width: int) -> float:
    """E √((2/n) Σ m ξ²) over n masks m ~ Bernoulli(½) and normal ξ: what one ReLU layer leaves of a length
    [D].

    Of k units that are on the norm of k normal numbers has the mean √2 Γ((k + 1)/2)/Γ(k/2).
    """
    total = 0.0
    for k in range(1, width + 1):
        chance = exp(lgamma(width + 1) - lgamma(k + 1) - lgamma(width - k + 1)) / 2.0**width
        total += chance * 2 / sqrt(width) * exp(lgamma((k + 1) / 2) - lgamma(k / 2))
    return total
