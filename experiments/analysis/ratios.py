"""Analyses of records, from frame to frame: ratios, decay rates, intervals over seeds, the summary.

Nothing here draws, reads a file or trains. Three rules hold throughout:

* Zero is data. A norm that is exactly 0 has no logarithm, so a fit leaves it out and counts it.
* NaN is a run that diverged. It is left out of a median and counted in ``missing``, never replaced.
* Only seeds are averaged: `median_range` refuses groups in which a seed occurs twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.config.vocabulary import Run, keys_of

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

# Fields and rows ------------------------------------------------------------------------------------------


def fields(runs: pd.DataFrame) -> list[str]:
    """Return the columns of `runs` that are fields of Run, in the order of Run."""
    return [name for name in keys_of(Run) if name in runs]


def varying(runs: pd.DataFrame) -> list[str]:
    """Return the fields, other than the seed, that have more than one value in these runs."""
    return [name for name in fields(runs) if name != "seed" and len(runs[name].unique()) > 1]


def goes_with(runs: pd.DataFrame, field: str, others: Sequence[str]) -> bool:
    """Return whether `field` has one value for each combination of `others`, as zipped keys have."""
    settings = len(runs[list(others)].drop_duplicates()) if others else 1
    return len(runs[[*others, field]].drop_duplicates()) <= settings


def fields_before(table: pd.DataFrame, column: str) -> list[str]:
    """Return the fields by which a table tells its settings: all columns that stand before this one."""
    return list(table.columns[: table.columns.get_loc(column)])


def by_setting(frame: pd.DataFrame, by: Sequence[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Return the values of `by` and the rows of each setting, in their order; a missing value is one, too."""
    return list(frame.groupby(list(by), sort=False, dropna=False)) if by else [((), frame)]


def setting_in_words(by: Sequence[str], key: Sequence[Any], alone: str = "all runs") -> str:
    """Return a setting in words, ``activation tanh, depth 20``, or `alone` where there is only one."""
    return ", ".join(f"{name} {value}" for name, value in zip(by, key, strict=True)) or alone


def join(frame: pd.DataFrame, runs: pd.DataFrame, only: Sequence[str] | None = None) -> pd.DataFrame:
    """Return `frame` with the fields of each row's run, or those in `only`, as further columns.

    `frame` is `steps`, `layers` or made from them. A field of Run keeps its name; a measurement of the same
    name (the loss and the learning rate in `steps`) becomes ``loss_at_step``, ``lr_at_step``.
    """
    import pandas as pd

    names = fields(runs) if only is None else list(only)
    renamed = frame.rename(columns={name: f"{name}_at_step" for name in names if name in frame})
    chosen = runs[names].iloc[_places(frame, runs)]  # a merge takes twice as long
    return pd.concat([renamed.reset_index(drop=True), chosen.reset_index(drop=True)], axis=1)


