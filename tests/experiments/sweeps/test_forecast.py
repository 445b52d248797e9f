"""What a stack costs: by the shape of its data and by what is measured; in seconds within a factor of two."""

import time
from dataclasses import replace

import pytest

from experiments.config import Recording, Run, from_mapping
from experiments.sweeps import forecast
from experiments.sweeps.forecast import cost, finishing_cost, machine_speed
from experiments.sweeps.runner import run_stack
from mlp.probes import DEFAULT_PROBES, PROBES

RECORDING = Recording(("delta_norm", "dw_norm"))
BARE = Recording((), watch=2, probe_set=100)


def noise(features, classes=3, n=300) -> str:
    return f"gaussian_noise(n={n}, features={features}, classes={classes})"


@pytest.mark.parametrize(("dtype", "times"), [("float32", 1), ("float64", 2)])
def test_the_products_of_a_step_are_counted(dtype, times, monkeypatch):
    """Of 64 features, 64 units and 10 classes: forward, to the weights, and to the hidden layer's output."""
    for name in ("ELEMENT", "PARAMETER", "DRAWN", "STACK", "LOOKED_AT", "READ"):
        monkeypatch.setattr(forecast, name, 0.0)
    run = Run(depth=1, width=64, batch=10, steps=1000, dtype=dtype)
    one_more = cost([run] * 2, BARE) - cost([run], BARE)
    step = 2 * 2 * 64 * 64 + 3 * 2 * 64 * 10  # FLOP per example
    tested = 2 * (64 * 64 + 64 * 10)  # forwards only
    held_out = 360  # of the digits' 1,797
    assert one_more == pytest.approx(times * (step * (1000 * 10 + 2 * 100) + 2 * held_out * tested))
    calls = 2 * (1000 * forecast.CALLS + 2 * forecast.MORE_CALLS * forecast.LOOK_CALLS)  # whatever the stack
    assert cost([run], BARE) == pytest.approx(one_more + calls)


def test_cost_grows_with_everything_that_takes_time():
    base = cost([Run()], RECORDING)
    longer = (
        {"depth": 3},
        {"width": 65},
        {"batch": 129},
        {"steps": 301},
        {"norm": "batch"},
        {"activation": "gelu"},
    )
    for change in longer:
        assert cost([replace(Run(), **change)], RECORDING) > base
    assert cost([Run(dtype="float32")], RECORDING) < base < cost([Run()] * 2, RECORDING) < 2 * base


def test_the_data_count_as_they_were_loaded(tmp_path):
    """A file of 2,000 features costs what other data of this shape do, and many times a narrow one."""
    path = tmp_path / "wide.csv"
    rows = [",".join(["0.5"] * 2000 + [str(i % 3)]) for i in range(12)]
    path.write_text("\n".join([",".join(f"x{i}" for i in range(2001)), *rows]))
    wide = cost([Run(dataset=f"file(path={str(path)!r})", batch=4)], RECORDING)
    same = cost([Run(dataset=noise(2000, n=12), batch=4)], RECORDING)
    assert wide == pytest.approx(same, rel=0.02)  # which hold out different numbers of examples
    assert wide > 3 * cost([Run(dataset=noise(20, n=12), batch=4)], RECORDING)
    few, many = (cost([Run(dataset=noise(20, classes, n=1500))], RECORDING) for classes in (2, 500))
    assert many > 2 * few


MEASURED = [
    {"probes": ("dw_norm",)},
    {"unit_probes": ("unit_dead",)},
    {"distributions": ("a",)},
    *({"probes": (name,)} for name in PROBES if name not in DEFAULT_PROBES),
]


@pytest.mark.parametrize("more", MEASURED, ids=str)
def test_what_is_measured_costs_too(more):
    run = [Run(steps=0)]
    bare = Recording(())
    assert cost(run, bare) < cost(run, replace(bare, **more))


def test_a_costly_probe_costs_by_the_matrices_and_not_by_the_step():
    run = Run(depth=2, width=256, steps=0)
    bare, rank = cost([run], Recording(())), cost([run], Recording(("effective_rank",)))
    assert rank > 1.5 * bare
    often = Recording(("effective_rank",), watch=50, watch_costly=50)
    seldom = replace(often, watch_costly=2)
    long = replace(run, steps=100)
    per_look = forecast.SINGULAR * (2 * 1437 * 256**2 + 1437 * 10**2)
    assert cost([long], often) - cost([long], seldom) == pytest.approx(48 * per_look)


