"""The coverage of theory's bands: which share of networks lies within them, over random settings.

If the log of a norm is normally distributed, a band of ±1 sd holds 68.3 % of networks and one of ±2 sds
95.4 %. What is counted are the layers of real networks at step 0, drawn and measured as every run is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.config import Recording, Run
from experiments.sweeps.runner import run_stack
from experiments.theory import Prediction
from experiments.theory.of_records import START, predictions
from mlp.activations import ACTIVATIONS

if TYPE_CHECKING:
    import pandas as pd

NORMS = {"delta_norm": "delta_log10", "dw_norm": "dw_log10"}  # no norm is too small for its recorded log
RECORDING = Recording((*NORMS, *NORMS.values(), "delta_rms"), probe_set=512)
FIRST_SEED, APART = 500_000, 1000  # every setting has networks of its own, since equal seeds are paired
STACK = 4  # networks at once: 256 units, 20 layers and 512 examples then take 200 MB

# What settings are drawn from. Data sets, and the seeds of networks, are others than those on which the
# bounds of `theory.limits` were set.
CHOICES: dict[str, list[Any]] = {
    "activation": [*ACTIVATIONS, "leaky_relu(slope=0.3)", "elu(alpha=0.5)"],
    "init": [
        "xavier_normal", "xavier_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform",
        "orthogonal", "scaled_normal", "scaled_normal(gain=auto_gradient)", "pytorch_default",
        "normal(std=0.03)", "normal(std=0.1)", "uniform(bound=0.15)",
    ],
    "bias": ["zeros", "zeros", "zeros", "normal(std=0.05)", "normal(std=0.3)", "pytorch_default"],
    "residual": [0.0, 0.0, 0.0, 0.2, 0.5, 1.0],
    "norm": ["none", "none", "none", "batch", "layer"],
    "loss": ["softmax_cross_entropy", "sigmoid_cross_entropy", "mean_squared_error"],
    "dataset": [
        "digits(split_seed=1)", "digits(scale=unit)", "gaussian_noise(n=800, features=30, classes=6)",
        "gaussian_noise(n=300, features=100)", "blobs(n=400, features=25, classes=8, noise=3)",
        "circles(n=500)", "moons(n=600, noise=0.3)", "spirals(n=900, classes=4)", "xor(n=700, noise=0.5)",
    ],
}  # fmt: skip
WIDTHS, DEPTHS = (16, 256), (1, 20)


def settings(count: int, seed: int = 0) -> list[Run]:
    """Return `count` random initialisations; the first ones are the same whatever the count."""
    return [_setting(np.random.default_rng([seed, index])) for index in range(count)]


def _setting(rng: np.random.Generator) -> Run:
    drawn = {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
    width, depth = (round(float(np.exp(rng.uniform(*np.log(ends))))) for ends in (WIDTHS, DEPTHS))
    return Run(width=width, depth=depth, steps=0, batch=16, **drawn)  # no update: any batch will do


def study(runs: Iterable[Run], networks: int, shrink: float = 1.0) -> Iterator[dict[str, Any]]:
    """Yield a row per setting and norm: how many layers there are, have a line or a band, and lie within it.

    within_1 and within_2 are of those that have a band. shrink is a factor on every sd, with which a
    test sees that the coverage fails where the sds are wrong.
    """
    for index, run in enumerate(runs):
        seeds = range(FIRST_SEED + APART * index, FIRST_SEED + APART * index + networks)
        for norm, strays, prediction in _strays(run, seeds):
            lines = np.isfinite(prediction.logs.get(norm, np.full(run.depth + 1, np.nan)))
            strays = strays[:, np.isfinite(strays).any(axis=0)] / shrink
            yield {
                "setting": index, **{name: getattr(run, name) for name in START}, "norm of": norm[:-5],
                "layers": networks * (run.depth + 1), "lines": networks * int(lines.sum()),
                "bands": strays.size, "within_1": int((np.abs(strays) < 1).sum()),
                "within_2": int((np.abs(strays) < 2).sum()),
                "why": prediction.reason or "; ".join(prediction.limits.get(norm, ())),
            }  # fmt: skip


def _strays(run: Run, seeds: Sequence[int]) -> Iterator[tuple[str, np.ndarray, Prediction]]:
    """Yield per norm (networks, layers): how many sds each lies from theory; NaN where there is no band."""
    from dataclasses import replace

    logs: dict[str, list[np.ndarray]] = {norm: [] for norm in NORMS}
    for at in range(0, len(seeds), STACK):
        stack = [replace(run, seed=seed) for seed in seeds[at : at + STACK]]
        records = run_stack(stack, RECORDING)
        layers = records.layers.sort_values(["run_id", "layer"])
        for norm, column in NORMS.items():
            found = layers[column].to_numpy() * np.log(10)
            logs[norm].append(found.reshape(len(stack), run.depth + 1))
    prediction = next(iter(predictions(records).values()))
    for norm, parts in logs.items():
        measured = np.concatenate(parts)
        if prediction.reason:
            yield norm, np.full(measured.shape, np.nan), prediction
        else:
            yield norm, (measured - prediction.logs[norm]) / prediction.sds[norm], prediction


# The table -------------------------------------------------------------------------------------------------


def coverage(rows: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return per norm and value of `by`: settings, shares with a band and with a line alone, shares within.

    error is the standard error of the share within 1 sd. It is taken over settings, since the layers of one
    network and the networks of one setting are not independent.
    """
    return rows.groupby([*by, "norm of"], sort=False).apply(_shares, include_groups=False).reset_index()


