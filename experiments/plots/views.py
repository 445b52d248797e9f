"""Which runs a figure shows, and as which curves and panels.

Nothing is ever averaged but seeds. A field that varies is the colour (`hue`), or the axis, or its values get
panels of their own, whether or not the figure was told of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from experiments.analysis.ratios import at_end, at_start, fields, goes_with, join, median_range, varying
from experiments.config.run_filter import Where, listed, no_such_run, told_twice, wanted
from experiments.config.vocabulary import Run, keys_of
from experiments.plots import style, value_names
from experiments.storage.records import Records
from mlp.registry import RegistryError, call_text

if TYPE_CHECKING:
    import pandas as pd

Field = Annotated[Literal[tuple(keys_of(Run))], "a field of a run"]
Fields = Annotated[Field | list[Field] | None, "a field of a run, a list of such fields, or null"]
Scale = Literal["log", "log10", "linear", "share"]

LARGEST_POWER = 307  # of ten, that a normal float64 and its inverse reach

# Fields whose texts say by themselves what they are; others are named, as in norm=batch.
BARE = ("activation", "init", "schedule", "optimiser", "dataset", "loss", "dtype")

# Choosing and arranging -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """The runs that a figure shows, the fields that colour its lines and those that split its panels."""

    records: Records
    hue: tuple[str, ...]
    facet: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """The fields that tell one curve from another."""
        return [*self.facet, *self.hue]

    def short(self, field: str) -> dict[Any, str]:
        """How the values of a field are named in this figure."""
        if field not in self._short:  # every line of every panel asks
            self._short[field] = value_names.short(self.records.runs[field].unique(), field)
        return self._short[field]

    @cached_property
    def _short(self) -> dict[str, dict[Any, str]]:
        return {}

    def shortened(self, sentence: str) -> str:
        """A sentence with the names of this figure in place of the texts that its lines stand for."""
        names = {text: name for field in self._named() for text, name in self.short(field).items()}
        for text in sorted(names, key=len, reverse=True):
            sentence = sentence.replace(text, names[text]) if "(" in text else sentence
        return sentence

    def left_out_of_names(self) -> list[str]:
        """Say which options all texts of a name have in this figure, as the names of its lines do not."""
        common = [value_names.shared(self.records.runs[field].unique()) for field in self._named()]
        return [
            f"In every {name}: {call_text('', options)[1:-1]}."
            for each in common
            for name, options in each.items()
        ]

    def _named(self) -> list[str]:
        """The fields that colour the lines and whose texts stand for themselves."""
        return [field for field in self.hue if field in BARE and field in self.records.runs]

    def medians(self, frame: pd.DataFrame, value: str, *x: str) -> pd.DataFrame:
        """Median and range over seeds of a column of steps or layers, for each curve and each place `x`."""
        require(frame, value)
        measured = [name for name in x if name in {"step", "layer"}]
        rows = frame[["run_id", *measured, value]].rename(columns={value: "value"})
        by = list(dict.fromkeys([*self.keys, *x]))
        settings = [name for name in dict.fromkeys([*by, "seed"]) if name not in measured]
        return median_range(join(rows, self.records.runs, settings), "value", by)

    def foremost(self, keys: Sequence[tuple[Any, ...]], column: Column, most: int) -> list[tuple[Any, ...]]:
        """The settings, of those in `keys`, that show most of a quantity, the foremost first.

        Of a number, such as the depth, the largest value and the middle one. Of anything else those in which
        the lines lie farthest apart.
        """
        if len(self.facet) == 1 and all(not isinstance(key[0], str) for key in keys):
            return [keys[i] for i in dict.fromkeys((len(keys) - 1, (len(keys) - 1) // 2))][:most]
        apart = {key: column.only(self.facet, key).spread() for key in keys}
        return sorted(keys, key=lambda key: (-apart[key], keys.index(key)))[:most]


def require(frame: pd.DataFrame, column: str) -> None:
    """ValueError if the records lack a column that a figure shows."""
    if column not in frame:
        held = ", ".join(name for name in frame.columns if name not in {"run_id", "step", "layer"})
        raise ValueError(f"a figure needs {column}, which was not recorded; the records hold {held}")


@dataclass(frozen=True)
class Column:
    """One quantity: medians over seeds along an axis (lines), or over steps and layers (maps).

    `curves` has the view's keys, what `x` names (for maps: step and layer), median, low, high and n; on the
    scale log10 they and all else are log10 of what the axis is to say. Lines of equal `label` share their y
    axis within a row of panels. `guide` is a level to compare with, `guides` are several, for which
    a linear axis makes room. `predicted`, if given, has the same columns (n may lack) and is drawn dashed
    over a hatched band: the place for theory, or for what `reference` calls it in the legend. `says` names
    guides; `least` is the height that a linear axis has at least; `x_label` stands in place of the axis' own.
    `x` may be a column `dead`, a share, or `at`, sizes on a logarithmic axis; both need an `x_label`.
    """

    title: str
    curves: pd.DataFrame
    label: str
    x: Literal["layer", "step", "depth", "batch", "lr", "dead", "at"] = "layer"
    scale: Scale = "log"
    guide: float | None = None
    predicted: pd.DataFrame | None = None
    guides: tuple[float, ...] = ()
    reference: str = "theory, at initialisation"
    says: dict[float, str] = field(default_factory=dict)
    least: float = 0.0
    x_label: str = ""

    def spread(self) -> float:
        """How far medians lie apart: in decades on a logarithmic axis; an exact zero is as far as any."""
        values = self.curves["median"].to_numpy(float)
        zeros = bool((values == self.zero).any())
        values = values[np.isfinite(values) & (values != self.zero)]
        if self.scale == "log":
            values = np.log10(values[values > 0])
        return float(np.ptp(values)) + 1000.0 * zeros if values.size else 1000.0 * zeros - 1.0

    @property
    def zero(self) -> float | None:
        """The value that has no place on a logarithmic axis; None on any other."""
        return {"log": 0.0, "log10": -np.inf}.get(self.scale)

    def only(self, names: Sequence[str], values: Sequence[Any]) -> Column:
        """The rows in which the fields of these names have these values."""

        predicted = None if self.predicted is None else rows_where(self.predicted, names, values)
        return replace(self, curves=rows_where(self.curves, names, values), predicted=predicted)


def rows_where(frame: pd.DataFrame, names: Sequence[str], values: Sequence[Any]) -> pd.DataFrame:
    """The rows in which the columns of these names have these values."""
    kept = np.ones(len(frame), bool)
    for name, value in zip(names, values, strict=True):
        kept &= (frame[name] == value).to_numpy()
    return frame[kept]


def scaled(frame: pd.DataFrame, signals: dict[str, str]) -> tuple[Scale, dict[str, str]]:
    """On what scale, and from which columns, some norms are drawn; `signals` names them by their columns.

    Their recorded logs, where one of them is smaller (or larger) than any number: as a norm it would be 0.
    """
    logs = {name.removesuffix("norm") + "log10": title for name, title in signals.items()}
    if all(name in frame for name in logs) and out_of_range(frame[list(logs)].to_numpy(float)):
        return "log10", logs
    return "log", signals


def out_of_range(logs: np.ndarray) -> bool:
    """Whether a number of which this is log10 is smaller or larger than any float64, or loses digits."""
    return bool((np.abs(logs[np.isfinite(logs)]) > LARGEST_POWER).any())


def arrange(
    records: Records,
    hue: Fields = None,
    facet: Fields = None,
    where: Where = "",
    *,
    across: Sequence[str] = (),
    default: Sequence[str] = (),
) -> View:
    """Which fields are colours and which are panels.

    `where` keeps some of the runs: ``runs(depth=[10, 50], init=he_normal)``. `across` are fields along an
    axis of the figure and `default` those it would make panels of. Without a `hue` the activation is the
    colour, or what varies in its place. Whatever else varies is added to the facets, unless it goes with
    (has one value for each combination of) those chosen, as zipped keys do: then it is remarked.
    """
    if fault := told_twice(hue, facet, across):
        raise RegistryError(fault)
    records = _select(records, where)
    remarks = [f"Only {where}."] if where else []
    free = [name for name in varying(records.runs) if name not in across]
    wanted = listed(facet) or list(default)
    colours = listed(hue) or _default_hue(free, wanted)
    panels = [name for name in wanted if name not in colours and name in {"seed", *free}]
    for name in free:
        chosen = [*colours, *panels, *across]
        if name in chosen:
            continue
        if goes_with(records.runs, name, chosen):
            leaders = [one for one in chosen if goes_with(records.runs, name, [one])][:1] or chosen
            remarks.append(f"{name} goes with {' and '.join(leaders)}.")
        else:
            panels.append(name)
    return View(records, tuple(colours), tuple(panels), tuple(remarks))


def _default_hue(free: Sequence[str], panels: Sequence[str]) -> list[str]:
    others = [name for name in free if name not in panels]
    return ["activation"] if "activation" in free or not others else others[:1]


def _select(records: Records, where: str) -> Records:
    """The runs that `where` asks for, with what is missing in a field (clip: null) named "none"."""
    runs = records.runs
    for name, values in _wanted(where).items():
        there = [None if value != value else value for value in runs[name].unique()]  # NaN: clip is null
        if lost := [value for value in values if value not in there]:
            raise RegistryError(f"where={where}: {no_such_run(name, lost[0], there)}")
        runs = runs[runs[name].isin(values) | (runs[name].isna() & (None in values))]
    if not len(runs):
        raise RegistryError("there is no run to draw")
    kept = records.of(runs["run_id"]) if where else records
    holes = [name for name in fields(runs) if runs[name].isna().any()]
    named = {name: kept.runs[name].astype(object).where(kept.runs[name].notna(), "none") for name in holes}
    return replace(kept, runs=kept.runs.assign(**named))


def _wanted(where: str) -> dict[str, tuple[Any, ...]]:
    """As `wanted`, but an error names the option."""
    try:
        return wanted(where)
    except RegistryError as error:
        raise RegistryError(f"where={where}: {error}") from None


def as_panels(view: View) -> View:
    """Return the view with a panel for each colour, for figures whose colour is the measurement."""
    return replace(view, hue=(), facet=(*view.hue, *view.facet))


def deepest(view: View, facet: Fields, where: str) -> View:
    """Return the view of the deepest networks alone, with a remark, unless depths were asked for."""
    if "depth" not in view.facet or "depth" in listed(facet) or "depth" in _wanted(where):
        return view
    runs = view.records.runs
    most = runs["depth"].max()
    return replace(
        view,
        records=view.records.of(runs.loc[runs["depth"] == most, "run_id"]),
        facet=tuple(name for name in view.facet if name != "depth"),
        remarks=(*view.remarks, "Only the deepest networks."),
    )


def groups(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The rows of each combination of `keys`, in the order that all figures use."""
    if not keys:
        yield (), frame
        return
    found = {_tuple(key): rows for key, rows in frame.groupby(list(keys), sort=False, observed=True)}
    order = [style.in_order((key[i] for key in found), name) for i, name in enumerate(keys)]
    for key in sorted(found, key=lambda key: [order[i].index(part) for i, part in enumerate(key)]):
        yield key, found[key]