def test_dropout_and_the_plane_cost_by_their_units_and_points():
    """By hand: 64 · 3 · 20 masked values a step; 2 looks at 30² points by a network of 2, 20, 20, 20, 2."""
    plain = Run(dataset="moons(n=200)", depth=3, width=20, batch=64, steps=10)
    dropped = cost([replace(plain, dropout=0.5)] * 4, BARE) - cost([plain] * 4, BARE)
    assert dropped == pytest.approx(4 * 10 * (forecast.MASKS + forecast.MASKED * 64 * 3 * 20))
    assert cost([replace(plain, depth=0)], BARE) == cost([replace(plain, depth=0, dropout=0.5)], BARE)
    products = 2 * 2 * (2 * 20 + 2 * 20 * 20 + 20 * 2)  # of float64
    units = {"relu": forecast.STRAIGHT, "hard_tanh": forecast.STRAIGHT, "elu": forecast.BENT}
    for activation, unit in units.items():
        run = replace(plain, activation=activation)
        drawn = cost([run], replace(BARE, plane=30)) - cost([run], BARE)
        assert drawn == pytest.approx(2 * 30**2 * (products + 3 * 20 * unit + forecast.POINT))


def test_sharpness_takes_passes_that_need_no_gradient_of_the_input():
    run, look = Run(depth=1, width=10, steps=0), replace(BARE, watch=1, probe_set=50)
    of_each = (4 * 64 * 10 + 6 * 10 * 10) * 2 * 2 * forecast.PRODUCTS  # two gradients in float64 a product
    sharp = cost([run], replace(look, probes=("sharpness",))) - cost([run], look)
    assert sharp - forecast.LOOK_CALLS * 2 == pytest.approx(50 * of_each)


def test_what_follows_the_training_counts_settings_figures_and_claims():
    experiment = from_mapping({"question": "q", "sweep": {"depth": [1, 2], "seed": [0, 1, 2]}})
    runs = [Run(depth=depth, seed=seed) for depth in (1, 2) for seed in range(3)]
    drawn = len(experiment.figures) * (forecast.FIGURE + 2 * forecast.CURVE)
    told = forecast.REPORT + 3 * (2 + 3) * forecast.DIAGNOSED
    assert finishing_cost(experiment, runs) == pytest.approx((2 + 3) * forecast.PREDICTION + drawn + told)
    judged = replace(experiment, claims=("W01_starvation",))
    assert finishing_cost(judged, runs) == finishing_cost(experiment, runs) + forecast.CLAIM


def test_a_diagnosis_that_the_report_does_not_make_is_not_foretold():
    """It needs every probe that is recorded by default, and leaves very many layers to its own script."""
    experiment = from_mapping({"question": "q", "figures": [], "sweep": {"seed": [0, 1, 2]}})
    runs = [Run(depth=9, seed=seed) for seed in range(3)]
    without = finishing_cost(replace(experiment, probes=("delta_norm",)), runs)
    assert finishing_cost(experiment, runs) - without == pytest.approx(30 * forecast.DIAGNOSED)
    deep = [Run(depth=forecast.MOST_DIAGNOSED, seed=seed) for seed in range(3)]
    layers = 1 + forecast.MOST_DIAGNOSED
    expected = layers * forecast.PREDICTION + forecast.REPORT
    assert finishing_cost(experiment, deep) == pytest.approx(expected)


# -- seconds ------------------------------------------------------------------------------------------------