def _shares(rows: pd.DataFrame) -> pd.Series:
    import pandas as pd

    bands, layers = rows["bands"].sum(), rows["layers"].sum()
    share = rows["within_1"].sum() / bands if bands else np.nan
    off = rows["within_1"] - share * rows["bands"]
    return pd.Series(
        {
            "settings": float(len(rows)),
            "with a band": bands / layers,
            "line alone": (rows["lines"].sum() - bands) / layers,
            "within 1 sd": share,
            "error": np.sqrt((off**2).sum()) / bands if bands else np.nan,
            "within 2 sds": rows["within_2"].sum() / bands if bands else np.nan,
        }
    )


def kind(rows: pd.DataFrame) -> pd.Series:
    """Return the kind of a setting in a word: plain, residual, or its normalisation."""
    residual = np.where(rows["residual"] > 0, "residual", "plain")
    return rows["norm"].where(rows["norm"] != "none", residual)


def page(rows: pd.DataFrame, networks: int, command: str, date: str) -> str:
    """Return the study as Markdown: all settings, then by kind, loss, data and depth over width."""
    import pandas as pd

    rows = rows.assign(
        kind=kind(rows),
        data=rows["dataset"].str.split("(").str[0],
        **{"depth/width": pd.cut(rows["depth"] / rows["width"], [0, 0.03, 0.1, 0.3, 2]).astype(str)},
    )
    count = rows["setting"].nunique()
    head = HEAD.format(date=date, command=command, settings=count, seeds=networks, networks=count * networks)
    parts = [head, _markdown(coverage(rows))]
    for name in ("kind", "loss", "data", "depth/width"):
        parts += [f"## By {name}", _markdown(coverage(rows, [name]).sort_values([name, "norm of"]))]
    why = rows["why"].str.replace(r" in [^:;]*:", ":", regex=True).rename("why")
    limited = rows[rows["why"] != ""].groupby(["norm of", why])["setting"]
    counts = limited.nunique().rename("settings").reset_index()
    parts += ["## Why there is no line, or no band", _markdown(counts)]
    return "\n\n".join(parts) + "\n"


HEAD = """# Do theory's bands hold what they say?

On {date}, by `{command}`:
{settings} random settings (activation, initialiser, biases, width 16 to 256, depth 1 to 20, skip,
normalisation, loss, data), {seeds} networks each, {networks} in all, measured at step 0 on up to 512
examples.

Counted are layers: the share of those with a band whose log norm lies within 1 and 2 standard deviations
of theory's. A normal distribution has 68.3 % and 95.4 %; what is asked for is 65 to 71 % and 93 to 97 %.
The error is one standard error, from setting to setting. Where theory says less, it says why: the last table.

The data sets and the seeds are others than those on which the bounds in `experiments/theory/limits.py`
were set. `settings.csv` has the counts of every setting."""


def _markdown(table: pd.DataFrame) -> str:
    def shown(value: Any) -> str:
        if isinstance(value, float):
            return "–" if np.isnan(value) else f"{value:.0f}" if value > 1 else f"{value:.1%}"
        return str(value)

    lines = [list(table.columns), ["---"] * table.shape[1], *table.itertuples(index=False, name=None)]
    return "\n".join("| " + " | ".join(shown(cell) for cell in line) + " |" for line in lines)


def write(folder: Path, rows: pd.DataFrame, text: str) -> None:
    """Write README.md and settings.csv to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "settings.csv", index=False)
    (folder / "README.md").write_text(text, encoding="utf-8")


def coverage_command(count: int, networks: int, seed: int, folder: Path) -> int:
    """Study `count` settings, print the shares and write the page; return 0 if they are right, else 1."""
    import datetime

    import pandas as pd

    found = []
    for row in study(settings(count, seed), networks):
        found.append(row)
        if len(found) % 40 == 0:
            print(f"{len(found) // 2} of {count} settings", flush=True)
    rows = pd.DataFrame(found)
    command = f"python scripts/coverage.py --settings {count} --networks {networks} --seed {seed}"
    text = page(rows, networks, command, datetime.date.today().isoformat())
    write(folder, rows, text)
    overall = coverage(rows)
    print(_markdown(overall))
    return 0 if as_asked(overall) else 1


def as_asked(table: pd.DataFrame) -> bool:
    """Return whether each norm has 65 to 71 % within 1 sd and 93 to 97 % within 2."""
    one, two = table["within 1 sd"].between(0.65, 0.71), table["within 2 sds"].between(0.93, 0.97)
    return bool((one & two).all())
