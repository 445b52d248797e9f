"""The options of every command; `scripts/NAME.py` and ``vanishing-gradients NAME`` take the same."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from experiments.cli.status import REFUSED

MOST_JOBS = 1024  # worker processes: beyond, it is a slip of the keyboard
LONGEST = 300  # characters of a message about a command line
RUN_STATUS = "exit status: 0 done (a run may have diverged), 1 something failed, 2 refused, 130 interrupted"
JUDGE_STATUS = "exit status: 0 all decided, 1 something inconclusive, failed or not as expected, 2 refused"


class Parser(argparse.ArgumentParser):
    """A parser whose refusal is one line."""

    def parse_intermixed_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def, override]
        """Parse the words; ``--name=--``, of which argparse would make an empty list, is refused."""
        for word in args or ():
            if word.startswith("--") and word.endswith("=--"):
                self.error(f"argument {word[:-3]}: expected one argument, not --")
        return super().parse_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the command line and exit with status 2."""
        from experiments.analysis.wording import printable

        if len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
        self.exit(REFUSED, printable(f"{self.prog}: {message}; --help lists what there is").strip() + "\n")


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """Return the reader of an option that is a whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 18 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{_short(text)} is not a whole number from {low} to {high}")
        return int(text)

    return read


def whole_or_all(text: str) -> int | None:
    """Return the number that an option's text stands for, from 1; None for all."""
    return None if text == "all" else whole(1)(text)


