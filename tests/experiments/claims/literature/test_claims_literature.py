"""Comparisons with published numbers: each rule both ways, ensembles against theory, spoilt records."""

import math
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from made_up import grid, made

from experiments import config
from experiments.claims import CLAIMS, judge
from experiments.claims.comparison import (
    KINDS,
    Compared,
    between,
    bounded,
    can_tell,
    computed,
    errors,
    mean_beyond,
    mean_near,
    near,
    one_more,
    share_beyond,
    share_near,
)
from experiments.claims.ensembles import backward, forward, networks, tangent
from experiments.claims.literature import depth, finite_width, gradients, relu
from experiments.config import Run
from experiments.config.vocabulary import keys_of
from experiments.report import comparisons, numbers_page
from experiments.report.card import cards
from experiments.report.published_numbers import SAID
from experiments.sweeps import plan
from experiments.sweeps.runner import run_stack
from mlp.registry import RegistryError
from mlp.streams import stream

CONFIGS = sorted((Path(__file__).resolve().parents[4] / "configs" / "literature").glob("*.yaml"))
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
    assert near("x", values, 1.0, 0.2, "source").holds is expected
    assert near("x", [10 * v for v in values], 10.0, 0.2, "source", relative=True).holds is expected
    assert between("x", values, 0.9, 1.2, 1.0, "source").holds is expected


def test_outside_on_both_sides_is_outside():
    assert between("x", [0.0, 2.0] * 3, 0.9, 1.2, 1.0, "source").holds is False


@pytest.mark.parametrize("n", [6, 12, 24])
@pytest.mark.parametrize("comparisons", [1, 5])
def test_the_interval_of_a_mean_is_students(n, comparisons):
    """It holds 97 % of the density (1 + t²/f)^(−(f + 1)/2), which is integrated here by the midpoint rule."""
    f, ends = n - 1, errors(n, comparisons)
    steps = 200_000
    t = (np.arange(steps) + 0.5) * ends / steps
    constant = math.gamma((f + 1) / 2) / math.gamma(f / 2) / math.sqrt(f * math.pi)
    inside = 2 * constant * ((1 + t**2 / f) ** (-(f + 1) / 2)).sum() * ends / steps
    assert 1 - inside == pytest.approx(0.03 / comparisons, rel=1e-6)


def test_of_six_seeds_the_interval_is_three_standard_errors():
    assert errors(6) == pytest.approx(3.0, abs=0.005)


MEAN_2 = [1.5, 2.5, 1.5, 2.5, 1.5, 2.5]  # standard error 0.5477/√6 = 0.2236, interval 2 ± 0.671


@pytest.mark.parametrize(
    ("published", "within", "expected"),
    [(2.0, 0.7, True), (2.0, 0.6, None), (2.0, 0.0, None), (3.0, 0.2, False), (3.0, 0.4, None)],
)
def test_the_stated_tolerance_of_a_mean_is_the_rule(published, within, expected):
    """Scatter makes nothing pass: the interval lies inside (2.671 < 2.7), outside (2.671 < 2.8) or across."""
    found = mean_near("x", MEAN_2, published, within, "source")
    assert found.holds is expected
    assert found.value == 2.0
    assert bool(found.why_open) is (expected is None)
    assert mean_near("x", MEAN_2, published, within / published, "source", relative=True).holds is expected


def test_the_twentieth_layer_that_is_82_per_cent_off_does_not_pass_a_rule_of_20_per_cent():
    seeds = [0.00408, 0.0287, 0.015, 0.010, 0.020, 0.012]  # as wide as L09's, mean 0.015
    assert mean_near("x", seeds, 0.00824, 0.2, "derived", relative=True).holds is None
    sharp = [0.0149, 0.0151] * 3
    assert mean_near("x", sharp, 0.00824, 0.2, "derived", relative=True).holds is False


