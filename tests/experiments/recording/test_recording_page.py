"""The guide results/RECORDING.md: its programs run as they stand, and the room imports no framework."""

import ast
import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from experiments.pipeline import load

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = re.findall(
    r"```python\n(.*?)```", (ROOT / "results/RECORDING.md").read_text(encoding="utf-8"), re.S
)
FRAMEWORKS = {"torch": "torch_net", "jax": "jax_net", "keras": "keras_net"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_program_for_a_framework_runs_and_is_stored(framework, tmp_path, monkeypatch):
    if find_spec(framework) is None:
        pytest.skip(f"the program for {framework} is not run: pip install -e '.[parity]'")
    monkeypatch.setenv("VG_RESULTS", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "jax"))
    (program,) = (text for text in PROGRAMS if f'"{FRAMEWORKS[framework]}"' in text)
    exec(compile(program, f"RECORDING.md, {framework}", "exec"), {})
    records = load(FRAMEWORKS[framework])
    assert records.steps["loss"].iloc[-1] < records.steps["loss"].iloc[0]
    assert records.steps["accuracy"].between(0, 1).all()
    assert len(records.layers) == 5 * 2
    assert not records.layers.attrs["left_out"]
    assert records.runs["norm"].tolist() == ["none"]


def test_no_framework_is_imported_outside_of_the_recipes():
    for path in (ROOT / "experiments" / "recording").glob("*.py"):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
        assert not {name.partition(".")[0] for name in names} & {*FRAMEWORKS, "tensorflow"}
