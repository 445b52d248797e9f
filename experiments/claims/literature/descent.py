"""The loss before training, and the curvature that gradient descent runs into."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from experiments import datasets
from experiments.analysis.ratios import at_start
from experiments.claims.comparison import Compared, given, mean_near
from experiments.claims.declarations import CLAIMS, needs, rule
from experiments.claims.settings import at_layers
from experiments.claims.verdict import Undecided, Verdict, decide
from mlp.activations import activation as curve
from mlp.initialisers import weight_variance
from mlp.registry import Share

if TYPE_CHECKING:
    from experiments.storage.records import Records

PRINTED = {21: 3.04452}  # classes: the loss that many asked about, ln 21
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

    Source: arithmetic, derived here; 3.04452 = ln 21 is the number of a question that users of a library
    for segmentation asked (recalled, and not found again).
    """
    losses = at_start(records.steps)[["run_id", "loss"]].rename(columns={"loss": "value"})
    rows = at_layers(records, "a_rms")
    rows = rows[rows["layer"] == rows["depth"]].merge(losses, on="run_id", validate="one_to_one")
    classes = {text: datasets.load(text).classes for text in rows["dataset"].unique()}
    rows["classes"] = rows["dataset"].map(classes)
    rows["variance"] = [
        run.width
        * weight_variance(run.init, int(run.width), run.classes, curve(run.activation))
        * run.a_rms**2
        for run in rows.itertuples()
    ]
    settings = [
        (key, each) for key, each in rows.groupby(["classes", "init"]) if each["variance"].max() < SMALL
    ]
    if not settings:
        raise Undecided("the logits of every network are too large", "init: lecun_normal")
    evidence: list[Compared] = []
    for (k, init), each in settings:
        name, expected = f"{k} classes, {init}: loss", log(k) + each["variance"].mean() / 2 * (1 - 1 / k)
        many, found = len(settings), each["value"]
        evidence.append(mean_near(name, found, expected, within, "derived", relative=True, comparisons=many))
        if init == "zeros" and k in PRINTED:
            aside = mean_near(f"{name}, as asked", found, PRINTED[k], PRINTED_OFF, "recalled", relative=True)
            evidence += given("aside", [aside])
    return decide(evidence, "nats")
