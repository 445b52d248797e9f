"""Claims of the literature: each rule on data that meet it and on data that do not, and their configs."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from made_up import grid, made, row_of

from experiments import config
from experiments.claims import CLAIMS, judge
from experiments.claims.literature import depth, finite_width, gradients, relu
from experiments.config import Run
from experiments.config.vocabulary import keys_of
from experiments.sweeps import plan
from mlp.registry import RegistryError

CONFIGS = sorted((Path(__file__).resolve().parents[4] / "configs" / "literature").glob("*.yaml"))
SIX = list(range(6))


def verdict(claim, records):
    (found,) = judge([claim], records)
    return found


def holds(found, words):
    """What the rule says of the evidence whose setting has these words."""
    (only,) = {e.holds for e in found.evidence if words in e.setting}
    return only


def test_theory_is_compared_per_layer_and_for_each_activation():
    def layers(run, step, layer):
        log = (layer - run.depth) * np.log10(rate) + 1e-3 * run.seed
        return {"delta_norm": 10**log, "delta_rms": 1.0, "delta_log10": log}

    runs = grid(activation="sigmoid", init="lecun_normal", depth=10, width=128, steps=0, seed=SIX)
    rate = 1 / 0.236052
    assert holds(verdict("L01_theory", made(runs, layers=layers)), "√χ")
    rate = 1 / 0.25
    assert holds(verdict("L01_theory", made(runs, layers=layers)), "√χ") is False


def nielsen(factor, scatter=0.3):
    def layers(run, step, layer):
        start, end = gradients.NIELSEN[run.depth]
        norm = (start if step == 0 else end)[layer - 1] if layer <= run.depth else 1.0
        return {"db_rms": factor * norm * np.exp(scatter * (run.seed - 2.5) / 2) / np.sqrt(run.width)}

    runs = grid(activation="sigmoid", depth=[2, 3, 4], width=30, steps=499, seed=SIX)
    return made(runs, layers=layers)


def test_nielsens_numbers_are_among_their_like_and_not_among_others():
    assert verdict("L02_nielsen", nielsen(1.0)).status == "supported"
    far = verdict("L02_nielsen", nielsen(30.0))
    assert not any(e.holds for e in far.evidence if e.role == "claim")


@pytest.mark.parametrize(
    ("he", "xavier", "status"), [(0.1, 0.999, "told"), (0.95, 0.999, "not"), (0.1, 0.3, "not")]
)
def test_he_has_to_learn_and_xavier_to_stall(he, xavier, status):
    def steps(run, step):
        return {"loss": 2.3 * (1 if step == 0 else he if run.init == "he_normal" else xavier)}

    def layers(run, step, layer):
        rate = 1.0 if run.init == "he_normal" else np.sqrt(0.5)
        log = (30 - layer) * (np.log10(rate) + 0.001 * (run.seed - 2.5))
        return {"delta_norm": 10**log, "delta_log10": log}

    runs = grid(activation="relu", depth=30, width=128, init=["he_normal", "xavier_normal"], seed=SIX)
    found = verdict("L04_he", made(runs, steps, layers))
    loss = [e.holds for e in found.evidence if "share of the initial loss" in e.setting]
    assert len(loss) == 2
    assert all(loss) is (status == "told")
    assert (found.status == "supported") is (status == "told")


@pytest.mark.parametrize(("init", "known"), [("he_normal", 0.880), ("rai", 0.231)])
def test_networks_are_born_dead_as_often_as_is_known(init, known):
    """Of 200 networks four binomial errors of the share are 0.09 and 0.12."""
    share = relu._born_dead(row_of(Run(activation="relu", init=init, width=2, depth=9)), 200)
    assert abs(share - known) < 4 * np.sqrt(known * (1 - known) / 200)


@pytest.mark.parametrize(("he", "rai", "status"), [(0.88, 0.231, "supported"), (0.93, 0.23, "inconclusive")])
def test_born_dead_is_judged_where_the_laws_are_met(he, rai, status, monkeypatch):
    monkeypatch.setattr(relu, "_born_dead", lambda run, nets: he if run.init == "he_normal" else rai)
    runs = grid(activation="relu", init=["he_normal", "rai"], width=2, depth=9, steps=0, seed=SIX)
    found = verdict("L05_born_dead", made(runs))
    assert found.status == status
    assert {e.role for e in found.evidence} == {"claim", "check"}
    failed = "the check failed: relu, he_normal, width 2, depth 9: P(born dead)"
    assert (failed in found.condition) is (status == "inconclusive")


def test_laws_of_networks_without_biases_are_not_asked_of_others(monkeypatch):
    monkeypatch.setattr(relu, "_born_dead", lambda run, nets: 0.9)
    two, bias = ["he_normal", "rai"], ["zeros", "normal(std=1)"]
    roles = [
        {e.role for e in verdict("L05_born_dead", made(grid(**narrow, bias=each))).evidence}
        for narrow in [{"activation": "relu", "init": two, "width": 2, "depth": 9, "seed": SIX}]
        for each in bias
    ]
    assert roles == [{"claim", "check"}, {"claim"}]


@pytest.mark.slow
def test_the_spread_is_that_of_relu_and_of_no_linear_network():
    """1 + 5/8 and 1 + 2/8; of 1,000 networks per seed the ratio is known to 6 %."""

    def of(act):
        runs = grid(activation=act, init="he_normal", width=8, depth=1, steps=0, seed=SIX)
        return verdict("L06_spread(nets=1000)", made(runs)).status

    assert of("relu") == "supported"
    assert of("identity") == "contradicted"


def test_layers_drawn_without_weights_scatter_as_networks_do():
    """Of 400 networks a variance is known to about 9 %: four errors are 36 %. Linear ones have 3 times it."""
    run = row_of(Run(activation="tanh", init="lecun_normal", width=8, depth=3))
    networks_do = finite_width._measured(run, 400)[0]
    assert networks_do == pytest.approx(finite_width._drawn_by_layer(8, 3, 20_000, 0), rel=0.36)


def test_selu_is_told_from_a_net_that_drifts():
    def layers(run, step, layer):
        log = (run.depth - layer) * np.log10(rate)
        return {"a_mean": mean, "a_var": 1.0, "delta_norm": 10**log, "delta_log10": log}

    runs = grid(activation="selu", depth=20, steps=0, seed=SIX)
    mean, rate = 0.01, 1.0352
    assert verdict("L10_selu", made(runs, layers=layers)).status == "supported"
    mean = 0.3
    assert holds(verdict("L10_selu", made(runs, layers=layers)), "|mean|") is False
    mean, rate = 0.0, 0.9
    assert holds(verdict("L10_selu", made(runs, layers=layers)), "factor") is False


def test_batch_normalisation_has_to_explode_at_its_rate():
    def layers(run, step, layer):
        log = (run.depth - layer) * np.log10(rate) / 2 + 1e-4 * run.seed
        return {"delta_norm": 10**log, "delta_log10": log}

    runs = grid(activation="tanh", norm="batch", depth=6, steps=0, seed=SIX)
    rate = 1.17781
    assert verdict("L11_batch_norm", made(runs, layers=layers)).status == "supported"
    rate = 1.0
    assert verdict("L11_batch_norm", made(runs, layers=layers)).status == "contradicted"


def saturation(top, order):
    def layers(run, step, layer):
        mean = {0: 0.5, 4000: 0.03, 32000: top}[step] if layer == 4 else 0.5 + order * 0.05 * layer
        return {"a_mean": mean if layer <= run.depth else 0.0}

    runs = grid(activation="sigmoid", depth=4, steps=32000, seed=SIX)
    return made(runs, lambda run, step: {"test_accuracy": 0.1}, layers, watched=[4000])


def test_the_top_layer_has_to_escape_and_the_others_to_be_in_order():
    assert verdict("L03a_saturation", saturation(0.2, 1)).status == "supported"
    assert holds(verdict("L03a_saturation", saturation(0.05, 1)), "lowest") is False
    assert holds(verdict("L03a_saturation", saturation(0.2, -0.01)), "from a layer to the next") is False


def rectifiers(**accuracy):
    def steps(run, step):
        scatter = 1e-4 * (run.seed - 2.5) * ("relu", "tanh", "softplus").index(run.activation)
        return {"test_accuracy": accuracy[run.activation] + scatter, "loss": 1.0}

    def layers(run, step, layer):
        return {"saturated_fraction": 0.5}

    runs = grid(activation=list(accuracy), lr=[0.05, 0.1], depth=3, seed=SIX)
    return verdict("L13_rectifiers", made(runs, steps, layers))


@pytest.mark.parametrize(
    ("relu", "tanh", "softplus", "status"),
    [
        (0.9750, 0.9736, 0.9716, "supported"),
        (0.9736, 0.9740, 0.9716, "supported"),  # equal or better: tanh errs 0.04 points less
        (0.9736, 0.9756, 0.9716, "contradicted"),
        (0.9750, 0.9736, 0.9740, "contradicted"),
    ],
)
def test_rectifiers_have_to_be_equal_or_better(relu, tanh, softplus, status):
    found = rectifiers(relu=relu, tanh=tanh, softplus=softplus)
    assert found.status == status
    assert any(
        re.search(r"Of pairs of equal seeds, tanh errs .* in \d of 6, softplus", remark)
        for remark in found.remarks
    )
    assert [e.kind for e in found.evidence if e.role == "aside"] == ["printed"] * 2


@pytest.mark.parametrize(
    ("patient", "later", "status"),
    [(0.1, 0.8, "supported"), (0.4, 0.8, "contradicted"), (0.1, 0.1, "contradicted")],
)
def test_ten_per_cent_is_a_matter_of_patience_or_it_is_not(patient, later, status):
    def steps(run, step):
        return {"test_accuracy": patient if step < 2000 or run.lr == 0.01 else later}

    runs = grid(activation="sigmoid", depth=4, lr=[0.01, 0.1], steps=3000, seed=SIX)
    assert verdict("L14b_ten_per_cent", made(runs, steps, watched=[1000])).status == status


def test_a_depth_at_which_accuracy_falls_through_is_found_between_two():
    from experiments.claims.literature.depth import _crossing

    logs = np.log([10.0, 20.0, 40.0])
    between = np.exp(_crossing(logs, np.array([0.9, 0.7, 0.3]), 0.5))
    np.testing.assert_allclose(between, np.sqrt(800))
    beyond = np.exp(_crossing(logs, np.array([0.9, 0.9, 0.9]), 0.5))
    np.testing.assert_allclose(beyond, [40, np.inf])
    before = np.exp(_crossing(logs, np.array([0.2, 0.9, 0.9]), 0.5))
    np.testing.assert_allclose(before, [0, 10])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(5, 5, True), (2, 2, False), (0, 2.5, False), (0, 4, None), (10, np.inf, False), (8, np.inf, None)],
)
def test_a_frontier_outside_the_depths_decides_where_its_end_does(low, high, expected):
    import pandas as pd

    inside = {"weight": 1.0, "scale": 1.0, "low": 5.0, "high": 5.0}
    rows = [{"weight": 2.0, "scale": 1.0, "low": low, "high": high}] * 6 + [inside] * 6
    found = depth._frontiers(pd.DataFrame(rows), 3.0, 9.0)
    assert [e.holds for e in found] == [True, expected]


# Configs --------------------------------------------------------------------------------------------------


@cache
def asked(path):
    """The config's experiment on data that every machine has, and its grid."""
    experiment = config.load(path, ["dataset=digits"])
    return experiment, plan.grid(experiment)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_judges_its_claim_and_a_single_run_decides_nothing(path, monkeypatch):
    monkeypatch.setattr(depth, "WIDE", 20)
    experiment, runs = asked(path)
    assert [text.lower().startswith(path.stem.split("_")[0]) for text in experiment.claims] == [True]
    small = {"width": min(runs[0].width, 16), "depth": 2, "steps": 0, "dataset": "digits"}
    fields = {name: getattr(runs[0], name) for name in keys_of(Run)} | small
    (found,) = judge(
        experiment.claims, made([Run(**fields)], layers=lambda *_: dict.fromkeys(experiment.probes, 1.0))
    )
    assert found.status == "inconclusive"
    assert "change the config" in found.condition
    (empty,) = judge(experiment.claims, made([]))
    assert empty.status == "inconclusive"


@pytest.mark.parametrize(
    "claim",
    [
        "L01_theory(within=-1.0)",
        "L05_born_dead(nets=-1)",
        "L05_born_dead(nets=1000000000000)",
        "L06_spread(nets=0)",
        "L07_depth_scale(reaches=2.0)",
        "L08_isometry(inputs=0)",
        "L11_batch_norm(examples=0)",
        "L14a_dead_units(nets=0)",
    ],
)
def test_an_option_out_of_range_is_refused_before_anything_is_drawn(claim):
    with pytest.raises(RegistryError, match=r"option \w+ is \S+, which is not a (whole )?number "):
        CLAIMS.bind(claim)
