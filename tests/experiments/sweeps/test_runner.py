"""A run's rows are the same in every company; what diverges harms nobody; one BLAS thread."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info

from experiments import datasets
from experiments.config import ConfigError, Recording, Run
from experiments.datasets import DataError
from experiments.storage.identity import fingerprints, named, run_id
from experiments.storage.records import Records
from experiments.sweeps import runner
from experiments.sweeps.forecast import machine_speed
from experiments.sweeps.plan import check_sizes
from experiments.sweeps.runner import run_stack
from mlp.network import create

SMALL = Run(dataset="moons(n=200)", width=8, depth=3, batch=16, steps=12, lr=0.1, activation="tanh")
PROBES = ("delta_norm", "dw_norm", "dead_fraction", "update_ratio")
RECORDING = Recording(probes=PROBES, watch=(0, 3, 12), probe_set=64)


def rows(records: Records, run: Run, recording: Recording = RECORDING) -> list[pd.DataFrame]:
    found = records.of([run_id(run, recording)])
    return [found.runs.drop(columns="seconds"), found.steps, found.layers]


def same(a: list[pd.DataFrame], b: list[pd.DataFrame]) -> None:
    for left, right in zip(a, b, strict=True):
        assert len(left)
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_the_frames_hold_every_run_step_and_layer():
    stack = [replace(SMALL, seed=seed) for seed in range(3)]
    records = run_stack(stack, RECORDING).check()
    assert list(records.runs["run_id"]) == [run_id(run, RECORDING) for run in stack]
    assert list(records.runs["seed"]) == [0, 1, 2]
    assert (records.runs["status"] == "ok").all()
    assert records.runs["diverged_at"].isna().all()
    assert (records.runs["error"] == "").all()
    assert (records.runs["seconds"] > 0).all()
    assert len(set(records.runs["seconds"])) == 1
    assert records.probes == PROBES
    steps = records.steps.groupby("run_id")["step"].agg(list)
    assert all(found == [0, 3, 12] for found in steps)
    layers = records.layers.groupby(["run_id", "step"])["layer"].agg(sorted)
    assert len(layers) == 9
    assert all(found == [1, 2, 3, 4] for found in layers)
    updates = records.layers["update_ratio"]
    assert (updates.isna() == (records.layers["step"] == 12)).all()  # no update follows the last
    assert np.isfinite(records.layers[[name for name in PROBES if name != "update_ratio"]]).all(axis=None)


def test_units_are_recorded_where_they_are_asked_for():
    """A row a unit, whose column is that of its layer's weights; nothing else changes but the names."""
    asked = replace(RECORDING, unit_probes=("unit_bias", "unit_dead"))
    stack = [replace(SMALL, activation="relu", seed=seed) for seed in range(3)]
    records = run_stack(stack, asked)
    assert records.unit_probes == asked.unit_probes
    assert len(records.units) == 3 * 3 * (3 * SMALL.width + 2)
    hidden = records.units[records.units["layer"] <= SMALL.depth]
    dead = hidden.groupby(["run_id", "step", "layer"])["unit_dead"].mean()
    layers = records.layers.set_index(["run_id", "step", "layer"])["dead_fraction"]
    assert dead.to_dict() == layers[layers.index.get_level_values("layer") <= SMALL.depth].to_dict()
    name = [run_id(stack[2], asked)]
    alone = run_stack(stack[2:], asked).of(name).units
    pd.testing.assert_frame_equal(alone, records.of(name).units, check_exact=True)
    plain = run_stack(stack, RECORDING)
    assert len(plain.units) == 0
    pd.testing.assert_frame_equal(plain.layers[list(PROBES)], records.layers[list(PROBES)], check_exact=True)
    assert set(plain.runs["run_id"]).isdisjoint(records.runs["run_id"])


def test_bins_are_recorded_where_they_are_asked_for():
    """They hold all of each layer, the same alone and in a stack; up to where a run diverged."""
    asked = replace(RECORDING, distributions=("a", "delta"))
    stack = [replace(SMALL, activation="relu", seed=seed) for seed in range(3)]
    records = run_stack(stack, asked)
    assert records.distributions == asked.distributions
    whole = records.bins.groupby(["run_id", "step", "layer"])[["a", "delta"]].sum()
    assert len(whole) == 3 * 3 * 4
    np.testing.assert_allclose(whole, 1, rtol=1e-12)
    name = [run_id(stack[2], asked)]
    alone = run_stack(stack[2:], asked).of(name).bins
    unused = (alone[["a", "delta"]] > 0).any(axis=1)
    assert unused.all()
    pd.testing.assert_frame_equal(alone, records.of(name).bins, check_exact=True)
    wild = replace(SMALL, activation="relu", lr=1e200, steps=40)
    lost = run_stack([wild], Recording((), watch=tuple(range(41)), probe_set=64, distributions=("a",)))
    assert lost.bins["step"].max() <= lost.runs["diverged_at"].item()


