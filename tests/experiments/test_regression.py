"""A target that is a number: told from a class, measured, stored, drawn, reported and diagnosed."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, root_mean_squared_error

import experiments
from experiments.analysis.advice import seeds_needed
from experiments.config import ConfigError, Recording, Run
from experiments.datasets import DATASETS, DataError, catalogue, decisions, give, load
from experiments.plots import FIGURES
from experiments.storage.records import SCORES
from experiments.sweeps.plan import check_sizes
from experiments.sweeps.runner import run_stack

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 3))
Y = 40 + 7 * (X @ [1.0, -2.0, 0.5]) + RNG.normal(size=120)
QUESTION = {
    "question": "Does depth hurt where a number is learnt?",
    "name": "price",
    "base": {"dataset": "price", "loss": "mse", "width": 8, "batch": 32, "steps": 40, "lr": 0.05},
    "sweep": {"depth": [1, 5], "seed": [0, 1]},
    "watch": 5,
}


@pytest.fixture(autouse=True)
def given_data():
    """The data set `price`, taken out again."""
    catalogue._load.cache_clear()
    give("price", (X, Y))
    yield
    for name in ("price", "counts"):
        DATASETS.pop(name, None)


def test_the_target_is_standardised_by_the_training_part_and_told_so():
    data = load("price")
    assert data.is_regression
    assert data.classes == 1
    assert (data.y.mean(), data.y.var()) == pytest.approx((0, 1), abs=1e-12)
    assert data.unit == pytest.approx(np.std(Y), rel=0.2)
    assert any(
        "always predicting the mean gives a loss of 1 and an R² of 0" in each for each in decisions("price")
    )


def test_scores_are_those_of_scikit_learn(monkeypatch):
    """Of a linear network after enough steps of full-batch descent, which is least squares."""
    run = Run(depth=0, dataset="price", loss="mse", batch=96, steps=400, lr=0.3)
    steps = run_stack([run], Recording((), watch=2)).steps
    data, last = load("price"), steps.iloc[-1]
    line = LinearRegression().fit(data.x, data.y)
    for part, x, y in (("", data.x, data.y), ("test_", data.x_test, data.y_test)):
        found = line.predict(x)
        assert last[f"{part}r2"] == pytest.approx(r2_score(y, found), rel=1e-6)
        assert last[f"{part}rmse"] == pytest.approx(root_mean_squared_error(y, found) * data.unit, rel=1e-6)
    assert steps["accuracy"].isna().all()
    assert steps["test_accuracy"].isna().all()


def test_a_network_that_always_answers_the_mean_has_an_r2_of_0():
    run = Run(depth=1, dataset="price", loss="mse", init="zeros", batch=10, steps=0)
    first = run_stack([run], Recording((), watch=2)).steps.iloc[0]
    assert (first["loss"], first["r2"]) == pytest.approx((1, 0), abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_is_the_same_bits_alone_and_in_a_stack(dtype):
    runs = [
        Run(dataset="price", loss="mse", width=8, batch=16, steps=5, seed=seed, dtype=dtype)
        for seed in range(3)
    ]
    together, alone = (run_stack(each, Recording(("delta_norm",), watch=3)) for each in (runs, runs[1:2]))
    mine = together.steps[together.steps["run_id"] == alone.runs["run_id"].iloc[0]].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone.steps, check_exact=True)


WHOLE = np.arange(120) * 7 % 113  # 113 different whole numbers in 120 examples


@pytest.mark.parametrize(
    ("y", "task", "expected"),
    [
        (Y, "", "number"),
        (Y, "regression", "number"),
        (Y, "classification", "the target's fractions are no classes"),
        (
            WHOLE,
            "",
            "the target has 113 different whole numbers in 120 examples: task='regression' learns it",
        ),
        (WHOLE, "regression", "number"),
        (WHOLE, "classification", 113),
        (WHOLE % 3, "", 3),
        (WHOLE % 3, "regression", "number"),
        (WHOLE % 3 / 2, "", "y[1]: the label 0.5 is not a whole number; task='regression' learns it"),
        (WHOLE % 3 / 2, "regression", "number"),
        (
            np.array(["a", "b"])[WHOLE % 2],
            "regression",
            "task='regression' needs numbers, and the target holds a, b",
        ),
        (np.where(WHOLE > 3, Y, np.nan), "regression", "is not a finite number"),
        (np.full(120, 2.5), "regression", "the target is the same number in every training example, 2.5"),
    ],
)
@pytest.mark.parametrize("of", ["python", "npz", "csv"])
def test_whether_a_target_is_a_class_or_a_number(y, task, expected, of, tmp_path):
    if of != "npz" and y.dtype.kind == "f" and np.isnan(y).any():
        return  # a row without a label is left out

    def read():
        name = "counts"
        if of == "python":
            give("counts", (X, y))
        if of == "npz":
            np.savez(tmp_path / "a.npz", x=X, y=y)
            name = f"file(path='{tmp_path / 'a.npz'}')"
        if of == "csv":
            pd.DataFrame(X, columns=list("abc")).assign(y=y).to_csv(tmp_path / "a.csv", index=False)
            name = f"file(path='{tmp_path / 'a.csv'}', target='y')"
        told = f"task='{task}'" if task else ""
        return load(
            name.replace(")", f", {told})") if ")" in name and told else f"{name}({told})" if told else name
        )

    if isinstance(expected, str) and expected != "number":
        with pytest.raises(DataError) as error:
            read()
        assert expected.removeprefix("y[1]: ") in str(error.value)
    else:
        data = read()
        assert (data.is_regression, data.classes) == (
            expected == "number",
            1 if expected == "number" else expected,
        )


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
def test_a_loss_of_classes_cannot_learn_a_number_and_says_so_once(loss):
    runs = [Run(dataset="price", loss=loss, batch=16, seed=seed) for seed in range(3)]
    with pytest.raises(ConfigError) as error:
        check_sizes(runs, Recording(()))
    said = f"loss: {loss} needs classes, and the target of price is a number: say loss: mean_squared_error"
    assert str(error.value) == said
    for fits in ("mse", "mean_squared_error(output=tanh)"):
        check_sizes([Run(dataset="price", loss=fits, batch=16)], Recording(()))


SCORED = ("learning_curves", "gradient_and_accuracy", "accuracy_by_depth", "accuracy_by_setting")


def test_a_regression_is_stored_summarised_drawn_reported_and_diagnosed(tmp_path, monkeypatch, report):
    """Every warning is an error here, and a figure that fails is a warning."""
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    records = experiments.run(QUESTION | {"figures": []}, data={"price": (X, Y)})
    assert set(SCORES) <= set(records.steps)
    again = experiments.load("price")
    pd.testing.assert_frame_equal(again.steps, records.steps)
    folder = tmp_path / "price"
    assert set(SCORES) <= set(pd.read_parquet(folder / "steps"))
    summary = pd.read_csv(folder / "summary.csv")
    assert summary["r2"].notna().all()
    assert summary["accuracy"].isna().all()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "test R², end" in page
    assert "always predicting the mean gives a loss of 1" in page
    assert '"r2"' in page  # of the explorer
    found = pd.read_csv(folder / "diagnosis.csv")
    assert not found["sentence"].str.contains("accuracy").any()
    for name in SCORED:
        assert "R²" in FIGURES[name](again).words.finding
    for name in ("trainability_map", "frontier"):
        assert FIGURES[name](again).panels
    advice = seeds_needed(again.of(again.runs["run_id"]))
    assert advice.attrs["compared"] == "test R²"
