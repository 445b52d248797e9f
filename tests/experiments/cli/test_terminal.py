"""What is said: short numbers, an honest forecast, a bar on a terminal and plain lines elsewhere."""

import io
import re
from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from experiments.analysis.wording import count, duration, number, printable
from experiments.claims import Evidence, decide
from experiments.claims import table as verdicts
from experiments.cli import terminal
from experiments.cli.terminal import Terminal
from experiments.config import from_mapping
from experiments.storage.identity import named
from experiments.sweeps.forecast import Forecast
from experiments.sweeps.plan import Sweep, grid
from experiments.sweeps.stacks import stacks

EXPERIMENT = from_mapping(
    {"question": "?", "base": {"dataset": "moons(n=200)", "batch": 16}, "sweep": {"seed": [0, 1, 2]}}
)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when told to."""
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def terminal_and_output(**options):
    file = io.StringIO()
    return Terminal(Console(file=file, **({"width": 180} | options))), file


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_said_as_people_do(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.23649, "0.236"),
        (8.34e-8, "8.34e-8"),
        (0, "0"),
        (0.00046, "4.60e-4"),
        (1.5e10, "1.5e10"),
        (float("nan"), "–"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_nouns_agree_with_their_number():
    assert (count(1, "run"), count(0, "run"), count(2, "run")) == ("1 run", "0 runs", "2 runs")


def test_a_text_from_a_config_steers_no_terminal():
    assert printable("a\x1b[2Jb\rc\nd é") == "a�[2Jb�c\nd é"
    say, file = terminal_and_output()
    say.say("[red]not markup[/red] \x1b]0;title\x07")
    assert file.getvalue() == "[red]not markup[/red] �]0;title�\n"


def test_a_forecast_goes_by_what_was_measured(clock):
    forecast = Forecast(cost=100.0, workers=1, speed=10.0)
    assert forecast.left() == 10.0
    clock[0] += 2
    assert forecast.left() == 8.0
    forecast.add(40.0)  # 20 a second
    assert forecast.left() == 60 / 20
    clock[0] += 1
    assert forecast.left() == 60 / 20 - 1
    clock[0] += 100
    assert forecast.left() == 0.0
    assert str(forecast) == "1 min 43 s, about 0.0 s left"


def test_a_forecast_allows_for_what_the_other_workers_have_half_done(clock):
    forecast = Forecast(cost=100.0, workers=3, speed=10.0)
    clock[0] += 2
    forecast.add(20.0)  # and twice half of that: 20 a second
    assert forecast.left() == 60 / 20
    forecast.add(75.0)  # now less is left than two halves
    assert forecast.left() == 0.0


def sweep(done=0, workers=0):
    runs = named(grid(EXPERIMENT), EXPERIMENT.recording)
    left = list(runs.values())[done:]
    return Sweep(EXPERIMENT, runs, set(list(runs)[:done]), 1e12, workers, stacks(left) if left else [])


def test_the_plan_says_what_there_is_to_do():
    say, file = terminal_and_output()
    for each in (sweep(), sweep(done=2, workers=1), sweep(done=3)):
        say.plan(replace(each, speed=each.cost(each.stacks) or 1.0))
    *planned, stored = file.getvalue().splitlines()
    assert [line.rpartition(", then about ")[0] for line in planned] == [
        "3 runs, none stored: 1 stack, about 1.0 s in this process",
        "3 runs, 2 stored, 1 to train: 1 stack, about 2.0 s with 1 worker",
    ]
    assert all(line.endswith(" for the summary, figures and claims") for line in planned)
    assert stored == "3 runs, all stored: nothing to train"


def test_runs_that_crashed_before_are_not_called_stored():
    say, file = terminal_and_output()
    say.plan(replace(sweep(done=3), crashed=1))
    say.plan(replace(sweep(done=1), crashed=1))
    first, second = file.getvalue().splitlines()
    again = "1 crashed before (--rerun-failed trains them again)"
    assert first == f"3 runs, 2 stored, {again}: nothing else to train"
    assert second.startswith(f"3 runs, none stored, {again}, 2 to train: 1 stack, about ")


def test_off_a_terminal_progress_is_a_line_now_and_then(clock):
    say, file = terminal_and_output()
    with say.training(10, Forecast(cost=10.0, workers=1, speed=1.0)) as advance:
        for _ in range(10):
            clock[0] += 2
            advance(1, 1.0)
    assert file.getvalue().splitlines() == [
        "3/10 runs, 6.0 s, about 14 s left",
        "6/10 runs, 12 s, about 8.0 s left",
        "9/10 runs, 18 s, about 2.0 s left",
    ]


def test_on_a_terminal_progress_is_a_bar():
    say, file = terminal_and_output(force_terminal=True, width=80)
    with say.training(10, Forecast(cost=10.0, workers=1, speed=1.0)) as advance:
        advance(4, 4.0)
    assert "4/10 runs" in file.getvalue()
    assert "━" in file.getvalue()


def test_quiet_is_quiet():
    say, file = terminal_and_output(quiet=True, force_terminal=True)
    say.say("a")
    say.plan(sweep())
    say.summary(table())
    with say.training(1, Forecast(1.0, 1, 1.0)) as advance:
        advance(1, 1.0)
    assert file.getvalue() == ""


def table(rows=2, **changes):
    quantities = ["delta_ratio_start", "decay_start", "dead", "saturated", "accuracy"]
    columns = {f"{name}{end}": [value] * rows for name in quantities for end, value in CELL.items()}
    keys = {"activation": ["relu", "[bold]\x1b"][:rows] + ["tanh"] * (rows - 2), "depth": range(rows)}
    counts = {"n": 3, "diverged": 0, "crashed": 0, "left_out": 0, "zeros": 0}
    return pd.DataFrame(keys | counts | columns | changes)


CELL = {"": 0.5, "_low": 0.25, "_high": 0.75}


def test_the_summary_gives_median_and_range():
    say, file = terminal_and_output()
    say.summary(table(crashed=[0, 2], dead=float("nan"), dead_low=float("nan"), dead_high=float("nan")))
    head, *rows = [line.split() for line in file.getvalue().splitlines() if len(line.split()) > 3]
    assert head[:4] == ["activation", "depth", "n", "crashed"]
    assert "dead," not in head
    cells = ["0.5", "0.25–0.75"] * 4
    assert rows[0] == ["relu", "0", "3", "0", *cells]
    assert rows[1] == ["[bold]�", "1", "3", "2", *cells]
    assert "median, range over n seeds" in file.getvalue()


def test_the_decay_that_theory_expects_stands_beside_the_measured_one():
    say, file = terminal_and_output()
    say.summary(table().assign(decay_theory=[0.24, float("nan")]))
    head, *rows = [line for line in file.getvalue().splitlines() if len(line.split()) > 3]
    assert re.search(r"decay per layer, start +theory +dead, end", head)
    assert rows[0].split()[3:8] == ["0.5", "0.25–0.75", "0.5", "0.25–0.75", "0.24"]
    assert rows[1].split()[7] == "–"


def test_a_long_summary_is_cut_and_says_so():
    say, file = terminal_and_output()
    say.summary(table(rows=100))
    assert "… and 40 more rows in summary.csv" in file.getvalue()
    assert file.getvalue().count("tanh") == 58


ROWS = ["leaky_relu(slope=0.1)", "scaled_normal(gain=10.15)", "b"]


@pytest.mark.parametrize("width", [180, 80, 60, 40, 20])
def test_nothing_is_cut_off_or_broken_where_it_is_narrow(width):
    """Every number, range, option and word of the widest summary is found whole, in lines that fit."""
    say, file = terminal_and_output(width=width)
    wide = table(rows=3, activation=ROWS, accuracy=0.0352, accuracy_low=0.0312, accuracy_high=0.0625)
    say.summary(wide.assign(decay_theory=-1.25e-7))
    text = file.getvalue()
    assert "…" not in text
    head = text.strip().partition("\n ─")[0].splitlines()
    assert all(line.strip() for line in head)
    cells = ["0.5 0.25–0.75", "0.0352 0.031–0.062", "-1.25e-7", "slope=0.1)", "scaled_normal(", "gain=10.15)"]
    for whole in (*cells, "accuracy", "activation", "saturated"):
        assert whole in text
    assert text.count("0.5 0.25–0.75") == 3 * 4
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width
    assert say.console.width == width
    rows = [line for line in text.splitlines() if "0.25" in line]
    assert all(re.search(r"\b[012]  +3\b", row) for row in rows)  # the keys stand beside every part


def test_a_range_holds_its_median_however_few_its_digits():
    say, file = terminal_and_output()
    say.summary(table(dead=0.499, dead_low=0.4983, dead_high=0.5004))
    assert "0.499 0.498–0.5" in file.getvalue()


def test_a_pipe_gets_whole_lines_even_where_colour_is_forced(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")  # of the terminal that the pipe was started from
    say = terminal.terminal()
    assert (say.live, say.console.width) == (False, 180)
    with say.training(1, Forecast(1.0, 1, 1.0)) as advance:
        advance(1, 1.0)
    assert "\x1b[?25l" not in capsys.readouterr().out  # the cursor is not hidden, as a bar would


def test_a_verdict_is_a_line_with_its_number_and_rule():
    found = Evidence.of("depth 10", [1e-7, 2e-7, 3e-7, 4e-7, 5e-7, 6e-7], "below", 0.01)
    claims = [decide([found]), decide([])]
    say, file = terminal_and_output()
    say.verdicts(verdicts(replace(claim, claim="W04_gradient_shrinks") for claim in claims))
    assert file.getvalue().splitlines() == [
        "supported     W04_gradient_shrinks: depth 10: 3.50e-7 (1.00e-7 – 6.00e-7), bound < 0.01, n = 6",
        "inconclusive  W04_gradient_shrinks",
        f"              {claims[1].condition}",
    ]
    assert claims[1].condition
