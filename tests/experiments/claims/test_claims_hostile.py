"""Whatever becomes of its records, a claim neither crashes nor passes: grids of shipped configs, spoilt."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import made

from experiments import config
from experiments.claims import judge
from experiments.config import Run
from experiments.storage.records import Records
from experiments.sweeps import plan

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "write_up"
SMALLER = {  # what makes the grid of a config small and leaves every setting that its claim asks for
    "w01_linear": ["depth=[0,2]", "dataset=[xor,circles]"],
    "w05_weights_stay": ["depth=[2,4]"],
    "w06_one_sign": ["batch=[1,8]"],
    "w07_slow_convergence": ["lr=[0.1,1]"],
    "w09_always_avoid": ["lr=[0.1,1]"],
    "w10_tanh_better": ["lr=[0.1,1]", "depth=[2,4]"],
}
NAMES = list(SMALLER)
STRANGE = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300)


@cache
def untrained(name) -> tuple[tuple[str, ...], Records]:
    """The claims of a config and records of its grid, three steps long, with numbers drawn at random."""
    short = ["steps=3", "watch=4", "seed=[0, 1, 2, 3, 4, 5]"]
    experiment = config.load(CONFIGS / f"{name}.yaml", [*short, *SMALLER[name]])
    rng = np.random.default_rng(1)

    def steps(run, step):
        loss = [1.0, 0.3 * rng.random(), 0.3 * rng.random(), 0.0][step]
        return {"loss": loss, "accuracy": rng.random(), "test_accuracy": rng.random()}

    def layers(run, step, layer):
        return {probe: rng.random() for probe in experiment.probes}

    return experiment.claims, made(plan.grid(experiment), steps, layers, watched=range(4))


def spoilt(records, rng, share, kinds):
    """Records without some of their runs, rows, values or probes; what is left is still well formed."""
    runs, steps, layers = records.runs, records.steps, records.layers
    if "runs" in kinds:
        runs = runs[rng.random(len(runs)) > share]
    if "rows" in kinds:
        steps, layers = (frame[rng.random(len(frame)) > share] for frame in (steps, layers))
    if "probes" in kinds:
        layers = layers.drop(columns=[name for name in layers.columns[3:] if rng.random() < share])
    if "values" in kinds:
        steps, layers = (frame.copy() for frame in (steps, layers))
        for frame, first in ((steps, 2), (layers, 3)):
            for name in frame.columns[first:]:
                at = rng.random(len(frame)) < share
                frame.loc[at, name] = rng.choice(STRANGE, int(at.sum()))
    kept = set(runs["run_id"])
    steps, layers = (frame[frame["run_id"].isin(kept)] for frame in (steps, layers))
    return Records(*(frame.reset_index(drop=True) for frame in (runs, steps, layers))).check()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=2)
@given(
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.001, 0.05, 0.5, 1.0]),
    kinds=st.sets(st.sampled_from(["runs", "rows", "probes", "values"]), min_size=1),
)
def test_spoilt_records_make_no_claim_crash(name, seed, share, kinds):
    claims, records = untrained(name)
    with np.errstate(all="raise", under="ignore"):
        (verdict,) = judge(claims, spoilt(records, np.random.default_rng(seed), share, kinds))
    assert verdict.error == ""
    assert verdict.status in {"supported", "conditional", "contradicted", "inconclusive"}
    assert verdict.rule or verdict.status == "inconclusive"
    if verdict.status == "inconclusive":
        assert verdict.condition
    if share == 1.0 and kinds & {"runs", "rows"}:
        assert verdict.status == "inconclusive"


@pytest.mark.parametrize("name", NAMES)
def test_the_grid_of_the_config_has_every_setting_its_claim_asks_for(name):
    """With numbers that mean nothing the claim is false or open, but for no want of a setting."""
    claims, records = untrained(name)
    (verdict,) = judge(claims, records)
    assert len(verdict.evidence) > 1
    assert {e.n for e in verdict.evidence} >= {6}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 5])
def test_fewer_than_six_seeds_decide_nothing(name, count):
    claims, records = untrained(name)
    few = records.of(records.runs.loc[records.runs["seed"] < count, "run_id"])
    (verdict,) = judge(claims, few)
    assert verdict.status == "inconclusive"
    assert f"{count} seed{'' if count == 1 else 's'} of at least 6" in verdict.condition


@pytest.mark.parametrize("name", NAMES)
def test_a_single_run_or_none_decides_nothing(name):
    claims, _ = untrained(name)
    for records in (made([]), made([Run()])):
        (verdict,) = judge(claims, records)
        assert verdict.status == "inconclusive"
        assert verdict.condition
