"""Every command line that a page prints is one that its command takes."""

import re
import shlex
from pathlib import Path

import pytest

from experiments.cli import command_lines
from experiments.cli.entry import COMMANDS
from experiments.plots import FIGURES

ROOT = Path(__file__).resolve().parents[3]
PAGES = [path for place in (".", "configs", "experiments", "results", "scripts") for path in ROOT.glob(
    "*.md" if place == "." else f"{place}/**/*.md")]  # fmt: skip
TEXTS = {path: path.read_text(encoding="utf-8") for path in [*PAGES, *ROOT.glob("scripts/*.py")]}
COMMAND = re.compile(r"(?:python scripts/|vanishing-gradients )([a-z]+)(?:\.py)?([^`#\n…]*)")
PRINTED = sorted({(name, line.strip()) for text in TEXTS.values() for name, line in COMMAND.findall(text)})


EXPERIMENTS = {path.stem for path in ROOT.glob("configs/*.yaml")}


@pytest.mark.parametrize(("name", "line"), PRINTED)
def test_a_printed_command_is_one_that_its_parser_takes(name, line):
    assert name in COMMANDS
    parser = command_lines.Parser()
    getattr(command_lines, name)(parser)
    given = parser.parse_intermixed_args(shlex.split(line))
    shipped = [text for text in vars(given).values() if str(text).startswith("configs/")]
    assert all((ROOT / text).is_file() for text in shipped)
    for text in getattr(given, "figures", ()):
        if text not in EXPERIMENTS:  # which are drawn together
            FIGURES.canonical(text)
    for text in getattr(given, "overrides", ()):
        assert "=" in text


def test_commands_are_found_on_the_pages():
    assert {"run", "diagnose", "plot", "live", "reproduce", "coverage", "cite"} <= {
        name for name, _ in PRINTED
    }
    assert len(PRINTED) > 50


def test_every_make_target_that_a_page_names_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {name for text in TEXTS.values() for name in re.findall(r"(?:`|\$ )make ([a-z-]+)", text)}
    assert {"run", "live", "bench", "reproduce", "docs", "test"} <= named <= there
