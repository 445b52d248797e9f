"""The pages: the glossary has every term, links lead somewhere, and `make docs` renews what is generated."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = ROOT / "results" / "GLOSSARY.md"
TERMS = """probe set, watched step, stack, unit, dead, inactive, saturated, delta, slope, gain, depth,
    layer numbering, trace, probe, seed pairing, factor per layer, χ, ξ, supported, conditional, contradicted,
    inconclusive"""
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def explained() -> dict[str, str]:
    """{term: its paragraph}."""
    paragraphs = GLOSSARY.read_text(encoding="utf-8").split("\n\n")
    heads = [re.match(r"\*\*(.+?)\*\*", paragraph) for paragraph in paragraphs]
    return {head[1]: text for head, text in zip(heads, paragraphs, strict=True) if head}


@pytest.mark.parametrize("term", [" ".join(term.split()) for term in TERMS.split(",")])
def test_every_term_has_its_two_sentences(term):
    text = explained()[term]
    assert len(re.findall(r"[a-zχξ0-9)`∇%.²½√→L*’…]\.(?=\s|$)|\.\)$", text)) >= 2, text


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "configs/README.md", "results/README.md"])
def test_every_page_links_to_the_glossary_and_no_link_of_it_is_dead(page):
    path = ROOT / page
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link]
    targets = {(path.parent / link).resolve() for link in links}
    assert GLOSSARY in targets
    assert not [target for target in targets if not target.exists()]


GENERATED = ("README.md", "configs/README.md", "configs/schema.json", "results/README.md")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_docs_renews_every_generated_page(tmp_path):
    """In a copy of the project in which a row of each generated table has been altered."""
    for folder in ("mlp", "experiments", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "Makefile",
        "pyproject.toml",
        "README.md",
        "results/README.md",
        "results/write_up/claims.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in GENERATED:
        text = (ROOT / name).read_text(encoding="utf-8")
        altered = text.replace("| `seed` |", "| `sede` |").replace("| W01 |", "| W00 |")
        altered = altered.replace('"title"', '"tilte"')
        assert altered != text, name
        (tmp_path / name).write_text(altered, encoding="utf-8")
    (tmp_path / "ready").touch()
    command = ["make", "docs", f"PY={sys.executable}", "READY=ready"]
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in GENERATED:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), name
