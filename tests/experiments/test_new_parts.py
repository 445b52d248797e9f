"""A new data set, figure, claim or config is tested the day it is added, with nothing else edited.

Each is written into a copy of the project, where CONTRIBUTING.md says it belongs, with a wrong twin beside
it; then the suites that run over the tables are run there.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PARTS = {
    "experiments/datasets/generators.py": '''
@GENERATORS
def newcomer_bands(rng: np.random.Generator, *, n: int = 300, noise: float = 0.1) -> Examples:
    """Two bands side by side."""
    y = np.arange(n) % 2
    return np.column_stack([y, rng.uniform(0, 1, n)]) + rng.normal(0, noise, (n, 2)), y


@GENERATORS
def newcomer_bands_wrong(rng: np.random.Generator, *, n: int = 300, noise: float = 0.1) -> Examples:
    """The same, but its seed is forgotten."""
    return newcomer_bands(np.random.default_rng(), n=n, noise=noise)
''',
    "experiments/plots/figures/layers.py": '''
def _weights(records, hue, facet, where, named):
    view = arrange(records, hue, facet, where, default=["depth"])
    found = {when: view.medians(rows, "w_norm", "layer") for when, rows in moments(view).items()}
    columns = [Column(f"‖w‖ {when}", curves, NORM) for when, curves in found.items()]
    return draw_lines(view, columns, named)


@FIGURES
@needs("w_norm")
def newcomer_weights(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: str = ""
) -> Picture:
    """Weights by layer.

    The size of every layer's weights, at the start and after training.
    """
    return _weights(records, hue, facet, where, newcomer_weights)


@FIGURES
@needs("w_norm")
def newcomer_weights_wrong(
    records: Records, *, hue: Fields = None, facet: Fields = None, where: str = ""
) -> Picture:
    """Weights by layer, once more.

    It stands under the title of another figure.
    """
    return _weights(records, hue, facet, where, newcomer_weights)
''',
    "experiments/claims/write_up/gradient.py": '''
@CLAIMS
@needs("delta_norm")
@rule("‖delta‖ below {most:g}")
def newcomer_small(records: Records, *, most: float = 1.0) -> Verdict:
    """The gradient's norm is small.

    Measured: ‖delta‖ in every layer.

    Nuance: None.
    """
    return decide([Evidence.of("all", at_start(records.layers)["delta_norm"], "below", most)])


@CLAIMS
@needs("delta_norm")
@rule("‖delta‖ below {most:g}")
def newcomer_small_wrong(records: Records, *, most: float = 1.0) -> Verdict:
    """It is not said what is measured."""
    return newcomer_small(records, most=most)
''',
    "configs/newcomer.yaml": """# yaml-language-server: $schema=schema.json
question: Do the weights grow?
base: {dataset: moons, steps: 20}
sweep: {seed: [0, 1]}
""",
    "configs/newcomer_wrong.yaml": """# yaml-language-server: $schema=schema.json
question: The weights grow.
base: {dataset: moons, steps: 20}
""",
}
SUITES = (
    "claims/test_claims_declarations",
    "claims/test_claims_instrument",
    "claims/test_claims_worlds",
    "config/test_config",
    "config/test_schema",
    "datasets/test_datasets",
    "plots/test_plots",
)
# outcomes alone are read, and no test with drawn examples is among them
TERSE = ("--tb=no", "-rA", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
FOUND = {  # part: the test that finds its wrong twin out
    "newcomer_bands": "test_the_seed_settles_everything",
    "newcomer_weights": "test_every_figure_of_records_states_seeds_examples_and_lost_runs",
    "newcomer": "test_every_config_of_the_project_is_read",
    "newcomer_small": "test_every_claim_says_what_the_write_up_says_and_what_is_measured",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The tests that passed and that failed in a copy of the project with all of these parts in it."""
    copy = tmp_path_factory.mktemp("project") / "copy"
    for folder in ("mlp", "experiments", "configs", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name, text in PARTS.items():
        with open(copy / name, "a", encoding="utf-8") as file:
            file.write(text)
    suites = [f"tests/experiments/{suite}.py" for suite in SUITES]
    command = [sys.executable, "-m", "pytest", "-m", "not slow", "-k", "newcomer", *TERSE, *suites]
    done = subprocess.run(
        command,
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [re.findall(rf"^{outcome} (\S+)", done.stdout, re.MULTILINE) for outcome in ("PASSED", "FAILED")]
    assert found[0], done.stdout + done.stderr
    return found


@pytest.mark.parametrize("part", FOUND)
def test_a_right_part_passes_and_a_wrong_one_is_found_out(part, outcomes):
    passed, failed = outcomes
    assert any(f"{FOUND[part]}[{part}]" in test for test in passed), "untested"
    assert any(f"{FOUND[part]}[{part}_wrong" in test for test in failed), "not found out"


def test_nothing_else_fails(outcomes):
    assert not [test for test in outcomes[1] if "_wrong" not in test]
