"""The tidy frames every result is made of, and what each of their columns means.

`COLUMNS` is the only list of columns: types are enforced from it, files are written by it and the tables of
`results/README.md` are printed from it (``python -m experiments.storage.records`` renews them). The settings
of a run are the fields of `Run`, under their names. The frame `layers` has one further float column a probe
and `units` one a unit probe, named by the probe's call-text and explained by its docstring; `bins` has one a
distribution. `units` and `bins` are empty unless a config asks for them.
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

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("ok", "diverged", "crashed")
PROBE_DTYPE = "float64"
# The frames that have a column for each probe (or distribution), and where they say of which.
PROBED = {"layers": "probes", "units": "unit_probes", "bins": "distributions"}


class RecordsError(ValueError):
    """Frames that are not what `COLUMNS` says; the message names the frame and the column."""


class Column(NamedTuple):
    """What a column holds; the unit is empty where there is nothing to measure."""

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
        "accuracy": Column("float64", "fraction", "right answers on the same examples"),
        "test_loss": Column("float64", "nats", "mean over the test set (`trace: batch`: at the ends only)"),
        "test_accuracy": Column("float64", "fraction", "right answers on the same examples"),
        "lr": Column("float64", "", "learning rate of the update that follows, after the schedule"),
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
}
KEYS = {"runs": ("run_id",), "steps": ("run_id", "step"), "layers": ("run_id", "step", "layer")}
KEYS["units"] = (*KEYS["layers"], "unit")
KEYS["bins"] = (*KEYS["layers"], "bin", "subnormal")


@dataclass(frozen=True, eq=False)
class Records:
    """The frames: one row a run, a run's step, a step's layer and, where asked for, a layer's unit or bin."""

    runs: pd.DataFrame
    steps: pd.DataFrame
    layers: pd.DataFrame
    units: pd.DataFrame = None  # type: ignore[assignment]  # left out: no rows
    bins: pd.DataFrame = None  # type: ignore[assignment]  # likewise

    def __post_init__(self) -> None:
        for name in ("units", "bins"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, typed(name, {}))

    @classmethod
    def build(cls, **frames: Mapping[str, Any]) -> Records:
        """Records from columns by name (arrays, lists, frames), each cast to its type; checked.

        A frame left out is empty. Errors: RecordsError for a missing, unknown or unfit column.
        """
        return cls(**{name: typed(name, frames.get(name, {})) for name in COLUMNS}).check()

    @classmethod
    def crashed(cls, runs: Sequence[Run], ids: Sequence[str], error: str) -> Records:
        """The record of runs that could not be run: their settings and the traceback, nothing measured."""
        columns: dict[str, Any] = {name: [getattr(run, name) for run in runs] for name in _SETTINGS}
        count = len(ids)
        columns |= {"run_id": list(ids), "status": ["crashed"] * count, "error": [error] * count}
        columns |= {"diverged_at": [None] * count, "seconds": [np.nan] * count}
        return cls.build(runs=columns)

    @classmethod
    def concat(cls, records: Iterable[Records]) -> Records:
        """All rows in the order given; a probe that only some have measured is NaN for the others."""
        import pandas as pd

        parts = list(records)
        if not parts:
            return cls.build()
        joined = {}
        for name in COLUMNS:
            frames = [getattr(part, name) for part in parts]
            filled = [frame for frame in frames if len(frame)]  # pandas lets empty ones sway the types
            joined[name] = pd.concat(filled or frames[:1], ignore_index=True)
        return cls(**joined).check()

    @property
    def probes(self) -> tuple[str, ...]:
        """The measured columns of `layers`."""
        return tuple(self.layers.columns[len(KEYS["layers"]) :])

    @property
    def unit_probes(self) -> tuple[str, ...]:
        """The measured columns of `units`."""
        return tuple(self.units.columns[len(KEYS["units"]) :])

    @property
    def distributions(self) -> tuple[str, ...]:
        """The columns of `bins` that hold shares."""
        return tuple(self.bins.columns[len(KEYS["bins"]) :])

    def of(self, ids: Iterable[str]) -> Records:
        """The rows of these runs, in the order of `ids`, then by step and layer; unknown ids have none."""
        import pandas as pd

        order = pd.Index(dict.fromkeys(ids), dtype="str")
        return Records(**{name: _ordered(getattr(self, name), order, KEYS[name]) for name in COLUMNS})

    def check(self) -> Records:
        """Itself, if columns, types, keys and states are what they should be; else RecordsError."""
        for name, keys in KEYS.items():
            frame = getattr(self, name)
            _check_types(name, frame)
            twice = frame.duplicated(list(keys)).to_numpy()
            if twice.any():
                row = frame.iloc[int(twice.argmax())]
                raise RecordsError(f"{name}: {', '.join(f'{key} {row[key]}' for key in keys)} is there twice")
        strange = set(self.runs["status"]) - set(STATUSES)
        if strange:
            raise RecordsError(f"runs.status: {sorted(strange)[0]!r} is none of {', '.join(STATUSES)}")
        for name in ("steps", *PROBED):
            strays = set(getattr(self, name)["run_id"].unique()) - set(self.runs["run_id"])
            if strays:
                raise RecordsError(f"{name}: run {min(strays)!r} is not in runs")
        return self