def seconds(text: str) -> float:
    """Return the time that an option's text stands for: more than 0 s, at most eleven days."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"{_short(text)} is not a number of seconds above 0, up to 1e6")
    return value


def run(parser: Parser) -> None:
    """Add what `run` takes."""
    parser.epilog = RUN_STATUS
    add = parser.add_argument
    add("config", nargs="?", help="a YAML file, or a name in configs/, whose README.md lists the keys")
    add("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="as in depth=[2,4] or lr=0.01")
    add("--from", dest="manifest", metavar="PATH", help="run a manifest.json again")
    add("--name", help="its folder in results/ (default: the file's name and what changed)")
    _add_parts(parser)
    add("--plan", action="store_true", help="say what would be trained and how long it takes")
    _add_jobs(parser)
    add("--dask", metavar="ADDRESS", help="tcp://scheduler:8786, or local:4 to start workers")
    add("--timeout-per-stack", type=seconds, metavar="SECONDS", help="when a stack hangs")
    add("--fail-fast", action="store_true", help="start nothing new once a stack has crashed")
    add("--rerun-failed", action="store_true", help="train again what has crashed before")
    add("--only-mine", action="store_true", help="train anew what another machine or version made")
    add("--fresh", action="store_true", help="delete what is stored of the experiment first")
    add("--yes", action="store_true", help="do not ask whether to delete it")
    add("--quiet", action="store_true", help="say nothing but what went wrong")


def diagnose(parser: Parser) -> None:
    """Add what `diagnose` takes."""
    parser.epilog = "exit status: 0 done, 1 something failed, 2 refused, 130 interrupted"
    add = parser.add_argument
    add("experiment", nargs="?", default="", help="a YAML file, or a folder in results/")
    add("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="as in depth=20 or lr=0.01")
    _add_parts(parser)
    add("--confirm", action="store_true", help="train the proposed cures and say what they bring")
    add("--normal", action="store_true", help="say what is normal before any training")
    add("--reference", action="store_true", help="say how usual the networks are before training")
    add("--check-normal", type=whole(1), default=0, metavar="N", help="of N more networks each: how many fit")
    add("--clip", action="store_true", help="say which value of clip would do what")
    add("--seeds", action="store_true", help="say how many seeds a difference needs")
    add("--dead-units", action="store_true", help="say how many dead units per layer are too many")
    add("--benchmark", type=whole(1), default=0, metavar="N", help="measure how often this is right")
    add("--half", choices=("development", "held-out"), help="of the benchmark (default: both)")
    about = "how many are drawn for --normal, --check-normal and --reference (200)"
    add("--networks", type=whole(2, 100_000), metavar="N", help=about)
    _add_jobs(parser)
    add("--quiet", action="store_true", help="say nothing of the training")


def plot(parser: Parser) -> None:
    """Add what `plot` takes."""
    parser.epilog = "exit status: 0 drawn, 2 refused, 130 interrupted"
    parser.add_argument("name", help="an experiment: the stem of its config, a folder of results/")
    add = parser.add_argument
    what = "figures, with options if need be (default: the config's), or experiments to draw with the first"
    add("figures", nargs="*", default=[], metavar="NAME|FIGURE", help=what)
    _add_parts(parser)
    add("--style", help="screen, slide (16:9, type from 24 points) or paper (one column, PDF)")
    add("--theme", help="light or dark")
    add("--panels", help="few: those that answer the question; all: on as many sheets as they need")
    add("--format", help="png, svg or pdf (default: the style's own)")
    add("--size", metavar="WxH", help="inches, as in 8x4.5 (default: the style's own)")
    add("--table", choices=("latex", "markdown"), help="write the summary so, and draw nothing")
    add("--words", type=Path, metavar="FILE", help="YAML, each text of a figure: what stands in its place")


def reproduce(parser: Parser) -> None:
    """Add what `reproduce` takes."""
    parser.epilog = JUDGE_STATUS
    add = parser.add_argument
    add("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="for all configs, as in seed=[6,7]")
    add("--collection", default="write_up", metavar="NAME", help="a folder of configs/, or any")
    _add_parts(parser)
    add("--expect", type=Path, metavar="FILE", help="a claims.csv that must come out again")
    add("--readme", action="store_true", help="put the verdicts into README.md")
    _add_jobs(parser)
    add("--quiet", action="store_true", help="say nothing but what went wrong")


def live(parser: Parser) -> None:
    """Add what `live` takes."""
    parser.epilog = "exit status: 0 closed by Ctrl-C, 2 refused"
    add = parser.add_argument
    about = "a lesson (vanishing, dying, initialisation) and KEY=VALUE, as in depth=20 or b.activation=relu"
    add("words", nargs="*", default=[], metavar="LESSON or KEY=VALUE", help=about)
    add("--port", type=whole(0, 65535), default=5100, help="of this machine; 0: any that is free (5100)")
    add("--no-browser", action="store_true", help="print the address and open nothing")


def verify(parser: Parser) -> None:
    """Add what `verify` takes."""
    parser.epilog = "exit status: 0 everything agrees, 1 something does not, 2 refused"
    add = parser.add_argument
    add("experiment", help="the name of a folder in results/")
    _add_parts(parser)
    about = "how many runs, chosen at random, or all (default: 5)"
    add("--runs", type=whole_or_all, default=5, metavar="N", help=about)
    add("--seed", type=whole(0), default=0, help="seed of that choice (default: 0)")


def coverage(parser: Parser) -> None:
    """Add what `coverage` takes."""
    parser.epilog = "exit status: 0 the shares are as asked for, 1 they are not, 2 refused"
    add, one = parser.add_argument, whole(1)
    add("--settings", type=one, default=300, metavar="N", help="how many (default: 300)")
    add("--networks", type=whole(2, 1000), default=8, metavar="N", help="of each (default: 8)")
    add("--seed", type=whole(0), default=0, help="of the choice of settings (default: 0)")
    add("--out", type=Path, default=Path("results/coverage"), metavar="FOLDER")


def study(parser: Parser) -> None:
    """Add what `study` takes."""
    from experiments.cli.studying import STUDIES

    parser.epilog = "exit status: 0 done, 2 refused"
    parser.add_argument("name", choices=STUDIES, help="one of results/studies")
    _add_jobs(parser)


def bench(parser: Parser) -> None:
    """Add what `bench` takes."""
    from experiments.bench.alternatives import SETTINGS
    from experiments.bench.command import PARTS, Asked
    from experiments.bench.workload import SLOPES

    parser.epilog = "exit status: 0 done, 1 an engine disagrees, 2 refused"
    ask, add = Asked(), parser.add_argument

    def several(name: str, default: object, choices: object = None, about: str = "") -> None:
        add(name, nargs="+", metavar="X", choices=choices, default=default, help=about)  # type: ignore[arg-type]

    add("--quick", action="store_true", help="under two minutes; writes if --out is given")
    several("--parts", ask.parts, PARTS, ", ".join(PARTS))
    several("--shapes", ask.shapes, about="10x64, 784-10x256, …")
    several("--dtypes", ask.dtypes, ask.dtypes)
    several("--activations", ask.activations, tuple(SLOPES))
    several("--engines", ask.engines, tuple(SETTINGS), ", ".join(SETTINGS))
    add("--rounds", type=whole(1), default=ask.rounds)
    add("--seconds-per-cell", type=seconds, default=ask.seconds, metavar="S")
    add("--keep-environment", action="store_true", help="pass on OPENBLAS_… as it is set")
    add("--out", type=Path, metavar="FOLDER", help="default: results/bench")


def cite(parser: Parser) -> None:
    """Add nothing: `cite` takes no options."""


def _add_parts(parser: Parser) -> None:
    """Add `--with`, whose files `entry` runs before the command."""
    what = "a Python file that registers parts of your own; may be given several times"
    parser.add_argument("--with", dest="part_files", metavar="FILE", action="append", default=[], help=what)


def _add_jobs(parser: Parser) -> None:
    about = "worker processes (default: all cores)"
    parser.add_argument("--jobs", type=whole(1, MOST_JOBS), metavar="N", help=about)


def _short(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:20]!r} and {len(text) - 20} characters more"
