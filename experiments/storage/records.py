"""The tidy frames that hold every result, and the meaning of each of their columns.

`COLUMNS` is the only list of columns: it determines the types, the files and the tables of
`results/README.md` (``python -m experiments.storage.records`` renews them). The settings of a run are the
fields of `Run`, under their names. The frame `layers` has one further float column per probe and `units` one
per unit probe, named by the probe's call-text and explained by its docstring; `bins` has one per
distribution. `units`, `bins` and `plane` are empty unless a config asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.config.markdown import markdown_table
from experiments.config.vocabulary import Run, keys_of
from mlp.registry import doc_of

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("ok", "diverged", "crashed")
PROBE_DTYPE = "float64"
EXPERIMENT = "experiment"  # a further column of `runs`, in records of several experiments
# The frames with a column per probe (or distribution), and the attribute that lists those columns.
PROBED = {"layers": "probes", "units": "unit_probes", "bins": "distributions", "plane": "plane_columns"}
VARIABLE = {"steps": "scores", **PROBED}  # these, and the frame whose further columns are those of SCORES


class RecordsError(ValueError):
    """A frame does not match `COLUMNS`; the message names the frame and the column."""


class Column(NamedTuple):
    """The type, unit and meaning of a column; the unit is empty for a column that is not a quantity."""

    dtype: str
    unit: str
    meaning: str


_RUN_ID = Column("str", "", "the run's name: a hash of everything that changes its numbers")
_STEP = Column("int64", "updates", "updates made so far; 0 is the initialisation")

_LAYER = Column("int64", "", "counted from the input: 1 to depth hidden, depth + 1 the output")

_DTYPES = {"str": "str", "int": "int64", "float": "float64", "float | None": "float64"}
_UNITS = {"depth": "layers", "width": "units", "batch": "examples", "steps": "updates"}
_SETTINGS = {
    name: Column(_DTYPES[str(field.type)], _UNITS.get(name, ""), field.metadata["meaning"])
    for name, field in keys_of(Run).items()
}

COLUMNS: dict[str, dict[str, Column]] = {
    "runs": {
        "run_id": _RUN_ID,
        **_SETTINGS,
        "status": Column("str", "", "ok, diverged (measured up to diverged_at) or crashed (not measured)"),
        "diverged_at": Column("Int64", "updates", "first step with a loss that is not finite, if any"),
        "seconds": Column("float64", "s", "wall time of the run's stack, divided by its runs"),
        "error": Column("str", "", "a crashed run's traceback; else the empty text"),
    },
    "steps": {
        "run_id": _RUN_ID,
        "step": _STEP,
        "loss": Column("float64", "nats", "mean over the probe set (`trace: batch`: over the batch)"),
        "accuracy": Column("float64", "fraction", "right answers on the same examples; NaN of a regression"),
        "test_loss": Column("float64", "nats", "mean over the test set (`trace: batch`: at the ends only)"),
        "test_accuracy": Column("float64", "fraction", "right answers on the same examples"),
        "lr": Column(
            "float64", "", "rate of the update that follows, after the schedule; NaN after the last"
        ),
    },
    "layers": {
        "run_id": _RUN_ID,
        "step": _STEP,
        "layer": _LAYER,
    },
    "units": {
        "run_id": _RUN_ID,
        "step": _STEP,
        "layer": _LAYER,
        "unit": Column("int64", "", "the unit's column in its layer's weights, from 0"),
    },
    "bins": {
        "run_id": _RUN_ID,
        "step": _STEP,
        "layer": _LAYER,
        "bin": Column("float64", "", "log10 of its lower edge, half a decade wide; −inf: exactly 0"),
        "subnormal": Column("int64", "", "1: below the smallest normal number of the dtype, not 0; else 0"),
    },
    "plane": {
        "run_id": _RUN_ID,
        "step": _STEP,
        "point": Column("int64", "", "row by row from the least x2, in a row from the least x1; from 0"),
    },
}
PLANE = {  # what is measured at each point
    "x1": Column(PROBE_DTYPE, "", "the first feature, as the network is given it"),
    "x2": Column(PROBE_DTYPE, "", "the second feature"),
    "answer": Column(PROBE_DTYPE, "", "the class with the largest logit; NaN of logits that are not finite"),
    "probability": Column(PROBE_DTYPE, "fraction", "the softmax of that logit"),
}
# Further columns of `steps`, of runs whose target is a number; they have no accuracy.
SCORES = {
    "r2": Column("float64", "", "1 − loss over the target's variance on these examples (of a batch: on all)"),
    "rmse": Column("float64", "", "root mean square error on the same examples, in the target's own unit"),
    "test_r2": Column("float64", "", "1 − test_loss over the target's variance on the test set"),
    "test_rmse": Column("float64", "", "root mean square error on the test set, in the target's own unit"),
}
KEYS = {"runs": ("run_id",), "steps": ("run_id", "step"), "layers": ("run_id", "step", "layer")}
KEYS["units"] = (*KEYS["layers"], "unit")
KEYS["bins"] = (*KEYS["layers"], "bin", "subnormal")
KEYS["plane"] = (*KEYS["steps"], "point")


@dataclass(frozen=True, eq=False)
class Records:
    """The frames: a row per run, per step of it, per layer of a step and, optionally, unit, bin or point."""

    runs: pd.DataFrame
    steps: pd.DataFrame
    layers: pd.DataFrame
    units: pd.DataFrame = None  # type: ignore[assignment]  # left out: no rows
    bins: pd.DataFrame = None  # type: ignore[assignment]  # likewise
    plane: pd.DataFrame = None  # type: ignore[assignment]  # likewise

    def __post_init__(self) -> None:
        for name in ("units", "bins", "plane"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, typed(name, {}))

    @classmethod
    def build(cls, **frames: Mapping[str, Any]) -> Records:
        """Build records from a mapping of columns per frame; cast each column to its type and check all.

        A frame that is left out is empty. Errors: RecordsError for a missing, unknown or unsuitable column.
        """
        return cls(**{name: typed(name, frames.get(name, {})) for name in COLUMNS}).check()

    @classmethod
    def crashed(cls, runs: Sequence[Run], ids: Sequence[str], error: str) -> Records:
        """Return the records of runs that crashed: their settings and the traceback, without measurements."""
        columns: dict[str, Any] = {name: [getattr(run, name) for run in runs] for name in _SETTINGS}
        count = len(ids)
        columns |= {"run_id": list(ids), "status": ["crashed"] * count, "error": [error] * count}
        columns |= {"diverged_at": [None] * count, "seconds": [np.nan] * count}
        return cls.build(runs=columns)

    @classmethod
    def concat(cls, records: Iterable[Records]) -> Records:
        """Join records in the given order; a probe that only some have measured is NaN for the others."""
        import pandas as pd

        parts = list(records)
        if not parts:
            return cls.build()
        joined = {}
        for name in COLUMNS:
            frames = [getattr(part, name) for part in parts]
            filled = [frame for frame in frames if len(frame)]  # an empty frame could change the types
            joined[name] = pd.concat(filled or frames[:1], ignore_index=True)
        return cls(**joined).check()

    @property
    def probes(self) -> tuple[str, ...]:
        """The measured columns of `layers`."""
        return tuple(self.layers.columns[len(KEYS["layers"]) :])

    @property
    def scores(self) -> tuple[str, ...]:
        """The further columns of `steps`: those of SCORES where some run's target is a number."""
        return tuple(self.steps.columns[len(COLUMNS["steps"]) :])

    @property
    def unit_probes(self) -> tuple[str, ...]:
        """The measured columns of `units`."""
        return tuple(self.units.columns[len(KEYS["units"]) :])

    @property
    def distributions(self) -> tuple[str, ...]:
        """The columns of `bins` that hold shares."""
        return tuple(self.bins.columns[len(KEYS["bins"]) :])

    @property
    def plane_columns(self) -> tuple[str, ...]:
        """What was measured at the points of a plane: the names of PLANE, or nothing."""
        return tuple(self.plane.columns[len(KEYS["plane"]) :])

    def of(self, ids: Iterable[str]) -> Records:
        """Return the rows of these runs in the order of `ids`, then by step and layer; skip unknown ids."""
        import pandas as pd

        order = pd.Index(dict.fromkeys(ids), dtype="str")
        return Records(**{name: _ordered(getattr(self, name), order, KEYS[name]) for name in COLUMNS})

    def check(self) -> Records:
        """Check columns, types, keys and statuses, and return the records; errors: RecordsError."""
        for name, keys in KEYS.items():
            frame = getattr(self, name)
            _check_types(name, frame)
            twice = frame.duplicated(list(keys)).to_numpy() if len(frame) else np.zeros(0, bool)
            if twice.any():
                row = frame.iloc[int(twice.argmax())]
                raise RecordsError(f"{name}: {', '.join(f'{key} {row[key]}' for key in keys)} is there twice")
        strange = set(self.runs["status"]) - set(STATUSES)
        if strange:
            raise RecordsError(f"runs.status: {sorted(strange)[0]!r} is none of {', '.join(STATUSES)}")
        for name in ("steps", *PROBED):
            rows = getattr(self, name)
            strays = set(rows["run_id"].unique()) - set(self.runs["run_id"]) if len(rows) else set()
            if strays:
                raise RecordsError(f"{name}: run {min(strays)!r} is not in runs")
        return self


