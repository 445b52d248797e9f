"""Whatever stands at a door, every command answers with one line and status 2, and writes nothing."""

import errno
import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import experiments
from experiments.cli import command_lines, status
from experiments.cli.entry import COMMANDS, front, main
from experiments.cli.status import status_of

ROOT = Path(__file__).resolve().parents[3]
LONG = "9" * 5000
CONFIG = """\
question: Does it answer?
base: {dataset: 'moons(n=60)', batch: 16, width: 4, depth: 1, steps: 2}
watch: 2
figures: []
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Stand in an empty folder with one config in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("VG_RESULTS", "VG_DATA", "VG_MEMORY", "VG_DOWNLOAD"):
        monkeypatch.delenv(name, raising=False)
    Path("q.yaml").write_text(CONFIG)
    return tmp_path


def files():
    return {path: path.lstat().st_mtime_ns for path in Path().rglob("*")}


def refused(capfd, name, *words):
    """Do a command in this process; return the one line with which it refuses, having written nothing."""
    before = files()
    assert main(name, [str(word) for word in words]) == 2
    out, line = capfd.readouterr()
    assert line.count("\n") == 1, line
    assert line.strip().isprintable()
    assert "--with" not in line or any("--with" in str(word) for word in words)
    assert len(line) < 800, line
    assert not any(word in line for word in ("Traceback", "Errno", "errno")), line
    assert out.count("\n") <= 2, out  # at most the question
    assert files() == before
    return line


NO_COUNTS = ["0", "-1", "nan", "1.5", "1000000000", LONG, "", "٣", "0x2", "1e3", "inf"]
ONE_EACH = {  # what each command needs at least
    "run": ["q.yaml"], "diagnose": ["q.yaml"], "reproduce": ["--collection", "."], "plot": ["x"],
    "verify": ["x"], "coverage": [], "bench": ["--quick"],
}  # fmt: skip
COUNTED = [
    ("run", "--jobs"), ("diagnose", "--jobs"), ("reproduce", "--jobs"), ("diagnose", "--networks"),
    ("coverage", "--networks"),
]  # fmt: skip
TIMED = [("run", "--timeout-per-stack"), ("bench", "--seconds-per-cell")]
FROM_ONE = [("coverage", "--settings"), ("bench", "--rounds"), ("diagnose", "--benchmark")]
FROM_ZERO = [("verify", "--seed"), ("coverage", "--seed")]
NUMBERS = [(*each, text) for each in COUNTED for text in NO_COUNTS]
NUMBERS += [(*each, text) for each in TIMED for text in ("0", "-1", "nan", "inf", "x", LONG, "")]
NUMBERS += [(*each, text) for each in FROM_ONE for text in ("0", "-1", "nan", "1.5", LONG)]
NUMBERS += [(*each, text) for each in FROM_ZERO for text in ("-1", "nan", "1.5", LONG)]


def named(value):
    return value if len(str(value)) < 30 else "long"


@pytest.mark.parametrize(("name", "option", "text"), NUMBERS, ids=named)
def test_a_number_out_of_range_is_refused(capfd, name, option, text):
    line = refused(capfd, name, *ONE_EACH[name], f"{option}={text}")
    assert option in line
    assert "from" in line or "above" in line


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


# Files that are none ---------------------------------------------------------------------------------------


def a_folder(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


def a_device(path):
    path.symlink_to("/dev/zero")


def a_circle(path):
    path.symlink_to(path.name)


def a_dangling_link(path):
    path.symlink_to("nowhere")


def empty(path):
    path.write_bytes(b"")


def binary(path):
    path.write_bytes(bytes(range(256)))


def utf16(path):
    path.write_text(CONFIG, encoding="utf-16")


def endless(path):
    path.write_text("a: " + LONG * 100)


NO_FILES = [a_folder, a_pipe, a_device, a_circle, a_dangling_link]
NO_CONFIGS = [*NO_FILES, empty, binary, utf16, endless]


@pytest.mark.parametrize("make", NO_CONFIGS)
def test_a_config_that_is_none_is_refused(capfd, make):
    Path("q.yaml").unlink()
    make(Path("q.yaml"))
    assert "q.yaml" in refused(capfd, "run", "q.yaml")
    assert "q.yaml" in refused(capfd, "diagnose", "q.yaml")
    assert "q.yaml" in refused(capfd, "reproduce", "--collection", ".")


@pytest.mark.parametrize("make", [*NO_FILES, empty, binary])
def test_a_manifest_that_is_none_is_refused(capfd, make):
    Path("results/x/runs").mkdir(parents=True)
    make(Path("results/x/manifest.json"))
    for name in ("plot", "verify", "diagnose"):
        assert main(name, ["x"]) == 2
        assert "results/x" in capfd.readouterr().err
    assert "results/x" in refused(capfd, "run", "--from", "results/x/manifest.json")


@pytest.mark.parametrize("words", [["run", "q.yaml"], ["plot", "x"], ["verify", "x"], ["diagnose", "x"],
                                   ["diagnose", "q.yaml"], ["reproduce", "--collection", "."]])  # fmt: skip
@pytest.mark.parametrize("make", [empty, a_pipe, a_circle])
def test_a_results_path_that_is_no_folder_is_refused(capfd, monkeypatch, words, make):
    make(Path("place"))
    monkeypatch.setenv("VG_RESULTS", "place")
    assert "place" in refused(capfd, *words)


@pytest.mark.parametrize("name", ["bench", "coverage"])
@pytest.mark.parametrize("place", ["q.yaml", "q.yaml/in", "/proc/nothing", "/dev/null", LONG])
def test_a_folder_that_cannot_be_written_is_refused_before_the_work(capfd, name, place):
    line = refused(capfd, name, *ONE_EACH[name], "--out", place)
    assert line.startswith(place[:80])
    assert "cannot write" in line


ENVIRONMENTS = [("VG_MEMORY", text) for text in ("nan", "-1", "0", "lots", LONG, "inf", "1e-9")]
ENVIRONMENTS += [("VG_RESULTS", text) for text in (LONG, "/proc/nothing", "/dev/null", "q.yaml")]
ENVIRONMENTS += [("SOURCE_DATE_EPOCH", text) for text in ("", "x", "1e3", "9" * 20, LONG)]
ENVIRONMENTS += [("VG_DATA", text) for text in ("q.yaml", "/nowhere", LONG, "\n", "/dev/zero")]


@pytest.mark.parametrize(("variable", "text"), ENVIRONMENTS, ids=named)
def test_nonsense_in_the_environment_is_refused(capfd, monkeypatch, variable, text, tmp_path):
    monkeypatch.setenv(variable, text)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where no published data set lies
    if variable == "VG_DATA":
        Path("q.yaml").write_text(CONFIG.replace("'moons(n=60)'", "mnist"))
    line = refused(capfd, "run", "q.yaml")
    assert (text[:80] if variable == "VG_RESULTS" else variable) in line


DASK_SETTINGS = [("DASK_CONFIG", "q.csv"), ("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "x")]


@pytest.mark.slow
@pytest.mark.parametrize(("variable", "text"), DASK_SETTINGS)
def test_settings_that_dask_cannot_read_are_a_line(variable, text):
    pytest.importorskip("distributed")
    Path("q.csv").write_text("a,b")
    words = [sys.executable, str(ROOT / "scripts" / "run.py"), "q.yaml", "--dask", "local:1"]
    done = subprocess.run(
        words, env=os.environ | {variable: text}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("--dask")
    assert "Dask cannot use its own settings" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path("results/q/runs").exists()


# Parts that are none ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The results folder of one finished experiment."""
    place = tmp_path_factory.mktemp("stored")
    (place / "q.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VG_RESULTS", str(place / "results"))
        experiments.run(place / "q.yaml")
    return place / "results"


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("frame", ["runs", "layers"])
def test_what_stands_in_the_place_of_a_part_is_set_aside_and_trained_again(stored, capfd, frame, make):
    """It is neither waited for nor read without end; what only reads says which part it leaves out."""
    shutil.copytree(stored, "results")
    [part] = [path for path in Path("results/q", frame).glob("*.parquet") if path.stem != "0-columns"]
    part.unlink()
    make(part)
    assert main("plot", ["q", "gradient_by_layer"]) == 2
    out, lines = capfd.readouterr()
    assert "Traceback" not in lines
    assert main("run", ["q.yaml"]) == 0
    out, lines = capfd.readouterr()
    assert "set aside" in out
    assert "1 run, none stored" in out
    assert lines == ""


