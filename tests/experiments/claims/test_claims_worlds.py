"""Each claim of the write-up in a world where it is false and in one where nothing can be said.

Most of the worlds are real networks, small and briefly trained; two are times that nobody measured, and one
is made of units whose lives are chosen.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from made_up import grid, made
from made_up_lives import KILLED, shocked

from experiments import config
from experiments.analysis import cost as timing
from experiments.claims import CLAIMS, judge
from experiments.storage.records import Records
from experiments.sweeps import plan
from experiments.sweeps.runner import run_stack
from experiments.sweeps.stacks import stacks
from mlp.activations import ACTIVATIONS, Activation, ActivationName
from mlp.registry import RegistryError, parse_call

NAMES = sorted(name for name in CLAIMS if ".write_up." in CLAIMS[name].__module__)
SIX = list(range(6))
XOR, BLOBS = "xor(n=160, test=0.5)", "blobs(n=120, classes=3, noise=0.2, test=0.5)"
SIGNALS = ["delta_norm", "delta_log10", "dw_norm", "dw_log10", "z_rms", "a_rms"]
LIVES = ["unit_dead", "unit_bias", "unit_w_norm", "unit_step_norm", "unit_z_mean", "unit_gradient_norm",
         "unit_inactive"]  # fmt: skip


def trained(claim, base, sweep=None, **others):
    """Records of a config that is trained here and now."""
    mapping = {"question": "?", "base": base, "sweep": {"seed": SIX} | (sweep or {}), "watch": [0],
               "probes": ["delta_norm"], "claims": [claim]} | others  # fmt: skip
    experiment = config.from_mapping(mapping)
    parts = stacks(plan.grid(experiment), experiment.recording)
    return Records.concat(run_stack(part, experiment.recording) for part in parts)


@dataclass(frozen=True)
class World:
    """A claim's text and the records, or made-up costs, on which it is judged."""

    claim: str
    base: dict
    sweep: dict
    others: dict

    def records(self):
        """What its networks come to."""
        return trained(self.claim, self.base, self.sweep, **self.others)


def world(claim, base, sweep=None, **others):
    return World(claim, base, sweep or {}, others)


@dataclass(frozen=True)
class Given:
    """The same with records that are there already."""

    claim: str
    make: object = lambda: made([])

    def records(self):
        """They are made here."""
        return self.make()


def times(monkeypatch, sigmoid, relu, step=1.0):
    """Let six processes find these times per element; `sigmoid` may be one for each."""

    def rounds(value):
        return np.resize(value, timing.PROCESSES)[:, None] * np.ones(timing.ROUNDS)

    each = {text: rounds(2.0) for text in timing.TIMED} | {"sigmoid": rounds(sigmoid), "relu": rounds(relu)}
    of_step = timing.StepTimes(dict.fromkeys(each, rounds(step)), {t: 0.01 * v for t, v in each.items()})
    found = timing.Costs(
        {("float64", "in cache"): each},
        dict.fromkeys(timing.WIDTHS, of_step),
        {"sigmoid": rounds(1.0), "relu": rounds(10.0)},
    )
    monkeypatch.setattr("experiments.claims.write_up.expense.costs", lambda texts: found)


# The grids that several worlds share ----------------------------------------------------------------------

LINEAR = {"width": 8, "optimiser": "adam", "batch": 80, "steps": 60, "dataset": XOR}
LINEAR_SWEEP = {"activation": ["leaky_relu(slope=0.999)", "tanh"], "depth": [0, 2], "lr": [0.05]}
WIDE = {"width": 32, "steps": 1, "lr": 0.01, "batch": 16, "dataset": BLOBS}
DEEP = WIDE | {"depth": 10}
BRIEF = {"width": 8, "batch": 16, "steps": 40, "dataset": BLOBS}
SIGNS = {"depth": 2, "width": 8, "steps": 1, "dataset": BLOBS}
SHOCKED = {"dataset": "moons(n=120, scale=unit)", "width": 12, "depth": 2, "init": "he_normal", "batch": 16,
           "lr": 0.1, "steps": 12}  # fmt: skip
TORN = SHOCKED | {"schedule": "shock(at=5, factor=1e12)", "dtype": "float32", "depth": 4}
WATCHED = {"watch": [0, 5, 6, 8, 12], "unit_probes": LIVES}
CENTRED, SHIFTED = "blobs(n=60, noise=0.2, scale=overall)", "blobs(n=60, noise=0.2, scale=overall, shift=1)"
IN_TURN = "blobs(n=60, noise=0.2, scale=overall, shift=1, alternate=true)"
DESCENT = {"depth": 0, "batch": 48, "steps": 30}
DESCENTS = {"dataset": [CENTRED, SHIFTED, IN_TURN], "lr": [0.1, 0.4, 1.6]}
PATHS = {"probes": ["update_ratio", "w_norm", "displacement"], "watch": 31, "trace": "batch"}


def descent(inputs, **options):
    listed = ", ".join(inputs)
    more = "".join(f", {key}={value}" for key, value in options.items())
    return world(f"W07_slow_convergence(inputs=[{listed}]{more})", DESCENT, DESCENTS, **PATHS)


