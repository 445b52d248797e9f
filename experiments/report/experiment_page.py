"""report.html of one experiment: everything that was found, in one file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.analysis.ratios import fields_before
from experiments.analysis.wording import count, duration, with_range
from experiments.config import Experiment
from experiments.config.yaml_strict import written
from experiments.report.answer import answer
from experiments.report.card import cards
from experiments.report.diagnosed import DIAGNOSIS, diagnosis, findings
from experiments.report.explorer import explorer_data
from experiments.report.page import MOST_BYTES, Page, Table, render, scripts
from experiments.report.pictures import Picture, pictures
from experiments.storage.drawn import Gallery
from experiments.storage.recorded import RECORDED, recorded_facts
from experiments.storage.store import Store
from experiments.sweeps.blas import blas

if TYPE_CHECKING:
    import pandas as pd

    from experiments.claims import Verdict
    from experiments.storage.records import Records

REPORT = "report.html"
OTHER_BYTES = 400_000  # of words and tables
LEAST_FOR_EXPLORER = 300_000
MOST_ROWS = 200  # of the summary; summary.csv has all
HEADINGS = {  # of the summary's quantities
    "delta_ratio_start": "‖delta‖, first over last hidden layer, start",
    "delta_ratio_end": "‖delta‖, first over last hidden layer, end",
    "decay_start": "factor of ‖delta‖ per layer, start",
    "decay_theory": "factor per layer, theory, start",
    "dead": "share of dead units, end",
    "saturated": "share of saturated slopes, end",
    "accuracy": "training accuracy, end",
    "test_accuracy": "test accuracy, end",
    "r2": "training R², end",
    "test_r2": "test R², end",
    "test_rmse": "test root mean square error, end",
}
COUNTS = ("diverged", "crashed", "left_out", "zeros")  # shown where not all are 0


def write_report(
    experiment: Experiment, records: Records, store: Store, gallery: Gallery, summary: pd.DataFrame | None,
    verdicts: Sequence[Verdict], figures: Sequence[str] = (),
) -> tuple[list[Path], pd.DataFrame | None]:  # fmt: skip
    """Write report.html of an experiment (and its diagnosis.csv); return the files and the diagnosis.

    What has not changed is not written again. `figures` are shown besides those of the config.
    Errors: StoreError.
    """
    with blas().limit(limits=1, user_api="blas"):  # more threads are slower on matrices as small as these
        return _write(experiment, records, store, gallery, summary, verdicts, figures)


def _write(
    experiment: Experiment, records: Records, store: Store, gallery: Gallery, summary: pd.DataFrame,
    verdicts: Sequence[Verdict], figures: Sequence[str],
) -> tuple[list[Path], pd.DataFrame | None]:  # fmt: skip
    found, reason = diagnosis(records, gallery, experiment.name)
    beside = gallery.files(DIAGNOSIS) if found is not None else []
    names, facts = [*experiment.figures, *figures], store.manifest()
    page = Page(
        title=experiment.question,
        cards=cards(experiment, verdicts),
        undiagnosed=reason,
        facts=_facts(facts, records),
        config=written(facts.get("config", {})),
        commands=_commands(experiment, store),
    )
    made_of = [repr(page), [gallery.hashes(name) for name in (*names, DIAGNOSIS)]]
    if files := gallery.files(REPORT, made_of):
        return files + beside, found
    shown = pictures(store.folder, names)
    page = replace(
        page,
        lead=answer(verdicts, shown[0].finding if shown else "", summary),
        findings=findings(found) if found is not None else (),
        explorer=explorer_data(records, _left_for_explorer(shown)),
        pictures=shown,
        summary=_summary(summary),
    )
    return gallery.keep(REPORT, {REPORT: render(page).encode()}, made_of) + beside, found


def write_first_page(experiment: Experiment, records: Records, store: Store) -> Path:
    """Write a short report.html while training goes on: the first figure, of the runs stored so far."""
    shown = pictures(store.folder, experiment.figures[:1])
    of = f"{len(records.runs)} of {count(records.runs.attrs['asked'], 'run')}"
    going_on = f"Training goes on: this is seen in the {of} stored so far. This page is replaced at the end."
    page = Page(
        title=experiment.question,
        lead=[*answer([], shown[0].finding if shown else "", None), going_on],
        pictures=shown,
        config=written(store.manifest().get("config", {})),
        commands=_commands(experiment, store),
    )
    return store.write(REPORT, render(page).encode())


def _left_for_explorer(shown: Sequence[Picture]) -> float:
    """How many bytes the explorer's numbers may have, so that the page stays under `MOST_BYTES`."""
    taken = sum(it.bytes for it in shown) + sum(map(len, scripts()))
    return max(MOST_BYTES - OTHER_BYTES - taken, LEAST_FOR_EXPLORER)


