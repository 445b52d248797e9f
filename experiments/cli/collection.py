"""A folder of configs -> one report: run what is not stored, judge every claim, compare with before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config import ConfigError
from experiments.config.shipped import shipped_configs
from experiments.pipeline import experiment_of, run_experiment
from experiments.report import (
    Card,
    Page,
    cards,
    comparisons,
    fitting,
    numbers_page,
    pictures,
    preview,
    render,
    totals,
)
from experiments.report.page import MOST_BYTES
from experiments.storage.drawn import Gallery
from experiments.storage.files import write
from experiments.storage.store import Store, results_root
from mlp.registry import call_text, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from experiments.config import Experiment
    from experiments.storage.records import Records
    from experiments.sweeps.plan import ExecutionOptions
    from experiments.sweeps.progress import Progress


OTHER_BYTES = 900_000  # of a collection's page: words, tables and what makes it look as it does


@dataclass(frozen=True)
class Collection:
    """A set of configs that are reported together: configs/<name>/ makes results/<name>/.

    numbers: whether it compares with numbers from the literature, which get a table of their own.
    """

    name: str
    title: str
    intro: str
    numbers: bool = False


COLLECTIONS = {
    "write_up": Collection(
        "write_up",
        "A tutorial's claims about activation functions, measured",
        "Each statement of a tutorial write-up on sigmoid, tanh, ReLU and Leaky ReLU, made measurable: what "
        "was measured, the rule that was fixed before the data, the number with its range over seeds, and "
        "where the truth is finer than the statement or against it.",
    ),
    "literature": Collection(
        "literature",
        "Numbers from the literature, replayed",
        "What papers on vanishing gradients, initialisation and activations have printed, and what follows "
        "from their theories, beside what the same networks give here: fully connected, on seeds that were "
        "not used while the comparisons were written. Numbers that somebody printed are counted apart from "
        "those that were recalled, derived here, or set as thresholds of our own. One that does not come out "
        "is a finding.",
        numbers=True,
    ),
}


@dataclass
class Reproduction:
    """What became of a collection: its cards, what failed, and which verdicts are not the expected ones."""

    folder: Path
    cards: list[Card]
    failures: list[str]
    changed: list[str]

    @property
    def undecided(self) -> list[str]:
        """The claims that no verdict was reached on."""
        return [card.name for card in self.cards if card.verdict.status == "inconclusive"]


def reproduce(
    name: str,
    options: ExecutionOptions,
    progress: Progress,
    *,
    overrides: Sequence[str] = (),
    expect: Path | None = None,
) -> Reproduction:
    """Run every config of a collection and write its report.html, claims.csv and manifest.json.

    `expect` is a claims.csv that the verdicts are held against. Errors: ConfigError for any config of the
    collection, before the first is run; StoreError.
    """
    from experiments.claims import table

    collection = collection_of(name)
    before = statuses(expect) if expect else None
    experiments = [experiment_of(path, overrides) for path in configs(name)]
    folder = results_root() / _folder(collection.name, experiments)
    if folder.name in {experiment.name for experiment in experiments} or (folder / "runs").exists():
        raise ConfigError([f"--collection {name}: {folder} is an experiment's; give the folder another name"])
    found, failures, previews = [], [], {}
    for experiment in experiments:
        progress.say(f"{experiment.name}: {experiment.question}")
        outcome = run_experiment(experiment, options, progress)
        drawn = pictures(Store(experiment.name).folder, experiment.figures, f"{experiment.name}-")
        made = cards(experiment, outcome.verdicts, drawn, float(outcome.records.runs["seconds"].sum()))
        if made and (image := _first_picture(experiment, outcome.records)):
            previews[made[0].id] = image
        found += made
        failures += [f"{experiment.name}: {line}" for line in outcome.failures]
    claims = table(card.verdict for card in found)
    changed = [] if before is None else compare(claims, before)
    _write(folder, collection, found, claims, previews)
    return Reproduction(folder, found, failures, changed)


def _first_picture(experiment: Experiment, records: Records) -> bytes | None:
    """Return a preview of an experiment's first figure; None where it has none or none that can be drawn."""
    from experiments.plots.album import draw, drawn
    from experiments.plots.figure_table import FIGURES

    if not experiment.figures:
        return None
    name, options = FIGURES.parse(experiment.figures[0])
    text = FIGURES.canonical(call_text(name, {**options, "format": "png"}))
    gallery = Gallery(Store(experiment.name), records)
    files, _ = draw([text], experiment, records, gallery, files=drawn)
    image = next((path for path in files if path.suffix == ".png"), None)
    return preview(image.read_bytes()) if image else None


