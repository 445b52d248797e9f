"""Verification finds what is wrong: an edited record, a wrong slope, a wrong sum; and agrees otherwise."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from experiments import run
from experiments.config import Run, from_mapping
from experiments.pipeline import stored_experiment, stored_records
from experiments.storage.store import Store
from experiments.verification import CHECKS, Subject, stamp, verify
from mlp.activations import ACTIVATIONS, activation
from mlp.initialisers import INITIALISERS
from mlp.losses import LOSSES
from mlp.norms import NORMS, Norm


def subject(**fields) -> Subject:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(12, 4)), rng.integers(0, 3, 12)
    return Subject.of(replace(Run(depth=3, width=6, bias="normal(std=0.3)"), **fields), x, y, 3)


def agrees(check, one):
    gap = CHECKS[check](one)
    return None if gap is None else gap <= CHECKS[check].tolerance


def refuted(one):
    return [check for check in CHECKS if agrees(check, one) not in (True, None)]


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_every_check_agrees_with_every_activation(act):
    assert refuted(subject(activation=act)) == []


@pytest.mark.parametrize("bias", ["zeros", "normal(std=0.3)"])
@pytest.mark.parametrize("init", sorted(INITIALISERS))
def test_every_check_agrees_with_every_initialiser(init, bias):
    """Some draw biases along with the weights, whatever `bias` says."""
    assert refuted(subject(activation="relu", init=init, bias=bias)) == []


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("norm", sorted(NORMS))
@pytest.mark.parametrize("residual", [0.0, 0.7])
def test_every_check_agrees_with_every_loss_and_remedy(loss, norm, residual):
    assert refuted(subject(activation="tanh", loss=loss, norm=norm, residual=residual)) == []


def test_each_law_applies_somewhere():
    plain = {"activation": "tanh"}
    relu = {"activation": "relu", "bias": "zeros"}
    for check in CHECKS:
        assert any(agrees(check, subject(**fields)) for fields in (plain, relu)), check


@pytest.mark.parametrize("check", ["finite_difference", "complex_step", "autograd"])
def test_a_wrong_slope_is_found(check):
    one = subject(activation="tanh")
    act = activation("tanh")
    wrong = replace(act, df=lambda z, a: 1.01 * act.df(z, a), in_place=None)
    bad = replace(one, net=replace(one.net, act=wrong))
    assert agrees(check, bad) is False


# -- gradients that are off by one per cent ----------------------------------------------------------------


@dataclass(frozen=True)
class OffByOnePercent(Subject):
    """The gradient of one layer, or of all of them, is 1 % too long."""

    layer: int | None = None

    def gradient(self):
        grads = super().gradient()
        for index, layer in enumerate(self.net.views(grads)):
            for part in filter(lambda part: part is not None, (layer.w, layer.b, layer.gain, layer.shift)):
                part *= 1.01 if self.layer in (None, index) else 1.0
        return grads


def off(one, layer=None) -> Subject:
    return OffByOnePercent(one.run, one.net, one.x, one.y, layer)


def missed(one, some=slice(None)) -> list[int | None]:
    """Return which layers may be off by 1 % without any check that speaks noticing it."""
    layers = one.net.views(one.gradient())
    learning = [i for i, layer in enumerate(layers) if abs(layer.w).max() > 0][some]
    with np.errstate(all="ignore"):
        return [
            layer
            for layer in (None, *learning)
            if learning and not any(agrees(check, off(one, layer)) is False for check in CHECKS)
        ]


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_one_per_cent_is_found_with_every_activation(act):
    assert missed(subject(activation=act)) == []


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("norm", sorted(NORMS))
def test_one_per_cent_is_found_with_every_loss_and_norm(loss, norm):
    assert missed(subject(activation="tanh", loss=loss, norm=norm)) == []


@pytest.mark.parametrize(("act", "init"), [("sigmoid", "normal(std=0.05)"), ("relu", "xavier_normal")])
def test_one_per_cent_is_found_in_layers_that_starve(act, init):
    """The first layer of twenty sigmoids has 1e-31 of the last one's gradient."""
    one = subject(activation=act, init=init, depth=20)
    assert missed(one, slice(None, None, 10)) == []
    assert not [check for check in CHECKS if agrees(check, one) is False]


@pytest.mark.parametrize("width", [1, 6])
@pytest.mark.parametrize("weight", [-1, 0.5, 3.9])
@pytest.mark.parametrize("act", ["sigmoid", "tanh", "softsign"])
def test_gradients_that_cancel_in_every_layer_call_no_sound_run_wrong(act, weight, width):
    """Equal weights to all classes: Σ_c (p_c − y_c) w is 0, and rounding is all that goes down the layers."""
    one = subject(activation=act, init=f"constant(value={weight})", bias="zeros", depth=12, width=width)
    assert refuted(one) == []
    last = len(one.net.layers) - 1
    assert not agrees("autograd", off(one, last)), "the layer that has a gradient"


@pytest.mark.slow
@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_one_per_cent_is_found_with_everything_together(act):
    for loss in sorted(LOSSES):
        for norm in sorted(NORMS):
            for residual, depth in ((0.0, 4), (0.7, 9)):
                one = subject(activation=act, loss=loss, norm=norm, residual=residual, depth=depth)
                assert missed(one) == [], (loss, norm, residual)
                assert not [check for check in CHECKS if agrees(check, one) is False], (loss, norm, residual)


