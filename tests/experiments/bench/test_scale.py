"""The scale bench: the sweep it asks for, what it extrapolates by hand-worked numbers, and one real sweep."""

import pandas as pd
import pytest

from experiments import config
from experiments.bench import scale
from experiments.sweeps import plan
from experiments.sweeps.stacks import stacks

ROWS = [  # 2 ms a run and 1 s a sweep, whatever the number of runs
    {"runs": n, "a_stack": 20, "parts": n // 20, "bytes": 1000 * n, "load_s": 1e-3 * n, "driver_mb": 200.0,
     "plan_s": 0.1 + 1e-4 * n, "overhead_ms": 2 + 1e3 / n, "driver_cpu_s": 3e-3 * n}
    for n in (100, 1000, 10_000)
]  # fmt: skip


@pytest.mark.parametrize("alike", scale.ALIKE)
def test_a_sweep_has_so_many_runs_in_stacks_of_so_many(alike):
    asked = config.from_mapping(scale.sweep(1000, alike))
    cut = stacks(plan.grid(asked), asked.recording)
    assert sum(map(len, cut)) == 1000
    assert {len(stack) for stack in cut} == {alike}
    with pytest.raises(ValueError, match="no multiple"):
        scale.sweep(101, alike)


def test_on_paper_it_goes_on_as_it_grew():
    (far,) = scale.on_paper(pd.DataFrame(ROWS), 10**6).to_dict("records")
    expected = {"plan_s": 100.1, "driver_mb": 200, "driver_cpu_s": 3000, "load_s": 1000, "bytes": 10**9}
    assert {name: far[name] for name in expected} == pytest.approx(expected)
    assert far["overhead_ms"] == pytest.approx(2.001)


def test_what_falls_by_chance_is_not_drawn_down_below_what_was_measured():
    rows = [row | {"driver_mb": 300.0 - row["runs"] / 100} for row in ROWS]
    assert scale.on_paper(pd.DataFrame(rows), 10**6)["driver_mb"].tolist() == [200.0]


def test_the_figure_has_a_panel_for_each_measurement_and_its_target():
    axes = scale.figure(pd.DataFrame(ROWS)).axes
    assert [panel.get_title(loc="left") for panel in axes] == [
        f"{title} ({unit})" for title, unit, _ in scale.MEASURED.values()
    ]
    assert all(panel.get_xscale() == panel.get_yscale() == "log" for panel in axes)
    assert list(axes[0].lines[0].get_ydata()) == [2.0, 2.0]


@pytest.mark.slow
def test_a_sweep_is_planned_run_and_loaded(tmp_path):
    scale.main(["--runs", "100", "200", "--alike", "20", "--out", str(tmp_path)], say=lambda line: None)
    table = pd.read_csv(tmp_path / "scale.csv")
    assert table["runs"].tolist() == [100, 200]
    assert (table["parts"] >= table["runs"] / 20).all()
    assert (table[["plan_s", "load_s", "driver_mb", "training_s"]] > 0).all(axis=None)
    assert (table["wall_s"] > table["training_s"] / scale.WORKERS).all()
    assert (tmp_path / "scale.png").stat().st_size
