"""Whatever stands at a door, every command answers with one line and status 2, and writes nothing."""

import importlib
from pathlib import Path

import pytest
from doors import CONFIG, LONG, ONE_EACH, named, refused

from experiments.cli import command_lines
from experiments.cli.entry import COMMANDS, front, main

pytestmark = pytest.mark.usefixtures("folder")
NO_COUNTS = ["0", "-1", "nan", "1.5", "1000000000", LONG, "", "٣", "0x2", "1e3", "inf"]
OUT_OF_RANGE = {  # what is not taken by each of these options
    tuple(NO_COUNTS): ("run --jobs", "diagnose --jobs", "reproduce --jobs", "diagnose --networks",
                       "coverage --networks"),
    ("0", "-1", "nan", "inf", "x", LONG, ""): ("run --timeout-per-stack", "bench --seconds-per-cell"),
    ("0", "-1", "nan", "1.5", LONG): ("coverage --settings", "bench --rounds", "diagnose --benchmark"),
    ("-1", "nan", "1.5", LONG): ("verify --seed", "coverage --seed"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "texts"), [(words, texts) for texts, options in OUT_OF_RANGE.items() for words in options]
)
def test_a_number_out_of_range_is_refused(capfd, words, texts):
    name, option = words.split()
    for text in texts:
        line = refused(capfd, name, *ONE_EACH[name], f"{option}={text}")
        assert option in line, text
        assert "from" in line or "above" in line, text


SOUND = {  # the words that each command needs at least, then each option with what it is read as
    "run": (["q.yaml"], {
        "overrides": (["lr=1"], ["lr=1"]), "manifest": (["--from", "m"], "m"), "name": (["--name", "n"], "n"),
        "part_files": (["--with", "p.py", "--with", "p.py"], ["p.py", "p.py"]), "plan": (["--plan"], True),
        "jobs": (["--jobs", "2"], 2), "dask": (["--dask", "local:1"], "local:1"),
        "timeout_per_stack": (["--timeout-per-stack", "1.5"], 1.5), "fail_fast": (["--fail-fast"], True),
        "rerun_failed": (["--rerun-failed"], True), "only_mine": (["--only-mine"], True),
        "fresh": (["--fresh"], True), "yes": (["--yes"], True), "quiet": (["--quiet"], True),
    }),
    "diagnose": (["q.yaml"], {
        "overrides": (["lr=1"], ["lr=1"]), "part_files": (["--with", "p.py"], ["p.py"]),
        "confirm": (["--confirm"], True), "normal": (["--normal"], True),
        "reference": (["--reference"], True), "check_normal": (["--check-normal", "3"], 3),
        "clip": (["--clip"], True), "seeds": (["--seeds"], True),
        "dead_units": (["--dead-units"], True), "benchmark": (["--benchmark", "2"], 2),
        "half": (["--half", "held-out"], "held-out"), "networks": (["--networks", "9"], 9),
        "jobs": (["--jobs", "2"], 2), "quiet": (["--quiet"], True),
    }),
    "plot": (["x"], {
        "figures": (["learning_curves"], ["learning_curves"]), "part_files": (["--with", "p.py"], ["p.py"]),
        "style": (["--style", "paper"], "paper"), "theme": (["--theme", "dark"], "dark"),
        "panels": (["--panels", "all"], "all"), "format": (["--format", "pdf"], "pdf"),
        "size": (["--size", "8x4.5"], "8x4.5"), "table": (["--table", "latex"], "latex"),
        "words": (["--words", "w"], Path("w")),
    }),
    "reproduce": ([], {
        "overrides": (["lr=1"], ["lr=1"]), "collection": (["--collection", "c"], "c"),
        "part_files": (["--with", "p.py"], ["p.py"]), "expect": (["--expect", "e"], Path("e")),
        "readme": (["--readme"], True), "jobs": (["--jobs", "2"], 2), "quiet": (["--quiet"], True),
    }),
    "live": ([], {
        "words": (["dying", "depth=3"], ["dying", "depth=3"]), "port": (["--port", "0"], 0),
        "no_browser": (["--no-browser"], True),
    }),
    "verify": (["x"], {
        "part_files": (["--with", "p.py"], ["p.py"]), "runs": (["--runs", "all"], None),
        "seed": (["--seed", "3"], 3),
    }),
    "coverage": ([], {
        "settings": (["--settings", "2"], 2), "networks": (["--networks", "3"], 3),
        "seed": (["--seed", "4"], 4), "out": (["--out", "o"], Path("o")),
    }),
    "study": (["alarms"], {"jobs": (["--jobs", "2"], 2)}),
    "bench": ([], {
        "quick": (["--quick"], True), "parts": (["--parts", "steps", "grid"], ["steps", "grid"]),
        "shapes": (["--shapes", "2x8", "3x4"], ["2x8", "3x4"]),
        "dtypes": (["--dtypes", "float64"], ["float64"]),
        "activations": (["--activations", "relu"], ["relu"]), "engines": (["--engines", "limit"], ["limit"]),
        "rounds": (["--rounds", "2"], 2), "seconds_per_cell": (["--seconds-per-cell", "0.1"], 0.1),
        "keep_environment": (["--keep-environment"], True), "out": (["--out", "o"], Path("o")),
    }),
    "cite": ([], {}),
}  # fmt: skip


