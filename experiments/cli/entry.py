"""The one way in: `scripts/NAME.py` and ``vanishing-gradients NAME`` both come through here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from experiments.cli.status import OK, REFUSED, complain, status_of

if TYPE_CHECKING:
    from argparse import Namespace

PROGRAM = "vanishing-gradients"
COMMANDS = {  # what each does, and the function that does it
    "run": ("train what is not stored yet; summarise, draw and judge", "commands:run_command"),
    "diagnose": ("say what is wrong with the networks, and what helps", "diagnosing:diagnose_command"),
    "plot": ("draw figures from stored records, without training", "commands:plot_command"),
    "reproduce": ("run, judge and report a collection of configs", "commands:reproduce_command"),
    "live": ("open the lab: networks train while one watches", "laboratory:live_command"),
    "verify": ("re-derive stored numbers by other methods", "commands:verify_command"),
    "coverage": ("count how many networks lie within theory's bands", "measuring:coverage_command"),
    "study": ("do one of the studies in results/studies again", "studying:study_command"),
    "bench": ("time this engine beside the alternatives that are installed", "measuring:bench_command"),
    "cite": ("print how to cite this program, as BibTeX", "citation:cite_command"),
}


def main(name: str, argv: Sequence[str] | None = None, about: str | None = None, prog: str = "") -> int:
    """Do one command with these words, by default the program's own; return its exit status.

    `about` is the text of a script, whose first paragraph --help shows.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    return status_of(partial(_work, name, words, about or COMMANDS[name][0], prog or f"{name}.py"))


def front(argv: Sequence[str] | None = None) -> int:
    """Do the command that the first word names, as in ``vanishing-gradients run …``; return its status."""
    words = sys.argv[1:] if argv is None else list(argv)
    name = words[0] if words else "--help"
    if name in COMMANDS:
        return main(name, words[1:], prog=f"{PROGRAM} {name}")
    return status_of(partial(_overview, name))


def _work(name: str, words: Sequence[str], about: str, prog: str) -> int:
    from experiments.cli import command_lines
    from experiments.cli.surroundings import check_environment

    check_environment()
    parser = command_lines.Parser(prog=prog, description=about.split("\n\n")[0])
    getattr(command_lines, name)(parser)
    given = parser.parse_intermixed_args(words)
    if files := getattr(given, "part_files", ()):
        from experiments.config.part_files import load_parts

        load_parts(files)
    home, _, function = COMMANDS[name][1].partition(":")
    work: Callable[[Namespace], int] = getattr(import_module(f"experiments.cli.{home}"), function)
    return work(given)


def _overview(word: str) -> int:
    """Print the list of commands, or refuse a word that is none."""
    if word in ("-h", "--help"):
        print(f"usage: {PROGRAM} COMMAND …; each has its --help\n")
        for name, (about, _) in COMMANDS.items():
            print(f"  {name:10} {about}")
        return OK
    from mlp.registry import did_you_mean

    shown = word if len(word) <= 40 else f"{word[:40]}…"
    hint = did_you_mean(word[:40], COMMANDS)
    complain(f"{PROGRAM}: unknown command {shown!r}.{hint} Known: {', '.join(COMMANDS)}")
    return REFUSED


if __name__ == "__main__":
    sys.exit(front())