def test_bins_are_the_same_of_layers_one_by_one_and_together():
    """A probe that looks at the whole pass has them come one by one."""
    asked = Recording(("delta_norm",), trace="batch", watch=(0, 12), distributions=("a", "dw"))
    found = [
        run_stack([SMALL], replace(asked, probes=probes)).bins.drop(columns="run_id")
        for probes in (("delta_norm",), ("gradient_snr(batch=4)",))
    ]
    keys = ["step", "layer", "bin", "subnormal"]
    one, other = (bins.sort_values(keys, ignore_index=True) for bins in found)
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_costly_probes_are_measured_at_few_of_the_watched_steps():
    """Elsewhere their column is NaN; where they are measured, they are what they are at every step."""
    names = ("jacobian_mean(examples=2)", "delta_norm")
    asked = Recording(probes=names, watch=(0, 1, 3, 5, 12), probe_set=64)
    some = run_stack([SMALL], asked).layers
    every = run_stack([SMALL], replace(asked, watch_costly=5)).layers
    there = some["step"].isin([0, 3, 12])
    assert some[names[0]].isna().tolist() == (~there).tolist()
    assert some.loc[there, names[0]].tolist() == every.loc[there, names[0]].tolist()
    assert every[names[0]].notna().all()
    assert some["delta_norm"].tolist() == every["delta_norm"].tolist()


def test_a_run_that_diverged_has_units_up_to_then():
    """And units alone, where no layer is to be measured."""
    wild = replace(SMALL, activation="relu", lr=1e200, steps=40)
    asked = Recording(probes=(), watch=tuple(range(41)), probe_set=64, unit_probes=("unit_bias",))
    records = run_stack([wild], asked)
    assert records.units["step"].max() == records.runs["diverged_at"].item()
    assert len(records.layers) == 0


@pytest.mark.parametrize("changes", [{}, {"dtype": "float32"}, {"optimiser": "adam", "norm": "batch"}])
def test_a_run_is_the_same_alone_and_in_any_stack(changes):
    base = replace(SMALL, **changes)
    stack = [
        base,
        replace(base, seed=7),
        replace(base, lr=0.3),
        replace(base, init="he_normal"),
        replace(base, seed=7, bias="normal(std=0.1)"),
    ]
    together = run_stack(stack, RECORDING)
    turned = run_stack(stack[::-1], RECORDING)
    for run in stack:
        alone = rows(run_stack([run], RECORDING), run)
        same(alone, rows(together, run))
        same(alone, rows(turned, run))


def test_the_loss_of_step_0_is_that_of_the_untrained_network():
    run = replace(SMALL, seed=3)
    data = datasets.load(run.dataset)
    net = create((2, 8, 8, 8, 2), run.activation, seeds=[3], init=[run.init], bias=[run.bias])
    logits = net.predict(data.x[:64])[0]
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(64), data.y[:64]]
    expected = np.mean(np.log(np.exp(shifted).sum(axis=1)) - chosen)
    first = run_stack([run], RECORDING).steps.iloc[0]
    assert first["loss"] == pytest.approx(expected, rel=1e-12)  # the same sums in another order
    assert first["accuracy"] == np.mean(logits.argmax(axis=1) == data.y[:64])
    assert first["lr"] == 0.1


def test_a_run_that_diverges_is_marked_kept_and_harms_no_neighbour():
    wild = replace(SMALL, activation="relu", lr=1e200, steps=40)
    calm = replace(wild, lr=0.1)
    recording = replace(RECORDING, watch=tuple(range(41)))
    records = run_stack([calm, wild], recording)
    same(rows(records, calm, recording), rows(run_stack([calm], recording), calm, recording))
    same(rows(records, wild, recording), rows(run_stack([wild], recording), wild, recording))
    state = records.runs.set_index("lr")
    assert list(state.loc[[0.1, 1e200], "status"]) == ["ok", "diverged"]
    at = state.loc[1e200, "diverged_at"]
    assert 0 < at < 40
    kept = records.of([run_id(wild, recording)])
    assert list(kept.steps["step"]) == list(range(at + 1))
    assert np.isfinite(kept.steps["loss"].iloc[:-1]).all()
    assert not np.isfinite(kept.steps["loss"].iloc[-1])
    assert kept.layers["step"].max() == at


def test_no_training_is_the_initialisation_alone():
    run = replace(SMALL, steps=0)
    records = run_stack([run], RECORDING)
    assert list(records.steps["step"]) == [0]
    longer = run_stack([SMALL], RECORDING)
    first = longer.layers[longer.layers["step"] == 0]
    measured = ["layer", "delta_norm", "dw_norm", "dead_fraction"]
    pd.testing.assert_frame_equal(
        records.layers[measured], first[measured].reset_index(drop=True), check_exact=True
    )


def test_without_probes_there_are_no_layers():
    records = run_stack([SMALL], Recording(probes=()))
    assert len(records.layers) == 0
    assert len(records.steps)