def hidden(layers: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the hidden layers, 1 (nearest the input) to depth; the output is depth + 1."""
    return layers[layers["layer"] <= _of_run(layers, runs, "depth")]


def at_start(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of step 0: the initialisation, before any update."""
    return frame[frame["step"] == 0]


def at_end(frame: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows after each run's last update; a run that diverged has none, or NaN in them."""
    return frame[frame["step"] == _of_run(frame, runs, "steps")]


def _of_run(frame: pd.DataFrame, runs: pd.DataFrame, field: str) -> pd.Series:
    import pandas as pd

    return pd.Series(runs[field].to_numpy()[_places(frame, runs)], index=frame.index)


def _places(frame: pd.DataFrame, runs: pd.DataFrame) -> Any:
    """Return the place of each row's run in `runs`; errors: KeyError, ValueError if it is not there once."""
    import pandas as pd

    index = pd.Index(runs["run_id"])
    if not index.is_unique:
        raise ValueError(f"run {index[index.duplicated()][0]} is there twice")
    places = index.get_indexer(frame["run_id"])
    if (places < 0).any():
        raise KeyError(frame["run_id"].iloc[int((places < 0).argmax())])
    return places


def is_recorded(records: Records, probe: str) -> bool:
    """Return whether a probe was recorded, of layers, units or sizes, whatever its options; or the plane."""
    others = (*records.unit_probes, *records.distributions)
    found = probe_column(records.layers, probe) is not None or probe in others
    return found or (probe == "plane" and len(records.plane) > 0)


def probe_column(layers: pd.DataFrame, probe: str) -> str | None:
    """Return a probe's column, whatever its options (``saturated_fraction(below=0.05)``), or None."""
    return next((name for name in layers.columns if name.split("(")[0] == probe), None)


# Analyses of a run ----------------------------------------------------------------------------------------


def first_to_last(records: Records, signal: str = "delta_norm") -> pd.DataFrame:
    """Return the norm in the first hidden layer over that in the last, per run and watched step.

    Far below 1 the gradient vanishes on its way to the input; far above 1 it explodes. A run with one hidden
    layer has the ratio 1, one without hidden layers has no row. 0/0 (the gradient is zero even in the last
    layer) is NaN; 0/x is 0, which is data.
    Columns: the fields of Run, step, first, last, ratio and ratio_log10, which is right even where the ratio
    itself underflows.
    """
    return join(_first_to_last(records, signal), records.runs)


def _first_to_last(records: Records, signal: str = "delta_norm") -> pd.DataFrame:
    """As `first_to_last`, by run_id and step alone."""
    layers = hidden(_signal(records.layers, signal), records.runs)
    keys = ["run_id", "step"]
    last = layers[layers["layer"] == _of_run(layers, records.runs, "depth")]
    both = layers[layers["layer"] == 1].merge(last, on=keys, validate="one_to_one", suffixes=("", "_last"))
    both["ratio"] = both["norm"] / both["norm_last"]
    both["ratio_log10"] = both["log10"] - both["log10_last"]
    far = (both[["norm", "norm_last"]] < np.finfo(float).tiny).any(axis=1)  # a subnormal norm has lost digits
    both.loc[far, "ratio"] = 10 ** both["ratio_log10"][far]
    named = both.rename(columns={"norm": "first", "norm_last": "last"})
    return named[[*keys, "first", "last", "ratio", "ratio_log10"]]


def decay(records: Records, signal: str = "delta_norm") -> pd.DataFrame:
    """Return the factor by which the norm changes per hidden layer towards the input: below 1 it vanishes.

    The fit is least squares of log norm on layer l over a run's hidden layers at one step:
    norm ≈ c · factor^(depth − l).
    Layers whose norm is exactly 0 cannot be fitted and are counted in `zeros`; fewer than two others, or a
    norm that is not finite (a diverged run), give NaN.
    Columns: the fields of Run, step, factor, layers (fitted), zeros.
    """
    return join(_decay(records, signal), records.runs)


def _decay(records: Records, signal: str = "delta_norm") -> pd.DataFrame:
    """As `decay`, by run_id and step alone."""
    import pandas as pd

    rows = hidden(_signal(records.layers, signal), records.runs)
    zero = np.isneginf(rows["log10"])
    rows = rows.assign(zero=zero, x=rows["layer"].where(~zero), y=rows["log10"].where(~zero))
    rows["bad"] = ~np.isfinite(rows["log10"]) & ~zero
    rows["x"] -= rows.groupby(["run_id", "step"], sort=False)["x"].transform("mean")
    rows["xx"], rows["xy"] = rows["x"] ** 2, rows["x"] * rows["y"]
    groups = rows.groupby(["run_id", "step"], sort=False)
    layers = groups["y"].count()
    slope = (groups["xy"].sum() / groups["xx"].sum()).where((layers >= 2) & ~groups["bad"].any())
    fit = {"factor": 10 ** (-slope), "layers": layers, "zeros": groups["zero"].sum()}
    return pd.DataFrame(fit).reset_index()


def _signal(layers: pd.DataFrame, signal: str) -> pd.DataFrame:
    """Return the columns run_id, step, layer, norm and log10 (of the norm; −inf for an exact 0).

    The log is the recorded one where there is one (`delta_log10` for `delta_norm`): it is right even where
    the norm itself underflows.
    """
    norm = layers[signal].to_numpy(float)
    log = log10_of(norm)
    recorded = layers.get(signal.removesuffix("_norm") + "_log10")
    if recorded is not None:
        log = np.where(recorded.isna(), log, recorded)
    return layers[["run_id", "step", "layer"]].assign(norm=norm, log10=log)


def log10_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return log10 of values: −inf of an exact 0, NaN of what is negative or not a number."""
    return np.log10(values, where=values > 0, out=np.where(values == 0, -np.inf, np.nan))


# Over seeds -----------------------------------------------------------------------------------------------


def median_range(frame: pd.DataFrame, value: str, by: Sequence[str]) -> pd.DataFrame:
    """Return the median and range of `value` over the seeds of each group.

    The range of n independent seeds covers their median with probability `coverage` = 1 − 2^(1−n): each
    seed lies above the median with probability ½, and the range misses it only if all lie on one side.
    Columns: `by`, median, low, high, n (values), missing (NaN: diverged, or undefined), coverage.
    Errors: ValueError if a group holds a seed twice, because something other than the seed would be averaged.
    """
    by = list(by)
    if "seed" in frame:
        _refuse_repeated_seeds(frame, by)
    groups = (frame.groupby(by, dropna=False, observed=True) if by else frame.groupby(lambda _: 0))[value]
    table = groups.agg(median="median", low="min", high="max", n="count", size="size")
    table["missing"] = table.pop("size") - table["n"]
    table["coverage"] = coverage(table["n"])
    return table.reset_index() if by else table.reset_index(drop=True)


def _refuse_repeated_seeds(frame: pd.DataFrame, by: Sequence[str]) -> None:
    if frame.duplicated(list({*by, "seed"})).any():
        raise ValueError(f"grouping by {', '.join(by) or 'nothing'} would average over more than seeds")


def coverage(n: Any) -> Any:
    """Return the probability that the range of n independent values covers their median."""
    return np.maximum(0.0, 1 - 2.0 ** (1 - n))


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of which `hits` of n were seen, by Clopper & Pearson 1934."""
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 0.975)) if hits < n else 1.0
    return low, high


