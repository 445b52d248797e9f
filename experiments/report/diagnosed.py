"""The diagnosis as a part of a report and as a line for each setting at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from experiments.analysis.ratios import fields_before
from experiments.report.answer import setting_name
from experiments.report.page import Finding
from experiments.storage.drawn import Gallery
from experiments.sweeps.forecast import MOST_DIAGNOSED

if TYPE_CHECKING:
    import pandas as pd

    from experiments.storage.records import Records

DIAGNOSIS = "diagnosis.csv"
MOST_YARDSTICKS = 3  # pairs of data and loss, each of which takes one shallow network to judge by
HOW = "python scripts/diagnose.py"


def diagnosis(records: Records, gallery: Gallery, name: str) -> tuple[pd.DataFrame | None, str]:
    """Return the table of diagnosis.csv, or None and the reason why there is none.

    It is made again only if the records have changed, and with `--confirm` of scripts/diagnose.py it has the
    cures that were tried. What would take long is left to that script.
    """
    import pandas as pd

    if files := gallery.files(DIAGNOSIS):
        return pd.read_csv(files[0], keep_default_na=False, na_values={"cure_gain": [""]}), ""

    from experiments.datasets import DataError
    from experiments.diagnosis import diagnose

    runs = records.runs[records.runs["status"] != "crashed"]
    layers = int((runs["depth"] + 1).sum())
    yardsticks = len(runs[["dataset", "loss", "batch"]].drop_duplicates())
    if not len(runs):  # checks have none
        return None, "There is no diagnosis: every run crashed." if len(records.runs) else ""
    if layers > MOST_DIAGNOSED or yardsticks > MOST_YARDSTICKS:
        return None, f"So many networks take a while: {HOW} {name} looks at each."
    try:
        table = diagnose(records)
    except (ValueError, DataError) as error:
        return None, f"There is no diagnosis: {error}."
    gallery.keep(DIAGNOSIS, {DIAGNOSIS: table.to_csv(index=False).encode()})
    return table, ""


def findings(table: pd.DataFrame) -> list[Finding]:
    """The sentences of each setting, the cause first."""
    return [
        Finding(name, rows[0]["mechanism"] == "healthy", [row["sentence"] for row in rows])
        for name, rows in _by_setting(table)
    ]


def lines(table: pd.DataFrame) -> list[str]:
    """A line for each setting: ``sigmoid, depth 20: vanishing gradient, layers 1 to 17 (6 of 6 seeds)``."""
    return [f"{name}: {_briefly(rows[0])}" for name, rows in _by_setting(table)]


def _briefly(row: Mapping[str, Any]) -> str:
    first, last = (_whole(row[name]) for name in ("layer_first", "layer_last"))
    where = "" if not first else f", layer {first}" if first == last else f", layers {first} to {last}"
    cure = f"; try {row['cure']}" if row["cure"] else ""
    mechanism = row["mechanism"].replace("_", " ")
    return f"{mechanism}{where} ({row['seeds_with']} of {row['seeds']} seeds){cure}"


def _whole(value: Any) -> int:
    """A layer's number; 0 where a finding is of none."""
    return int(float(value)) if value not in (None, "") and value == value else 0


def _by_setting(table: pd.DataFrame) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    keys = fields_before(table, "rank")
    rows: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        if row["rank"] == 1 and rows:
            yield setting_name(rows[0], keys), rows
            rows = []
        rows.append(row)
    if rows:
        yield setting_name(rows[0], keys), rows
