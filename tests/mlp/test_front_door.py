"""What `import mlp` gives: the names of a notebook, an example that runs, and nothing loaded too early."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlp

ROOT = Path(__file__).resolve().parents[2]


def python(code: str) -> str:
    """What the code prints in a process of its own."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_runs():
    found = doctest.testmod(mlp)
    assert found.attempted >= 7
    assert not found.failed


@pytest.mark.parametrize("name", mlp.__all__)
def test_every_name_is_there(name):
    found = getattr(mlp, name)
    assert not isinstance(found, type(sys))
    if name.isupper():
        assert len(found) > 1


def test_a_name_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match="module 'mlp' has no attribute 'tarin'"):
        _ = mlp.tarin


@pytest.mark.parametrize("first", ["import mlp.train", "from mlp import train", "import mlp.tape"])
def test_train_is_the_function_whatever_was_imported_before(first):
    assert python(f"{first}\nimport mlp\nprint(callable(mlp.train), mlp.train.__name__)") == "True train\n"


def test_importing_the_package_loads_no_library():
    heavy = "{'numpy', 'scipy', 'pandas'}"
    assert python(f"import sys, mlp\nprint({heavy} & set(sys.modules))") == "set()\n"


def test_all_that_it_names_needs_numpy_alone():
    code = "import sys\nfrom mlp import *\nprint({'scipy', 'pandas'} & set(sys.modules), callable(train))"
    assert python(code) == "set() True\n"
