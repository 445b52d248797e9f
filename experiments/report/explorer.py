"""What the explorer can show: the measurements of an experiment, packed small enough for a page.

A log10 of a norm is stored and not the norm, so that a gradient of 10⁻⁴⁰⁰ is still a number, and an exact
zero is −∞. All numbers are float32, in base64: a third of the bytes of decimal digits.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.analysis.ratios import log10_of, probe_column, varying
from experiments.analysis.score import ACCURACY, score_of
from experiments.analysis.wording import count
from experiments.plots import style, value_names
from experiments.theory.of_records import predictions

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

Array = npt.NDArray[Any]

BYTES = 4 * 4 / 3  # of a float32 in base64
# The markers of the figures as bokeh calls them.
MARKS = {"o": "circle", "s": "square", "^": "triangle", "D": "diamond", "v": "inverted_triangle",
         "P": "plus", "X": "x", "*": "star", "d": "triangle_pin", "|": "hex"}  # fmt: skip
BAND = 1.0  # sds of one network, as in the figures
FEWEST_STEPS, FEWEST_SEEDS = 4, 3  # kept before the next thing is thinned
# Measures by layer: key, title, column of `layers` and whether it is drawn as a power of ten.
BY_LAYER = (
    ("delta", "‖delta‖, the gradient at a layer", "delta_norm", True),
    ("dw", "‖dw‖, the gradient of its weights", "dw_norm", True),
    ("variance", "forward variance, of z", "z_var", True),
    ("dead", "share of dead units", "dead_fraction", False),
    ("saturated", "share of saturated slopes", "saturated_fraction", False),
)
CURVES = 2  # over the steps: the loss and the score
PREDICTED = {"delta": "delta_log10", "dw": "dw_log10", "variance": "z_var"}


@dataclass(frozen=True)
class Thinned:
    """The runs and steps that are kept, and a sentence for what is left out ("" for nothing)."""

    runs: pd.DataFrame
    steps: list[int]
    told: str = ""


def explorer_data(records: Records, most_bytes: float) -> dict[str, Any] | None:
    """Return what `explorer.js` reads, as plain data for JSON; None where no run was measured.

    fields: the fields that vary, each with its values as texts. settings: a list of indices into these. runs:
    setting, seed and depth. steps: the watched ones. layers and over_steps: by measure, for each run and step
    (and layer, 1 to depth + 1) a number. theory: by setting, the prediction at step 0.
    Where all would be larger than `most_bytes`, steps are left out first, then seeds, then settings; `note`
    says which.
    """
    measured = records.runs["status"] != "crashed"
    runs = records.runs[measured & records.runs["run_id"].isin(records.layers["run_id"].unique())]
    columns = [(key, *rest) for key, *rest in BY_LAYER if _column(records, rest[1]) is not None]
    if not len(runs) or not columns:
        return None
    fields = varying(runs)
    every = sorted(int(step) for step in records.layers["step"].unique())
    kept = _thinned(runs, fields, every, most_bytes, len(columns))
    values = {name: style.in_order(_plain(kept.runs[name]), name) for name in fields}
    settings, of_run = _settings(kept.runs, values)
    return {
        "fields": [_field(name, found) for name, found in values.items()],
        "hue": "activation" if "activation" in fields else fields[0] if fields else "",
        "alone": str(kept.runs["activation"].iloc[0]),  # the name where nothing varies
        "settings": settings,
        "runs": [
            {"setting": of_run[i], "seed": int(run.seed), "depth": int(run.depth)}
            for i, run in enumerate(kept.runs.itertuples())
        ],
        "steps": kept.steps,
        "measures": [
            {"key": key, "title": title, "log": log, "hidden": not log} for key, title, _, log in columns
        ],
        "curves": _curves(records),
        "layers": _packed_layers(records, kept, columns),
        "over_steps": _packed_steps(records, kept),
        "theory": _theory(records, kept.runs, of_run, len(settings)),
        "note": kept.told,
    }  # fmt: skip


# What varies ----------------------------------------------------------------------------------------------


def _plain(column: pd.Series) -> list[Any]:
    """The values of a field; one that is not set is "none", as in the figures."""
    return ["none" if value != value or value is None else value for value in column.tolist()]


def _field(name: str, values: Sequence[Any]) -> dict[str, Any]:
    looks = style.looks(values, name)
    return {
        "name": name,
        "number": not any(isinstance(value, str) for value in values),
        "values": [value_names.show(value) for value in values],
        "colours": [[style.colour_on(looks[value], dark=dark) for dark in (False, True)] for value in values],
        "marks": [MARKS.get(looks[value].marker, "circle") for value in values],
    }


def _settings(runs: pd.DataFrame, values: Mapping[str, Sequence[Any]]) -> tuple[list[list[int]], list[int]]:
    """The settings as indices into the values of each field, and which of them each run is of."""
    places = {name: {value: i for i, value in enumerate(found)} for name, found in values.items()}
    columns = [[places[name][value] for value in _plain(runs[name])] for name in values]
    rows = list(zip(*columns, strict=True)) if columns else [()] * len(runs)
    order = {row: i for i, row in enumerate(sorted(set(rows)))}
    return [list(row) for row in order], [order[row] for row in rows]


# What is kept ---------------------------------------------------------------------------------------------


def _thinned(
    runs: pd.DataFrame, fields: Sequence[str], steps: Sequence[int], most_bytes: float, columns: int
) -> Thinned:
    """Keep as much as fits: leave out steps, then seeds, then settings; first and last are kept longest."""

    def fits(rows: pd.DataFrame, count: int) -> bool:
        numbers = count * (columns * (rows["depth"].sum() + len(rows)) + CURVES * len(rows))
        return bool(numbers * BYTES <= most_bytes)

    left_out = []
    least = min(FEWEST_STEPS, len(steps))
    kept = next((n for n in range(len(steps), least, -1) if fits(runs, n)), least)
    if kept < len(steps):
        left_out.append(f"{kept} of {count(len(steps), 'watched step')}")
    seeds = sorted(runs["seed"].unique())
    least = min(FEWEST_SEEDS, len(seeds))
    some = next((n for n in range(len(seeds), least, -1) if fits(_of_seeds(runs, seeds[:n]), kept)), least)
    if some < len(seeds):
        left_out.append(f"{some} of {count(len(seeds), 'seed')}")
    runs = _of_seeds(runs, seeds[:some])
    if not fits(runs, kept):
        runs, told = _fewer_settings(runs, fields, lambda rows: fits(rows, kept))
        left_out.append(told)
    told = f"So that this page stays small, it holds {' and '.join(left_out)}; the records hold all."
    return Thinned(runs, [steps[i] for i in style.spread(len(steps), kept)], told if left_out else "")


def _of_seeds(runs: pd.DataFrame, seeds: Sequence[int]) -> pd.DataFrame:
    return runs[runs["seed"].isin(seeds)]


def _fewer_settings(runs: pd.DataFrame, fields: Sequence[str], fits: Any) -> tuple[pd.DataFrame, str]:
    """Whole settings, evenly spread, as many as fit; and how many of how many these are."""
    names = runs[list(fields)].astype(str).agg(" ".join, axis=1)
    every = list(dict.fromkeys(names))
    for number in (len(every) * part // 16 for part in range(15, 0, -1)):
        chosen = [every[i] for i in style.spread(len(every), max(1, number))]
        if fits(runs[names.isin(chosen)]):
            break
    return runs[names.isin(chosen)], f"{len(chosen)} of {count(len(every), 'setting')}"


# Numbers --------------------------------------------------------------------------------------------------


def _packed(values: Array) -> str:
    with np.errstate(over="ignore"):  # a loss beyond float32 is as good as infinite
        return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _column(records: Records, name: str) -> str | None:
    """The recorded column of a measure: that of a norm may be its log10 alone."""
    found = probe_column(records.layers, name)
    return found or probe_column(records.layers, name.replace("_norm", "_log10"))


def _log10(frame: pd.DataFrame, name: str) -> Array:
    """log10 of a column, from its recorded logs where there are some; −inf for an exact zero."""
    recorded = name.replace("_norm", "_log10")
    if name.endswith("_norm") and recorded in frame:
        return frame[recorded].to_numpy(float)
    return log10_of(frame[name].to_numpy(float))


def _packed_layers(records: Records, kept: Thinned, columns: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    """By measure: the runs in turn, of each its steps, of each step its layers; NaN where unknown."""
    layers = records.layers
    depths = kept.runs["depth"].to_numpy(int)
    starts = np.concatenate([[0], np.cumsum(len(kept.steps) * (depths + 1))])
    run, step = _places(layers, kept)
    layer = layers["layer"].to_numpy(int)
    there = (run >= 0) & (step >= 0)
    at = starts[run[there]] + step[there] * (depths[run[there]] + 1) + layer[there] - 1
    packed = {}
    for key, _, name, log in columns:
        values = _log10(layers, name) if log else layers[_column(records, name)].to_numpy(float)
        filled = np.full(starts[-1], np.nan)
        filled[at] = values[there]
        packed[key] = _packed(filled)
    return packed


def _curves(records: Records) -> list[dict[str, Any]]:
    """The measures over the steps, what the sentence below the panels calls them, and their unit there."""
    found = _over_steps(records)
    unit = " nats" if score_of(records) is ACCURACY else ""
    said = [("loss", unit), (found[1][1], "")]
    return [
        {"key": key, "title": title, "log": log, "told": told, "unit": unit}
        for (key, title, log), (told, unit) in zip(found, said, strict=True)
    ]


def _over_steps(records: Records) -> tuple[tuple[str, str, bool], ...]:
    """The measures over the steps: key, title and whether it is drawn as a power of ten."""
    score = score_of(records)
    loss = "loss, in nats" if score is ACCURACY else score.loss
    return (("loss", loss, True), (score.train, score.words(score.train), False))


def _packed_steps(records: Records, kept: Thinned) -> dict[str, str]:
    """By measure: the runs in turn, of each its steps."""
    run, step = _places(records.steps, kept)
    there = (run >= 0) & (step >= 0)
    packed = {}
    for key, _, log in _over_steps(records):
        values = _log10(records.steps, key) if log else records.steps[key].to_numpy(float)
        filled = np.full((len(kept.runs), len(kept.steps)), np.nan)
        filled[run[there], step[there]] = values[there]
        packed[key] = _packed(filled)
    return packed


def _places(frame: pd.DataFrame, kept: Thinned) -> tuple[Array, Array]:
    """For each row the place of its run and of its step among those that are kept; −1 for others."""
    import pandas as pd

    runs, steps = pd.Index(kept.runs["run_id"]), pd.Index(kept.steps)
    return runs.get_indexer(frame["run_id"]), steps.get_indexer(frame["step"])


def _theory(records: Records, runs: pd.DataFrame, of_run: Sequence[int], settings: int) -> list[Any]:
    """By setting: measure -> [centre, low, high] by layer, in log10; {} where theory draws no line."""
    found: list[dict[str, Any]] = [{} for _ in range(settings)]
    expected = predictions(records)
    for setting, name in zip(of_run, runs["run_id"], strict=True):
        prediction = expected[name]
        if found[setting] or not prediction.applies:
            continue
        for key, column in PREDICTED.items():
            frame = prediction.frame(column, BAND)
            lines = [frame[part].to_numpy(float) for part in ("median", "low", "high")]
            if not column.endswith("_log10"):
                with np.errstate(divide="ignore"):
                    lines = [np.log10(line) for line in lines]
            if np.isfinite(lines[0]).any():
                found[setting][key] = [_listed(line) for line in lines]
    return found


def _listed(values: Array) -> list[float | None]:
    """Numbers for JSON, which has none for NaN and ∞."""
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]
