"""The pictures of the studies say what their tables show, whichever way it came out."""

import pandas as pd
import pytest

from experiments.plots import study_figures

DOSES = [(2, 0.25, 0.01), (2, 0.5, 0.03), (5, 0.25, 0.2), (5, 0.5, 0.4)]  # depth, share, cost


def title(figure):
    return figure.get_suptitle().replace("\n", " ")


@pytest.mark.parametrize(("most", "begins"), [(1.0, "0.25 to 0.5"), (0.1, "0.5 to 0.5"), (0.02, None)])
def test_dead_units_are_told_by_where_a_loss_begins(most, begins):
    rows = [(depth, 8, "xor", share, cost) for depth, share, cost in DOSES if cost <= most]
    table = pd.DataFrame(rows, columns=["depth", "width", "dataset", "share", "cost"])
    table = table.assign(cost_low=table["cost"] - 0.01, cost_high=table["cost"] + 0.01)
    said = title(study_figures.dead_units(table))
    assert said == (f"A loss over 0.02 begins with {begins} of a layer's units dead" if begins else "")


@pytest.mark.parametrize(("shares", "often"), [((0.3, 0.9), 2), ((0.2, 0.9), 1), ((0.0, 0.25), 0)])
def test_detectors_that_alarm_often_are_counted(shares, often):
    rows = [(name, "any", s, s, s) for name, s in zip("ab", shares, strict=True)]
    rows += [("b", "dead_units", shares[1], 0, 1)]
    table = pd.DataFrame(rows, columns=["rules", "alarm", "share", "low", "high"])
    said = title(study_figures.alarms(table))
    assert said == f"{often} of 2 detectors alarm on over a quarter of the networks that train well"


@pytest.mark.parametrize("verdicts", [("gains", "gains"), ("gains", "loses"), ("open", "does not matter")])
def test_gains_are_counted_for_each_piece_of_advice(verdicts):
    rows = [
        ("relu", "tanh", depth, "xor", "sgd", "he_normal", 0.1, 0.0, 0.2, verdict)
        for depth, verdict in zip((2, 8), verdicts, strict=True)
    ]
    names = [
        "take",
        "instead",
        "depth",
        "dataset",
        "optimiser",
        "init",
        "difference",
        "low",
        "high",
        "verdict",
    ]
    said = title(study_figures.advice(pd.DataFrame(rows, columns=names)))
    assert said == f"Accuracy gains: relu over tanh in {verdicts.count('gains')} of 2 cells"