def dtypes(name: str, columns: Iterable[str]) -> dict[str, str]:
    """The type of every column of frame `name`; what is not in `COLUMNS` is a probe."""
    return {c: COLUMNS[name][c].dtype if c in COLUMNS[name] else PROBE_DTYPE for c in columns}


def typed(name: str, columns: Mapping[str, Any]) -> pd.DataFrame:
    """One frame from its columns, in the documented order and types; an empty mapping is an empty frame."""
    import pandas as pd

    known = COLUMNS[name]
    if not len(columns):
        columns = dict.fromkeys(known, ())
    missing = [c for c in known if c not in columns]
    if missing:
        raise RecordsError(f"{name}: no column {missing[0]!r}")
    probes = [c for c in columns if c not in known]
    if probes and name not in PROBED:
        raise RecordsError(f"{name}: unknown column {probes[0]!r}")
    cast = {}
    for column, dtype in dtypes(name, [*known, *probes]).items():
        try:
            cast[column] = pd.Series(columns[column], dtype=_pandas(dtype))
        except (ValueError, TypeError) as error:
            raise RecordsError(f"{name}.{column}: not {dtype}: {error}") from None
    return pd.DataFrame(cast).reset_index(drop=True)


def with_defaults(runs: Mapping[str, Any]) -> Mapping[str, Any]:
    """`runs` as stored before a field was added to Run: the field's default, as the run's name says too."""
    plain = asdict(Run())
    return {c: v if plain.get(c) is None else v.fillna(plain[c]) for c, v in runs.items()}


def _ordered(frame: pd.DataFrame, order: pd.Index, keys: tuple[str, ...]) -> pd.DataFrame:
    place = order.get_indexer(frame["run_id"])
    within = [frame[key].to_numpy() for key in reversed(keys[1:])]
    rows = np.lexsort([*within, place])  # the last key counts first; -1, an unknown run, comes before all
    rows = rows[np.count_nonzero(place < 0) :]
    if np.array_equal(rows, np.arange(len(frame))):  # in order already: nothing to copy
        return frame.reset_index(drop=True)
    return frame.iloc[rows].reset_index(drop=True)


def _check_types(name: str, frame: pd.DataFrame) -> None:
    columns = list(frame.columns)
    known = list(COLUMNS[name])
    if columns[: len(known)] != known or (name not in PROBED and len(columns) > len(known)):
        raise RecordsError(f"{name}: columns are {columns}; they should be {known}")
    for (column, dtype), found in zip(dtypes(name, columns).items(), frame.dtypes, strict=True):
        if found != _pandas(dtype):
            raise RecordsError(f"{name}.{column}: is {found}; it should be {dtype}")


@cache
def _pandas(dtype: str) -> Any:
    """The type as the installed pandas has it: a text's differs between its versions."""
    import pandas as pd

    return pd.Series(dtype=dtype).dtype


# Tables of results/README.md ------------------------------------------------------------------------------

MARKED = re.compile(r"(?<=<!-- columns -->).*(?=<!-- end -->)", re.DOTALL)


def document(probes: Iterable[str] | None = None) -> str:
    """Every column with its type, unit and meaning, as Markdown tables; `probes` defaults to all."""
    from mlp.probes import PROBES, UNIT_PROBES
    from mlp.probes.distributions import DISTRIBUTIONS

    rows = {name: dict(columns) for name, columns in COLUMNS.items()}
    for probe in PROBES if probes is None else probes:
        rows["layers"][probe] = probe_column(probe)
    for probe in UNIT_PROBES:
        rows["units"][probe] = probe_column(probe)
    for name, quantity in DISTRIBUTIONS.items():
        rows["bins"][name] = Column(PROBE_DTYPE, "fraction", f"share in the bin of {_first_line(quantity)}")
    return "\n\n".join(f"### `{name}`\n\n{_table(columns)}" for name, columns in rows.items())


def main() -> None:
    """Write the tables of results/README.md."""
    readme = Path(__file__).parents[2] / "results" / "README.md"
    text = MARKED.sub(lambda _: f"\n\n{document()}\n\n", readme.read_text(encoding="utf-8"))
    readme.write_text(text, encoding="utf-8")


def probe_column(probe: str) -> Column:
    """What a probe's column holds, as the first line of its docstring says."""
    from mlp.probes import PROBES, UNIT_PROBES

    table = UNIT_PROBES if probe.split("(")[0] in UNIT_PROBES else PROBES
    meaning = _first_line(table.bind(probe).func)
    return Column(PROBE_DTYPE, "fraction" if "fraction" in probe else "", meaning)


def _first_line(function: Any) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _table(columns: Mapping[str, Column]) -> str:
    rows = [(f"`{name}`", c.dtype, c.unit, c.meaning) for name, c in columns.items()]
    return markdown_table(("column", "type", "unit", "meaning"), rows)


if __name__ == "__main__":
    main()
