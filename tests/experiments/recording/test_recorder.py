"""What a recorder stores of a foreign training, against plain formulas and this program's own runs."""

import numpy as np
import pytest

from experiments import datasets
from experiments.analysis.budget import budget
from experiments.config import ConfigError, Recording, Run
from experiments.diagnosis import diagnose
from experiments.diagnosis.findings import NAMES
from experiments.pipeline import experiment_of, load, plan_only, plot
from experiments.recording import Recorder, RecordingError
from experiments.storage.provenance import manifest_experiment
from experiments.storage.records import KEYS
from experiments.sweeps.runner import FIELDS, run_stack
from experiments.theory.of_records import predictions
from mlp import create
from mlp.probes import DEFAULT_PROBES, DISTRIBUTIONS, UNIT_PROBES
from mlp.train import Data, train
from tests.experiments.recording.foreign import Foreign


@pytest.fixture(autouse=True)
def _results(tmp_path, monkeypatch):
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))


def recorded(name="net", steps=3, activation="tanh", net=None, keep=None, **options):
    """A recorder that has seen a few steps; keep: the names of the arrays that are given."""
    net = net or Foreign(activation=activation)
    recorder = Recorder(name, activation=activation, **options)
    for step in range(steps):
        loss, layers, accuracy = net.step()
        if keep is not None:
            layers = {key: {n: a[n] for n in keep} for key, a in layers.items()}
        recorder.record(step, layers, loss=loss, accuracy=accuracy, lr=0.1)
    return recorder


# Right numbers --------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_plain_formulas():
    loss, layers, _ = (net := Foreign()).step()
    found = recorded(net=Foreign(), steps=1).records()
    rows = found.layers.set_index("layer")
    assert list(rows.index) == [1, 2, 3]
    for number, arrays in enumerate(layers.values(), start=1):
        row = rows.loc[number]
        assert row["delta_norm"] == pytest.approx(np.sqrt((arrays["delta"] ** 2).sum()), rel=1e-12)
        assert row["dw_rms"] == pytest.approx(np.sqrt((arrays["dw"] ** 2).mean()), rel=1e-12)
        assert row["z_var"] == pytest.approx(arrays["z"].var(), rel=1e-12)
        wanted = np.linalg.norm(arrays["step"]) / np.linalg.norm(arrays["w"])
        assert row["update_ratio"] == pytest.approx(wanted, rel=1e-12)
    slope = net.df(layers["fc1"]["z"])
    assert rows.loc[1, "slope_rms"] == pytest.approx(np.sqrt((slope**2).mean()), rel=1e-12)
    assert found.steps["loss"][0] == pytest.approx(loss, rel=1e-15)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "selu"])
def test_a_training_of_this_program_is_measured_as_if_it_were_foreign(activation):
    """All that is measured by default, and the units and bins, from the bare arrays."""
    run = Run(activation=activation, depth=3, width=8, dataset="blobs(n=80)", steps=4, batch=16, lr=0.1)
    extra = {"unit_probes": tuple(UNIT_PROBES), "distributions": tuple(DISTRIBUTIONS)}
    recording = Recording(DEFAULT_PROBES, watch=(0, 2, 4), **extra)
    ours = run_stack([run], recording)
    stated = {name: getattr(run, name) for name in ("dataset", "init", "bias", "loss", "optimiser", "lr")}
    recorder = Recorder("again", activation=activation, **stated, **extra)
    data = datasets.load(run.dataset)
    net = create(
        (data.x.shape[1], 8, 8, 8, data.classes), activation, seeds=[0], init=[run.init], bias=[run.bias]
    )
    both = Data(data.x, data.y, data.x_test, data.y_test)
    for snap in train(net, both, seeds=[0], lr=[run.lr], steps=4, batch=16, watch={0, 2, 4}):
        layers = {}
        for t in snap.layers:  # each is valid until the next is asked for
            names = ("x", "z", "delta", "w", "dw", "b", "db") + ("step",) * (snap.step < 4)
            layers[t.layer] = {name: np.array(getattr(t, name)[0]) for name in names}
        layers = dict(sorted(layers.items()))
        recorder.record(snap.step, layers, loss=snap.loss[0], accuracy=snap.accuracy[0])
    found = recorder.records()
    assert not found.layers.attrs["left_out"]
    for frame in ("layers", "units", "bins"):
        both = [getattr(each, frame).drop(columns="run_id") for each in (found, ours)]
        a, b = (each.sort_values([k for k in KEYS[frame] if k != "run_id"]) for each in both)
        assert list(a.columns) == list(b.columns)
        np.testing.assert_allclose(a.to_numpy(float), b.to_numpy(float), rtol=1e-9, atol=1e-12)
    assert found.runs["depth"][0] == 3
    assert found.runs["norm"][0] == "none"


def test_what_was_not_given_is_left_out_and_said():
    records = (recorder := recorded(keep=("z", "delta"))).records()
    left_out = records.layers.attrs["left_out"]
    assert "delta_norm" in records.layers
    assert "dw_norm" not in records.layers
    assert left_out["dw_norm"] == "layer fc1: needs dw (not given)"
    assert left_out["update_ratio"] == "layer fc1: needs step (not given)"
    assert records.layers["a_rms"].isna().tolist() == [True, True, False] * 3  # the output's a is its z
    assert any("fc1: no a: whether tanh is applied to this z is not seen" in note for note in recorder.notes)