def test_training_has_one_blas_thread_wherever_it_runs(monkeypatch):
    seen = []

    def spy(*args, **options):
        seen.extend(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")
        return train(*args, **options)

    train = runner.train
    monkeypatch.setattr(runner, "train", spy)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2, "blas"):
        run_stack([SMALL], RECORDING)
        after = {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}
    assert seen
    assert set(seen) == {1}
    assert after == {2}


def test_the_machines_speed_is_that_of_a_matrix_product():
    assert 1e8 < machine_speed(0.01) < 1e13  # from a core of 2005 at half load to one of the next decade


def test_a_stack_is_trained_on_the_data_it_was_planned_with_or_not_at_all(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("1,2,0\n3,4,1\n" * 20)
    run = replace(SMALL, dataset=f"file(path={str(path)!r})", batch=8)
    planned = fingerprints([run])
    assert len(run_stack([run], RECORDING, planned).runs) == 1
    path.write_text("1,2,0\n3,5,1\n" * 20)
    with pytest.raises(DataError, match="differ from those that this sweep was planned with"):
        run_stack([run], RECORDING, planned)
    now = list(run_stack([run], RECORDING).runs["run_id"])
    assert now == [run_id(run, RECORDING)] != list(named([run], RECORDING, planned))


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_the_plane_has_every_networks_answer_at_every_point_alone_and_in_a_stack(norm):
    """Where nothing normalises over the batch, against logits that are worked out here."""
    recording = replace(RECORDING, plane=5)
    stack = [replace(SMALL, seed=seed, norm=norm) for seed in range(2)]
    together = run_stack(stack, recording).check()
    assert together.plane_columns == ("x1", "x2", "answer", "probability")
    for run in stack:
        alone = run_stack([run], recording)
        same([alone.plane], [together.of([run_id(run, recording)]).plane])
    data = datasets.load(SMALL.dataset)
    first = together.plane[
        (together.plane["step"] == 0) & (together.plane["run_id"] == run_id(stack[0], recording))
    ]
    low, high = data.x.min(axis=0), data.x.max(axis=0)
    assert first["x1"].iloc[[0, 4]].tolist() == pytest.approx(
        [low[0] - 0.15 * (high - low)[0], high[0] + 0.15 * (high - low)[0]]
    )
    assert first["x2"].iloc[[0, 20]].tolist() == pytest.approx(
        [low[1] - 0.15 * (high - low)[1], high[1] + 0.15 * (high - low)[1]]
    )
    if norm == "none":
        net = create((2, 8, 8, 8, 2), "tanh", seeds=[0], init=[SMALL.init], bias=[SMALL.bias])
        a = first[["x1", "x2"]].to_numpy()
        for layer in net.layers[:-1]:
            a = np.tanh(a @ layer.w[0] + layer.b[0])
        z = a @ net.layers[-1].w[0] + net.layers[-1].b[0]
        shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        np.testing.assert_array_equal(first["answer"], shares.argmax(axis=1))
        np.testing.assert_allclose(first["probability"], shares.max(axis=1), rtol=1e-12)


def test_a_plane_of_more_than_two_features_is_refused_before_training():
    wide = [replace(SMALL, dataset="digits"), SMALL]
    with pytest.raises(ConfigError, match="plane: digits has 64 features, and a plane is drawn of two"):
        check_sizes(wide, replace(RECORDING, plane=5))
    check_sizes(wide, RECORDING)


def test_a_network_whose_logits_are_no_numbers_answers_nothing():
    recording = replace(RECORDING, plane=3, watch=(0, 1, 2, 3))
    run = replace(SMALL, activation="relu", lr=1e200)
    plane = run_stack([run], recording).check().plane
    last = plane[plane["step"] == plane["step"].max()]
    none = last["probability"].isna()
    assert none.any()
    assert last["answer"].isna().equals(none)


@pytest.mark.parametrize(
    ("asked", "values", "said"),
    [
        ("probes", lambda t: 3.0, r"^mine gives an array of shape \(\), and not one number per run: \(1,\)$"),
        ("probes", lambda t: t.w.max(axis=1), "not one number per run: "),
        ("unit_probes", lambda t: t.w.max(axis=2), r"not one number per run and unit: \(1, \d+\)$"),
    ],
)
def test_a_probe_of_another_shape_is_refused(asked, values, said, monkeypatch):
    """The inputs of all layers may be as many as their units: rows of the wrong layer would then be kept."""
    monkeypatch.setitem(runner.PROBES if asked == "probes" else runner.UNIT_PROBES, "mine", values)
    monkeypatch.setattr(runner, "is_costly", lambda text: False)
    recording = Recording(**{"probes": (), asked: ("mine",), "watch": 2})
    with pytest.raises(ValueError, match=said):
        run_stack([Run(dataset="moons(n=40)", width=3, depth=1, steps=1, batch=4)], recording)