def _summary(table: pd.DataFrame | None) -> Table | None:
    """The summary as a table of texts, median and range in one cell."""
    if table is None or not len(table):
        return None
    keys = [key for key in fields_before(table, "n") if len(table[key].drop_duplicates()) > 1]
    counts = ["n", *(name for name in COUNTS if table[name].any())]
    quantities = [name for name in HEADINGS if name in table and table[name].notna().any()]
    rows = [
        [*(_cell(row[key]) for key in (*keys, *counts)), *(_with_range(row, name) for name in quantities)]
        for row in table.head(MOST_ROWS).to_dict("records")
    ]
    head = [*keys, *counts, *(HEADINGS[name] for name in quantities)]
    more = (
        f" The first {MOST_ROWS} of {len(table)} rows; summary.csv has all." if len(table) > MOST_ROWS else ""
    )
    names = [key for key in keys if table[key].map(lambda value: isinstance(value, str)).any()]
    return Table(head, rows, names, f"Median over n seeds, and their range in brackets.{more}")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None or value != value else f"{value:g}"


def _with_range(row: Mapping[str, Any], name: str) -> str:
    median = row[name]
    return with_range(median, row.get(f"{name}_low", median), row.get(f"{name}_high", median))


def _facts(manifest: Mapping[str, Any], records: Records) -> dict[str, str]:
    """What is needed to do it again: runs, seeds, data, versions, processor, code and time."""
    seeds = sorted(int(seed) for seed in records.runs["seed"].unique())
    training = manifest.get("last_training") or {}
    git = manifest.get("git") or {}
    changed = " with changes that are not committed" if git.get("dirty") else ""
    libraries = [f"{each.get('internal_api')} {each.get('version')} ({each.get('architecture')})"
                 for each in manifest.get("blas") or ()]  # fmt: skip
    time = f"{duration(training['seconds'])} for {count(training['runs'], 'run')}" if training else ""
    facts = {
        "runs": f"{len(records.runs)}, of which {(records.runs['status'] != 'ok').sum()} did not end well",
        "seeds": ", ".join(map(str, seeds)),
        "data": ", ".join(manifest.get("data") or ()),
        "how the data were read": _decisions(manifest.get("data_decisions") or {}),
        "time": f"{time}, ended {training['ended']}" if training else "",
        "versions": ", ".join(
            f"{name} {version}" for name, version in (manifest.get("versions") or {}).items()
        ),
        "linear algebra": ", ".join(dict.fromkeys(libraries)),
        "machine": ", ".join(f"{key} {value}" for key, value in (manifest.get("machine") or {}).items()),
        "code": f"commit {git['commit']}{changed}" if git else "",
        "numbers": f"version {manifest.get('schema')}",
        **_recorded_facts(records),
    }
    return {name: value for name, value in facts.items() if value}


def _decisions(by_data: Mapping[str, Sequence[str]]) -> str:
    """What was decided in reading a user's own data, each set by its name where there are several."""
    said = {name: ". ".join(map(_sentence, sentences)) for name, sentences in by_data.items()}
    return " ".join(f"{name}: {text}." if len(said) > 1 else f"{text}." for name, text in said.items())


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _recorded_facts(records: Records) -> dict[str, str]:
    """What was seen of networks of another program, and what was left out; empty for runs trained here."""
    known = records.runs.attrs.get(RECORDED, {}).values()
    left_out = records.layers.attrs.get("left_out", {})
    return {
        "recorded": "; ".join(dict.fromkeys(f"layers {', '.join(each['layers'])}" for each in known)),
        "seen": "; ".join(dict.fromkeys(note for each in known for note in each["notes"])),
        "left out": "; ".join(f"{probe}: {why}" for probe, why in left_out.items()),
    }


def _commands(experiment: Experiment, store: Store) -> list[str]:
    """What makes everything again: from the config, and from the manifest beside the report."""
    if recorded_facts(store):
        return [f"python scripts/plot.py {store.folder.name}"]
    path = experiment.path
    plain = path and not path.is_absolute() and path.stem == experiment.name  # nothing was overridden
    config = [f"python scripts/run.py {path.as_posix()}"] if path and plain else []
    return [*config, f"python scripts/run.py --from results/{store.folder.name}"]
