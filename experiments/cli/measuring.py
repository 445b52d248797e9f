"""The commands that measure the program itself: `bench` and `coverage`."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

from experiments.config import ConfigError
from experiments.storage.files import explained

BENCH = Path("results") / "bench"


def bench_command(given: Namespace) -> int:
    """Time this engine and the installed alternatives; return the exit status."""
    from experiments.bench.command import Asked, command
    from experiments.cli.terminal import terminal

    asked = Asked(
        given.parts, given.shapes, given.dtypes, given.activations, given.engines, given.rounds,
        given.seconds_per_cell, keep_environment=given.keep_environment, out=given.out,
    )  # fmt: skip
    try:
        asked.cases()
    except ValueError as error:
        raise ConfigError([f"--shapes: {error}"]) from None
    asked = asked.quick() if given.quick else replace(asked, out=given.out or BENCH)
    if asked.out:
        check_writable(asked.out)
    return command(asked, terminal().say)


def coverage_command(given: Namespace) -> int:
    """Count how many networks lie within theory's bands; return the exit status."""
    from experiments.verification import band_coverage

    check_writable(given.out)
    return band_coverage.coverage_command(given.settings, given.networks, given.seed, given.out)


def check_writable(folder: Path) -> None:
    """Check before the work of minutes that its results can be written; errors: StoreError."""
    with explained("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
