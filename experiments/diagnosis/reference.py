"""What is normal: the distribution of each measure over networks before training, and the healthy range.

The distribution is drawn, not derived: networks of the setting with seeds of their own are measured at their
initialisation on the same examples as a run. So it holds for any activation, initialiser and data, also where
theory has no band.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import datasets
from experiments.analysis.ratios import (
    by_setting,
    fields_before,
    first_to_last,
    hidden,
    setting_in_words,
    varying,
)
from experiments.config import ConfigError, Recording, Run
from experiments.storage.recorded import RECORDED
from experiments.storage.records import run_of
from experiments.sweeps.in_memory import train_in_memory
from experiments.theory.closed_forms import spread
from experiments.theory.of_records import START, entries_of
from mlp.activations import activation as activation_of

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

NETWORKS = 200
EXAMPLES = Recording(()).probe_set  # on which networks are measured, where nothing else is said
FIRST_SEED = 10**6  # seeds of reference networks: none that a user would choose
MEASURES = (
    "delta_norm", "dw_norm", "z_rms", "a_rms", "slope_rms", "dead_fraction", "saturated_fraction",
    "update_ratio",
)  # fmt: skip
AT_START = tuple(name for name in MEASURES if name != "update_ratio")  # what needs no update at all
FEW_EXAMPLES = 256
LOW, HIGH = 0.025, 0.975
E_FOLDS = (
    3.0  # of ‖delta‖ from last to first layer: six of ‖delta‖², where training ends (Schoenholz et al. 2017)
)


@dataclass(frozen=True)
class Reference:
    """Measures of many networks of one setting at step 0.

    drawn has a row for each network and layer with the columns seed, layer and MEASURES; ratio (networks,)
    is ‖delta‖ of the first hidden layer over the last's; healthy is the range of that ratio in which a
    network of this depth still trains.
    """

    run: Run
    drawn: pd.DataFrame
    ratio: np.ndarray
    healthy: tuple[float, float]

    def table(self) -> pd.DataFrame:
        """Return layer, measure, low (2.5 %), median and high (97.5 % of networks).

        update_ratio, of the first update, is left out where the learning rate has a schedule.
        """
        long = self.drawn.melt(["seed", "layer"], var_name="measure").dropna()
        found = long.groupby(["layer", "measure"], sort=False)["value"].apply(_range).unstack()  # noqa: PD010
        found.columns = ["low", "median", "high"]
        order = {name: place for place, name in enumerate(MEASURES)}
        return found.reset_index().sort_values(
            ["layer", "measure"], key=lambda c: c.map(order) if c.name == "measure" else c, ignore_index=True
        )

    def percentile(self, measure: str, layer: int, value: float) -> float:
        """Return the share of networks whose value lies below this one, half of those that equal it."""
        drawn = self.drawn.loc[self.drawn["layer"] == layer, measure].to_numpy(float)
        drawn = drawn[~np.isnan(drawn)]
        return float(((drawn < value).sum() + 0.5 * (drawn == value).sum()) / max(len(drawn), 1))

    @property
    def verdict(self) -> str:
        """A sentence: what is normal for this setting, and whether that is healthy."""
        if self.run.depth < 2:
            return "With fewer than two hidden layers no gradient can vanish between them."
        low, middle, high = np.nanquantile(self.ratio, [LOW, 0.5, HIGH])
        state = self._state(float(middle))
        return (
            f"Normal here: ‖delta‖ of layer 1 is {middle:.2g} of layer {self.run.depth}'s "
            f"({low:.2g} to {high:.2g} in 95 % of {len(self.ratio)} networks). {state}: a network of "
            f"this depth and width trains from {self.healthy[0]:.2g} to {self.healthy[1]:.2g}."
        )

    def _state(self, ratio: float) -> str:
        if ratio < self.healthy[0]:
            return "Normal, but not healthy, the gradient vanishes"
        return (
            "Normal, but not healthy, the gradient explodes" if ratio > self.healthy[1] else "That is healthy"
        )


def healthy_ratio(activation: str, depth: int, width: int) -> tuple[float, float]:
    """Return the range of ‖delta₁‖/‖delta_depth‖ in which a network of this depth still trains.

    A factor of e³ either way (networks train to about six of ξ_∇, the depth over which ‖delta‖² changes by e:
    Schoenholz et al. 2017, section 5), and twice the standard deviation over networks, ½√(C·depth/width).
    """
    noise = 0.5 * sqrt(float(spread(activation_of(activation))) * max(depth - 1, 0) / width)
    return exp(-E_FOLDS - 2 * noise), exp(E_FOLDS + 2 * noise)


def _range(values: pd.Series) -> pd.Series:
    """The 2.5 %, 50 % and 97.5 % of drawn values: a further one lies between the ends in 95 of 100 cases.

    So the p-quantile of n values is that of rank p(n + 1), which has p of the whole distribution below it in
    the mean (Hyndman & Fan 1996, definition 6); the usual definition 7 holds 94 % at n = 200.
    """
    import pandas as pd

    return pd.Series(np.quantile(values.to_numpy(float), [LOW, 0.5, HIGH], method="weibull"))


def reference(
    run: Run,
    networks: int = NETWORKS,
    *,
    measures: Sequence[str] = MEASURES,
    examples: int = EXAMPLES,
    jobs: int = 1,
    advance: Callable[[int], None] = lambda runs: None,
) -> Reference:
    """Draw networks of the run's setting and measure them before any training.

    examples: how many of the training set they are measured on at most, as `probe_set` of a config. One
    update is made where `update_ratio` is among the measures, and none where it is not. Errors: DataError.
    """
    steps = 1 if run.schedule == "constant" and "update_ratio" in measures else 0
    runs = [replace(run, steps=steps, seed=FIRST_SEED + k) for k in range(networks)]
    recording = Recording(probes=(*measures, "delta_log10"), watch=(0,), probe_set=examples)
    records = train_in_memory(runs, recording, jobs=jobs, advance=advance, until=0)
    named = records.layers.merge(records.runs[["run_id", "seed"]], on="run_id", validate="many_to_one")
    values = hidden(named, records.runs)[["seed", "layer", *measures]]
    ratio = np.array([])
    if run.depth >= 2:
        ratio = np.exp(log(10) * first_to_last(records)["ratio_log10"].to_numpy(float))
    return Reference(run, values, ratio, healthy_ratio(run.activation, run.depth, run.width))


def against_reference(
    records: Records,
    networks: int = NETWORKS,
    *,
    measures: Sequence[str] = MEASURES,
    by: Sequence[str] = (),
    jobs: int = 1,
) -> pd.DataFrame:
    """Return where the networks of the records stood before training, among networks drawn for each setting.

    One row per setting, hidden layer and measure: the varying fields and those in `by`, layer, measure, value
    (median over seeds), low, median and high (95 % of the drawn networks lie between low and high),
    percentile (share of them below the value), usual (the value lies in that range) and healthy (its
    ‖delta₁‖/‖delta_depth‖ lies where networks of its depth train; None below two layers). A value can be
    usual and its setting ill. Without `update_ratio` among the measures nothing is trained, and settings that
    start alike share their networks. Errors: DataError; ConfigError for networks of another program.
    """
    import pandas as pd

    _refuse_recorded(records)
    fields = list(dict.fromkeys([*by, *varying(records.runs)]))
    names = fields if "update_ratio" in measures else [name for name in fields if name in (*START, "dtype")]
    starts = hidden(records.layers[records.layers["step"] == 0], records.runs)
    starts = starts.merge(records.runs[["run_id", *fields]], on="run_id")
    drawn: dict[Any, Reference] = {}
    rows = []
    for key, group in by_setting(starts, fields):
        if group.empty:
            continue
        row = records.runs[records.runs["run_id"] == group["run_id"].iloc[0]].iloc[0].to_dict()
        start = tuple(value for name, value in zip(fields, key, strict=True) if name in names)
        if start not in drawn:
            run = run_of(row) if "update_ratio" in measures else Run(**{n: row[n] for n in (*START, "dtype")})
            examples = _examples(records, row["run_id"])
            drawn[start] = reference(run, networks, measures=measures, examples=examples, jobs=jobs)
        rows += [(*key, *placed) for placed in _placed(group, drawn[start])]
    columns = ("layer", "measure", "value", "low", "median", "high", "percentile", "usual", "healthy")
    return pd.DataFrame(rows, columns=[*fields, *columns])


def _refuse_recorded(records: Records) -> None:
    if (records.runs[list(START)] == RECORDED).any(axis=None):
        raise ConfigError(
            ["networks of another program cannot be drawn again, so nothing is normal for them"]
        )


def _examples(records: Records, run_id: str) -> int:
    """On how many examples a run was measured, as far as its records tell."""
    rows = records.layers[records.layers["run_id"] == run_id]
    entries = entries_of(replace(records, runs=records.runs[records.runs["run_id"] == run_id], layers=rows))
    found = int(entries.iloc[0]) if len(entries) else 0
    classes = datasets.load(records.runs.set_index("run_id").loc[run_id, "dataset"]).classes
    return found // classes or EXAMPLES


def _placed(group: pd.DataFrame, found: Reference) -> Iterator[tuple[Any, ...]]:
    """Where each value of a setting stands among the drawn networks."""
    ratio = float(np.nanmedian(found.ratio)) if len(found.ratio) else None
    healthy = None if ratio is None else found.healthy[0] <= ratio <= found.healthy[1]
    values = group.groupby("layer")[[m for m in MEASURES if m in group]].median()
    for each in found.table().itertuples():
        if each.measure in values:
            value = float(values.loc[each.layer, each.measure])
            place = found.percentile(each.measure, each.layer, value), each.low <= value <= each.high
            yield each.layer, each.measure, value, each.low, each.median, each.high, *place, healthy


def reference_advice(table: pd.DataFrame) -> list[str]:
    """Return a sentence per setting of `against_reference`: what is unusual, and whether usual is healthy."""
    if table.empty:
        return ["There is no hidden layer whose values before training could be compared."]
    fields = fields_before(table, "layer")
    found = []
    for key, group in by_setting(table, fields):
        name = setting_in_words(fields, key, "These networks")
        odd, healthy = group[~group["usual"]], group["healthy"].iloc[0]
        state = "healthy" if healthy else "not healthy at this depth"
        state = "that of too few layers to judge" if healthy is None else state
        worst = odd.loc[(odd["percentile"] - 0.5).abs().idxmax()] if len(odd) else None
        said = "" if worst is None else (
            f" The farthest out is {worst['measure']} of layer {worst['layer']}: {worst['value']:.3g}, where "
            f"{worst['low']:.3g} to {worst['high']:.3g} is usual."
        )  # fmt: skip
        found.append(
            f"{name}: {len(group) - len(odd)} of {len(group)} values before training are usual for such "
            f"networks (95 % are expected to be). What is usual here is {state}.{said}"
        )
    return found


def held(run: Run, others: int, networks: int = NETWORKS, *, jobs: int = 1) -> pd.DataFrame:
    """Return which share of `others` further networks the reference range of a setting holds.

    Columns: layer, measure, inside, n. A range of constants (no dead unit in any network) is left out.
    Nothing is trained, so the size of the first update is left out as well. All are measured on
    `FEW_EXAMPLES`: how well a range holds does not depend on how many there are.
    """
    drawn = networks + others
    found = reference(run, drawn, measures=AT_START, examples=FEW_EXAMPLES, jobs=jobs)
    first = found.drawn["seed"] < FIRST_SEED + networks
    ranges = replace(found, drawn=found.drawn[first]).table().query("low < high")
    fresh = found.drawn[~first]
    inside = [
        fresh.loc[fresh["layer"] == row.layer, row.measure].between(row.low, row.high).sum()
        for row in ranges.itertuples()
    ]
    return ranges[["layer", "measure"]].assign(inside=inside, n=others)
