"""The command `live`: what was asked for is checked before anything is served."""

from __future__ import annotations

from argparse import Namespace

from experiments.cli.status import OK
from experiments.cli.terminal import terminal


def live_command(given: Namespace) -> int:
    """Serve the lab until Ctrl-C; return the exit status."""
    from experiments.report.lab import address
    from experiments.report.lab.server import serve

    pairs = [_pair(word) for word in given.words]
    query = address.query(address.read(pairs))
    serve(query, given.port, browser=not given.no_browser, say=terminal().say)
    return OK


def _pair(word: str) -> tuple[str, str]:
    """A word without "=" names a lesson."""
    key, equals, value = word.partition("=")
    return (key, value) if equals else ("preset", word)