FALSE = {
    "W01_linear": world(
        "W01_linear(linear=leaky_relu(slope=0.999))", LINEAR, LINEAR_SWEEP, probes=["linear_deviation"]
    ),
    "W02_squashes": Given("W02_squashes(tanh=relu)"),
    "W03_slope": Given("W03_slope(activation=tanh)"),
    "W04_gradient_shrinks": world(
        "W04_gradient_shrinks", DEEP, zip={
            "activation": ["sigmoid", "tanh", "relu"],
            "init": ["scaled_normal(gain=10.15)", "xavier_normal", "he_normal"],
        }, probes=SIGNALS,
    ),
    "W05_weights_stay": world(
        "W05_weights_stay", BRIEF | {"activation": "sigmoid", "depth": 1}, {"lr": [0.3, 1.0]},
        probes=["displacement", "dw_norm"],
    ),
    "W06_one_sign": world(
        "W06_one_sign(activation=sigmoid(shift=-0.5))", SIGNS,
        {"activation": ["sigmoid(shift=-0.5)", "tanh"], "batch": [1, 4]}, trace="batch",
        probes=["one_sign_fraction", "one_sign_fraction_batch"],
    ),
    "W07_slow_convergence": descent([SHIFTED, CENTRED]),
    "W08_sigmoid_expensive": Given("W08_sigmoid_expensive"),
    "W09_always_avoid": world(
        "W09_always_avoid", BRIEF | {"depth": 1}, {"activation": ["sigmoid", "relu"], "lr": [0.3, 1.0]}
    ),
    "W10_tanh_better": world(
        "W10_tanh_better", BRIEF | {"depth": 3, "optimiser": "adam", "steps": 150},
        {"activation": ["sigmoid", "tanh", "sigmoid(shift=-0.5)"], "lr": [0.03, 0.1]},
        probes=["a_mean", "delta_norm"],
    ),
    "W11_relu_no_vanishing": world(
        "W11_relu_no_vanishing", WIDE | {"activation": "relu", "init": "xavier_normal", "steps": 0},
        {"depth": [5, 40]}, probes=SIGNALS,
    ),
    "W12_relu_cheap": Given("W12_relu_cheap"),
    "W13_dying_relu": world(
        "W13_dying_relu", SHOCKED | {"activation": "relu", "schedule": "shock(at=5, factor=1.5)"}, **WATCHED
    ),
    "W14_leaky_recovers": Given("W14_leaky_recovers", lambda: shocked(KILLED, accuracy=0.8)),
    "W15_pictures": Given("W15_pictures(relu=gelu)"),
}  # fmt: skip

UNDECIDABLE = {
    "W01_linear": (
        world("W01_linear", LINEAR | {"dataset": BLOBS, "batch": 60, "lr": 0.05},
              {"activation": ["identity", "tanh"], "depth": [0, 1]}, probes=["linear_deviation"]),
        "a line separates these classes: on blobs(n=120, noise=0.2, test=0.5) the test accuracy of logistic "
        "regression is 1 (1 to 1, n = 6)",
    ),
    "W02_squashes": (Given("W02_squashes(sigmoid=nothing)"), "nothing has no value at "),
    "W03_slope": (Given("W03_slope(activation=sigmoid(shift=5))"), "no output is within 0.01 of 0 or 1"),
    "W04_gradient_shrinks": (
        world("W04_gradient_shrinks(controls=[sigmoid(shift=-0.5)])", DEEP,
              {"activation": ["sigmoid", "sigmoid(shift=-0.5)"]}, probes=SIGNALS),
        "the control failed: xavier_normal: ‖delta‖ of the first over that of the last of 10 hidden layers, "
        "sigmoid(shift=-0.5): ",
    ),
    "W05_weights_stay": (
        world("W05_weights_stay", BRIEF | {"activation": "sigmoid", "depth": 1}, {"lr": [1e-9, 2e-9]},
              probes=["displacement", "dw_norm"]),
        "the control failed: depth 1 with sgd: ‖w − w₀‖/‖w₀‖ of the output layer: ",
    ),
    "W06_one_sign": (
        world("W06_one_sign(control=relu)", SIGNS, {"activation": ["sigmoid", "relu"], "batch": [1, 4]},
              trace="batch", probes=["one_sign_fraction", "one_sign_fraction_batch"]),
        "the control failed: relu: units with gradients of one sign, one example: 1 (1 to 1, n = 6)",
    ),
    "W07_slow_convergence": (
        descent([CENTRED, SHIFTED], target=1e-9),
        "6 of the 6 centred runs never reach a training loss of 1e-09, so there is nothing to compare with",
    ),
    "W08_sigmoid_expensive": (
        Given("W08_sigmoid_expensive"), "its 6 values, from 1 to 2, lie on both sides of 1.5"
    ),
    "W09_always_avoid": (
        world("W09_always_avoid", BRIEF | {"depth": 1},
              {"activation": ["sigmoid", "relu"], "lr": [1e-9, 2e-9]}),
        "the control failed: relu at depth 1: test accuracy gained by training: 0 (0 to 0, n = 6)",
    ),
    "W10_tanh_better": (
        world("W10_tanh_better", BRIEF | {"depth": 3},
              {"activation": ["sigmoid", "tanh", "sigmoid(shift=-0.5)"], "lr": [1e-9, 2e-9]},
              probes=["a_mean", "delta_norm"]),
        "nothing learns: where the training loss falls, the test accuracy rises by 0 at most, in the median",
    ),
    "W11_relu_no_vanishing": (
        world("W11_relu_no_vanishing", WIDE | {"activation": "relu"}, {"depth": [2, 5]}, probes=SIGNALS),
        "no network has 10 layers",
    ),
    "W12_relu_cheap": (Given("W12_relu_cheap"), "its 6 values, from "),
    "W13_dying_relu": (
        world("W13_dying_relu", TORN | {"activation": "relu"},
              **WATCHED),
        "no shock was outlived by all runs (6 diverged)",
    ),
    "W14_leaky_recovers": (
        world("W14_leaky_recovers", TORN,
              {"activation": ["relu", "leaky_relu(slope=0.1)", "leaky_relu(slope=0.01)"]}, **WATCHED),
        "no shock was outlived by all runs (18 diverged)",
    ),
    "W15_pictures": (Given("W15_pictures(relu=nothing)"), "nothing has no value at "),
}  # fmt: skip