def test_runs_of_one_name_are_stored_together_and_one_recorded_again_is_replaced():
    for seed in (0, 1, 1):
        recorded(net=Foreign(seed=seed), seed=seed).save()
    found = load("net")
    assert sorted(found.runs["seed"]) == [0, 1]
    assert len(found.layers) == 2 * 3 * 3


def test_the_accuracy_is_worked_out_from_labels():
    net, recorder = Foreign(), Recorder("net", activation="tanh")
    loss, layers, accuracy = net.step()
    recorder.record(0, layers, loss=loss, labels=net.y)
    assert recorder.records().steps["accuracy"].tolist() == [accuracy]
    with pytest.raises(RecordingError, match=r"labels: of the shape \(3,\), and the last layer has z of 24"):
        recorder.record(1, layers, loss=loss, labels=[0, 1, 2])


# What works on it -----------------------------------------------------------------------------------------


def test_figures_report_and_diagnosis_work_on_a_recorded_network(tmp_path, report):
    stated = {"loss": "softmax_cross_entropy", "optimiser": "sgd"}
    net = Foreign(sizes=(5, 8, 8, 8, 3), activation="sigmoid")
    recorded("deep", 4, "sigmoid", net, examples=(net.x, net.y), **stated).save()
    written = plot("deep")
    assert "report.html" in {path.name for path in written}
    page = (tmp_path / "deep" / "report.html").read_text(encoding="utf-8")
    assert (
        "of it is not known: dataset, init, bias"
        in (tmp_path / "deep/figures/gradient_by_layer.svg").read_text(encoding="utf-8") + page
    )
    assert 'id="explorer"' in page
    terms = budget(records := load("deep"))
    np.testing.assert_allclose(terms["total"], terms[["slope", "weights", "rest"]].sum(axis=1), rtol=1e-12)
    assert len(terms) == 4 * 2  # steps, and pairs of hidden layers
    table = diagnose(records)
    assert table["mechanism"].iloc[0] in NAMES
    assert not table["sentence"].str.contains("nan").any()
    assert all(prediction.reason for prediction in predictions(load("deep")).values())


@pytest.mark.parametrize("broken", [False, True])
def test_the_diagnosis_tells_a_network_that_learns_from_one_with_dead_units(broken):
    """Of a biased-down first layer no unit is ever active, so nothing but the output's bias is learnt."""
    net = Foreign(sizes=(5, 40, 3), activation="relu")
    net.y = (net.x[:, 0] > 0) * 1 + (net.x[:, 1] > 0) * 1
    if broken:
        net.b[0] -= 100
    stated = {"loss": "softmax_cross_entropy", "optimiser": "sgd"}
    recorder = Recorder("net", activation="relu", examples=(net.x, net.y), **stated)
    for step in range(300):
        loss, layers, accuracy = net.step(lr=0.5)
        if step % 50 == 0 or step == 299:
            recorder.record(step, layers, loss=loss, accuracy=accuracy, lr=0.5)
    assert diagnose(recorder.records())["mechanism"].iloc[0] == ("dead_units" if broken else "healthy")


def test_inputs_that_are_not_scaled_are_diagnosed_from_what_enters_the_first_layer():
    net = Foreign(activation="tanh")
    net.x += 50
    recorder = recorded(net=net, loss="softmax_cross_entropy")
    row = diagnose(recorder.records()).iloc[0]
    assert row["mechanism"] == "unscaled_inputs"
    assert f"the inputs have mean {net.x.mean():.3g}" in row["sentence"]
    assert not row["cure"]


def test_a_diagnosis_says_what_it_needs_to_know():
    net = Foreign()
    recorder = Recorder("net", activation="tanh", loss="softmax_cross_entropy", lr=0.1)
    recorder.record(0, net.step()[1], loss=1.0)
    with pytest.raises(ConfigError, match="a diagnosis needs the accuracy"):
        diagnose(recorder.records())
    with pytest.raises(ConfigError, match="a diagnosis needs to know the loss: state it to Recorder"):
        diagnose(recorded().records())
    recorder = Recorder("net", activation="tanh", loss="softmax_cross_entropy")
    recorder.record(0, net.step()[1], loss=1.0, labels=net.y)
    with pytest.raises(ConfigError, match="a diagnosis needs to know the lr"):
        diagnose(recorder.records())


def test_theory_speaks_where_its_settings_are_stated_and_the_stack_is_dense():
    stated = {
        "loss": "softmax_cross_entropy",
        "dataset": "blobs(n=80)",
        "init": "xavier_normal",
        "bias": "zeros",
    }
    known = recorded(net=Foreign(sizes=(5, 8, 8, 3)), **stated).records()
    assert all(prediction.applies for prediction in predictions(known).values())
    uneven = recorded(net=Foreign(sizes=(5, 8, 7, 3)), **stated).records()
    assert [each.reason for each in predictions(uneven).values()] == [
        "the network was recorded, and of it is not known: norm"
    ]


def test_a_recorded_network_is_not_trained_here_and_no_trained_one_recorded_over(tmp_path):
    recorded("net").save()
    told = "net: holds a network that was recorded from another program, so it cannot be"
    with pytest.raises(ConfigError, match=f"{told} trained here; plot.py, diagnose.py and load"):
        manifest_experiment(tmp_path / "net")
    with pytest.raises(ConfigError, match=f"{told} planned here"):
        plan_only(experiment_of({"question": "?"}, name="net"))
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "manifest.json").write_text('{"config": {}}')
    with pytest.raises(RecordingError, match="ours: holds an experiment that was trained here"):
        Recorder("ours")


def test_fields_of_a_run_are_all_in_the_frame():
    assert set(FIELDS) <= set(recorded().records().runs)
