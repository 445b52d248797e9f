"""Every claim of both collections on records that no training would give: a verdict and no error."""

import warnings
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from made_up import made
from test_claims_hostile import spoilt

from experiments import config
from experiments.claims import judge
from experiments.sweeps import plan

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
TIMED = {"w08_sigmoid_expensive", "w12_relu_cheap"}  # they time functions and read no records
NAMES = [
    path.relative_to(CONFIGS).with_suffix("").as_posix()
    for folder in ("write_up", "literature") for path in sorted((CONFIGS / folder).glob("*.yaml"))
    if path.stem not in TIMED
]  # fmt: skip
MOST = 10  # runs of a grid: a claim has to do with any part of it
TIMES = 36  # so that 28 configs make a thousand
KINDS = ("runs", "rows", "probes", "values")


@cache
def grid(name):
    """The claims and probes of a config, and its runs, three steps long."""
    experiment = config.load(CONFIGS / f"{name}.yaml", ["steps=3", "watch=4"])
    return experiment, plan.grid(experiment)


def random_records(name, rng):
    """Records of a few runs of the grid with numbers of any size, NaN, or none at all."""
    experiment, runs = grid(name)
    few = [runs[at] for at in rng.permutation(len(runs))[: rng.integers(0, MOST + 1)]]
    value = rng.choice(
        [lambda: rng.random(), lambda: float("nan"), lambda: 10 ** rng.uniform(-300, 300), lambda: 0.0]
    )

    def steps(run, step):
        return {"loss": value(), "accuracy": value(), "test_accuracy": value()}

    def layers(run, step, layer):
        return {probe: value() for probe in experiment.probes}

    return made(few, steps, layers, watched=range(4))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_claim_gives_a_verdict_on_any_records(name):
    rng = np.random.default_rng(crc32(name.encode()))
    try:
        claims = grid(name)[0].claims
    except config.ConfigError as error:
        pytest.skip(f"its data are not here: {error}")
    for _ in range(TIMES):
        records = random_records(name, rng)
        kinds = [kind for kind in KINDS if rng.random() < 0.5]
        spoilt_ones = spoilt(records, rng, rng.choice([0.0, 0.05, 0.5, 1.0]), kinds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of NumPy, over NaN: it costs nobody a verdict
            verdicts = judge(claims, spoilt_ones)
        assert len(verdicts) == len(claims)
        errors = [verdict.error for verdict in verdicts]
        assert all(error.isprintable() for error in errors), "one line each, and the others are judged"
        assert name.startswith("literature") or not any(errors)