COSTLY = ("effective_rank", "jacobian_spread", "end_to_end_log10")
SHAPES = [  # data, run, runs in the stack, what of the recording differs
    (noise(2, 2), {"depth": 2, "width": 16, "steps": 300}, 6, {}),
    (noise(2, 2), {"depth": 30, "width": 32, "steps": 40}, 2, {}),
    (noise(2, 100, 1000), {"depth": 3, "width": 64, "steps": 60}, 3, {}),
    (noise(2, 500, 2500), {"depth": 2, "width": 128, "steps": 40}, 1, {}),
    (noise(10, 10), {"depth": 1, "width": 8, "steps": 400, "optimiser": "adam"}, 10, {}),
    ("digits", {"depth": 5, "width": 64, "steps": 60}, 5, {}),
    ("digits", {"depth": 5, "width": 64, "steps": 60, "dtype": "float32", "activation": "gelu"}, 5, {}),
    ("digits", {"depth": 4, "width": 64, "steps": 30}, 3, {"probes": COSTLY}),
    ("digits", {"depth": 3, "width": 256, "steps": 20}, 1, {"probes": ("effective_rank",)}),
    ("digits", {"depth": 3, "width": 64, "steps": 30}, 3, {"unit_probes": ("unit_dead", "unit_w_norm")}),
    ("digits", {"depth": 3, "width": 64, "steps": 30}, 3, {"distributions": ("a", "delta")}),
    ("digits", {"depth": 3, "width": 64, "steps": 30}, 2, {"probes": ("gradient_snr",)}),
    ("digits", {"depth": 3, "width": 64, "steps": 30}, 2, {"probes": ("linear_deviation",)}),
    ("digits", {"depth": 8, "width": 64, "steps": 40, "norm": "batch"}, 2, {}),
    ("digits", {"depth": 8, "width": 64, "steps": 40, "residual": 1.0}, 2, {"trace": "batch"}),
    ("digits", {"depth": 0, "steps": 300}, 10, {}),
    (noise(784, 10, 1000), {"depth": 10, "width": 128, "steps": 40, "activation": "tanh"}, 2, {}),
    (noise(784, 10, 1000), {"depth": 2, "width": 512, "steps": 40}, 1, {"probes": COSTLY}),
    (noise(3000, 5, 500), {"depth": 2, "width": 64, "steps": 40, "optimiser": "adam"}, 2, {}),
    (noise(3000, 200, 1000), {"depth": 1, "width": 64, "steps": 30}, 1, {"probes": ("jacobian_mean",)}),
    (noise(8000, 2), {"depth": 4, "width": 32, "steps": 30, "dtype": "float32"}, 2, {}),
    (noise(20_000, 3, 200), {"depth": 2, "width": 64, "steps": 30, "batch": 32}, 1, {}),
    (noise(20_000, 3, 200), {"depth": 2, "width": 16, "steps": 30, "batch": 32}, 2, {"probes": COSTLY}),
    (noise(20_000, 60, 200), {"depth": 0, "steps": 20, "batch": 32}, 1, {}),
    ("moons(n=400)", {"depth": 4, "width": 24, "steps": 100}, 4, {"plane": 60}),
    ("spirals(n=900)", {"depth": 4, "width": 48, "steps": 100, "activation": "tanh"}, 1, {"plane": 150}),
    ("digits", {"depth": 6, "width": 96, "steps": 80, "dropout": 0.5}, 2, {}),
    ("circles(n=300)", {"depth": 2, "width": 12, "steps": 120, "dropout": 0.3}, 8, {}),
    (noise(700, 40, 900), {"depth": 4, "width": 160, "steps": 20}, 1, {"probes": ("sharpness",)}),
]


@pytest.mark.slow
def test_forecasts_hold_within_a_factor_of_two(capsys):
    """Processor time against processor time, so that other work on the machine does not count."""
    default = from_mapping({"question": "?"}).recording
    run_stack([Run(steps=1)], default)  # whatever is imported or cached once
    speed = machine_speed(0.5)
    rows = []
    for dataset, fields, count, recorded in SHAPES:
        runs = [Run(**{"dataset": dataset, "batch": 64} | fields, seed=seed) for seed in range(count)]
        recording = replace(default, **recorded)
        expected = cost(runs, recording) / speed
        began = time.process_time()
        run_stack(runs, recording)
        rows.append((expected / (time.process_time() - began), dataset, fields, count, recorded, expected))
    with capsys.disabled():
        for ratio, *what, expected in sorted(rows, key=lambda row: row[0]):
            print(f"{ratio:5.2f} of {expected / ratio:6.2f} s", *what)
    assert min(rows)[0] > 0.5
    assert max(rows)[0] < 2