def paired(
    frame: pd.DataFrame, value: str, field: str, a: object, b: object, on: Sequence[str] = ("seed",)
) -> pd.DataFrame:
    """Return for each seed `value` where `field` is a, where it is b, and the difference b − a.

    Runs of equal seed share their random draws, so the difference varies less than either value. Only seeds
    that both sides have are kept. Columns: `on`, a, b, difference. Errors: ValueError if several runs share
    a pair: then another field varies, which has to be added to `on` or selected first.
    """
    on = list(on)
    is_a, is_b = (frame[field].isna() if side is None else frame[field] == side for side in (a, b))
    sides = [frame.loc[is_a, [*on, value]], frame.loc[is_b, [*on, value]]]
    if any(side.duplicated(on).any() for side in sides):
        raise ValueError(f"pairing by {', '.join(on)} is ambiguous: several runs of one {field} share it")
    pairs = sides[0].merge(sides[1], on=on, suffixes=("_a", "_b"), validate="one_to_one")
    pairs.columns = [*on, "a", "b"]
    return pairs.assign(difference=pairs["b"] - pairs["a"])


# The summary ----------------------------------------------------------------------------------------------

SUMMARY = {
    "delta_ratio_start": "delta norm of the first hidden layer over the last, at the initialisation",
    "delta_ratio_end": "the same after the last update",
    "decay_start": "factor of the delta norm per layer towards the input, at the initialisation",
    "decay_end": "the same after the last update",
    "dead": "share of hidden units with zero slope on every example, after the last update",
    "saturated": "share of slopes far under the largest possible in the hidden layers, after the last update",
    "accuracy": "share of training examples classified rightly after the last update",
    "test_accuracy": "share of test examples classified rightly after the last update",
}

OF_NUMBERS = {  # besides, where a number is learnt
    "r2": "R² on the training examples after the last update",
    "test_r2": "R² on the test examples after the last update",
    "test_rmse": "root mean square error on the test examples after the last update, in the target's unit",
}


