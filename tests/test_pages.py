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
PAGES = (
    "README.md", "CONTRIBUTING.md", "configs/README.md", "results/README.md", "results/TEACHING.md",
    "results/write_up/README.md", "results/write_up/SENTENCES.md", "results/studies/README.md",
)  # fmt: skip
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


@pytest.mark.parametrize("page", PAGES)
def test_every_page_links_to_the_glossary_and_no_link_of_it_is_dead(page):
    path = ROOT / page
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link]
    targets = {(path.parent / link).resolve() for link in links}
    assert GLOSSARY in targets
    assert not [target for target in targets if not target.exists()]


GENERATED = (
    "README.md", "configs/README.md", "configs/schema.json", "results/README.md",
    "results/write_up/README.md", "results/write_up/SENTENCES.md", "results/GALLERY.md",
    "results/TEACHING.md",
)  # fmt: skip


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_docs_renews_every_generated_page(tmp_path):
    """In a copy of the project in which a row of each generated table has been altered."""
    for folder in ("mlp", "experiments", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "Makefile",
        "pyproject.toml",
        "README.md",
        *GENERATED[3:],
        "results/write_up/claims.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in GENERATED:
        text = (ROOT / name).read_text(encoding="utf-8")
        altered = text.replace("| `seed` |", "| `sede` |").replace("| W01 |", "| W00 |")
        altered = altered.replace("[W01]", "[W00]")
        altered = altered.replace('"title"', '"tilte"').replace("## 1. ", "## 2. ")
        altered = altered.replace("## gradient_by_layer", "## gradient_by_depth")
        assert altered != text, name
        (tmp_path / name).write_text(altered, encoding="utf-8")
    (tmp_path / "ready").touch()
    command = ["make", "docs", f"PY={sys.executable}", "READY=ready"]
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in GENERATED:
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_the_gallery_shows_every_figure_with_a_line_that_a_config_takes():
    from experiments.config.kinds import table
    from experiments.report import gallery

    text = (ROOT / "results" / gallery.PAGE).read_text(encoding="utf-8")
    shown = gallery.examples()
    assert set(shown) == set(table("figure"))
    for name, (config, line) in shown.items():
        assert f"\n## {name}\n" in text
        assert name in line
        assert (ROOT / config).exists()
        table("figure").canonical(line)
    pictures = sorted((ROOT / "results" / gallery.PICTURES).iterdir())
    assert {path.stem for path in pictures} == set(shown)
    assert sum(path.stat().st_size for path in pictures) < 2_000_000


def test_what_is_drawn_for_the_gallery_is_small_and_says_what_is_missing(tmp_path, monkeypatch):
    from synthetic import records

    from experiments.plots import FIGURES
    from experiments.report import gallery

    picture = FIGURES["learning_curves"](records(depth=[2], seed=[0, 1], steps=20))
    small = gallery.small(picture)
    assert small.startswith(b"\x89PNG")
    assert len(small) < 80_000
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    monkeypatch.setattr(
        gallery, "examples", lambda: {"learning_curves": (gallery.DRAWN_FROM, "learning_curves")}
    )
    assert gallery.draw(tmp_path) == ["learning_curves"]
    assert not list(tmp_path.iterdir())


def notebook():
    import json

    cells = json.loads((ROOT / "results" / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_the_tutorial_was_run_from_top_to_bottom_without_an_error():
    code = notebook()
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert len(outputs) >= 8
    assert {output["output_type"] for output in outputs} <= {"execute_result", "stream"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the notebook's own machinery; the cells run in another process
def test_the_tutorial_runs_and_prints_what_it_shows():
    """Numbers are printed to so few digits that another machine's rounding does not show."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    shown = nbformat.read(ROOT / "results" / "tutorial.ipynb", as_version=4)
    again = nbformat.from_dict(shown)
    nbclient.NotebookClient(again, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    for one, other in zip(shown.cells, again.cells, strict=True):
        for old, new in zip(one.get("outputs", []), other.get("outputs", []), strict=True):
            assert new.output_type == old.output_type
            if old.output_type == "stream":
                assert new.text == old.text
