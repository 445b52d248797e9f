"""The frames: types from one table, keys unique, any subset and any join; and the README says the same."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from synthetic import records as synthetic

from experiments.config.vocabulary import Run
from experiments.storage.records import (
    COLUMNS,
    KEYS,
    MARKED,
    Records,
    RecordsError,
    document,
    probe_column,
    with_defaults,
)
from mlp.probes import PROBES

README = Path(__file__).parents[3] / "results" / "README.md"


@pytest.fixture
def some():
    return synthetic(activation=["tanh", "relu"], depth=[1, 3], seed=[0, 1])


def same(one, other):
    for name in COLUMNS:
        assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)


def test_every_setting_is_a_column_under_its_own_name():
    settings = list(COLUMNS["runs"])[1:-4]
    assert settings == list(Run.__dataclass_fields__)
    assert list(COLUMNS["runs"])[-4:] == ["status", "diverged_at", "seconds", "error"]


def test_types_come_from_the_table_and_not_from_the_values():
    """A column without one number in it has the type that it has elsewhere."""
    record = Records.crashed([Run(clip=None)], ["a"], "boom")
    assert record.runs["clip"].dtype == np.float64
    assert record.runs["diverged_at"].dtype == "Int64"
    assert record.steps["step"].dtype == np.int64
    assert record.runs["error"].dtype == record.steps["run_id"].dtype == pd.Series(dtype="str").dtype
    assert record.check() is record


def test_a_crashed_run_keeps_its_settings_and_its_traceback():
    runs = [Run(depth=4, clip=1.5), Run(activation="tanh", seed=2)]
    record = Records.crashed(runs, ["a", "b"], "Traceback …")
    for i, run in enumerate(runs):
        row = record.runs.iloc[i]
        assert {key: None if pd.isna(row[key]) else row[key] for key in vars(run)} == vars(run)
    assert record.runs["status"].tolist() == ["crashed", "crashed"]
    assert record.runs["error"].tolist() == ["Traceback …"] * 2
    assert record.runs["diverged_at"].isna().all()
    assert record.runs["seconds"].isna().all()
    assert len(record.steps) == len(record.layers) == 0


def test_a_subset_is_in_the_order_asked_for_then_by_step_and_layer(some, rng):
    ids = some.runs["run_id"].tolist()
    wanted = [ids[5], ids[0], "not there", ids[3], ids[0]]
    found = [ids[5], ids[0], ids[3]]
    shuffled = Records(*(getattr(some, name).sample(frac=1, random_state=rng) for name in COLUMNS))
    subset = shuffled.of(wanted)
    assert subset.runs["run_id"].tolist() == found
    for name, keys in KEYS.items():
        rows = getattr(some, name)
        expected = [rows[rows["run_id"] == run].sort_values(list(keys)) for run in found]
        assert_frame_equal(getattr(subset, name), pd.concat(expected, ignore_index=True), check_exact=True)


def test_parts_joined_are_the_whole(some):
    ids = some.runs["run_id"].tolist()
    same(Records.concat([some.of(ids[:3]), some.of(ids[3:4]), some.of(ids[4:])]), some.of(ids))
    same(Records.concat([some.of([]), some.of(ids)]), some.of(ids))
    assert len(Records.concat([]).runs) == 0


def test_a_probe_that_only_some_have_measured_is_nan_for_the_others(some):
    ids = some.runs["run_id"].tolist()
    first = some.of(ids[:1])
    other = some.of(ids[1:2])
    fewer = Records(other.runs, other.steps, other.layers[["run_id", "step", "layer", "w_norm"]])
    joined = Records.concat([fewer, first]).layers.set_index("run_id")
    assert joined.loc[ids[1], "dw_norm"].isna().all()
    assert joined.loc[ids[0], "dw_norm"].notna().all()
    assert joined["w_norm"].notna().all()


def test_no_warning_and_no_other_type_where_a_crashed_run_is_joined(some):
    crash = Records.crashed([Run(seed=9)], ["zz"], "boom")
    for parts in ([crash, some], [some, crash]):
        joined = Records.concat(parts)
        assert len(joined.runs) == len(some.runs) + 1
        assert_frame_equal(joined.layers, some.layers)


@pytest.mark.parametrize("name", ["runs", "steps", "layers"])
def test_a_row_that_is_there_twice_is_an_error_that_names_it(some, name):
    frame = getattr(some, name)
    doubled = Records(**{n: getattr(some, n) for n in COLUMNS} | {name: pd.concat([frame, frame.iloc[[7]]])})
    keys = ", ".join(f"{key} {frame.iloc[7][key]}" for key in KEYS[name])
    with pytest.raises(RecordsError, match=f"^{name}: {keys} is there twice$"):
        doubled.check()


def test_what_is_not_in_the_table_is_refused(some):
    runs = dict(some.runs)
    states = ["fine"] * len(some.runs)
    wrong = {
        "runs: no column 'error'": {"runs": {k: v for k, v in runs.items() if k != "error"}},
        "runs: unknown column 'speed'": {"runs": runs | {"speed": 1.0}},
        "steps: All arrays must be of the same length": {
            "steps": {name: [0, 1] if name == "step" else [0] for name in COLUMNS["steps"]}
        },
        "runs.depth: not int64: .*": {"runs": runs | {"depth": [0.5] * len(some.runs)}},
        "runs.status: 'fine' is none of ok, diverged, crashed": {"runs": runs | {"status": states}},
        "layers: run 'stray' is not in runs": {
            "layers": {"run_id": ["stray"], "step": [0], "layer": [1], "w_norm": [1.0]}
        },
    }
    for message, frames in wrong.items():
        with pytest.raises(RecordsError, match=f"^{message}$"):
            Records.build(**frames)


def test_a_frame_of_other_types_or_columns_does_not_pass(some):
    layers = some.layers.astype({"w_norm": "float32"})
    with pytest.raises(RecordsError, match=r"layers.w_norm: is float32; it should be float64"):
        Records(some.runs, some.steps, layers).check()
    with pytest.raises(RecordsError, match=r"steps: columns are \['step'"):
        Records(some.runs, some.steps[["step", "run_id"]], some.layers).check()


def test_a_field_younger_than_the_records_has_its_default():
    """A run is named by what differs from the defaults, so an old run had the new field's default."""
    old = Records.crashed([Run(depth=7)], ["a"], "").runs.assign(width=np.nan, norm=None, clip=np.nan)
    filled = with_defaults(old)
    assert (filled["width"].item(), filled["norm"].item(), filled["depth"].item()) == (64, "none", 7)
    assert np.isnan(filled["clip"].item())


def test_the_readme_has_every_column_as_the_code_has_it():
    """A probe that is not listed yet is no error: who adds one should need no second file."""
    (text,) = MARKED.findall(README.read_text(encoding="utf-8"))
    listed = [probe for probe in PROBES if f"| `{probe}` |" in text]
    assert text.strip() == document(listed), "run python -m experiments.storage.records"
    needed = """delta_norm dw_norm db_norm w_norm delta_rms dw_rms z_mean z_var a_mean a_var dead_fraction
        inactive_fraction saturated_fraction update_ratio displacement sign_agreement sign_agreement_batch
        zero_fraction subnormal_fraction"""
    assert set(needed.split()) <= set(listed)


def test_every_probe_has_a_meaning():
    for probe in PROBES:
        assert re.match(r"\S.{2,}", probe_column(probe).meaning), f"{probe}: no first line"
