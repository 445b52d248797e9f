"""UvA's deep learning tutorial 3: dead units of an untrained net, and a sigmoid net's ten per cent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from experiments.analysis.ratios import at_end
from experiments.claims.comparison import Compared, bounded, by_seed, compared, given, one_more
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import forward, networks
from experiments.claims.evidence import told
from experiments.claims.settings import alike, of_runs, only
from experiments.claims.verdict import Undecided, Verdict, decide, decide_parts, enough_seeds
from mlp.registry import Positive, Share, Within

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# Widths of the hidden layers, and how many of their units the notebook counts as dead before training.
WIDTHS = (256, 256, 256, 256, 256, 128, 128, 128, 128, 128)
DEAD = (0, 0, 7, 27, 89, 60, 58, 61, 72, 56)
PATIENCE = 7 * 195  # updates: its seven epochs of 50,000 images in batches of 256
CHANCE = 0.10
EXAMPLES_AT_ONCE = 1000  # of a forward pass, which keeps what every layer puts out


@CLAIMS
@rule("each printed count lies where one more network like ours would, for 97 % of such networks")
def L14a_dead_units(records: Records, *, nets: Annotated[int, Within(1, 1000)] = 2) -> Verdict:
    """An untrained ReLU network of ten layers has, layer by layer, the dead units that a tutorial counts.

    Measured: Networks of the tutorial's widths and scaling under PyTorch's default initialisation, `nets` 2
    per seed: for each of the ten hidden layers the number of units that are 0 on each of 50,000 images.

    Nuance: Dead here is "on these images, before training": the first updates wake some of them. The cause is
    the initialisation, a third of LeCun's variance, under which biases drown the signal with depth: He's,
    without biases, leaves far fewer. The first two layers, where nothing dies, decide nothing. Which 50,000
    of the training images the tutorial looks at is its own.

    Source: Lippe, UvA deep learning tutorial 3, "Finding dead neurons in ReLU networks"; the counts as the
    notebook's stored output has them.
    """
    if not (records.runs["init"] == "pytorch_default").any():
        raise Undecided("no network with PyTorch's initialisation", "init: [pytorch_default]")
    enough_seeds(records.runs)
    alike(records.runs, ["init", "bias"], "init and bias")
    found = dict(by_seed(records, ["init", "bias"], lambda run: _dead(run, nets)))
    shares = {init: np.concatenate(each) for (init, _), each in found.items()}
    counts = np.rint(shares["pytorch_default"] * WIDTHS)
    evidence = [
        one_more(
            f"layer {layer} of {len(WIDTHS)}: dead units of {width}", ours, dead, "source", scale="count",
            comparisons=np.count_nonzero(DEAD),
        )
        for layer, (width, dead, ours) in enumerate(zip(WIDTHS, DEAD, counts.T, strict=True), start=1)
    ]  # fmt: skip
    dying = [e for e in evidence if e.published]
    none = given("aside", [e for e in evidence if not e.published])
    return decide([*dying, *none], remarks=_last(shares))


def _dead(run: Any, nets: int) -> np.ndarray:
    """Return (nets, layers): the share of dead units in each hidden layer of each network of a seed."""
    from experiments.datasets import load

    data = load(run.dataset)
    net = networks(run, (data.x.shape[1], *WIDTHS, data.classes), nets)
    alive: list[Any] = [False] * len(WIDTHS)
    for part in range(0, len(data.x), EXAMPLES_AT_ONCE):
        for index, layer in enumerate(forward(net, data.x[part : part + EXAMPLES_AT_ONCE])):
            alive[index] = alive[index] | (layer.a != 0).any(axis=1)
    return np.stack([1 - layer.mean(axis=1) for layer in alive], axis=1)


def _last(shares: dict[str, np.ndarray]) -> list[str]:
    return [
        f"{init}: of the units of layer 9 a share of {told(each[:, -2])} is dead, of those of layer 10 "
        f"{told(each[:, -1])}; n counts networks."
        for init, each in shares.items()
    ]


@CLAIMS
@needs(varies=("lr",))
@rule(
    "at the printed rate a seed stays within {rounding:g} of the printed accuracy; at a larger one every "
    "seed gets above {learns:g}"
)
def L14b_ten_per_cent(
    records: Records, *, printed_lr: Positive = 0.01, rounding: Share = 0.005, learns: Share = 0.5
) -> Verdict:
    """A deep sigmoid network ends at 10.00 % accuracy, or chance: for its learning rate and patience only.

    Measured: The test accuracy of sigmoid networks of four layers under PyTorch's default initialisation and
    the tutorial's optimiser: the best within its patience of 7 epochs at its learning rate 0.01; and the
    last, after 3,000 updates, at each larger learning rate of the config.

    Nuance: A plateau that ends is not a failure to learn. Which seeds leave it within a budget is luck: the
    printed accuracy is of one network, and it is reproduced if any of ours ends like it.

    Source: Lippe, UvA deep learning tutorial 3; its issue 119 on the sigmoid result.
    """
    chosen = only(records, activation="sigmoid")
    alike(chosen.runs, ["lr"], "runs of one lr")
    rates = sorted(chosen.runs["lr"].unique())
    if printed_lr not in rates or rates[-1] <= printed_lr:
        raise Undecided(
            "no learning rate as printed, or none larger", f"lr: [{printed_lr:g}, {10 * printed_lr:g}]"
        )
    last = {lr: _of_rate(chosen, lr, at_end(chosen.steps, chosen.runs)) for lr in rates}
    best = _of_rate(chosen, printed_lr, _best(chosen))
    evidence = [_printed(f"lr {printed_lr:g}: best test accuracy in 7 epochs", best, rounding)]
    updates = int(chosen.runs["steps"].iloc[0])
    for lr in rates[rates.index(printed_lr) + 1 :]:
        name = f"lr {lr:g}: test accuracy after {updates} updates"
        evidence.append(bounded(name, last[lr], "above", learns, "threshold"))
    return decide_parts(evidence, remarks=_left(last, updates))


def _of_rate(records: Records, lr: float, rows: pd.DataFrame) -> pd.Series:
    """Return the test accuracy in `rows` of the runs at one learning rate, by seed; NaN of a run without."""
    return of_runs(records.runs[records.runs["lr"] == lr], rows, "test_accuracy")


def _best(records: Records) -> pd.DataFrame:
    """Return for each run its best test accuracy within the tutorial's patience."""
    patient = records.steps[records.steps["step"] <= PATIENCE]
    return patient.groupby("run_id", as_index=False)["test_accuracy"].max()


def _printed(name: str, values: pd.Series, rounding: float) -> Compared:
    holds = bool((np.abs(values - CHANCE) <= rounding).any())
    words = f"± {rounding:g}, at least one seed"
    return compared(name, values.to_numpy(), CHANCE, words, "source", holds)


def _left(last: dict[float, pd.Series], updates: int) -> list[str]:
    """Say for each learning rate the test accuracy at the end, and how many seeds are still at chance."""
    return [
        f"lr {lr:g}, after {updates} updates: test accuracy {told(values)}, "
        f"{(values < 1.1 * CHANCE).sum()} of {len(values)} seeds still at chance (below {1.1 * CHANCE:.2g})."
        for lr, values in last.items()
    ]
