"""An error in a part of a user's own names the part, its file and its line, whoever calls the part."""

from __future__ import annotations

import re
import sys
import traceback

import numpy as np
import pytest

from experiments.cli.entry import main
from experiments.config import ConfigError
from experiments.config.kinds import TABLES, resolve, table
from experiments.config.part_files import load_parts
from experiments.storage import own_parts
from experiments.storage.blame import blamed, blamed_in
from experiments.theory.of_records import predicted

HEAD = """import numpy as np
import aside
from experiments.claims import CLAIMS
from experiments.datasets import GENERATORS
from experiments.plots import FIGURES
from mlp.activations import ACTIVATIONS, Activation
from mlp.initialisers import INITIALISERS, Initialiser
from mlp.losses import LOSSES
from mlp.norms import NORMS
from mlp.optimisers import OPTIMISERS, Optimiser
from mlp.probes import PROBES
from mlp.schedules import SCHEDULES

"""
LINE = HEAD.count("\n") + 3  # of what stands below a decorator and a def
FAILS = {  # a part that fails on line LINE, and what makes it fail
    "activation": (
        "@ACTIVATIONS\ndef bad():\n    return Activation(lambda z: nothing * z, lambda z, a: z)",
        lambda part: part().f(np.ones(2)),
    ),
    "initialiser": (
        "@INITIALISERS\ndef bad():\n    return Initialiser(lambda rng, a, b: nothing, lambda a, b, act: 1.0)",
        lambda part: part().noise(None, 2, 3),
    ),
    "loss": ("@LOSSES\ndef bad(z, y):\n    return np.nothing(z), z", lambda part: part(np.ones(2), None)),
    "optimiser": (
        "@OPTIMISERS\ndef bad():\n    return Optimiser(lambda like: lambda g, lr, out: nothing)",
        lambda part: part().start(None)(None, None, None),
    ),
    "schedule": (
        "@SCHEDULES\ndef bad():\n    return lambda step, steps: nothing",
        lambda part: part()(0, 1),
    ),
    "probe": ("@PROBES\ndef bad(t):\n    return t.nothing", lambda part: part(None)),
    "dataset": (
        "@GENERATORS\ndef bad(rng, *, n: int = 8):\n    return nothing, 0",
        lambda part: part().read(),
    ),
    "claim": ("@CLAIMS\ndef bad(records):\n    return records.nothing", lambda part: part(None)),
    "figure": ("@FIGURES\ndef bad(records):\n    return nothing", lambda part: part(None)),
}


@pytest.fixture
def part_of(tmp_path, monkeypatch):
    """Register parts from a file of this text, with a module beside it; the tables are put back."""
    monkeypatch.setenv("VG_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aside.py").write_text("def helper():\n    return 1 / 0\n")
    kept = {kind: dict(table(kind)) for kind in TABLES}

    def load(text: str):
        (tmp_path / "mine.py").write_text(HEAD + text + "\n")
        load_parts(["mine.py"])
        return lambda kind: table(kind)["bad"]

    yield load
    for kind, names in kept.items():
        for name in set(table(kind)) - set(names):
            del table(kind)[name]
    for name in ("aside", "parts_of_mine"):
        sys.modules.pop(name, None)
    own_parts.look_again()
    resolve.cache_clear()


def error_of(call) -> Exception:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing failed")


@pytest.mark.parametrize("kind", FAILS)
def test_an_error_is_of_a_part_a_file_and_a_line(kind, part_of):
    text, call = FAILS[kind]
    part = part_of(text)(kind)
    error = error_of(lambda: call(part))
    if kind == "dataset":  # whose caller says so already
        assert re.match(rf"data set bad fails \(mine.py, line {LINE}\): NameError", str(error))
        return
    assert blamed(error) == f"{kind} bad, mine.py, line {LINE}"
    assert blamed_in("".join(traceback.format_exception(error))) == blamed(error)


def test_the_place_is_that_of_the_user_s_code_and_not_of_a_library_s_beneath_it(part_of):
    bad = part_of("@SCHEDULES\ndef bad():\n    return lambda step, steps: aside.helper()")("schedule")
    assert blamed(error_of(lambda: bad()(0, 1))) == "schedule bad, aside.py, line 2"
    bad = part_of("@CLAIMS\ndef bad(records):\n    return np.loadtxt('no such file')")("claim")
    assert blamed(error_of(lambda: bad(None))) == f"claim bad, mine.py, line {LINE}"


def test_an_error_of_this_program_or_of_a_script_is_of_no_part(part_of):
    part_of(FAILS["schedule"][0])
    assert blamed(error_of(lambda: 1 / 0)) == ""
    assert blamed(error_of(lambda: table("activation")["relu"](nothing=1))) == ""


def test_a_part_that_fails_before_the_training_is_a_line_and_nothing_is_written(part_of, tmp_path, capsys):
    part_of(FAILS["schedule"][0])
    (tmp_path / "q.yaml").write_text(
        "question: q?\nbase: {schedule: bad, dataset: moons(n=40), batch: 4, steps: 2}\n"
    )
    assert main("run", ["q.yaml"]) == 2
    said = f"schedule bad, mine.py, line {LINE}: NameError: name 'nothing' is not defined\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            "@ACTIVATIONS\ndef bad():\n    Activation(np.tanh, np.cos)",
            "activation",
            "None, which is no Activ",
        ),
        ("@SCHEDULES\ndef bad():\n    lambda step, steps: 1.0", "schedule", "None, which is no Callable"),
        ("@NORMS\ndef bad():\n    return 3", "norm", "3, which is no Norm"),
    ],
)
def test_a_factory_that_returns_something_else_is_refused_at_the_door(part_of, text, kind, said):
    part_of(text)
    with pytest.raises(ValueError, match=f"{kind} bad fails: TypeError: it returns {said}"):
        resolve(kind, "bad")


def test_theory_is_left_out_where_a_part_cannot_be_asked(part_of):
    part_of(FAILS["loss"][0])
    found = predicted("tanh", 2, 8, "moons(n=40)", "xavier_normal", "zeros", "none", 0.0, "bad")
    assert found.reason.startswith(f"loss bad, mine.py, line {LINE}: AttributeError: module 'numpy' has no")


def test_a_part_that_is_refused_at_the_door_is_refused_by_run_too(part_of):
    import experiments

    part_of("@NORMS\ndef bad():\n    return 3")
    with pytest.raises(ConfigError, match="base.norm: norm bad fails: TypeError: it returns 3"):
        experiments.run({"question": "?", "base": {"norm": "bad", "dataset": "moons(n=40)"}})
