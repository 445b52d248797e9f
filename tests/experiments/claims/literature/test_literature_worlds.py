"""For each claim of the literature a world in which it is false, and one in which nothing can be said.

A claim that cannot come out *contradicted* says nothing when it is supported. Some worlds are real tiny
networks, drawn anew by the claim; the others are records made by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from made_up import grid, made

from experiments.claims import CLAIMS, judge
from experiments.claims.literature import depth, gradients, tutorial
from experiments.config import Recording
from experiments.storage.records import Records
from experiments.sweeps.runner import run_stack

SIX = list(range(6))
CLAIMED = sorted(name for name, claim in CLAIMS.items() if ".literature." in claim.__module__)


@dataclass(frozen=True)
class World:
    """Records, the claim with options that keep it small, and words of the condition it ends with."""

    records: Callable[[], Records]
    options: str = ""
    words: str = ""


def exponential(rate, *, scatter=1e-3, **columns):
    """Layers whose ‖delta‖ changes by `rate` from a layer to the one below."""

    def layers(run, step, layer):
        log = (run.depth - layer) * (np.log10(rate) + scatter * (run.seed - 2.5))
        return {"delta_norm": 10**log, "delta_rms": 1.0, "delta_log10": log} | columns

    return layers


def nielsens(factor, lost=()):
    def layers(run, step, layer):
        start, end = gradients.NIELSEN[run.depth]
        norm = (end if step else start)[layer - 1] if layer <= run.depth else 1.0
        return {"db_rms": factor * norm * np.exp(0.05 * (run.seed - 2.5)) / np.sqrt(run.width)}

    runs = grid(activation="sigmoid", depth=[2, 3, 4], width=30, steps=499, seed=SIX)
    return made(runs, layers=layers, lost=lost)


def saturation(last, watched=(4000,)):
    def layers(run, step, layer):
        top = {0: 0.5, 32000: last}.get(step, 0.03)
        return {"a_mean": top if layer == 4 else 0.5 + 0.05 * layer if layer < 4 else 0.0}

    runs = grid(activation="sigmoid", depth=4, steps=32000, seed=SIX)
    return made(runs, lambda *_: {"test_accuracy": 0.1}, layers, watched=watched)


def jacobians(tilt=0.0, init=("pytorch_default", "xavier_uniform")):
    """Real tanh networks; `tilt` is added to the log₁₀ of ‖dw‖ for each layer above the first."""
    probes = Recording(("delta_norm", "delta_log10", "dw_log10", "z_rms"), 64)
    fixed = {"activation": "tanh", "depth": 5, "width": 64, "steps": 0, "batch": 16, "seed": SIX}
    data = "gaussian_noise(n=100, features=64)"
    found = Records.concat([run_stack(grid(init=each, dataset=data, **fixed), probes) for each in init])
    tilted = found.layers.assign(dw_log10=found.layers["dw_log10"] + tilt * found.layers["layer"])
    return Records(found.runs, found.steps, tilted)


def thirty(he_leaves, steps=10):
    def layers(run, step, layer):
        rate = 1.0 if run.init == "he_normal" else np.sqrt(0.5)
        return exponential(rate)(run, step, layer)

    def losses(run, step):
        return {"loss": 1.0 if step == 0 else he_leaves if run.init == "he_normal" else 0.999}

    init = ["he_normal", "xavier_normal"]
    runs = grid(activation="relu", depth=30, width=256, steps=steps, init=init, seed=SIX)
    return made(runs, losses, layers)


def drawn(**fields):
    """Runs that were never trained: their claims draw the networks anew."""
    return made(grid(**{"steps": 0, "seed": SIX} | fields))


def frontier(depths, learnt):
    """tanh networks with ξ_c = 3.6 that learn if they have at most so many layers."""
    bias = "normal(std=0.2236068)"
    runs = grid(activation="tanh", init="lecun_normal", bias=bias, depth=depths, steps=9, seed=SIX)
    return made(runs, lambda run, step: {"accuracy": 0.9 if run.depth <= learnt else 0.1})


def rectifiers(scatter, **accuracy):
    def steps(run, step):
        away = scatter * (run.seed - 2.5) * (run.activation == "tanh")
        return {"test_accuracy": accuracy[run.activation] + away, "loss": 1.0}

    runs = grid(activation=list(accuracy), lr=[0.05, 0.1], depth=3, seed=SIX)
    return made(runs, steps, lambda *_: {"saturated_fraction": 0.5})


def plateau(patient, rates=(0.01, 0.1)):
    def steps(run, step):
        return {"test_accuracy": 0.8 if step > 2000 and run.lr > 0.01 else patient}

    runs = grid(activation="sigmoid", depth=4, lr=list(rates), steps=3000, seed=SIX)
    return made(runs, steps, watched=[1000])


def two_laws(init="lecun_normal", rate=0.9):
    """sigmoid as it is, and tanh by an exponential law of its own."""

    def layers(run, step, layer):
        return exponential(0.236052 if run.activation == "sigmoid" else rate)(run, step, layer)

    runs = grid(activation=["sigmoid", "tanh"], init=init, depth=[50, 100], width=512, steps=0, seed=SIX)
    return made(runs, layers=layers)


def at_start(layers, **fields):
    return made(grid(**{"steps": 0, "seed": SIX} | fields), layers=layers)


LECUN = {"init": "lecun_normal", "dataset": "xor"}
NARROW = {"activation": "relu", "init": ["he_normal", "rai"], "depth": 9}
FALSE = {
    # theory says that tanh's gradient shrinks; here it doubles in each layer
    "L01_theory": World(lambda: at_start(exponential(2.0), activation="tanh", depth=4, width=128, **LECUN)),
    # all norms are three times Nielsen's, with the same factor from layer to layer
    "L02_nielsen": World(lambda: nielsens(3.0)),
    # the top layer never escapes
    "L03a_saturation": World(lambda: saturation(0.05)),
    # weight gradients shrink towards the input, as delta does
    "L03b_jacobians": World(lambda: jacobians(0.2)),
    # He's networks do not learn either
    "L04_he": World(lambda: thirty(0.95)),
    # large biases keep units alive
    "L05_born_dead": World(lambda: drawn(**NARROW, width=2, bias="normal(std=3)"), "nets=40"),
    # without ReLU's masks the factor is 1 + 2/n
    "L06_spread": World(lambda: drawn(activation="identity", init="he_normal", width=4, depth=3), "nets=100"),
    # networks of 70 layers learn, twenty times ξ_c
    "L07_depth_scale": World(lambda: frontier([6, 70, 140], 70)),
    # eight units have at most a spread of 7, where the formula says 20
    "L08_isometry": World(lambda: drawn(activation="identity", init="lecun_normal", width=8, depth=20)),
    # linear networks send the same vector back whatever the input
    "L09_shattering": World(
        lambda: drawn(activation="identity", init="he_normal", norm=["none", "batch"], width=32, depth=4)
    ),
    # the mean drifts
    "L10_selu": World(
        lambda: at_start(exponential(1.0352, a_mean=0.3, a_var=1.0), activation="selu", depth=20)
    ),
    # nothing explodes
    "L11_batch_norm": World(
        lambda: at_start(exponential(1.0), activation=["tanh", "relu"], norm="batch", depth=6)
    ),
    "L12_laws": World(two_laws),
    # softplus errs least, and the rectifier most
    "L13_rectifiers": World(lambda: rectifiers(1e-4, relu=0.973, tanh=0.975, softplus=0.977)),
    # a leaky unit is never 0 on every image
    "L14a_dead_units": World(
        lambda: drawn(
            activation="leaky_relu", init="pytorch_default", bias="pytorch_default", dataset="digits"
        )
    ),
    # every seed learns within the tutorial's patience
    "L14b_ten_per_cent": World(lambda: plateau(0.4)),
}
SILENT = {
    "L01_theory": World(
        lambda: at_start(exponential(0.5), activation="relu", depth=20, width=4, **LECUN),
        words="theory predicts none of these networks",
    ),
    "L02_nielsen": World(lambda: nielsens(1.0, lost=lambda run: True), words="have no value"),
    "L03a_saturation": World(lambda: saturation(0.2, watched=()), words="step 4000 was not watched"),
    "L03b_jacobians": World(
        lambda: jacobians(init=["pytorch_default"]), words="no run has init = xavier_uniform"
    ),
    "L04_he": World(lambda: thirty(0.1, steps=0), words="nothing was trained"),
    "L05_born_dead": World(lambda: drawn(**NARROW, width=3), "nets=10", "no ReLU networks of width 2"),
    "L06_spread": World(
        lambda: drawn(activation="relu", init="he_normal", width=10, depth=2), "nets=60",
        "may lie on either side of an end of the tolerance",
    ),
    "L07_depth_scale": World(lambda: frontier([2, 3, 4], 4), words="the frontier is not between"),
    "L08_isometry": World(
        lambda: drawn(activation="identity", init="lecun_normal", width=16, depth=2, seed=[0, 1, 2]),
        words="3 seeds of at least 6",
    ),
    "L09_shattering": World(
        lambda: drawn(activation="relu", init="he_normal", width=16, depth=2, seed=[0, 1, 2]),
        words="3 seeds of at least 6",
    ),
    "L10_selu": World(
        lambda: at_start(exponential(1.0, a_mean=0.0, a_var=1.0), activation="relu", depth=4),
        words="no run has activation = selu",
    ),
    "L11_batch_norm": World(
        lambda: at_start(exponential(1.2), activation="tanh", norm="batch", depth=2), words="too few layers"
    ),
    "L12_laws": World(lambda: two_laws("he_normal"), words="the weights' variance is 2/n_in"),
    "L13_rectifiers": World(
        lambda: rectifiers(1e-3, relu=0.9750, tanh=0.9736, softplus=0.9716),
        words="may lie on either side",
    ),
    "L14a_dead_units": World(
        lambda: drawn(activation="relu", init="he_normal", dataset="xor"),
        words="no network with PyTorch's initialisation",
    ),
    "L14b_ten_per_cent": World(
        lambda: plateau(0.1, rates=[0.01]), words="no learning rate as printed, or none larger"
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Without most of L07's checks, which are the same in every world, and L14a's networks in small."""
    monkeypatch.setattr(depth, "POOLE", {})
    monkeypatch.setattr(depth, "SCALES", {1.0: depth.SCALES[1.0]})
    monkeypatch.setattr(tutorial, "WIDTHS", tuple(width // 8 for width in tutorial.WIDTHS))
    monkeypatch.setattr(tutorial, "DEAD", tuple(dead // 8 for dead in tutorial.DEAD))


def verdict_in(worlds, name):
    world = worlds[name]
    (found,) = judge([f"{name}({world.options})" if world.options else name], world.records())
    assert not found.error
    return found, world


@pytest.mark.parametrize("name", CLAIMED)
def test_a_claim_is_contradicted_where_it_is_false(name):
    found, _ = verdict_in(FALSE, name)
    assert found.status == "contradicted", found.condition
    assert any(e.holds is False and e.role == "claim" for e in found.evidence)


@pytest.mark.parametrize("name", CLAIMED)
def test_a_claim_says_why_nothing_can_be_said(name):
    found, world = verdict_in(SILENT, name)
    assert found.status == "inconclusive", found.condition
    assert world.words in found.condition


def test_the_worlds_are_those_of_the_claims():
    assert set(FALSE) == set(SILENT) == set(CLAIMED)