def test_of_many_comparisons_one_has_to_miss_by_more():
    """2.671 < 2.8 alone; among a hundred the interval is 2 ± 9.1·0.2236 and reaches 3.2."""
    assert mean_near("x", MEAN_2, 3.0, 0.2, "source").holds is False
    assert mean_near("x", MEAN_2, 3.0, 0.2, "source", comparisons=100).holds is None
    assert mean_near("x", MEAN_2, 2.0, 0.7, "source", comparisons=100).holds is True
    assert mean_beyond("x", MEAN_2, "below", 1.2, "source").holds is False
    assert mean_beyond("x", MEAN_2, "below", 1.2, "source", comparisons=100).holds is None
    assert "one of 100 compared" in mean_near("x", MEAN_2, 2.0, 0.7, "source", comparisons=100).within


@pytest.mark.parametrize(("bound", "expected"), [(1.3, True), (1.4, None), (2.6, None), (2.7, False)])
def test_a_mean_lies_beyond_a_number_with_its_interval(bound, expected):
    assert mean_beyond("x", MEAN_2, "above", bound, "source").holds is expected
    mirrored = mean_beyond("x", [-v for v in MEAN_2], "below", -bound, "source")
    assert mirrored.holds is expected
    assert mirrored.is_bound


def test_a_share_is_as_certain_as_its_trials():
    assert share_near("x", [0.0] * 6, 1e-4, 100, "source").holds  # none in 600 is what chance gives
    assert not share_near("x", [0.0] * 6, 0.1, 100, "source").holds
    assert share_near("x", [0.5, 0.52] * 3, 0.5, 1000, "source").holds
    assert not share_near("x", [0.55] * 6, 0.5, 1000, "source").holds
    assert share_near("x", [0.5] * 5, 0.5, 1000, "source").holds is None


def test_a_share_is_compared_where_its_tolerance_admits_neither_0_nor_1():
    """Four errors of a share of 0.03 in 600 trials are 0.028, of 0.025 they are 0.0255."""
    assert can_tell(0.03, 600)
    assert not can_tell(0.025, 600)
    assert not can_tell(0.975, 600)
    assert not can_tell(0.03, 600, theirs=600)


def test_a_bound_on_a_share_bears_what_chance_does():
    """Of 6 × 100 trials at a half one error is 0.0204: four are 0.082."""
    for share, expected in ((0.6, True), (0.45, True), (0.41, False)):
        assert share_beyond("x", [share] * 6, "above", 0.5, 100, "recalled").holds is expected
        assert share_beyond("x", [1 - share] * 6, "below", 0.5, 100, "recalled").holds is expected


def test_one_more_network_lies_in_the_interval_of_prediction():
    """Logs with mean 0 and sd 0.7071: one more is within 3.003·0.7071·√(7/6) = 2.293."""
    ours = np.exp([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0])
    assert one_more("x", ours, np.exp(2.28), "source", scale="log").holds
    assert one_more("x", ours, np.exp(2.31), "source", scale="log").holds is False
    assert one_more("x", ours, np.exp(2.31), "source", scale="log", comparisons=18).holds
    assert one_more("x", [0.0, *ours], 1.0, "source", scale="log").holds is None  # an exact zero has no log


def test_one_more_count_lies_where_roots_of_counts_do():
    """√(count + 3/8) of 1 and 3 is 1.173 and 1.837: mean 1.505, sd 0.364, one more within 1.180 of it.

    That is up to 2.6854² − 3/8 = 6.836, and from 0.
    """
    ours = [1.0, 3.0] * 3
    for count, expected in ((6, True), (7, False), (0, True)):
        assert one_more("x", ours, count, "source", scale="count").holds is expected
    assert "from 0 to 6.84, where one more" in one_more("x", ours, 6, "source", scale="count").within
    assert one_more("x", [0.0] * 6, 0.0, "source", scale="count").holds
    assert one_more("x", [0.0] * 6, 1.0, "source", scale="count").holds is False


def test_bounded_and_computed_have_sides():
    assert bounded("x", [1.0] * 6, "below", 2.0, "threshold").holds
    assert bounded("x", [1.0] * 6, "above", 2.0, "threshold").holds is False
    assert computed("x", 1.0005, 1.0, 1e-3, "source").holds
    assert computed("x", 1.002, 1.0, 1e-3, "source").holds is False
    assert computed("x", np.nan, 1.0, 1e-3, "source").holds is None
    assert computed("x", 1.0, 1.0, 1e-3, "source").n == 1  # no seed has computed it


