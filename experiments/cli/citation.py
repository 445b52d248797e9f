"""The command `cite`: how to cite this program, as BibTeX, read from CITATION.cff."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from experiments.cli.status import OK
from experiments.config.tree import Node, plain
from experiments.config.yaml_strict import read
from experiments.storage.files import explained

FILE = "CITATION.cff"


def cite_command(given: Namespace) -> int:
    """Print the entry; return the exit status."""
    print(bibtex(citation_file()))
    return OK


def citation_file() -> Path:
    """Return the CITATION.cff of the installed package, or that of the checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / FILE if (package / FILE).is_file() else package.parent / FILE


def bibtex(path: Path) -> str:
    """Return the BibTeX entry that a citation file amounts to; errors: StoreError where it is not there."""
    with explained("read", path):
        root, _ = read(path.read_bytes(), FILE)
    facts = plain(root) if isinstance(root, Node) else {}
    authors = " and ".join("{" + each["name"] + "}" for each in facts["authors"])
    fields = {
        "author": authors,
        "title": "{" + facts["title"] + "}",
        "year": str(facts["date-released"])[:4],
        "version": str(facts["version"]),
        "note": f"Software, version {facts['version']}, {facts['license']} licence",
    }
    lines = ",\n".join(f"  {name:8} = {{{value}}}" for name, value in fields.items())
    return f"@software{{vanishing_gradients,\n{lines}\n}}"