def _tuple(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def settings_of(view: View) -> list[tuple[Any, ...]]:
    """The combinations of facets, in the order of all figures."""
    return [key for key, _ in groups(view.records.runs, view.facet)]


def telling(view: View, names: Sequence[str] = ()) -> list[str]:
    """The fields of the panels, or of `names`, that tell a setting: without those that go with the others."""
    kept = list(names or view.facet)
    for name in list(kept):
        others = [field for field in kept if field != name]
        if others and goes_with(view.records.runs, name, others):
            kept = others
    return kept


def name_of(
    keys: Sequence[str], values: Sequence[Any], bare: Sequence[str] = ("activation", "dataset")
) -> str:
    """``relu, depth=10``: an activation and a data set speak for themselves, other values are named."""
    parts = [
        value_names.show(value) if name in bare else f"{name}={value_names.show(value)}"
        for name, value in zip(keys, values, strict=True)
    ]
    return ", ".join(parts)


def moments(view: View, frame: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """Rows of `layers` (or another frame) at the start and, if anything was trained, at the end, by name."""
    runs, frame = view.records.runs, view.records.layers if frame is None else frame
    found = {"at the start": at_start(frame)}
    if (runs["steps"] > 0).any():
        steps = runs["steps"].unique()
        when = f"after {steps[0]} steps" if len(steps) == 1 else "after the last step"
        found[when] = at_end(frame, runs)
    return found
