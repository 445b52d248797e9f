"""The whole bench in order, as `scripts/bench.py` calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from experiments.bench import agreement, short_page, start_up, studies, whole_way
from experiments.bench import results as report
from experiments.bench.alternatives import QUICK, SETTINGS, USUAL, Setting, installed
from experiments.bench.timing import Budget, Teams
from experiments.bench.workers import ties
from experiments.bench.workload import Case, Shape
from experiments.report.printed_tables import as_markdown

PARTS = ("agreement", "answer", "steps", "schedule", "probes", "stacks", "start-up")


@dataclass(frozen=True)
class Asked:
    """Which parts of the bench are to be run, and for how long."""

    parts: Sequence[str] = PARTS
    shapes: Sequence[str] = studies.SHAPES
    dtypes: Sequence[str] = studies.DTYPES
    activations: Sequence[str] = studies.ACTIVATIONS
    engines: Sequence[str] = USUAL
    rounds: int = 3
    seconds: float = 0.2
    runs: int = 5
    keep_environment: bool = False
    out: Path | None = None
    small: bool = False  # the part `answer` alone: a question of eight short runs, asked once

    def quick(self) -> Asked:
        """Return what can be done in under two minutes: one shape, and the engines that matter."""
        less = Asked(
            parts=("agreement", "answer", "steps", "probes", "start-up"), shapes=("10x64",),
            dtypes=("float32",), activations=("relu", "tanh"), engines=QUICK, rounds=3, seconds=0.3,
            small=True,
        )  # fmt: skip
        return replace(less, keep_environment=self.keep_environment, out=self.out)

    def cases(self) -> list[Case]:
        """Return a case for every shape, dtype and activation; errors: ValueError for no shape."""
        shapes = [Shape.parse(text) for text in self.shapes]
        return [Case(s, d, a, self.runs) for s, d, a in product(shapes, self.dtypes, self.activations)]


def command(asked: Asked, say: Callable[[str], None] = print) -> int:
    """Measure and print what is asked for, and write it if a folder is given; return the exit status.

    The status is 1 if an engine computes something else than ours.
    """
    settings, missing = installed(SETTINGS[name] for name in asked.engines)
    with Teams(keep_environment=asked.keep_environment) as teams:
        about = _machine(asked, settings, missing, teams)
        say(about)
        bench = _Bench(asked, settings, asked.cases(), teams, Budget(asked.rounds, asked.seconds), say)
        bench.run()
    if asked.out:
        say(f"written: {short_page.write(asked.out, about, bench.measured)}")
    return 1 if bench.wrong else 0


def _machine(asked: Asked, settings: Iterable[Setting], missing: Sequence[str], teams: Teams) -> str:
    """Describe the machine, the libraries, and which variables were removed from the environment."""
    from importlib.metadata import version

    from experiments.storage.provenance import git, machine, versions

    facts, code = machine(), git()
    names = {"torch": "torch", "jax": "jax", "sklearn": "scikit-learn"}
    libraries = sorted({names[s.needs] for s in settings if s.needs})
    numpy = f"NumPy {versions()['numpy']} with {teams.of(SETTINGS['limit']).kernels()}"
    lines = [
        f"- {asked.rounds} rounds, {asked.seconds:g} s per cell and round",
        f"- {facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB, {facts['system']}",
        "- " + "; ".join(filter(None, [numpy, ", ".join(f"{name} {version(name)}" for name in libraries)])),
        f"- commit {code['commit'][:12]}{' and changes' if code['dirty'] else ''}" if code else "",
    ]
    if tied := ", ".join(f"{k}={v}" for k, v in ties().items()):
        kept = "kept for" if asked.keep_environment else "not passed on to"
        lines.append(f"- set here and {kept} the engines: {tied}")
    if missing:
        lines.append(f"- not installed and left out: {', '.join(missing)}")
    return "\n".join(filter(None, lines))


class _Bench:
    """The parts of the bench, a method each: it measures, then adds a section and files to the report."""

    def __init__(
        self, asked: Asked, settings: list[Setting], cases: list[Case], teams: Teams, budget: Budget,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.asked, self.settings, self.cases = asked, settings, cases
        self.teams, self.budget, self.say = teams, budget, say
        self.measured: list[str] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        """Run every part that is asked for; the first is whether the engines agree."""
        for part in sorted(self.asked.parts, key=PARTS.index):
            began = time.perf_counter()
            getattr(self, part.replace("-", "_"))()
            self.say(f"{part} took {time.perf_counter() - began:.0f} s")

    def agreement(self) -> None:
        """Compare each engine's first step with ours; one that differs is named and not timed."""
        found = []
        for dtype, activation in product(self.asked.dtypes, self.asked.activations):
            case = Case(agreement.CHECKED, dtype, activation, runs=2)
            ours = agreement.reference(case)
            for setting in _of_one_process(self.settings):
                if setting.can(activation):
                    theirs = self.teams.of(setting).check(case)
                    found.append(agreement.compare(setting.name, case, theirs, ours))
        differing = [a for a in found if not a.agrees]
        lines = [f"{a.engine}, {a.dtype} {a.activation}: {a}" for a in differing]
        worst = {d: max(a.gradient for a in found if a.dtype == d) for d in self.asked.dtypes if found}
        lines += [f"Largest difference of a gradient, {d}: {size:.1e}" for d, size in worst.items()]
        text = "\n".join(lines) or "No alternative to compare with is installed, or none was asked for."
        self._keep("agreement", [asdict(a) | {"agrees": a.agrees} for a in found], text)
        functions = {SETTINGS[a.engine].function for a in differing}
        self.wrong = [s.name for s in self.settings if s.function in functions]
        self.settings = [s for s in self.settings if s.name not in self.wrong]

    def answer(self) -> None:
        """Time whole programs, cold, until their tables and one figure are on disk."""
        rounds = 1 if self.asked.small else min(whole_way.MOST_ROUNDS, self.asked.rounds)
        how = whole_way.Asked(rounds, self.asked.small, self.asked.keep_environment)
        rows, missing = whole_way.measure(how, self.say)
        table = whole_way.table(rows)
        left_out = f"\nNot installed and left out: {', '.join(missing)}." if missing else ""
        self._keep("answer_rounds", rows)
        self._keep("answer", table, as_markdown(table) + left_out)
        if self.asked.out:
            whole_way.figure(table).on(format="png").save(self.asked.out, "answer")

    def steps(self) -> None:
        """Time the training step of every engine."""
        rows = studies.steps(self.cases, self.settings, self.teams, self.budget, self.say)
        if not rows:
            self._say_nothing("steps")
            return
        table = report.ratios(rows)
        self._keep("steps_rounds", rows)
        self._keep("steps", table, report.by_shape(table))
        if self.asked.out and table["x_plain"].notna().any():
            report.figure(table).on(format="png").save(self.asked.out, "steps")

    def schedule(self) -> None:
        """Time the step with records on the probe set at the default schedule."""
        rows = studies.schedule(self.cases, self.settings, self.teams, self.budget, self.say)
        if not rows:
            self._say_nothing("schedule")
            return
        table = report.ratios(rows)
        self._keep("schedule", table, report.by_shape(table))

    def probes(self) -> None:
        """Time what the records cost."""
        one = [case for case in self.cases if case.activation == self.asked.activations[0]]
        rows = studies.probes(one, self.teams, self.budget, self.say)
        table = report.ratios(rows)
        off = table[table["engine"] == "ours, records off"].rename(columns={"us": "off"})
        table = table.merge(off[[*report.CELL, "off"]], on=report.CELL, validate="many_to_one")
        table["over_off"] = table["us"] / table["off"]
        shown = table[[*report.CELL, "engine", "us", "over_off"]]
        self._keep("probes", shown, as_markdown(shown))

    def stacks(self) -> None:
        """Time stacks of several sizes: how many runs are best trained together."""
        rows = studies.stack_sizes(
            studies.STACKED_SHAPES, self.asked.dtypes, self.teams, self.budget, self.say
        )
        table = _by_stack(rows)
        self._keep("stacks", rows, as_markdown(table))

    def start_up(self) -> None:
        """Time how soon the program answers."""
        import pandas as pd

        self.say("start-up")
        rows = start_up.start_up(self.budget.rounds)
        times = pd.DataFrame(rows).groupby("what", sort=False)["ms"]
        table = times.agg(["median", "min", "max"]).reset_index()
        self._keep("start_up", rows, as_markdown(table))

    def _say_nothing(self, part: str) -> None:
        """Say that of a part nothing was timed."""
        self.say(f"\n{part}: none of the engines asked for has it at these activations\n")

    def _keep(self, name: str, rows: Any, text: str = "") -> None:
        """Write a table to its file, and its text to the terminal; a table with a text is on the page."""
        if self.asked.out:
            report.write_csv(self.asked.out, name, rows)
        if text:
            self.measured.append(name)
            self.say(f"\n{name}\n{text}\n")


def _of_one_process(settings: Iterable[Setting]) -> list[Setting]:
    """Return one setting of each engine, but for the limit and ours: several run the same function."""
    first: dict[tuple[str, str], Setting] = {}
    for setting in settings:
        if not setting.function.startswith("ours"):
            first.setdefault((setting.function, setting.needs), setting)
    return list(first.values())


def _by_stack(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return µs per step and run by the size of the stack, relative to the best of its row."""
    import pandas as pd

    index = ["shape", "dtype", "activation"]
    wide = pd.DataFrame(list(rows)).pivot_table(
        index=index, columns="runs", values="us", aggfunc="median", sort=False
    )
    relative = wide.div(wide.min(axis=1), axis=0).round(2)
    return relative.assign(best_us=wide.min(axis=1)).reset_index()