@pytest.fixture
def given(monkeypatch):
    """Return what a command is given to work with, after sound words; nothing is done."""
    Path("p.py").write_text("")

    def read(name, *words):
        found = []
        home, _, function = COMMANDS[name][1].partition(":")
        module = importlib.import_module(f"experiments.cli.{home}")
        with monkeypatch.context() as patch:
            patch.setattr(module, function, lambda namespace: found.append(vars(namespace)) or 0)
            assert main(name, list(words)) == 0
        return found[0]

    return read


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_of_each_command_reaches_its_work_and_changes_nothing_else(given, name):
    """One option that took another's words is a command that nobody can start."""
    needed, options = SOUND[name]
    plain = given(name, *needed)
    assert len(plain) == len(needed) + len(options) + ("config" in plain and not needed)
    for option, (words, value) in options.items():
        for line in ([*needed, *words], [*words, *needed]):
            if line[0] not in words or not isinstance(value, list):  # words of a list come last
                assert given(name, *line) == plain | {option: value}, line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_that_a_command_has_is_tried(name):
    parser = command_lines.Parser()
    getattr(command_lines, name)(parser)
    there = {action.dest for action in parser._actions if action.option_strings} - {"help"}
    assert there <= set(SOUND[name][1])


NO_WHOLE, UNKNOWN = "is not a whole number from 1", "unrecognized arguments: --nonsense"
LACKING = "the following arguments are required: "
OTHERS = {
    ("verify", "x", "--runs=0"): NO_WHOLE, ("verify", "x", "--runs=nan"): NO_WHOLE,
    ("verify", "x", f"--runs={LONG}"): NO_WHOLE, ("verify", "x"): "results/x: nothing is stored here",
    **{(name, *words, "--nonsense"): UNKNOWN for name, (words, _) in SOUND.items()},
    ("plot",): f"{LACKING}name;", ("verify",): f"{LACKING}experiment;", ("study",): f"{LACKING}name;",
    ("diagnose",): "name a config, a folder in results/, or --normal",
    ("run",): "name a config file, or --from a folder",
    ("bench", "--quick", "--shapes", "0x0"): "--shapes: shape '0x0' is not DEPTHxWIDTH",
    ("bench", "--shapes", f"{LONG}x4"): "is not DEPTHxWIDTH",
    ("bench", "--shapes", "nan"): "--shapes: shape 'nan' is not",
    ("bench", "--engines", "nobody's"): "argument --engines: invalid choice",
    ("bench", "--parts", "q.yaml"): "argument --parts: invalid choice: 'q.yaml'",
    ("study", "none"): "invalid choice: 'none' (choose from",
    ("live", "nolesson"): "'nolesson' is not one of vanishing, dying, initialisation",
    ("live", "depth=-3"): "depth: -3 is not a whole number",
    ("live", "--port", "70000"): "argument --port: '70000' is not a whole number from 0 to 65535",
    ("run", "q.yaml", f"seed={LONG}"): "a number of 5000 characters",
    ("run", "q.yaml", f"depth={LONG}"): "a number of 5000 characters",
    ("run", "q.yaml", "lr=nan"): "base.lr: 'nan' is not a number", ("run", "q.yaml", "="): "unknown key ''",
    ("run", "q.yaml", "\x1b[2J"): "not of the form key=value", ("run", "q.yaml", LONG): "not of the form",
    ("run", "q.yaml", "--name", "../x"): "cannot be a folder of results/",
    ("run", "q.yaml", "--name", LONG): "cannot be a folder of results/", ("run", LONG): "ame too long",
    ("run", "lr=1", "q.yaml"): "lr=1: no such file",
    ("run", "--from", LONG): "name too long", ("run", "--from", "x"): "x: no such file; give a folder of",
    ("plot", LONG): "does not name anything inside results", ("plot", ".."): "does not name anything inside",
    ("verify", "/"): "does not name anything inside",
    ("diagnose", "nothing_here"): "results/nothing_here: nothing is stored here",
    ("diagnose", "results/nothing"): "results/nothing: nothing is stored here",
    ("diagnose", "q.yaml", "--clip", "--confirm"): "--confirm and --clip do not go together",
    ("diagnose", "--normal", "--dead-units", "lr=1"): "--normal and --dead-units do not go together",
    ("diagnose", "q.yaml", "--half", "held-out"): "--half is of --benchmark",
    ("diagnose", "q.yaml", "--networks", "9"): "--networks is of --normal",
    ("diagnose", "--normal"): "name a config, a folder in results/",
    ("diagnose", "--normal", "depth=-1"): "depth: -1 is not a whole number",
    ("diagnose", "--normal", "depth=0"): "there is no hidden layer",
    ("diagnose", "--dead-units", "depth=0"): "there is no hidden layer whose units could be dead",
    ("diagnose", "checks.yaml", "--clip"): "this experiment has none: it asks for checks",
    ("diagnose", "checks.yaml", "--reference"): "this experiment has none: it asks for checks",
    ("diagnose", "few.yaml", "--clip"): "--clip needs the probes dw_norm, db_norm; leave",
    ("diagnose", "few.yaml", "--confirm"): "a diagnosis needs the probes delta_log10, dw_norm",
    ("reproduce", "--collection", LONG): "name too long",
    ("reproduce", "--collection", "none"): "--collection none: no folder with configs",
    ("reproduce", "--collection", ".", "--readme"): "--readme: README.md where you stand: No such file",
    ("reproduce", "--collection", ".", "--expect", "x.csv"): "x.csv: not a table of verdicts: No such",
    ("reproduce", "--collection", ".", "--expect", "q.yaml"): "--expect q.yaml: not a table of verdicts: ",
    ("run", "q.yaml", "--name=--"): "argument --name: expected one argument, not --",
    ("run", "q.yaml", "--with=--"): "argument --with: expected one argument, not --",
    ("verify", "x", "--seed=--"): "argument --seed: expected one argument, not --",
    ("run", "smok"): "smok: no such file",
    ("cite", "me"): "unrecognized arguments: me",
}  # fmt: skip


@pytest.mark.parametrize("words", OTHERS, ids=lambda words: named(" ".join(words)))
def test_words_that_make_no_sense_are_refused_for_what_is_wrong_with_them(capfd, words):
    Path("few.yaml").write_text(f"{CONFIG}probes: [delta_norm]\n")
    Path("checks.yaml").write_text("question: Is it?\nclaims: [W03_slope]\nfigures: []\n")
    assert OTHERS[words] in refused(capfd, *words)


def test_the_front_door_refuses_a_word_that_is_no_command(capfd):
    for word in ("rum", LONG, "\x1b[2J", "--version-of-what"):
        assert front([word]) == 2
        line = capfd.readouterr().err
        assert line.startswith("vanishing-gradients: unknown command")
        assert line.count("\n") == 1
        assert line.strip().isprintable()
    assert front([]) == 0
    listed = capfd.readouterr().out
    assert all(f"  {name} " in listed for name in COMMANDS)