def test_a_part_that_may_not_be_read_is_said(stored, capfd, monkeypatch):
    shutil.copytree(stored, "results")

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    for words in (["plot", "q"], ["verify", "q"], ["diagnose", "q"]):
        assert "permission denied" in refused(capfd, *words)


# The output ------------------------------------------------------------------------------------------------

SAYING = [
    ["run", "q.yaml"], ["run", "q.yaml", "--plan"], ["run", "--help"], ["verify", "q"], ["bench", "--help"],
    ["plot", "q", "gradient_by_layer"], ["diagnose", "q"], ["cite"],
]  # fmt: skip


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_an_output_on_a_full_disk_is_a_line(stored, capfd, monkeypatch, words):
    shutil.copytree(stored, "results")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words[0], words[1:]) == 2
        lines = capfd.readouterr().err
        assert (
            lines == "the output cannot be written: no space left on device; send it elsewhere or make room\n"
        )


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_a_terminal_that_knows_only_ascii_gets_every_line(stored, monkeypatch, words):
    shutil.copytree(stored, "results")
    streams = [io.TextIOWrapper(io.BytesIO(), "ascii") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert main(words[0], words[1:]) == 0
    assert len(streams[0].buffer.getvalue()) > 20


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_closed_streams_are_no_reason_to_stop(stored, monkeypatch, words):
    shutil.copytree(stored, "results")
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(words[0], words[1:]) == 0


# Ctrl-C ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_makes_an_error_of_its_own_of_ctrl_c_is_an_interruption(capfd, number):
    def work():
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        except KeyboardInterrupt:
            raise ImportError("numpy._core.multiarray failed to import") from None
        return 0

    before = signal.getsignal(signal.SIGINT)
    try:
        assert status_of(work) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr() == ("", f"{status.INTERRUPTED_LINE}\n")


def test_an_error_of_the_program_itself_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        status_of(lambda: 1 // 0)


QUIET = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_EACH)
def test_ctrl_c_at_any_moment_of_the_start_is_a_status_and_no_traceback(name, stored):
    """Only while Python itself starts, and has not come to the script yet, is there nobody to be quiet."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *ONE_EACH[name]]
    for moment in range(12):
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as started:
            threading.Event().wait(0.08 + 0.12 * moment)
            started.send_signal(signal.SIGINT)
            lines = started.communicate(timeout=60)[1]
        if "init_import_site" in lines:
            continue
        assert started.returncode in (130, -signal.SIGINT, 0, 2), lines
        assert "Traceback" not in lines


@pytest.mark.slow
def test_a_long_tmpdir_is_no_obstacle_to_workers(folder):
    """A socket's name has at most 108 bytes."""
    place = folder / ("t" * 120)
    place.mkdir()
    words = [sys.executable, str(ROOT / "scripts" / "run.py"), "q.yaml", "--jobs", "2", "seed=[0,1]"]
    done = subprocess.run(
        words, env=os.environ | {"TMPDIR": str(place)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