@pytest.fixture
def nothing(monkeypatch):
    """An activation that gives no number anywhere."""

    def nothing() -> Activation:
        return Activation(f=lambda z: np.full_like(z, np.nan), df=lambda z, a: np.full_like(z, np.nan))

    monkeypatch.setitem(ACTIVATIONS, "nothing", nothing)


def test_every_claim_that_a_config_of_the_write_up_asks_for_has_its_two_worlds():
    configs = (Path(__file__).resolve().parents[3] / "configs" / "write_up").glob("*.yaml")
    asked = {parse_call(text)[0] for path in configs for text in config.load(path).claims}
    assert asked == set(FALSE) == set(UNDECIDABLE)


@pytest.mark.parametrize("name", sorted(FALSE))
def test_where_it_is_false_it_is_contradicted(name, monkeypatch):
    times(monkeypatch, sigmoid=1.0, relu=1.0 if name.startswith("W08") else 4.0, step=0.01)
    false = FALSE[name]
    (found,) = judge([false.claim], false.records())
    assert found.error == ""
    assert found.status == "contradicted", found.condition
    assert not any(e.holds for e in found.evidence if e.role == "claim") or name in {
        "W01_linear", "W02_squashes", "W03_slope", "W15_pictures", "W04_gradient_shrinks"
    }  # which are contradicted by any part that fails  # fmt: skip


@pytest.mark.parametrize("name", sorted(UNDECIDABLE))
def test_where_nothing_can_be_said_it_is_inconclusive_and_says_why(name, monkeypatch, nothing):
    times(monkeypatch, sigmoid=[1.0, 2.0], relu=[1.0, 4.0] if name.startswith("W12") else 1.0, step=0.01)
    undecidable, reason = UNDECIDABLE[name]
    (found,) = judge([undecidable.claim], undecidable.records())
    assert found.error == ""
    assert found.status == "inconclusive"
    assert reason in found.condition


@pytest.mark.parametrize("name", NAMES)
def test_on_the_records_of_another_question_it_says_what_it_lacks(name, monkeypatch):
    """Runs of one activation, two depths and two seeds, with and without all that the claim reads."""
    times(monkeypatch, sigmoid=1.0, relu=1.0)
    runs = grid(activation="gelu", depth=[1, 2], seed=[0, 1])
    layers = {probe: 1.0 for probe in getattr(CLAIMS[name], "needs", ()) if not probe.startswith("unit_")}
    others = made(runs), made(runs, lambda run, step: {}, lambda run, step, layer: layers or {"w_norm": 1.0})
    for records in (made([]), *others):
        (found,) = judge([name], records)
        assert found.error == ""
        if name in FALSE and not getattr(CLAIMS[name], "is_check", False):
            assert found.status == "inconclusive"
            assert "change the config: " in found.condition


# Of each claim that takes activations, the first option that is one.
ACTIVATION_OF = {
    name: key
    for name in NAMES
    for key, option in reversed(CLAIMS.options(name).items())
    if option.annotation == ActivationName
}


@pytest.mark.parametrize("name", ACTIVATION_OF)
def test_an_activation_that_there_is_not_is_named_with_the_likely_one(name):
    with pytest.raises(RegistryError, match="unknown activation 'sigmod'. Did you mean 'sigmoid'?"):
        judge([f"{name}({ACTIVATION_OF[name]}=sigmod)"], made([]))


def test_an_activation_may_be_spelt_as_its_writer_likes():
    spelt, plain = (
        f"W06_one_sign(activation={text})" for text in ("sigmoid(shift=-.5)", "sigmoid(shift=-0.5)")
    )
    records = FALSE["W06_one_sign"].records()
    one, other = judge([spelt, plain], records)
    assert (one.status, one.evidence) == (other.status, other.evidence)
    assert one.status == "contradicted"