@pytest.mark.parametrize("compare", [near, mean_near])
def test_too_few_seeds_or_a_missing_value_decide_nothing(compare):
    few = compare("x", [1.0] * 5, 1.0, 0.1, "source")
    assert few.holds is None
    assert few.why_open == "5 seeds of at least 6"
    lost = compare("x", [1.0] * 5 + [np.nan], 1.0, 0.1, "source")
    assert lost.holds is None
    assert lost.why_open == "1 of 6 seeds have no value"
    assert compare("x", [], 1.0, 0.1, "source").holds is None


def test_a_gap_is_relative_but_for_zero():
    assert Compared("x", 1.1, 1, 1.2, 6, 1, True, published=1.0).gap == pytest.approx(0.1)
    assert Compared("x", 0.1, 0, 0.2, 6, 0, True, published=0.0).gap == pytest.approx(0.1)
    bound = bounded("x", [1.0] * 6, "below", 2.0, "threshold")
    assert np.isnan(bound.gap)  # a bound is no number to come out again


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
    share = relu._born_dead(one(Run(activation="relu", init=init, width=2, depth=9)), 200)
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
    run = one(Run(activation="tanh", init="lecun_normal", width=8, depth=3))
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
    return cards(experiment, judge(experiment.claims, records), seconds=1.5)


def test_every_number_is_in_the_table_and_on_the_page(isometry):
    table = comparisons(isometry)
    assert list(table["verdict"]) == ["✓ reproduced"] * 2
    assert table["published"].tolist() == pytest.approx([0.0, 3.0])
    assert list(table["kind"]) == ["derived"] * 2  # the formula is printed, its values are not
    page = numbers_page("Title", "Intro", isometry)
    for words in (
        "# Title",
        "Of 2 derived numbers 2 come out.",
        "Pennington, Schoenholz & Ganguli 2018",
        "2 of 2",
        "2 s |",
    ):
        assert words in page
    for quantity in table["quantity"]:
        assert quantity in page


def test_a_number_that_does_not_come_out_is_said(isometry):
    (card,) = isometry
    wrong = replace(card.verdict.evidence[1], holds=False)
    page = numbers_page("T", "I", [replace(card, verdict=replace(card.verdict, evidence=(wrong,)))])
    assert "Of 1 derived numbers 0 come out." in page
    assert "✗ not reproduced" in page


@pytest.mark.parametrize("tag", [tag for tags in KINDS.values() for tag in tags])
def test_kinds_of_numbers_are_counted_apart_in_every_total(isometry, tag):
    (card,) = isometry
    derived, other = card.verdict.evidence[0], replace(card.verdict.evidence[1], tag=tag, holds=None)
    both = [replace(card, verdict=replace(card.verdict, evidence=(derived, other)))]
    kind = other.kind
    assert set(SAID) == set(KINDS)
    assert comparisons(both)["kind"].tolist() == ["derived", kind]
    page = numbers_page("T", "I", both)
    if kind == "derived":
        assert "Of 2 derived numbers 1 come out." in page
        assert "| derived | 1 | 0 | 1 | 2 |" in page
    else:
        assert f"| {kind} | 0 | 0 | 1 | 1 |" in page
        noun, held = SAID[kind]
        assert f"f 1 {noun} 0 {held}" in page
        assert "| derived | 1 | 0 | 0 | 1 |" in page
    assert "2 numbers" not in page


def test_rounding_is_no_gap(isometry):
    (card,) = isometry
    wide = card.verdict.evidence[1]
    told = {1 - 1e-15: "| 0 % |", 1.5: "| +50 % |", 4.1: "| +310 % |", 1e-4: "| -100 % |"}
    for value, words in ((wide.published * times, words) for times, words in told.items()):
        found = replace(card.verdict, evidence=(replace(wide, value=value),))
        assert words in numbers_page("T", "I", [replace(card, verdict=found)])


def test_a_check_is_marked_and_does_not_lead(isometry):
    (card,) = isometry
    first, second = card.verdict.evidence
    checked = replace(card.verdict, evidence=(replace(first, role="check"), second))
    page = numbers_page("T", "I", [replace(card, verdict=checked)])
    assert f"{first.setting} (check)" in page
    overview = next(line for line in page.splitlines() if line.startswith("| [L08]"))
    assert second.setting in overview
