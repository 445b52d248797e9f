"""A new entry of a table is tested the day it is added: the right one passes, the wrong one is found out."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUBJECTS = (
    "activation_forms",
    "activations",
    "every_measure",
    "initialisers",
    "jacobian",
    "losses",
    "norms",
    "optimisers",
    "probe_definitions",
    "probes",
    "schedules",
    "tape",
)
EXAMPLE = "bent_identity"  # the activation of CONTRIBUTING.md, as it is printed there
# of the whole network's tests, which take every curve times every loss times every norm, a few
FEW = "(not (test_tape or test_jacobian) or (curve and not newcomer_norm and (softmax or test_jacobian)))"
CHOSEN = f"{EXAMPLE} or (newcomer and {FEW})"
# outcomes alone are read, and no test with drawn examples is among them
TERSE = ("--tb=no", "-rA", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
KINDS = {  # newcomer: the test that finds its wrong twin out
    "curve": "test_slope_is_the_central_difference",
    "draw": "test_weights_have_the_mean_and_variance_they_promise",
    "offset": "test_biases_have_the_variance_they_promise",
    "loss": "test_gradient_is_the_central_difference_of_every_logit",
    "rule": "test_the_first_step_is_downhill_and_as_long_as_the_rate_says",
    "norm": "test_backward_is_the_central_difference",
    "probe": "test_a_probe_gives_one_number_a_run_and_the_same_alone",
    "unit": "test_a_unit_probe_gives_one_number_a_unit_and_the_same_alone",
    "sizes": "test_a_distribution_gives_the_sizes_of_each_run_and_the_same_alone",
    "schedule": "test_every_schedule_is_a_finite_number_that_repeats_itself",
}


@cache
def outcomes() -> tuple[list[str], list[str]]:
    """The tests that passed and that failed with two newcomers in every table, in a process of their own."""
    files = [str(HERE / f"test_{subject}.py") for subject in SUBJECTS]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "newcomers",
        "-m",
        "not slow",
        "-k",
        CHOSEN,
        *TERSE,
        *files,
    ]
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)])
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [re.findall(rf"^{outcome} (\S+)", done.stdout, re.MULTILINE) for outcome in ("PASSED", "FAILED")]
    assert found[0], done.stdout + done.stderr
    return found[0], found[1]


def test_a_right_newcomer_passes_and_a_wrong_one_is_found_out():
    passed, failed = outcomes()
    for kind, finder in KINDS.items():
        assert any(f"newcomer_{kind}" in test and "_wrong" not in test for test in passed), (
            f"{kind}: untested"
        )
        assert any(f"{finder}[newcomer_{kind}_wrong" in test for test in failed), f"{kind}: not found out"
    assert any(
        "test_gradients_are_the_differences_of_the_loss[newcomer_curve_wrong" in test for test in failed
    )
    assert not [test for test in failed if "_wrong" not in test]


def test_the_example_of_the_page_passes_all_that_an_activation_is_asked_and_its_wrong_twin_does_not():
    passed, failed = outcomes()
    mine = [test for test in passed if EXAMPLE in test and "_wrong" not in test]
    subjects = {re.findall(r"test_(\w+)\.py", test)[0] for test in mine}
    assert {"activations", "initialisers", "tape"} <= subjects
    assert len(mine) > 20
    assert not [test for test in failed if EXAMPLE in test and "_wrong" not in test]
    assert any(f"test_slope_is_the_central_difference[{EXAMPLE}_wrong" in test for test in failed)