def collection_of(name: str) -> Collection:
    """The collection of this name; a folder of anyone's configs is one as well."""
    own = Path(name).name
    return COLLECTIONS.get(name) or Collection(own, f"The questions of {own}, answered", "")


def configs(name: str) -> list[Path]:
    """The collection's config files, in the order of their names; errors: ConfigError if there is none.

    A collection is a folder of configs/, or any folder.
    """
    folders = [Path("configs") / name, Path(name), shipped_configs() / name]
    paths = next((found for folder in folders if (found := sorted(folder.glob("*.yaml")))), [])
    if not paths:
        homes = (Path("configs"), shipped_configs())
        known = sorted({at.name for home in homes for at in home.glob("*/") if any(at.glob("*.yaml"))})
        hint = f"{did_you_mean(name, known)} In configs: {', '.join(known) or 'none'}"
        raise ConfigError([f"--collection {name}: no folder with configs (*.yaml).{hint}"])
    return paths


def _folder(name: str, experiments: Sequence[Experiment]) -> str:
    """The folder of the report; where overrides make other experiments, it is another one as well."""
    changes = {experiment.name.partition("+")[2] for experiment in experiments} - {""}
    return f"{name}+{max(changes, key=len)}" if changes else name


def statuses(path: Path) -> pd.Series:
    """Return the status of each claim of a claims.csv, by its text; errors: ConfigError."""
    import pandas as pd

    try:
        found: pd.Series = pd.read_csv(path).set_index("claim")["status"]
    except (OSError, ValueError, KeyError) as error:
        said = getattr(error, "strerror", None) or error
        raise ConfigError([f"--expect {path}: not a table of verdicts: {said}"]) from None
    return found


def compare(claims: pd.DataFrame, before: pd.Series) -> list[str]:
    """Return a line for every claim whose status is not the one before, or that only one of both has."""
    now = claims.set_index("claim")["status"]
    lines = []
    for claim in before.index.union(now.index, sort=False):
        was, is_ = before.get(claim, "not judged"), now.get(claim, "not judged")
        if was != is_:
            lines.append(f"{claim}: {was} before, {is_} now")
    return lines


def _write(
    folder: Path, collection: Collection, found: list[Card], claims: pd.DataFrame, previews: dict[str, bytes]
) -> None:
    import json

    from experiments.storage.provenance import facts

    (folder / "figures").mkdir(parents=True, exist_ok=True)
    known = facts()
    lead = [text for text in (collection.intro, totals(found) if collection.numbers else "") if text]
    again = [f"python scripts/reproduce.py --collection {collection.name}"]
    shown, lost = fitting(found, MOST_BYTES - OTHER_BYTES)
    if lost:
        lead.append(
            f"The {lost} largest of the pictures have no form for narrow screens, so that this page stays "
            f"under {MOST_BYTES / 1e6:g} MB; the reports of the single experiments have it."
        )
    page = Page(collection.title, lead, shown, facts=_shown(known), commands=again)
    write(folder / "report.html", render(page).encode(), folder)
    write(folder / "claims.csv", claims.to_csv(index=False).encode(), folder)
    if collection.numbers:
        words = numbers_page(collection.title, collection.intro, found)
        write(folder / "README.md", words.encode(), folder)
        write(folder / "numbers.csv", comparisons(found).to_csv(index=False).encode(), folder)
    for name, image in previews.items():
        write(folder / "figures" / f"{name}.png", image, folder)
    manifest = {"configs": sorted({card.config for card in found}), **known}
    write(folder / "manifest.json", json.dumps(manifest, indent=2, default=str).encode(), folder)


def _shown(facts: dict[str, Any]) -> dict[str, str]:
    """The manifest's facts in a line each."""
    return {name: ", ".join(_flat(value)) for name, value in facts.items() if value}


def _flat(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key} {' '.join(_flat(each))}" for key, each in value.items()]
    if isinstance(value, list):
        return [text for each in value for text in _flat(each)]
    return [str(value)]
