"""Comparisons with published numbers: each rule both ways, ensembles against theory, spoilt records."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from made_up import grid, made

from experiments import config
from experiments.claims import judge
from experiments.claims.comparison import Compared, among, bounded, computed, mean_near, near, share_near
from experiments.claims.ensembles import backward, forward, networks, tangent
from experiments.claims.literature import depth, gradients, relu
from experiments.config import Run
from experiments.config.vocabulary import keys_of
from experiments.report import comparisons, numbers_page
from experiments.report.card import cards
from experiments.sweeps import plan
from experiments.sweeps.runner import run_stack
from mlp.streams import stream

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs" / "literature").glob("*.yaml"))
SIX = list(range(6))


def verdict(claim, records):
    (found,) = judge([claim], records)
    return found


def holds(found, words):
    """What the rule says of the evidence whose setting has these words."""
    (only,) = {e.holds for e in found.evidence if words in e.setting}
    return only


# Comparisons ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"), [([1.0, 1.1] * 3, True), ([1.0, 1.4] * 3, None), ([2.0] * 6, False)]
)
def test_near_asks_every_seed(values, expected):
    assert near("x", values, 1.0, 0.2).holds is expected
    assert near("x", [10 * v for v in values], 10.0, 0.2, relative=True).holds is expected


def test_mean_near_asks_the_mean_within_its_error():
    scattered = [0.0, 2.0, 0.0, 2.0, 0.0, 2.2]  # mean 1.03, its standard error 0.45
    assert mean_near("x", scattered, 2.0).holds
    assert not mean_near("x", scattered, 2.5).holds
    assert not mean_near("x", [1.0, 1.001] * 3, 1.1).holds
    assert mean_near("x", [1.0, 1.001] * 3, 1.1, within=0.2).holds


def test_a_share_is_as_certain_as_its_trials():
    assert share_near("x", [0.0] * 6, 1e-4, 100).holds  # none in 600 is what chance gives
    assert not share_near("x", [0.0] * 6, 0.1, 100).holds
    assert share_near("x", [0.5, 0.52] * 3, 0.5, 1000).holds
    assert not share_near("x", [0.55] * 6, 0.5, 1000).holds
    assert share_near("x", [0.5] * 5, 0.5, 1000).holds is None


def test_among_asks_whether_one_network_is_like_ours():
    ours = np.exp([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0])  # sd of the logs 0.71
    assert among("x", ours, np.exp(1.7)).holds
    assert not among("x", ours, np.exp(1.9)).holds
    assert among("x", [0.0, *ours], 1.0).holds is None  # an exact zero has no log


def test_bounded_and_computed_have_sides():
    assert bounded("x", [1.0] * 6, "below", 2.0).holds
    assert bounded("x", [1.0] * 6, "below", 2.0).tag == "threshold"  # nobody's number unless said otherwise
    assert bounded("x", [1.0] * 6, "above", 2.0).holds is False
    assert computed("x", 1.0005, 1.0, 1e-3).holds
    assert computed("x", 1.002, 1.0, 1e-3).holds is False
    assert computed("x", np.nan, 1.0, 1e-3).holds is None


@pytest.mark.parametrize("compare", [near, mean_near])
def test_too_few_seeds_or_a_missing_value_decide_nothing(compare):
    more = (0.1,) if compare is near else ()
    assert compare("x", [1.0] * 5, 1.0, *more).holds is None
    assert compare("x", [1.0] * 5 + [np.nan], 1.0, *more).holds is None


def test_a_gap_is_relative_but_for_zero():
    assert Compared("x", 1.1, 1, 1.2, 6, 1, True, published=1.0).gap == pytest.approx(0.1)
    assert Compared("x", 0.1, 0, 0.2, 6, 0, True, published=0.0).gap == pytest.approx(0.1)
    assert np.isnan(bounded("x", [1.0] * 6, "below", 2.0).gap)  # a bound is no number to come out again


# Ensembles ------------------------------------------------------------------------------------------------


def one(run):
    """A run as a claim has it: a row of the frame of runs."""
    return next(made([run]).runs.itertuples())


@pytest.mark.parametrize("act", ["tanh", "relu", "selu"])
def test_a_tangent_and_a_backward_pass_are_derivatives(act):
    """v·(J u) both ways, and J u by central differences, whose error at this step is under 1e-6."""
    net = networks(one(Run(activation=act, init="he_normal", bias="normal(std=0.1)")), (4, 7, 5, 2), 3)
    rng = stream(0, "test")
    x, u, v = rng.standard_normal((2, 4)), rng.standard_normal((2, 4)), rng.standard_normal((3, 2, 5))
    passed = list(forward(net, x))
    along = tangent(net, passed, u)
    *_, delta = backward(net, passed, v)
    back = delta @ net.layers[0].w.mT
    np.testing.assert_allclose((back * u).sum(axis=-1), (along * v).sum(axis=-1), rtol=1e-10)
    ends = [list(forward(net, x + h * u))[-1].a for h in (1e-5, -1e-5)]
    np.testing.assert_allclose(along, (ends[0] - ends[1]) / 2e-5, atol=1e-6)


def test_networks_of_a_seed_are_its_own_and_drawn_as_runs_are():
    first, again, other = (networks(one(Run(seed=s)), (3, 4, 2), 5).params for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.isin(other[:, :12], first[:, :12]).any()
    np.testing.assert_array_equal(networks(one(Run(seed=0)), (3, 4, 2), 1).params, _as_drawn(0))


def _as_drawn(seed):
    from mlp.network import create

    return create((3, 4, 2), "relu", seeds=[seed], init=["xavier_normal"]).params


def test_normalised_examples_have_no_mean_and_unit_variance():
    net = networks(one(Run(init="he_normal")), (6, 8, 8, 2), 2, norm="batch(eps=0)")
    for layer in forward(net, stream(0, "test").standard_normal((40, 6))):
        np.testing.assert_allclose(layer.z.mean(axis=1), 0, atol=1e-12)
        np.testing.assert_allclose(layer.z.var(axis=1), 1, rtol=1e-12)


# Claims on data where they are false ------------------------------------------------------------------------


def test_theory_fails_where_the_gradient_is_another():
    def layers(run, step, layer):
        log = (layer - run.depth) * np.log10(rate) + 1e-3 * run.seed
        return {"delta_norm": 10**log, "delta_rms": 1.0, "delta_log10": log}

    runs = grid(activation="sigmoid", init="lecun_normal", depth=10, width=128, steps=0, seed=SIX)
    rate = 1 / 0.236052
    assert holds(verdict("L01_theory", made(runs, layers=layers)), "√χ")
    rate = 2.0
    found = verdict("L01_theory", made(runs, layers=layers))
    assert found.status == "contradicted"


def nielsen(factor, scatter=0.3):
    def layers(run, step, layer):
        start, end = gradients.NIELSEN[run.depth]
        norm = (start if step == 0 else end)[layer - 1] if layer <= run.depth else 1.0
        return {"db_rms": factor * norm * np.exp(scatter * (run.seed - 2.5) / 2) / np.sqrt(run.width)}

    runs = grid(activation="sigmoid", depth=[2, 3, 4], width=30, steps=499, seed=SIX)
    return made(runs, layers=layers)


def test_nielsens_numbers_are_among_their_like_and_not_among_others():
    assert all(e.holds for e in verdict("L02_nielsen", nielsen(1.0)).evidence[1:])
    far = verdict("L02_nielsen", nielsen(3.0))
    assert not any(e.holds for e in far.evidence[1:])
    assert far.status != "supported"


@pytest.mark.parametrize(
    ("he", "xavier", "status"), [(0.1, 0.999, "told"), (0.95, 0.999, "not"), (0.1, 0.3, "not")]
)
def test_he_has_to_learn_and_xavier_to_stall(he, xavier, status):
    def steps(run, step):
        return {"loss": 2.3 * (1 if step == 0 else he if run.init == "he_normal" else xavier)}

    def layers(run, step, layer):
        rate = 1.0 if run.init == "he_normal" else np.sqrt(0.5)
        log = (30 - layer) * (np.log10(rate) + 0.005 * (run.seed - 2.5))
        return {"delta_norm": 10**log, "delta_log10": log}

    runs = grid(activation="relu", depth=30, width=128, init=["he_normal", "xavier_normal"], seed=SIX)
    found = verdict("L04_he", made(runs, steps, layers))
    loss = [e.holds for e in found.evidence if "share of the loss" in e.setting]
    assert all(loss) is (status == "told")
    assert (found.status == "supported") is (status == "told")


def test_born_dead_is_exact_where_it_is_known_and_not_elsewhere(monkeypatch):
    runs = grid(activation="relu", init="he_normal", width=[1, 2], depth=[2, 9], steps=0, seed=SIX)
    claim = "L05_born_dead(nets=150)"
    assert verdict(claim, made(runs)).status == "supported"
    monkeypatch.setitem(relu.BORN_DEAD, 2, 0.7)
    found = {e.setting: e.holds for e in verdict(claim, made(runs)).evidence}
    assert found["relu, he_normal, width 2, depth 9: P(born dead)"] is False


def test_networks_with_biases_are_not_born_dead_as_often():
    runs = grid(
        activation="relu", init="he_normal", bias="normal(std=1)", width=2, depth=9, steps=0, seed=SIX
    )
    found = verdict("L05_born_dead(nets=150)", made(runs))
    assert holds(found, "lower bound") is False


def test_the_spread_is_that_of_he_and_of_no_uniform_weights():
    def of(init):
        runs = grid(activation="relu", init=init, width=4, depth=3, steps=0, seed=SIX)
        return verdict("L06_spread(nets=600)", made(runs)).evidence[0].holds

    assert of("he_normal")
    assert of("he_uniform") is False


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
    assert holds(verdict("L03a_saturation", saturation(0.2, -0.01)), "rise from a layer") is False


def rectifiers(**accuracy):
    def steps(run, step):
        scatter = 1e-4 * (run.seed - 2.5) * ("relu", "tanh", "softplus").index(run.activation)
        return {"test_accuracy": accuracy[run.activation] + scatter, "loss": 1.0}

    def layers(run, step, layer):
        return {"saturated_fraction": 0.5}

    runs = grid(activation=list(accuracy), lr=[0.05, 0.1], depth=3, seed=SIX)
    return verdict("L13_rectifiers", made(runs, steps, layers))


def test_rectifiers_have_to_differ_as_printed():
    found = rectifiers(relu=0.9750, tanh=0.9736, softplus=0.9716)
    assert found.status == "supported"
    assert any("Of 6 pairs of equal seeds" in remark for remark in found.remarks)
    found = rectifiers(relu=0.9736, tanh=0.9750, softplus=0.9730)
    assert holds(found, "tanh minus relu") is False
    assert found.status == "conditional"


@pytest.mark.parametrize(
    ("patient", "later", "status"),
    [(0.1, 0.8, "supported"), (0.4, 0.8, "conditional"), (0.1, 0.1, "conditional")],
)
def test_ten_per_cent_is_a_matter_of_patience_or_it_is_not(patient, later, status):
    def steps(run, step):
        return {"test_accuracy": patient if step < 2000 or run.lr == 0.01 else later}

    runs = grid(activation="sigmoid", depth=4, lr=[0.01, 0.1], steps=3000, seed=SIX)
    assert verdict("L14b_ten_per_cent", made(runs, steps, watched=[1000])).status == status


def test_a_depth_at_which_accuracy_falls_through_is_found_between_two():
    from experiments.claims.literature.depth import _crossing

    logs = np.log([10.0, 20.0, 40.0])
    assert np.exp(_crossing(logs, np.array([0.9, 0.7, 0.3]), 0.5)) == pytest.approx(np.sqrt(800))
    assert np.isnan(_crossing(logs, np.array([0.9, 0.9, 0.9]), 0.5))
    assert np.exp(_crossing(logs, np.array([0.2, 0.9, 0.9]), 0.5)) == pytest.approx(10)


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


# The page -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def isometry():
    """The cards of a real, small experiment: orthogonal and Gaussian linear networks."""
    runs = grid(
        activation="identity",
        init=["orthogonal", "lecun_normal"],
        width=64,
        depth=3,
        steps=0,
        seed=SIX,
        dataset="xor",
    )
    recording = config.Recording(("delta_norm",), 2)
    records = run_stack([r for r in runs if r.init == "orthogonal"], recording)
    records = type(records).concat(
        [records, run_stack([r for r in runs if r.init != "orthogonal"], recording)]
    )
    experiment = config.from_mapping(
        {"question": "How?", "claims": ["L08_isometry"], "figures": []}, "isometry"
    )
    return cards(experiment, records, judge(experiment.claims, records), 1.5)


def test_every_number_is_in_the_table_and_on_the_page(isometry):
    table = comparisons(isometry)
    assert list(table["verdict"]) == ["✓ reproduced"] * 2
    assert table["published"].tolist() == pytest.approx([0.0, 3.0])
    page = numbers_page("Title", "Intro", isometry)
    for words in (
        "# Title",
        "2 numbers compared: 2 reproduced",
        "Pennington, Schoenholz & Ganguli 2018",
        "2 of 2",
        "2 s |",
    ):
        assert words in page
    for quantity in table["quantity"]:
        assert quantity in page


def test_a_number_that_does_not_come_out_is_said(isometry):
    from dataclasses import replace

    (card,) = isometry
    wrong = replace(card.verdict.evidence[1], holds=False)
    page = numbers_page("T", "I", [replace(card, verdict=replace(card.verdict, evidence=(wrong,)))])
    assert "1 numbers compared: 1 not reproduced" in page
    assert "✗ not reproduced" in page