# -- kinks that are hit exactly ----------------------------------------------------------------------------

KINKED = ["relu", "leaky_relu", "hard_tanh", "hard_sigmoid", "elu(alpha=2.0)", "selu"]
INITS = ["he_normal", "xavier_normal", "normal(std=0.3)"]


def on_kinks(seed) -> Subject:
    """A random narrow net: one unit in seven lies on a kink whatever comes in, one example in five is 0."""
    rng = np.random.default_rng(seed)
    fields = {"activation": KINKED, "init": INITS, "bias": ["zeros", "normal(std=0.3)"],
              "loss": sorted(LOSSES), "norm": ["none", "none", "none", "layer", "batch"]}  # fmt: skip
    chosen = {name: str(rng.choice(values)) for name, values in fields.items()}
    depth, width = int(rng.integers(1, 6)), int(rng.integers(2, 7))
    x = rng.normal(size=(12, 4)) * (rng.random((12, 1)) < 0.8)
    run = Run(**chosen, depth=depth, width=width, residual=float(rng.choice([0, 0, 0.7])), seed=seed)
    found = Subject.of(run, x, rng.integers(0, 3, 12), 3)
    for layer in found.net.layers[:-1]:
        for unit in np.flatnonzero(rng.random(width) < 0.15):
            layer.w[0, :, unit], layer.b[0, 0, unit] = 0, rng.choice(found.net.act.kinks)
    return found


def check_on_kinks(seeds):
    """No sound net is called wrong, and each whose gradient is off by 1 % is; some of all kinds are met."""
    left_out = []
    for seed in seeds:
        one = on_kinks(seed)
        wrong = {check for check in CHECKS if agrees(check, one) is False}
        assert not wrong, (seed, wrong)
        assert missed(one) == [], seed
        left_out.append(len(one.x) - len(one.off_kinks().x))
    assert min(left_out) == 0
    assert max(left_out) == 12


def test_kinks_that_are_hit_exactly_call_no_sound_run_wrong():
    check_on_kinks(range(12))


@pytest.mark.slow
def test_kinks_that_are_hit_exactly_call_none_of_a_thousand_sound_runs_wrong():
    check_on_kinks(range(1000))


def test_examples_on_a_kink_are_left_out_of_a_difference_and_counted():
    """Zero inputs and zero biases put every unit of three examples on ReLU's kink."""
    one = subject(activation="relu", bias="zeros")
    one.x[:3] = 0
    assert np.array_equal(one.off_kinks().x, one.x[3:])
    assert agrees("finite_difference", one)
    one.x[:] = 0
    assert agrees("finite_difference", one) is None
    assert agrees("complex_step", one)


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    config = {
        "question": "Is it the same again?",
        "base": {"width": 6, "steps": 4, "dataset": "xor(n=200)", "batch": 20},
        "sweep": {"activation": ["tanh", "relu"], "dtype": ["float32", "float64"], "seed": [0, 1]},
        "watch": 3,
        "figures": [],
    }
    run(from_mapping(config, "again"))
    store = Store("again")
    return store, stored_experiment(store)


def test_stored_records_come_out_again_and_an_edited_number_is_found(stored):
    store, experiment = stored
    records = stored_records(store, experiment)
    ids = list(records.runs["run_id"])
    findings = list(verify(experiment, records, ids))
    assert [f for f in findings if f.agrees is False] == []
    assert sum(f.check == "records" for f in findings) == len(ids)
    layers = records.layers.copy()
    layers.loc[3, "delta_norm"] = np.nextafter(layers.loc[3, "delta_norm"], 1)
    edited = replace(records, layers=layers)
    wrong = [f for f in verify(experiment, edited, ids[:1]) if f.agrees is False]
    assert [(f.check, f.note) for f in wrong] == [("records", "layers")]


def test_the_stamp_says_what_was_verified(stored):
    store, experiment = stored
    records = stored_records(store, experiment)
    findings = list(verify(experiment, records, list(records.runs["run_id"])[:2]))
    checks = stamp(store, findings)["checks"]
    assert checks["records"] == {"runs": 2, "disagree": 0, "worst": 0.0, "examples_left_out": 0}
    assert (store.folder / "verified.json").is_file()


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_normalisation_and_a_loss_of_a_user_are_checked_where_a_law_knows_nothing_of_them(
    axis, monkeypatch
):
    entropy = LOSSES["softmax_cross_entropy"]
    monkeypatch.setitem(NORMS, "mine", lambda: Norm(axis, 1e-3))
    monkeypatch.setitem(LOSSES, "twice", lambda z, y: tuple(2 * each for each in entropy(z, y)))
    for loss, norm in (("softmax_cross_entropy", "mine"), ("twice", "none")):
        own = subject(activation="tanh", loss=loss, norm=norm)
        assert refuted(own) == []
        assert [agrees(check, own) for check in ("complex_step", "autograd")] == [None, None]
        assert agrees("finite_difference", own) is True
        assert agrees("split_batch", own) is (None if (norm, axis) == ("mine", -2) else True)
