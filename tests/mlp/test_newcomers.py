"""A new entry of a table is tested the day it is added: the right one passes, the wrong one is found out."""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUBJECTS = ("activations", "initialisers", "losses", "optimisers", "norms", "probes", "schedules", "tape")
# of the whole network's tests, which take every curve times every loss times every norm, a few
FEW = "newcomer and (not test_tape or (curve and softmax and 0.0 and not newcomer_norm))"
KINDS = {  # newcomer: the test that finds its wrong twin out
    "curve": "test_slope_is_the_central_difference",
    "draw": "test_weights_have_the_mean_and_variance_they_promise",
    "offset": "test_biases_have_the_variance_they_promise",
    "loss": "test_gradient_is_the_central_difference_of_every_logit",
    "rule": "test_the_first_step_is_downhill_and_as_long_as_the_rate_says",
    "norm": "test_backward_is_the_central_difference",
    "probe": "test_a_probe_gives_one_number_a_run_and_the_same_alone",
    "schedule": "test_every_schedule_is_a_finite_number_that_repeats_itself",
}


def outcomes() -> tuple[list[str], list[str]]:
    """The tests that passed and that failed with two newcomers in every table, in a process of their own."""
    files = [str(HERE / f"test_{subject}.py") for subject in SUBJECTS]
    command = [sys.executable, "-m", "pytest", "-p", "newcomers", "-k", FEW, "--tb=no", "-rA", *files]
    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)])
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
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