def summary(records: Records) -> pd.DataFrame:
    """Return one row per activation × depth (and each other field that varies), in the order of the runs.

    Columns: the fields, n (runs), diverged, crashed, left_out (the most runs that one of the medians leaves
    out for want of a value, because they diverged or a layer of theirs left the number format), zeros (hidden
    layers, over all runs, whose delta is exactly 0 after the last update), then for each quantity of SUMMARY
    (and of OF_NUMBERS, where a number is learnt) its median over seeds and, as ``_low`` and ``_high``, their
    range; NaN where its probe was not recorded or no run has a value.
    """
    import pandas as pd

    runs = records.runs
    grouping = {"activation", "depth", *varying(runs)}
    by = [name for name in fields(runs) if name in grouping]
    values = _quantities(records)
    rows = runs[["run_id", "seed", *by]].join(values, on="run_id")
    _refuse_repeated_seeds(rows, by)
    rows = rows.assign(diverged=runs["status"] == "diverged", crashed=runs["status"] == "crashed")
    groups = rows.groupby(by, dropna=False, observed=True, sort=False)
    table = groups[["diverged", "crashed"]].sum()
    table.insert(0, "n", groups.size())
    known = groups[[name for name in values if name != "zeros"]].count()
    without = (-known).add(table["n"], axis=0).where(known > 0, 0)
    table["left_out"] = without.max(axis=1).fillna(0).astype(int)
    table["zeros"] = groups["zeros"].sum().astype(int) if "zeros" in values else 0
    names = [*SUMMARY, *(OF_NUMBERS if records.scores else ())]
    over_seeds = groups[[name for name in names if name in values]]
    ends = {"": over_seeds.median(), "_low": over_seeds.min(), "_high": over_seeds.max()}
    quantities = {
        f"{name}{end}": found[name] if name in values else np.nan
        for name in names for end, found in ends.items()
    }  # fmt: skip
    return pd.concat([table, pd.DataFrame(quantities, index=table.index)], axis=1).reset_index()


def _quantities(records: Records) -> pd.DataFrame:
    """Return for each run, by run_id, the quantities of SUMMARY that these records hold, and `zeros`.

    Zeros are its hidden layers whose delta is exactly 0 after the last update. What a run that diverged has
    after its last step is NaN.
    """
    import pandas as pd

    runs = records.runs
    layers, steps = (_ends(frame, runs) for frame in (records.layers, records.steps))
    found: dict[str, pd.Series] = {}
    if "delta_norm" in layers:
        ends = replace(records, layers=layers)
        for name, column, table in (
            ("delta_ratio", "ratio", _first_to_last(ends)), ("decay", "factor", _decay(ends)),
        ):  # fmt: skip
            found[f"{name}_start"] = at_start(table).set_index("run_id")[column]
            found[f"{name}_end"] = at_end(table, runs).set_index("run_id")[column]
        end = at_end(hidden(_signal(layers, "delta_norm"), runs), runs)
        found["zeros"] = np.isneginf(end["log10"]).groupby(end["run_id"]).sum()
    groups = at_end(hidden(layers, runs), runs).groupby("run_id", sort=False)
    for name in ("dead", "saturated"):
        if column := probe_column(layers, f"{name}_fraction"):
            shares = groups[column]  # all layers are as wide
            found[name] = shares.mean().where(shares.count() == shares.size())
    for name in ("accuracy", "test_accuracy", *(OF_NUMBERS if records.scores else ())):
        found[name] = at_end(steps, runs).set_index("run_id")[name]
    values = pd.DataFrame(found, index=pd.Index(runs["run_id"]))
    later = [name for name in found if name not in ("delta_ratio_start", "decay_start", "zeros")]
    values.loc[(runs["status"] == "diverged").to_numpy(), later] = np.nan  # one may diverge at step 0
    return values


def _ends(frame: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each run's first and last step."""
    return frame[(frame["step"] == 0) | (frame["step"] == _of_run(frame, runs, "steps"))]
