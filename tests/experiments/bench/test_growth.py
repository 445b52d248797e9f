"""The bench of growth: its laws by hand-worked numbers, and a store with so many rows."""

import json

import pandas as pd
import pytest

from experiments import config
from experiments.bench import growth
from experiments.storage.store import Store
from experiments.sweeps import plan
from experiments.sweeps.stacks import stacks


def test_a_law_is_the_power_of_what_comes_on_top_of_a_start():
    """1 s of start and n² / 10⁶: at 10⁴, 1 + 100 s; a flat measure has no law."""
    sizes = (10, 100, 1000, 10_000)
    rows = [{"along": "depth", "size": n, "measure": "s", "value": 1 + n**2 / 1e6} for n in sizes]
    rows += [{"along": "depth", "size": n, "measure": "MB", "value": 100.0} for n in sizes]
    squared, flat = growth.laws(rows).to_dict("records")
    assert squared["exponent"] == pytest.approx(2.0, abs=0.001)
    assert (squared["smallest"], squared["largest"], squared["at_largest"]) == (10, 10_000, 101.0)
    assert flat["exponent"] != flat["exponent"]


def test_a_store_has_so_many_rows_and_two_columns_of_them_can_be_drawn(tmp_path):
    growth.stored(str(tmp_path), 2000)
    records = Store("many", tmp_path).load()
    assert len(records.layers) == 2000
    assert len(records.probes) > 20
    assert set(growth.loaded(str(tmp_path), 0, 1)) == {
        "load two columns and draw: s",
        "load two columns and draw: MB",
    }


def test_every_question_can_be_asked():
    for along in ("depth", "width"):
        assert json.dumps(growth.question(**{along: growth.SIZES[along][-1]}))


@pytest.mark.parametrize("alike", growth.ALIKE.values())
def test_a_sweep_has_so_many_runs_in_stacks_of_so_many(alike):
    asked = config.from_mapping(growth.sweep(1000, alike))
    cut = stacks(plan.grid(asked), asked.recording)
    assert sum(map(len, cut)) == 1000
    assert {len(stack) for stack in cut} == {alike}
    with pytest.raises(ValueError, match="no multiple"):
        growth.sweep(101, alike)


@pytest.mark.slow
def test_a_sweep_is_planned_run_and_loaded_and_written_down(tmp_path):
    told = []
    growth.main(["--along", "runs", "shapes", "--most", "100", "--out", str(tmp_path)], say=told.append)
    sizes = pd.read_csv(tmp_path / "growth_sizes.csv")
    assert set(sizes["measure"]) == {"plan: s", "train: s", "train: MB", "load again: s"}
    assert set(sizes["along"]) == {"runs", "shapes"}
    assert (sizes["value"] > 0).all()
    assert "shapes" in (tmp_path / "README.md").read_text(encoding="utf-8")
