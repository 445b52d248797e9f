"""UvA's deep learning tutorial 3: dead units of an untrained net, and a sigmoid net's ten per cent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.claims.comparison import SDS, Compared, by_seed, compared
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.ensembles import forward, networks
from experiments.claims.settings import only
from experiments.claims.verdict import FEWEST_SEEDS, Evidence, Undecided, Verdict, decide

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

WIDTHS = (256, 256, 256, 256, 256, 128, 128, 128, 128, 128)
PRE_LAST = 0.56  # "more than 56 %" of the units of the layer before the last
PATIENCE = 7 * 211  # updates: its seven epochs of 54,000 images in batches of 256
CHANCE = 0.10
EXAMPLES_AT_ONCE = 1000  # of a forward pass, which keeps what every layer puts out


@CLAIMS
@rule(f"the printed share within {SDS:g} sd of ours")
def L14a_dead_units(records: Records, *, nets: int = 2) -> Verdict:
    """Of an untrained ReLU network of ten layers more than half of the units before the last layer are dead.

    Measured: Networks of the tutorial's widths and scaling under PyTorch's default initialisation, `nets` 2 a
    seed: the share of units of the ninth hidden layer that are 0 on every training image.

    Nuance: Dead here is "on these images, before training": the first updates wake some of them. The cause is
    the initialisation, a third of LeCun's variance, under which biases drown the signal with depth: He's,
    without biases, leaves far fewer.

    Source: Lippe, UvA deep learning tutorial 3, "dead neurons"; the printed number as its text gives it.
    """
    found = dict(by_seed(records, ["init", "bias"], lambda run: _dead(run, nets)))
    shares = {init: np.concatenate(each) for (init, _), each in found.items()}
    if "pytorch_default" not in shares:
        raise Undecided("no network with PyTorch's initialisation", "init: [pytorch_default]")
    ours = shares["pytorch_default"][:, 0]
    evidence = [_holds_one("pytorch_default: dead units of layer 9 of 10", ours, PRE_LAST)]
    return decide(evidence, "share of units", remarks=_last(shares))


def _dead(run: Any, nets: int) -> np.ndarray:
    """(nets, 2): share of dead units in layers 9 and 10 of each network of a seed."""
    from experiments.datasets import load

    data = load(run.dataset)
    net = networks(run, (data.x.shape[1], *WIDTHS, data.classes), nets)
    alive: list[Any] = [False] * len(WIDTHS)
    for part in range(0, len(data.x), EXAMPLES_AT_ONCE):
        for index, layer in enumerate(forward(net, data.x[part : part + EXAMPLES_AT_ONCE])):
            alive[index] = alive[index] | (layer.a != 0).any(axis=1)
    return np.stack([1 - layer.mean(axis=1) for layer in alive[-2:]], axis=1)


def _holds_one(name: str, found: np.ndarray, published: float) -> Compared:
    far = abs(published - found.mean()) > SDS * found.std(ddof=1)
    holds = bool(not far) if len(found) >= FEWEST_SEEDS else None
    return compared(name, found, published, f"{SDS:g} sd of ours", "account", holds)


def _last(shares: dict[str, np.ndarray]) -> list[str]:
    return [
        f"{init}: {100 * np.median(each[:, 0]):.0f} % of layer 9 and {100 * np.median(each[:, 1]):.0f} % of "
        "layer 10."
        for init, each in shares.items()
    ]


@CLAIMS
@needs(varies=("lr",))
@rule("the printed accuracy within our seeds' range; above {learns:g} for every seed at a larger rate")
def L14b_ten_per_cent(
    records: Records, *, printed_lr: float = 0.01, rounding: float = 0.005, learns: float = 0.5
) -> Verdict:
    """A deep sigmoid network ends at 10.00 % accuracy, or chance: for its learning rate and patience only.

    Measured: The test accuracy of sigmoid networks of four layers under PyTorch's default initialisation and
    the tutorial's optimiser: the best within its patience of 7 epochs at its learning rate 0.01; and the
    last, after 3,000 updates, at each larger learning rate of the config.

    Nuance: A plateau that ends is not a failure to learn. Which seeds leave it within a budget is luck.

    Source: Lippe, UvA deep learning tutorial 3; its issue 119 on the sigmoid result.
    """
    chosen = only(records, activation="sigmoid")
    steps = chosen.steps.merge(chosen.runs[["run_id", "lr", "seed"]], on="run_id", suffixes=("_now", ""))
    patient = steps[(steps["lr"] == printed_lr) & (steps["step"] <= PATIENCE)]
    last = steps[steps["step"] == steps["step"].max()]
    larger = last[last["lr"] > printed_lr]
    if not (len(patient) and len(larger)):
        raise Undecided(
            "no learning rate as printed, or none larger", f"lr: [{printed_lr:g}, {10 * printed_lr:g}]"
        )
    best = patient.groupby("seed")["test_accuracy"].max()
    evidence: list[Evidence] = [
        _printed(f"lr {printed_lr:g}: best test accuracy in 7 epochs", best, rounding)
    ]
    for lr, rows in larger.groupby("lr"):
        name = f"lr {lr:g}: test accuracy after {rows['step'].iloc[0]} updates"
        evidence.append(Evidence.of(name, rows["test_accuracy"], "above", learns))
    return decide(evidence, "accuracy", remarks=_left(last))


def _printed(name: str, values: pd.Series, rounding: float) -> Compared:
    known = len(values) >= FEWEST_SEEDS and not values.isna().any()
    holds = bool(values.min() - rounding <= CHANCE <= values.max() + rounding) if known else None
    return compared(name, values.to_numpy(), CHANCE, "our seeds' range", "source", holds)


def _left(last: pd.DataFrame) -> list[str]:
    return [
        f"lr {lr:g}, after {rows['step'].iloc[0]} updates: median accuracy "
        f"{rows['test_accuracy'].median():.2f}, {(rows['test_accuracy'] < 1.1 * CHANCE).sum()} of "
        f"{len(rows)} seeds still at chance."
        for lr, rows in last.groupby("lr")
    ]