def dtypes(name: str, columns: Iterable[str]) -> dict[str, str]:
    """Return the type of every column of frame `name`; a column that is not in `COLUMNS` is a probe."""
    return {c: COLUMNS[name][c].dtype if c in COLUMNS[name] else PROBE_DTYPE for c in columns}


@cache
def _empty(name: str) -> pd.DataFrame:
    """Return the frame without rows, which most records have three of; whoever hands it out copies it."""
    return typed(name, dict.fromkeys(COLUMNS[name], ()))


def typed(name: str, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Build one frame from its columns, in the documented order and types; without columns it is empty.

    Errors: RecordsError for a missing, unknown or unsuitable column.
    """
    import pandas as pd

    known = COLUMNS[name]
    if not len(columns):
        return _empty(name).copy()
    missing = [c for c in known if c not in columns]
    if missing:
        raise RecordsError(f"{name}: no column {missing[0]!r}")
    probes = [c for c in columns if c not in known]
    if probes and not _may_have(name, probes):
        raise RecordsError(f"{name}: unknown column {probes[0]!r}")
    cast: dict[str, Any] = {}
    for column, dtype in dtypes(name, [*known, *probes]).items():
        given = columns[column]
        if isinstance(given, np.ndarray) and (given.dtype.name, given.ndim) == (dtype, 1):
            cast[column] = given  # a Series of it takes six times as long
            continue
        try:
            values = pd.Series(given, dtype=_pandas(dtype))
        except (ValueError, TypeError) as error:
            raise RecordsError(f"{name}.{column}: not {dtype}: {error}") from None
        # a list has no labels by which pandas would have to align it with the other columns
        cast[column] = values if isinstance(given, pd.Series) else values.array
    try:
        return pd.DataFrame(cast).reset_index(drop=True)
    except ValueError as error:
        raise RecordsError(f"{name}: {error}") from None


def run_of(row: Mapping[str, Any] | pd.Series) -> Run:
    """Return the Run that a row of `runs` describes."""
    return Run(**{name: _plain(row[name]) for name in keys_of(Run)})


def _plain(value: Any) -> Any:
    """Return a cell of `runs` as the field's value: pandas has NaN for None, and NumPy's numbers."""
    if isinstance(value, float) and np.isnan(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def with_defaults(runs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fill in the default of each field that was added to Run after these `runs` were stored."""
    plain = asdict(Run())
    return {c: v if plain.get(c) is None else v.fillna(plain[c]) for c, v in runs.items()}


def _may_have(name: str, further: Sequence[str]) -> bool:
    """Return whether a frame may have these further columns."""
    return name in PROBED or not set(further) - set(SCORES if name == "steps" else ())


def _ordered(frame: pd.DataFrame, order: pd.Index, keys: tuple[str, ...]) -> pd.DataFrame:
    if not len(frame):
        return frame.copy()
    place = order.get_indexer(frame["run_id"])
    within = [frame[key].to_numpy() for key in reversed(keys[1:])]
    rows = np.lexsort(
        [*within, place]
    )  # the last key sorts first; an unknown run has place -1 and comes first
    rows = rows[np.count_nonzero(place < 0) :]
    if np.array_equal(rows, np.arange(len(frame))):  # already in order, so that no copy is needed
        return frame.reset_index(drop=True)
    return frame.iloc[rows].reset_index(drop=True)


def _check_types(name: str, frame: pd.DataFrame) -> None:
    columns = [c for c in frame.columns if (name, c) != ("runs", EXPERIMENT)]
    known = list(COLUMNS[name])
    if columns[: len(known)] != known or not _may_have(name, columns[len(known) :]):
        raise RecordsError(f"{name}: columns are {columns}; they should be {known}")
    found = dict(zip(frame.columns, frame.dtypes, strict=True))
    for column, dtype in dtypes(name, columns).items():
        if found[column] != _pandas(dtype):
            raise RecordsError(f"{name}.{column}: is {found[column]}; it should be {dtype}")


@cache
def _pandas(dtype: str) -> Any:
    """Return the installed pandas' form of a type: that of text differs between versions of pandas."""
    import pandas as pd

    return pd.Series(dtype=dtype).dtype


# Tables of results/README.md ------------------------------------------------------------------------------

MARKED = re.compile(r"(?<=<!-- columns -->).*(?=<!-- end -->)", re.DOTALL)


def document(probes: Iterable[str] | None = None) -> str:
    """Return Markdown tables of all columns with type, unit and meaning; `probes` defaults to all."""
    from mlp.probes import PROBES, UNIT_PROBES
    from mlp.probes.distributions import DISTRIBUTIONS

    rows = {name: dict(columns) for name, columns in COLUMNS.items()}
    rows["steps"] |= SCORES
    for probe in PROBES if probes is None else probes:
        rows["layers"][probe] = probe_column(probe)
    for probe in UNIT_PROBES:
        rows["units"][probe] = probe_column(probe)
    for name, quantity in DISTRIBUTIONS.items():
        rows["bins"][name] = Column(PROBE_DTYPE, "fraction", f"share in the bin of {_first_line(quantity)}")
    rows["plane"] |= PLANE
    return "\n\n".join(f"### `{name}`\n\n{_table(columns)}" for name, columns in rows.items())


def main() -> None:
    """Write the tables of results/README.md."""
    readme = Path(__file__).parents[2] / "results" / "README.md"
    text = MARKED.sub(lambda _: f"\n\n{document()}\n\n", readme.read_text(encoding="utf-8"))
    readme.write_text(text, encoding="utf-8")


def probe_column(probe: str) -> Column:
    """Return the description of a probe's column; its meaning is the first line of the docstring."""
    from mlp.probes import PROBES, UNIT_PROBES

    table = UNIT_PROBES if probe.split("(")[0] in UNIT_PROBES else PROBES
    meaning = _first_line(table.bind(probe).func)
    return Column(PROBE_DTYPE, "fraction" if "fraction" in probe else "", meaning)


def _first_line(function: Any) -> str:
    return doc_of(function).strip().partition("\n")[0].rstrip(".")


def _table(columns: Mapping[str, Column]) -> str:
    rows = [(f"`{name}`", c.dtype, c.unit, c.meaning) for name, c in columns.items()]
    return markdown_table(("column", "type", "unit", "meaning"), rows)


if __name__ == "__main__":
    main()
