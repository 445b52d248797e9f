"""For each claim of the literature a world in which it is false, and one in which nothing can be said."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from made_up import grid, made

from experiments.claims.literature import gradients
from experiments.config import Recording
from experiments.storage.records import Records
from experiments.sweeps.runner import run_stack

SIX = list(range(6))


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


def half_stable(rate, gains=(1.4082110, 1.4099662), depth=30):
    """GELU and SiLU with a steady signal whose ‖delta‖ changes by `rate` per layer."""
    sizes = {"gelu": (gains[0], 0.4158394), "silu": (gains[1], 0.7450793)}
    runs = [
        run
        for text, (gain, std) in sizes.items()
        for run in grid(
            activation=text, init=f"scaled_normal(gain={gain})", bias=f"normal(std={std})", depth=depth,
            width=512, steps=0, seed=SIX,
        )
    ]  # fmt: skip
    return made(runs, layers=exponential(rate, z_rms=1.0))


def three_kinds(**fields):
    """tanh, linear and ReLU networks, to be drawn anew."""
    kinds = {"tanh": "lecun_normal", "identity": "lecun_normal", "relu": "he_normal"}
    fixed = {"width": 8, "depth": 3, "steps": 0, "seed": SIX} | fields
    return made([run for text, init in kinds.items() for run in grid(activation=text, init=init, **fixed)])


def skips(rate, depth=400):
    """tanh with skips, the signal as theory has it and ‖delta‖ changing by `rate` per layer."""

    def layers(run, step, layer):
        return exponential(rate)(run, step, layer) | {"slope_rms": 1.0, "z_rms": np.sqrt(0.92 * layer)}

    runs = grid(
        activation="tanh", init="lecun_normal", residual=1.0, depth=depth, width=256, steps=0, seed=SIX
    )
    return made(runs, layers=layers)


def leaks(better, rates=(0.01, 0.1)):
    """Two leaks at fifty layers, the tailored one better by so much."""
    texts = ["leaky_relu(slope=0.4305)", "leaky_relu"]  # whose slope is 0.01

    def steps(run, step):
        return {"test_accuracy": 0.5 + better * (run.activation == texts[0]) + 1e-3 * run.seed}

    return made(grid(activation=texts, lr=list(rates), depth=50, steps=9, seed=SIX), steps)


def standardised(growth, inits=("weight_standardised", "scaled_normal(gain=1.712859)")):
    """ReLU networks whose z grows by `growth` per layer, and by √1.467 without standardisation."""

    def layers(run, step, layer):
        rate = growth if run.init == "weight_standardised" else np.sqrt(np.pi / (np.pi - 1))
        return {"z_rms": rate**layer, "similarity": 1 / np.pi + 1e-4 * run.seed}

    return made(grid(activation="relu", init=list(inits), depth=10, steps=0, seed=SIX), layers=layers)


def four_times(rate, inits=("lecun_normal", "scaled_normal(gain=4)")):
    """Sigmoid networks with the plain factor under small weights and `rate` under large ones."""

    def layers(run, step, layer):
        return exponential(0.2361 if run.init == "lecun_normal" else rate, scatter=1e-6)(run, step, layer)

    runs = grid(activation="sigmoid", init=list(inits), depth=10, width=512, steps=0, seed=SIX)
    return made(runs, layers=layers)


def chains(factor, values=(1, 6)):
    inits = [f"constant(value={value})" for value in values]
    runs = grid(activation="sigmoid", init=inits, width=1, depth=12, steps=0, seed=SIX)
    return made(runs, layers=exponential(factor, scatter=0.0, a_mean=0.5))


def untrained(loss, size=0.1):
    data = ["gaussian_noise(n=100, classes=2)", "gaussian_noise(n=100, classes=10)"]
    runs = grid(activation="tanh", dataset=data, init="lecun_normal", depth=2, width=64, steps=0, seed=SIX)
    return made(runs, lambda *_: {"loss": loss}, lambda *_: {"a_rms": size})


def ranks(plain, norms=("none", "batch")):
    def layers(run, step, layer):
        return {"effective_rank": plain + 0.01 * run.seed if run.norm == "none" else 9.0}

    runs = grid(activation="identity", norm=list(norms), depth=9, width=32, steps=0, seed=SIX)
    return made(runs, layers=layers)


def curved(late, rates=(0.1, 1.25), batch=1437, largest=None, lost=()):
    """Networks whose sharpness goes from 0.5 to `late` at the rate 1.25, and hardly rises at others."""

    def layers(run, step, layer):
        there = late if run.lr == 1.25 else largest or 0.6
        return {"sharpness": 0.5 if step == 0 else there + 1e-3 * run.seed}

    runs = grid(activation="tanh", loss="mean_squared_error", lr=list(rates), batch=batch, steps=9, seed=SIX)
    return made(runs, layers=layers, lost=lost)


def alike(cosine, slope=0.4305229):
    texts = ["relu", f"leaky_relu(slope={slope})"]
    runs = grid(activation=texts, depth=50, steps=0, seed=SIX)
    return made(runs, layers=lambda run, *_: {"similarity": cosine + 1e-4 * run.seed})


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
    "L05_born_dead": World(lambda: drawn(**NARROW, width=2, bias="normal(std=3)"), "nets=16"),
    # without ReLU's masks the factor is 1 + 2/n
    "L06_spread": World(lambda: drawn(activation="identity", init="he_normal", width=4, depth=3), "nets=60"),
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
    # a tenth of the gradient is lost in each layer
    "L15_half_stable": World(lambda: half_stable(0.9)),
    # large biases keep every network's signal at one size
    "L16_finite_width": World(lambda: three_kinds(bias="normal(std=3)"), "nets=20"),
    # the gradient explodes exponentially
    "L17_tanh_skips": World(lambda: skips(1.1)),
    # a linear branch adds all of its variance, twice
    "L18_normalised_branch": World(
        lambda: drawn(
            activation="identity",
            init="lecun_normal",
            norm=["none", "batch"],
            width=32,
            depth=6,
            residual=2**0.5,
        )
    ),
    "L19_mirrored": World(
        lambda: at_start(
            lambda *_: {"end_to_end_largest": 2.0, "end_to_end_smallest": 1.0},
            activation="relu",
            init="mirrored",
            depth=4,
        )
    ),
    # two inputs stay half alike, whatever the leak
    "L20a_likeness": World(lambda: alike(0.5)),
    "L20b_tailored_slope": World(lambda: leaks(-0.1)),
    # the drift of two units is not the first order's
    "L21_random_walk": World(
        lambda: drawn(activation="relu", init=["he_normal", "random_walk"], width=2, depth=4),
        "within=1e-6, nets=100",
    ),
    "L22_standardised": World(lambda: standardised(1.2)),
    # weights four times as large help nothing
    "L23_four_times": World(lambda: four_times(0.2361)),
    "L24_one_unit": World(lambda: chains(1.5)),
    "L25_untrained_loss": World(lambda: untrained(5.0)),
    # nothing collapses
    "L26_rank": World(lambda: ranks(5.0)),
    # the sharpness rises and stops at two thirds of 2/η
    "L27_edge_of_stability": World(lambda: curved(1.07)),
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
    "L15_half_stable": World(lambda: half_stable(1.0, gains=(1.0, 1.0)), words="not at its critical point"),
    "L16_finite_width": World(
        lambda: drawn(activation="relu", init="he_normal", width=8, depth=2), words="are compared"
    ),
    "L17_tanh_skips": World(lambda: skips(1.0, depth=8), words="no network of 400 layers"),
    "L18_normalised_branch": World(
        lambda: drawn(activation="relu", init="he_normal", width=8, depth=3, residual=1.0),
        words="with and without batch normalisation",
    ),
    "L19_mirrored": World(
        lambda: at_start(
            lambda *_: {"end_to_end_largest": 2.0, "end_to_end_smallest": 1.0}, activation="relu",
            init="he_normal", depth=4,
        ),
        words="no run has init = mirrored",
    ),
    "L20a_likeness": World(lambda: alike(0.9, slope=0.01), words="no leaky network has the slope"),
    "L20b_tailored_slope": World(lambda: leaks(0.1, rates=[0.1]), words="one learning rate"),
    "L21_random_walk": World(
        lambda: drawn(activation="relu", init=["he_normal", "random_walk"], width=8, depth=2, seed=[0, 1]),
        words="2 seeds of at least 6",
    ),
    "L22_standardised": World(
        lambda: standardised(1.0, inits=["weight_standardised"]), words="no run has the same gain"
    ),
    "L23_four_times": World(lambda: four_times(0.6, inits=["lecun_normal"]), words="are compared"),
    "L24_one_unit": World(lambda: chains(0.2, values=[1, 2]), words="on both sides of 4"),
    "L25_untrained_loss": World(lambda: untrained(2.0, size=30.0), words="too large"),
    "L26_rank": World(lambda: ranks(1.1, norms=["none"]), words="with and without batch normalisation"),
    "L27_edge_of_stability": World(
        lambda: curved(1.6, rates=[1.25]), words="can be reached and at which it cannot"
    ),
}  # fmt: skip
