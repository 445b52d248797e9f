"""The command `study`: one of the three studies in results/studies, its tables and its picture."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from experiments.cli.status import OK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

STUDIES = ("dead_units", "alarms", "advice")
HEALTHY = 1000  # networks that train well, of which the study of alarms has at least so many


def study_command(given: Namespace) -> int:
    """Do the study that was asked for and write results/studies/NAME/NAME.csv and NAME.svg."""
    from experiments.cli.terminal import terminal
    from experiments.plots import study_figures
    from experiments.plots.picture import image
    from experiments.storage import files
    from experiments.storage.store import results_root

    work = {"dead_units": _dead_units, "alarms": _alarms, "advice": _advice}[given.name]
    tables = work(given.jobs or 0)
    folder = results_root() / "studies" / given.name
    for name, table in tables.items():
        files.write(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.4g").encode(), folder)
    figure: Figure = getattr(study_figures, given.name)(tables[given.name])
    files.write(folder / f"{given.name}.svg", image(figure, "svg", given.name), folder)
    terminal().say(tables[given.name].to_string(index=False, float_format="{:.3g}".format))
    terminal().say(f"written: {folder}")
    return OK


def _dead_units(jobs: int) -> dict[str, pd.DataFrame]:
    from experiments.diagnosis.dose import dose_response
    from experiments.pipeline import experiment_of
    from experiments.sweeps.plan import grid

    experiment = experiment_of("configs/studies/dead_units_study.yaml", [])
    return {"dead_units": dose_response(list(grid(experiment)), jobs=jobs)}


def _alarms(jobs: int) -> dict[str, pd.DataFrame]:
    from experiments.cli.terminal import terminal
    from experiments.diagnosis.false_alarms import alarm_shares, healthy_networks

    found, drawn = healthy_networks(HEALTHY, jobs=jobs)
    terminal().say(f"{len(found)} of {drawn} networks train well")
    return {"alarms": alarm_shares(found), "networks": found}


def _advice(jobs: int) -> dict[str, pd.DataFrame]:
    from experiments.analysis.followed_advice import advice_costs
    from experiments.cli.terminal import terminal
    from experiments.pipeline import experiment_of, run_experiment
    from experiments.sweeps.plan import ExecutionOptions

    experiment = experiment_of("configs/studies/advice.yaml", [])
    records = run_experiment(experiment, ExecutionOptions(jobs or None), terminal()).records
    return {"advice": advice_costs(records)}
