"""The loss before training, and the curvature that gradient descent runs into."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

from experiments import datasets
from experiments.analysis.ratios import at_start
from experiments.claims.comparison import Compared, Tag, between, bounded, given, mean_near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import at_layers
from experiments.claims.verdict import Undecided, Verdict, decide, decide_parts
from experiments.theory.stability import stability_limit
from mlp.activations import activation as curve
from mlp.initialisers import weight_variance
from mlp.registry import Share

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# The loss before training --------------------------------------------------------------------------------

PRINTED = {21: 3.04452}  # classes: the loss that a user asked about, ln 21
SMALL = 0.3  # variance of the logits up to which the second order is enough
PRINTED_OFF = 1e-5  # six digits
LOSS_OFF = 0.02  # how far off the loss may be, as a share


@CLAIMS
@needs("a_rms")
@rule(
    lambda within: (
        f"mean over seeds: the loss within {100 * within:g} % of ln K + (v/2)(1 − 1/K), for each K and each "
        "initialisation"
    )
)
def L25_untrained_loss(records: Records, *, within: Share = LOSS_OFF) -> Verdict:
    """Before training, a classifier of K classes has the loss ln K, plus half the variance of its logits.

    Measured: The loss at step 0 on data whose labels say nothing, beside ln K + (v/2)(1 − 1/K), v the
    variance of a logit (that of an output weight times the summed squares of what enters it), for each number
    of classes and each initialisation of the config with v below 0.3.

    Nuance: A loss that stays at ln K has learnt nothing; one that starts far above it has logits that are too
    large, which is a fault of the last layer's weights. With weights of zero it is ln K to the last digit.

    Source: arithmetic, derived here; 3.04452 = ln 21 is the loss that a user of a library for segmentation
    asked about (longjon/caffe, issue 3, as a list of results quotes it; the issue was not read).
    """
    losses = at_start(records.steps)[["run_id", "loss"]].rename(columns={"loss": "value"})
    rows = at_layers(records, "a_rms")
    rows = rows[rows["layer"] == rows["depth"]].merge(losses, on="run_id", how="left", validate="one_to_one")
    classes = {text: datasets.load(text).classes for text in rows["dataset"].unique()}
    rows["classes"] = rows["dataset"].map(classes)
    variances = [
        run.width * weight_variance(run.init, int(run.width), run.classes, curve(run.activation))
        for run in rows.itertuples()
    ]
    rows["variance"] = rows["a_rms"] ** 2 * variances  # of the logits
    settings = [
        (key, each) for key, each in rows.groupby(["classes", "init"]) if each["variance"].max() < SMALL
    ]
    if not settings:
        raise Undecided("the logits of every network are too large", "init: lecun_normal")
    evidence: list[Compared] = []
    for (k, init), each in settings:
        expected = log(k) + each["variance"].mean() / 2 * (1 - 1 / k)
        name, many, found = f"{k} classes, {init}: loss in nats", len(settings), each["value"]
        evidence.append(mean_near(name, found, expected, within, "derived", relative=True, comparisons=many))
        if init == "zeros" and k in PRINTED:
            aside = mean_near(f"{name}, as asked", found, PRINTED[k], PRINTED_OFF, "account", relative=True)
            evidence += given("aside", [aside])
    return decide(evidence)


# The edge of stability ------------------------------------------------------------------------------------

HOVERS = (0.95, 1.25)  # of the limit: where "at, or just above" lies
WITHIN_REACH = 10.0  # times the sharpness at the start; a limit further up is a control
LAST = 2 / 3  # of all updates: from there on the sharpness is taken


@CLAIMS
@needs("sharpness", varies=("lr",))
@rule(
    f"every seed's median sharpness over the last third of training from {HOVERS[0]:g} to {HOVERS[1]:g} of "
    "the largest that is stable, for each optimiser and rate that can get there"
)
def L27_edge_of_stability(records: Records) -> Verdict:
    """On the whole training set the loss grows sharper until steps would just grow, and stays that sharp.

    Measured: The largest eigenvalue of the training loss's Hessian, its median over the watched steps of the
    last third of training, beside 2/η for gradient descent and (2 + 2β)/η for momentum, wherever this limit
    is below ten times the sharpness at the start; as a check, that it starts below the limit. As a control, a
    rate whose limit is further away: there the sharpness stays below it all the time, and training ends far
    from its edge.

    Nuance: On a quadratic steps beyond the limit grow without end; here the loss goes on falling in the long
    run. These are small tanh networks and a squared error, and why the sharpness rises is not asked. A
    network that fits its examples first never gets there: in trials with β = 0.9 some did so within a few
    hundred updates and stopped below the limit, some came close to it, one diverged.

    Source: Cohen, Kaur, Li, Kolter & Talwalkar 2021, whose code's manual draws 2/η for a tanh network with
    squared error; (2 + 2β)/η as a later paper's account of theirs has it. The tolerance is ours.
    """
    _whole_batches(records)
    curves = _sharpness(records)
    evidence: list[Compared] = []
    for (optimiser, lr), each in curves.groupby(["optimiser", "lr"], sort=False):
        evidence += _beside_the_limit(f"{optimiser}, lr {lr:g}", each, stability_limit(optimiser, lr))
    if {e.role for e in evidence} != {"claim", "check", "control"}:
        raise Undecided(
            "rates are compared at which the limit can be reached and at which it cannot", "lr: [0.1, 1.25]"
        )
    return decide_parts(evidence)


def _whole_batches(records: Records) -> None:
    """Check that every update is of the whole training set, and the optimisers are those with a limit."""
    for run in records.runs.drop_duplicates(["dataset", "batch"]).itertuples():
        if run.batch < (examples := len(datasets.load(run.dataset).x)):
            raise Undecided(f"a batch is {run.batch} of {examples} examples", f"batch: {examples}")
    for optimiser in records.runs["optimiser"].unique():
        if np.isnan(stability_limit(optimiser, 1.0)):
            raise Undecided(f"{optimiser} has no limit that is known", "optimiser: [sgd, momentum]")


def _sharpness(records: Records) -> pd.DataFrame:
    """Return a row per run: its fields, and its sharpness at the `start`, at its `largest`, and `late`.

    `late` is the median over the last watched steps; NaN of a run that did not live to its end.
    """
    rows = records.layers.loc[records.layers["layer"] == 1, ["run_id", "step", "sharpness"]].dropna()
    rows = rows.merge(records.runs[["run_id", "steps"]], on="run_id", validate="many_to_one")
    late = rows[rows["step"] >= LAST * rows["steps"]].groupby("run_id")["sharpness"].median()
    start = rows[rows["step"] == 0].set_index("run_id")["sharpness"]
    largest = rows.groupby("run_id")["sharpness"].max()
    runs = records.runs.sort_values("seed", kind="stable")
    found = {"start": start, "largest": largest, "late": late}
    runs = runs.assign(**{name: runs["run_id"].map(values) for name, values in found.items()})
    return runs.assign(**{name: runs[name].where(runs["status"] == "ok") for name in ("largest", "late")})


def _beside_the_limit(name: str, runs: pd.DataFrame, limit: float) -> list[Compared]:
    """Compare the sharpness late in training with the limit, or its largest if the limit is out of reach."""
    printed: Tag = "account" if name.startswith("momentum") else "source"
    if limit >= WITHIN_REACH * runs["start"].median():
        below = bounded(f"{name}: largest sharpness", runs["largest"], "below", limit, printed)
        return given("control", [below])
    low, high = (share * limit for share in HOVERS)
    late = between(f"{name}: sharpness in the last third", runs["late"], low, high, limit, printed)
    start = bounded(f"{name}: sharpness at the start", runs["start"], "below", limit, "derived")
    return [late, *given("check", [start])]
