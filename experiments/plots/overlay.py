"""What theory expects, over what was measured: at the initialisation, where it applies, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.analysis.ratios import varying
from experiments.analysis.wording import count
from experiments.plots.views import Column, View, name_of
from experiments.theory.of_records import START, predictions

if TYPE_CHECKING:
    import pandas as pd

    from experiments.theory import Prediction

BAND = 1.0  # sds of one network; its 95 % would hide the measured range
MOST_NAMED = 3  # settings, or reasons, that a caption lists
LIMITED = {"delta_norm": "‖delta‖", "dw_norm": "‖dw‖"}  # norms that may lack a line, as titles begin


def expected(view: View, rows: pd.DataFrame, probe: str) -> pd.DataFrame | None:
    """The prediction of `probe` for the runs and layers in `rows`, as `Column.predicted`.

    None for rows of any other step than 0 and where nothing is predicted. A line is made once a panel: what
    differs after the start only (lr, optimiser) has one prediction.
    """
    import pandas as pd

    if not len(rows) or (rows["step"] != 0).any():
        return None
    found = predictions(view.records)
    runs = view.records.runs
    runs = runs[runs["run_id"].isin(rows["run_id"])]
    runs = runs.assign(_line=[id(found[name]) for name in runs["run_id"]])
    frames = []
    for run in runs.drop_duplicates([*view.facet, "_line"]).to_dict("records"):
        prediction = found[run["run_id"]]
        if prediction.applies:
            layers = rows.loc[rows["run_id"] == run["run_id"], "layer"]
            frame = prediction.frame(probe, BAND)
            frame = frame[frame["layer"].isin(layers)]
            if frame["median"].notna().any():
                frames.append(frame.assign(**{key: run[key] for key in view.keys}))
    return pd.concat(frames, ignore_index=True) if frames else None


def said(view: View, columns: Sequence[Column]) -> View:
    """The view with remarks on the theory that is drawn in these columns, and on that which is not."""
    trained = bool((view.records.runs["steps"] > 0).any())
    drawn = any(column.predicted is not None for column in columns)
    remarks = ["Theory: at the start only, its band hatched."] if drawn and trained else []
    shown = [norm for norm, name in LIMITED.items() if any(c.title.startswith(name) for c in columns)]
    return replace(view, remarks=(*view.remarks, *remarks, *_reasons(view, shown)))


def _reasons(view: View, shown: Sequence[str]) -> list[str]:
    """One sentence for each reason why some settings have no prediction, or norms no line or no band."""
    runs = view.records.runs
    found = predictions(view.records)
    told = [name for name in START if name in varying(runs)] or ["activation"]
    without: dict[tuple[str, str], dict[str, None]] = {}
    for run in runs.sort_values(told).to_dict("records"):  # not in the order in which they were finished
        name = name_of(told, [run[field] for field in told])
        for missing in _missing(found[run["run_id"]], shown):
            without.setdefault(missing, {})[name] = None
    listed = [f"{what} for {_listed(list(names))}: {why}." for (what, why), names in without.items()]
    more = len(listed) - MOST_NAMED
    told = f"Theory says less of further settings too, for {count(more, 'other reason')}."
    left_out = [told] if more > 0 else []
    return listed[:MOST_NAMED] + left_out


def _missing(prediction: Prediction, shown: Sequence[str]) -> list[tuple[str, str]]:
    """Of which of the shown norms theory says less of a setting, and what and why."""
    if prediction.reason:
        return [("No theory", prediction.reason)]
    limits = prediction.limits
    return [(f"Theory of {LIMITED[norm]}", text) for norm in shown for text in limits.get(norm, ())]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
