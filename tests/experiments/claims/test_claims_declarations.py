"""What claims declare: rules in words, and needs that are sufficient and are asked of every config."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import made

from experiments import config
from experiments.claims import CLAIMS, Evidence, decide, judge, needs, rule, rule_of
from experiments.claims.literature import depth
from experiments.config import ConfigError
from experiments.config.kinds import probe_kind
from experiments.config.vocabulary import Run, keys_of
from experiments.sweeps import plan

CONFIGS = {
    name: path
    for path in sorted((Path(__file__).resolve().parents[3] / "configs").glob("*/*.yaml"))
    for name in CLAIMS
    if re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))
}
SMALLER = {
    "L01_theory": ["activation=[sigmoid]", "init=[lecun_normal]", "depth=[5]"],
    "L03b_jacobians": ["width=16"],
    "L12_laws": ["depth=[60]"],
    "L18_normalised_branch": ["width=16", "depth=5"],
    "L21_random_walk": ["depth=5", "width=8"],
    "L27_edge_of_stability": ["batch=1437"],  # all of the digits
    "W01_linear": ["depth=[0,2]", "dataset=[xor]"],
    "W04_gradient_shrinks": ["depth=[2,10]"],
    "W07_slow_convergence": ["lr=[0.1,1]", "steps=3", "watch=4"],
    "W11_relu_no_vanishing": ["depth=[2,10]"],
}
OPTIONS = {
    "L16_finite_width": "(nets=2)",
    "L21_random_walk": "(nets=2)",
}  # networks that they draw themselves
DRAWN = {
    "L05_born_dead",
    "L06_spread",
    "L07_depth_scale",
    "L08_isometry",
    "L09_shattering",
    "L14a_dead_units",
}
OF_UNITS = {"W13_dying_relu", "W14_leaky_recovers"}  # see test_claims_units
CHECKS = {"W02_squashes", "W03_slope", "W08_sigmoid_expensive", "W12_relu_cheap", "W15_pictures"}


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_every_claim_has_a_rule_in_words_whose_numbers_are_filled_in(name):
    assert len(rule_of(name)) > 5
    assert not re.search(r"[{}]|\[|'[a-z]+'", rule_of(name))


def test_a_rule_follows_the_options_that_are_set():
    assert "of layer 1 is under 0.02" in rule_of("W05_weights_stay(stays=0.02)")
    assert "of layer 1 is under 0.01" in rule_of("W05_weights_stay")
    assert "more than 0.5 of its time" in rule_of("W12_relu_cheap(dear=2)")
    assert "with tanh it is above that" in rule_of("W04_gradient_shrinks(controls=[tanh])")


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_what_a_claim_declares_exists(name):
    for probe in getattr(CLAIMS[name], "needs", ()):
        assert probe_kind(probe) in {"probe", "unit_probe"}
    assert set(getattr(CLAIMS[name], "varies", ())) <= set(keys_of(Run))


def judged(name, runs):
    """The verdict on records of these runs that hold the declared columns of layers and no others."""
    rng = np.random.default_rng(0)
    declared = getattr(CLAIMS[name], "needs", ())

    def steps(run, step):
        return {"loss": 1.0 if step == 0 else 0.5 * rng.random(), "test_accuracy": rng.random()}

    def layers(run, step, layer):
        return {probe: 0.1 + rng.random() for probe in declared}

    watched = {"L03a_saturation": [4000], "W07_slow_convergence": range(4)}.get(name)
    (found,) = judge(
        [name + OPTIONS.get(name, "")], made(runs, steps, layers if declared else None, watched=watched)
    )
    return found


def runs_for(name, *overrides):
    """The runs of the shipped config that asks for a claim; some of all kinds where none does as yet."""
    asked = [*SMALLER.get(name, []), "seed=[0,1,2,3,4,5]", *overrides]
    if name in CONFIGS:
        return plan.grid(config.load(CONFIGS[name], asked))
    few = ["activation=[sigmoid,relu]", "depth=[2,4]", "steps=3"]
    return plan.grid(config.from_mapping({"question": "Which?"}, overrides=[*few, *asked]))


@pytest.mark.parametrize("name", sorted(set(CLAIMS) - DRAWN - OF_UNITS - CHECKS))
def test_what_a_claim_declares_is_all_it_reads(name):
    data = [] if name.startswith(("W01", "W07")) else ["dataset=digits"]
    found = judged(name, runs_for(name, *data))
    assert len(found.evidence) > 0
    assert "not recorded" not in found.condition


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_a_claim_that_draws_networks_itself_reads_their_settings_alone(name, monkeypatch):
    monkeypatch.setattr(depth, "WIDE", 20)
    run = runs_for(name, "dataset=digits")[0]
    assert "not recorded" not in judged(name, [replace(run, width=min(run.width, 16))]).condition


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_check_is_decided_without_records_and_nothing_else_is(name, monkeypatch):
    assert getattr(CLAIMS[name], "is_check", False) is (name in CHECKS)
    if name not in CHECKS:
        assert judge([name], made([]))[0].status == "inconclusive"
    elif name not in {
        "W08_sigmoid_expensive",
        "W12_relu_cheap",
    }:  # see test_claims_instrument: they take time
        assert judge([name], made([]))[0].status == "supported"


# A config is asked ----------------------------------------------------------------------------------------


@pytest.fixture
def shrinks(monkeypatch):
    """A claim with needs, in the table for a test."""

    @needs("delta_norm", "z_rms", varies=("depth",))
    @rule("factor below {most:g}")
    def shrinks(records, *, most: float = 1.0):
        return decide([Evidence.of("here", [0.5] * 6, "below", most)])

    @needs("unit_dead")
    def nothing_dies(records):
        return decide([])

    for claim in (shrinks, nothing_dies):
        monkeypatch.setitem(CLAIMS, claim.__name__, claim)


FINE = {"question": "q", "sweep": {"depth": [2, 5]}, "probes": ["delta_norm", "z_rms"], "claims": ["shrinks"]}


def faults(**changed):
    with pytest.raises(ConfigError) as caught:
        config.from_mapping(FINE | changed)
    return str(caught.value).splitlines()


def test_a_config_that_records_and_sweeps_what_its_claim_needs_is_read(shrinks):
    assert config.from_mapping(FINE).claims == ("shrinks",)
    zipped = {"sweep": {}, "zip": {"depth": [2, 5], "width": [8, 4]}}
    assert config.from_mapping(FINE | zipped).claims == ("shrinks",)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"probes": ["delta_norm"]}, "claims[0]: shrinks reads z_rms: add that to the probes"),
        ({"probes": []}, "claims[0]: shrinks reads delta_norm, z_rms: add that to the probes"),
        (
            {"claims": ["shrinks", "nothing_dies"]},
            "claims[1]: nothing_dies reads unit_dead: add that to the unit_probes",
        ),
        (
            {"sweep": {"seed": [0, 1]}},
            "claims[0]: shrinks compares runs that differ in depth: list several values of it under sweep",
        ),
        (
            {"sweep": {"depth": [2]}},
            "claims[0]: shrinks compares runs that differ in depth: list several values of it under sweep",
        ),
    ],
)
def test_a_config_without_what_its_claim_needs_is_refused(shrinks, changed, said):
    assert faults(**changed) == [said]


def test_a_file_is_refused_at_the_place_of_the_claim(shrinks, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("question: q\nsweep: {depth: [2, 5]}\nprobes: [delta_norm]\nclaims: [shrinks]\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:4:10: claims\[0\]: shrinks reads z_rms"):
        config.load(path)


def test_records_without_a_declared_probe_are_undecided_and_keep_the_rule(shrinks):
    (found,) = judge(["shrinks(most=2)"], made([Run()], layers=lambda *_: {"delta_norm": 1.0}))
    assert (found.status, found.rule) == ("inconclusive", "factor below 2")
    assert found.condition == "z_rms was not recorded; change the config: probes: add z_rms"
    (found,) = judge(["nothing_dies"], made([]))
    assert found.condition == "unit_dead was not recorded; change the config: unit_probes: add unit_dead"
